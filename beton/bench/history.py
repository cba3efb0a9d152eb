"""A made-up product's events for measuring: people with habits, sessions with a daily rhythm, accounts, plans, and a few who pay.

Activity is lognormal, event names are Zipf with favourites of each person, 55 % sign up within the window, 5 % convert and half of those carry one of
three planted patterns (as do 2 % who never convert). Instants are microseconds. One seed makes one history.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backtest.durations import DAY, HOUR, MINUTE, SECOND
from backtest.events import Window
from beton.errors import BadInput

if TYPE_CHECKING:
    import polars as pl

NAMES = 200
SIGNED_UP, UPGRADED = "user_signed_up", "plan_upgraded"
PLANS = ("free", "pro", "team", "enterprise")
WINDOW = Window(20_500 * DAY, 20_590 * DAY)
EVENTS_PER_PERSON = 50
PERSONS_PER_ACCOUNT = 8

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]


@dataclass(frozen=True)
class History:
    """Rows in order of time. `name` indexes `names`; `plan` indexes `PLANS`, -1 for events that carry none; `account` -1 for people without one."""

    persons: int
    accounts: int
    names: tuple[str, ...]
    person: Codes
    name: Codes
    at: Ints
    plan: Codes
    account: Codes


def make_history(events: int, seed: int) -> History:
    rng = np.random.default_rng(seed)
    persons = max(50, events // EVENTS_PER_PERSON)
    accounts = max(5, persons // PERSONS_PER_ACCOUNT)
    names = (*(f"event_{number:03}" for number in range(NAMES - 2)), SIGNED_UP, UPGRADED)
    new = rng.random(persons) < 0.55
    entry = WINDOW.start + np.where(new, rng.integers(0, 90 * DAY, persons), rng.integers(0, 10 * DAY, persons))
    extra_person, extra_name, extra_at = _milestones(rng, persons, new, entry)
    ordinary = events - len(extra_person)
    share = rng.lognormal(0.0, 1.2, persons)
    person = np.repeat(np.arange(persons), rng.multinomial(ordinary, share / share.sum())).astype(np.int32)
    at = _in_sessions(rng, person, entry)
    name = _habits(rng, person, persons)
    person, name, at = (np.concatenate(both) for both in ((person, extra_person), (name, extra_name), (at, extra_at)))
    by = np.argsort(at, kind="stable")
    person, name, at = person[by].astype(np.int32), name[by].astype(np.int32), at[by]
    home = np.where(rng.random(persons) < 0.6, rng.integers(0, accounts, persons), -1).astype(np.int32)
    usual = rng.choice(len(PLANS), persons, p=[0.7, 0.18, 0.08, 0.04]).astype(np.int32)
    plan = np.where(rng.random(len(at)) < 0.9, usual[person], -1).astype(np.int32)
    return History(persons, accounts, names, person, name, at, plan, home[person])


def write_history(history: History, path: Path) -> None:
    """One Parquet file with typed columns: numbered people and accounts, event names, microseconds."""
    import polars as pl

    frame = pl.DataFrame({"person": history.person, "ts": history.at, "plan": history.plan.astype(np.int8), "account": history.account})
    names = pl.Series("event", history.name.astype(np.uint8)).cat.to(pl.Enum(history.names))
    frame.with_columns(names, pl.from_epoch("ts", time_unit="us")).write_parquet(path, row_group_size=200_000, statistics=False)


COLUMNS = {"person": "Int32", "ts": "Datetime('us')", "plan": "Int8", "account": "Int32", "event": "Enum"}
"""Of such a file. Other whole numbers, other precisions of instants, and event names as text are taken too, and converted while they are read."""


def events_in(path: Path) -> pl.LazyFrame:
    """A file's columns in these types. Refuses a file that lacks some, or that lacks the two names that the measured mix is about."""
    import polars as pl

    table = pl.scan_parquet(path)
    schema = table.collect_schema()
    if missing := [name for name in COLUMNS if name not in schema]:
        raise BadInput(f"{path.name} has no column {', '.join(missing)}.", fix=f"Its columns have to be {', '.join(COLUMNS)}.")
    event = schema["event"]
    if not isinstance(event, pl.Enum):
        found = table.select(pl.col("event").cast(pl.String).unique().sort()).collect(engine="streaming")
        event = pl.Enum(found["event"].drop_nulls())
    if lacking := [name for name in (SIGNED_UP, UPGRADED) if name not in names_of(event)]:
        raise BadInput(f"{path.name} has no event {', '.join(lacking)}.", fix="The measured hypotheses are about sign-ups and upgrades.")
    wanted = {"person": pl.Int32, "ts": pl.Datetime("us"), "plan": pl.Int8, "account": pl.Int32, "event": event}
    columns = {name: pl.col(name) if schema[name] == kind else _converted(name, schema[name], kind) for name, kind in wanted.items()}
    return table.select(column.fill_null(-1) if name in ("plan", "account") else column for name, column in columns.items())


def _converted(name: str, found: Any, kind: Any) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    if name == "ts" and isinstance(found, pl.Datetime):
        in_utc = column if found.time_zone is None else column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return in_utc.cast(kind)
    if name == "event":
        return column.cast(pl.String).cast(kind)
    return column.cast(kind)


def read_history(path: Path) -> History:
    import polars as pl

    frame = events_in(path).collect()
    person, account = frame["person"].to_numpy(), frame["account"].to_numpy()
    names, at = names_of(frame.schema["event"]), frame["ts"].to_physical().to_numpy()
    name, plan = (frame[column].to_physical().cast(pl.Int32).to_numpy() for column in ("event", "plan"))
    return History(int(person.max()) + 1, max(int(account.max()), 0) + 1, names, person, name, at, plan, account)


def names_of(kind: Any) -> tuple[str, ...]:
    """Of a column of event names, which is an enumeration."""
    return tuple(kind.categories)


def _in_sessions(rng: np.random.Generator, person: Codes, entry: Ints) -> Ints:
    """Events fall into sessions of about six, which begin in the daytime more often than at night; minutes apart within one."""
    count = len(person)
    begins = (rng.random(count) < 1 / 6) | (np.diff(person, prepend=-1) != 0)
    session = np.cumsum(begins) - 1
    who = person[begins]
    day = entry[who] + (rng.random(len(who)) * (WINDOW.end - entry[who])).astype(np.int64)
    hour = np.clip(rng.normal(14, 4, len(who)), 0, 23.9)
    start = np.maximum(day // DAY * DAY + (hour * HOUR).astype(np.int64), entry[who])
    step = rng.exponential(2 * MINUTE, count).astype(np.int64) + rng.integers(1, SECOND, count)
    total = np.cumsum(step)
    at = start[session] + total - total[np.flatnonzero(begins)][session]
    return np.minimum(at, WINDOW.end - 1 - rng.integers(0, HOUR, count))


def _habits(rng: np.random.Generator, person: Codes, persons: int) -> Codes:
    weight = 1 / np.arange(1, NAMES - 1) ** 0.9
    ladder = np.cumsum(weight / weight.sum())

    def draw(count: int) -> NDArray[np.int16]:
        return np.searchsorted(ladder, rng.random(count, np.float32)).clip(0, NAMES - 3).astype(np.int16)

    favourites = draw(3 * persons).reshape(persons, 3)
    name = draw(len(person))
    loyal = rng.random(len(person), np.float32) < 0.4
    name[loyal] = favourites[person[loyal], rng.integers(0, 3, int(loyal.sum()))]
    return name.astype(np.int32)


def _milestones(rng: np.random.Generator, persons: int, new: NDArray[np.bool_], entry: Ints) -> tuple[Codes, Codes, Ints]:
    """Sign-ups, conversions, and the planted patterns: three of event 40 in a week; event 60 then event 61; event 80 in the first days."""
    converts = rng.random(persons) < 0.05
    paid = entry + (rng.random(persons) * (WINDOW.end - entry)).astype(np.int64)
    carriers = np.flatnonzero((converts & (rng.random(persons) < 0.5)) | (~converts & (rng.random(persons) < 0.02)))
    pattern = rng.integers(0, 3, len(carriers))
    who, what, when = [], [], []

    def add(people: NDArray[np.int64], name: int, at: Ints) -> None:
        who.append(people)
        what.append(np.full(len(people), name))
        when.append(at)

    signed = np.flatnonzero(new)
    add(signed, NAMES - 2, entry[signed])
    add(np.flatnonzero(converts), NAMES - 1, paid[converts])
    before = np.maximum(paid - rng.integers(DAY, 10 * DAY, persons), entry)
    for number, (names, gap) in enumerate((((40, 40, 40), DAY), ((60, 61), 5 * HOUR), ((80,), 0))):
        some = carriers[pattern == number]
        for place, name in enumerate(names):
            at = before[some] + place * gap if number < 2 else np.minimum(entry[some] + 2 * DAY, before[some])
            add(some, name, at + rng.integers(0, HOUR, len(some)))
    at = np.concatenate(when)
    keep = at < WINDOW.end
    return np.concatenate(who)[keep].astype(np.int32), np.concatenate(what)[keep].astype(np.int32), at[keep]

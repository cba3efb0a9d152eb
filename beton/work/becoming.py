"""What became of those who fired in the newest backtest, as far as their fires are kept: by cell, by lead, by week, and as a curve from the fire on.

At most `fires.MOST` are kept, the latest. Rules are those of the score: an outcome at or before the fire counts nowhere; a fire whose horizon is not
complete is pending, also when its unit has converted already; of the others those convert whose outcome lies within the horizon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

import numpy as np

from backtest.durations import DAY, HOUR
from backtest.proportions import wilson
from backtest.survival import Step, curve
from beton.store import fires
from beton.store.records import Backtest, BacktestFire
from beton.work.figures import Estimate
from beton.work.reviewing import Proposal
from beton.work.workplace import Workplace, instant, microseconds

EDGES = ((HOUR, "1 h"), (6 * HOUR, "6 h"), (DAY, "1 d"), (3 * DAY, "3 d"), (7 * DAY, "7 d"), (14 * DAY, "14 d"))
"""Of the histogram of leads, and where the table of the curve tells how many are at risk."""


class Became(StrEnum):
    """What became of a fire."""

    CONVERTED = "tp"
    NOT = "fp"
    PENDING = "pending"
    BEFORE = "before"


@dataclass(frozen=True)
class Kept:
    """One kept fire; instants in microseconds."""

    id: str
    at: int
    outcome: int | None
    became: Became

    @property
    def fired_at(self) -> datetime:
        """For people."""
        return instant(self.at)

    @property
    def outcome_at(self) -> datetime | None:
        """For people."""
        return None if self.outcome is None else instant(self.outcome)

    @property
    def after(self) -> float | None:
        """From the fire to the outcome, in hours."""
        return None if self.outcome is None else (self.outcome - self.at) / HOUR


@dataclass(frozen=True)
class Bin:
    """Leads above the last edge and up to this one."""

    label: str
    count: int


@dataclass(frozen=True)
class Week:
    """The judged fires of a week that begins on Monday, `start` in UTC."""

    start: datetime
    hits: int
    n: int
    precision: Estimate


@dataclass(frozen=True)
class AtRisk:
    """The curve at one length: how many are still observed and unconverted just before, and the share that has converted."""

    label: str
    at_risk: int
    converted: Estimate


@dataclass(frozen=True)
class Conversion:
    """From the fire to the horizon, in days, as far as anybody is `seen`: the steps (days, share, limits), where observation ends before it
    (`censored`: days and the share there), and the table. `n` fires, `pending` of them. `expected`: what units of the same age
    reach, over all `judged` fires of the window."""

    days: float
    seen: float
    steps: tuple[tuple[float, float, float | None, float | None], ...]
    censored: tuple[tuple[float, float], ...]
    table: tuple[AtRisk, ...]
    n: int
    pending: int
    expected: float | None
    judged: int


@dataclass(frozen=True)
class Record:
    """All kept fires of a result, the latest first. `fired` is how many there were in the whole window; lengths in microseconds."""

    backtest: Backtest
    horizon: int
    kept: tuple[Kept, ...]
    fired: int

    @property
    def whole(self) -> bool:
        """Whether every fire of the window is kept."""
        return len(self.kept) >= self.fired

    def counts(self) -> dict[Became, int]:
        """How many became what."""
        return dict.fromkeys(Became, 0) | Counter(one.became for one in self.kept)

    def of(self, became: Became | None) -> tuple[Kept, ...]:
        """Those that became this; all for `None`."""
        return tuple(one for one in self.kept if became is None or one.became is became)


def record(place: Workplace, one: Proposal) -> Record | None:
    """Of a hypothesis with numbers."""
    newest = one.resource.backtest
    if newest is None:
        return None
    with place.store.reading() as tx:
        found = fires.instants(tx, one.resource.hypothesis.id, newest.run_id)
    end, horizon = microseconds(newest.as_of), one.meaning.horizon
    told = [(fire_id, microseconds(fired), None if came is None else microseconds(came)) for fire_id, fired, came in found]
    kept = tuple(Kept(fire_id, at, came, became(at, came, horizon, end)) for fire_id, at, came in told)
    return Record(newest, horizon, kept, newest.result["fired"])


def became(fired: int, outcome: int | None, horizon: int, end: int) -> Became:
    """By the rules of the score, in their order; instants in microseconds."""
    if outcome is not None and outcome <= fired:
        return Became.BEFORE
    if fired + horizon > end:
        return Became.PENDING
    return Became.CONVERTED if outcome is not None and outcome <= fired + horizon else Became.NOT


def opened(place: Workplace, some: Sequence[Kept]) -> dict[str, BacktestFire]:
    """The units of these fires, by id; an erased one is missing."""
    with place.store.reading() as tx:
        return fires.some(tx, [one.id for one in some])


def leads(told: Record) -> tuple[tuple[Bin, ...], float | None]:
    """From fire to outcome of those who converted, in fixed bins up to the horizon; and the median in hours."""
    lengths = [one.outcome - one.at for one in told.of(Became.CONVERTED) if one.outcome is not None]
    edges = _edges(told.horizon)
    counts = np.bincount(np.searchsorted([edge for edge, _ in edges], lengths, "left"), minlength=len(edges)) if lengths else [0] * len(edges)
    names = [f"up to {edges[0][1]}", *(_between(low, high) for (_, low), (_, high) in pairwise(edges))]
    bins = tuple(Bin(name, int(count)) for name, count in zip(names, counts, strict=True))
    return bins, float(np.median(lengths)) / HOUR if lengths else None


def weeks(told: Record) -> tuple[Week, ...]:
    """Precision by the week of the fire, weeks without a judged fire between others included: a gap is not a zero."""
    hits: Counter[datetime] = Counter()
    every: Counter[datetime] = Counter()
    for one in told.kept:
        if one.became in (Became.CONVERTED, Became.NOT):
            week = _monday(instant(one.at))
            every[week] += 1
            hits[week] += one.became is Became.CONVERTED
    if not every:
        return ()
    starts = [min(every)]
    while starts[-1] < max(every):
        starts.append(starts[-1] + timedelta(days=7))
    return tuple(Week(start, hits[start], every[start], _share(hits[start], every[start])) for start in starts)


def conversion(told: Record) -> Conversion | None:
    """Kaplan-Meier from the fire on, pending fires censored at the end of what is known; `None` without a fire that was unconverted."""
    end = microseconds(told.backtest.as_of)
    observed = [one for one in told.kept if one.became is not Became.BEFORE]
    if not observed:
        return None
    until = np.array([end if one.outcome is None else min(one.outcome, end) for one in observed]) - np.array([one.at for one in observed])
    length = np.minimum(until, told.horizon)
    hits = np.array([one.outcome is not None for one in observed]) & (until <= told.horizon)
    steps = curve(told.horizon, length, hits)
    ends = sorted(set(length[~hits & (length < told.horizon)].tolist()))
    seen = [(at, name) for at, name in _edges(told.horizon) if at <= length.max()]
    table = [AtRisk(name, int((length >= at).sum()), _estimate(_last(steps, at))) for at, name in seen]
    return Conversion(
        days=told.horizon / DAY,
        seen=int(length.max()) / DAY,
        steps=tuple((one.at / DAY, one.share, *_limits(one)) for one in steps),
        censored=tuple((at / DAY, found.share if (found := _last(steps, at)) else 0.0) for at in ends),
        table=tuple(table),
        n=len(observed),
        pending=sum(one.became is Became.PENDING for one in observed),
        expected=told.backtest.result.get("baseline"),
        judged=told.backtest.result["sample_size"],
    )


def _edges(horizon: int) -> list[tuple[int, str]]:
    """The fixed edges below the horizon, and the horizon."""
    return [
        *((edge, name) for edge, name in EDGES if edge < horizon),
        (horizon, f"{horizon / DAY:g} d" if horizon > DAY else f"{horizon / HOUR:g} h"),
    ]


def _between(low: str, high: str) -> str:
    """`1 h`, `6 h` → `1 to 6 h`; a day ends as 24 hours."""
    high = "24 h" if low.endswith("h") and high == "1 d" else high
    (start, unit), (stop, other) = low.split(), high.split()
    return f"{start} to {stop} {other}" if unit == other else f"{low} to {high}"


def _last(steps: Sequence[Step], at: int) -> Step | None:
    reached = [one for one in steps if one.at <= at]
    return reached[-1] if reached else None


def _estimate(step: Step | None) -> Estimate:
    if step is None:
        return Estimate(0.0, None, None)
    return Estimate(step.share, *_limits(step))


def _limits(step: Step) -> tuple[float, float] | tuple[None, None]:
    return (None, None) if step.interval is None else (step.interval.low, step.interval.high)


def _share(hits: int, n: int) -> Estimate:
    found = wilson(hits, n)
    return Estimate(None, None, None) if found is None else Estimate(hits / n, found.low, found.high)


def _monday(at: datetime) -> datetime:
    return (at - timedelta(days=at.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)

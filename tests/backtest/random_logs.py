"""Random small logs and random valid hypotheses about them, from one `random.Random`.

Instants lie on a coarse grid on purpose: ties, and events exactly on an edge (entry + span, S0, the window's start and end, a gap of exactly
30 minutes, one microsecond beside each) are frequent, because that is where evaluators disagree.
"""

from dataclasses import dataclass
from math import fsum
from random import Random
from typing import Any

from backtest.durations import DAY, HOUR, MINUTE, Duration
from backtest.language import Hypothesis
from tests.backtest.oracle import Row

FIRST_DAY = 20_454 * DAY  # 2026-01-01, midnight UTC
OUTCOME, ENTRY, WAITED = "paid", "signed_up", "waited"
NAMES = ["invited", "viewed", "shared"]
TYPES = {"quota": "numeric", "flag": "boolean", "meta.seats": "numeric"}
COHORT = "7"
DECIMALS = [0.1, 0.1, 0.2, 0.3, 0.7]  # their sums depend on how they are added

VALUES: dict[str, list[Any]] = {
    "amount": [0, 1, 1.0, 2, 10, -1, 0.1, 0.2, 0.3, 2.5, "2", None, True],
    "quota": [1, 2, 2.0, 0.1, "1", "2", "0.2", "1e1", "2.50", "-3", "none", "", None, False],
    "plan": ["free", "pro", "Pro", "FREE", "pro plan", "enterprise", "", None, 3],
    "flag": [True, False, "true", "False", "TRUE", "yes", None, 1, 0],
    "tags": [["x", "y"], ["X"], [1, 2.0], ["1", True], [], "xyz", None, [None]],
    "when": ["2026-01-05T00:00:00Z", "2026-01-05", "2026-01-09T12:00:00+02:00", "2026-01-09T10:00:00", "soon", 5, None],
    "mixed": [1, 1.0, "1", True, "true", "1.0", [1], {"k": 1}, {"k": 1.0}, {}, None, 0, False],
    "meta": [
        {"plan": "free", "seats": 2},
        {"plan": "pro", "seats": "3"},
        {"seats": 2.0},
        {"plan": None},
        {"plan": {"plan": "free"}},
        "free",
        [],
        None,
    ],
}
WANTED: dict[str, list[Any]] = {
    "amount": [0, 1, 2, 2.0, 0.3, "2"],
    "quota": [1, 2, "2", 0.2, 2.5, "none", 10],
    "plan": ["free", "pro", "PRO", "p", ""],
    "flag": [True, False, "true", "yes"],
    "tags": ["x", 1, 2, "1", True, "Y"],
    "when": ["2026-01-05", {"instant": "2026-01-05T00:00:00Z"}, {"instant": "2026-01-09T10:00:00Z"}, 5],
    "mixed": [1, "1", True, "true", 0, False, 1.0],
    "meta": ["free"],
    "meta.plan": ["free", "pro", "F"],
    "meta.seats": [2, "3", 3],
}
PATHS = list(WANTED)
OPS = ["equals", "not_equals", "any_of", "greater_than", "at_least", "less_than", "at_most", "contains", "starts_with", "is_set", "is_not_set"]
ORDERED = OPS[3:7]
KINDS = [
    "did",
    "did",
    "did",
    "total",
    "total",
    "sequence",
    "did_not",
    "did",
    "sequence",
    "without",
    "trend",
    "total",
    "state",
    "state",
    "age",
    "cohort",
]


@dataclass(frozen=True)
class Log:
    rows: tuple[Row, ...]
    start: int
    end: int
    cohorts: dict[str, set[str]]
    accounts: bool
    types = TYPES


@dataclass(frozen=True)
class Case:
    log: Log
    hypothesis: Hypothesis


def random_case(seed: int) -> Case:
    rng = Random(seed)
    log = random_log(rng)
    return Case(log, random_hypothesis(rng, log))


# --- logs ------------------------------------------------------------------------------------------------------------


def random_log(rng: Random, *, most_events: int = 40, most_units: int = 8) -> Log:
    start = FIRST_DAY + rng.choice([0, 0, 7 * HOUR])
    end = start + rng.choice([10, 20, 20, 30]) * DAY
    accounts = rng.random() < 0.3
    wide = most_units >= 8 and rng.random() < 0.2  # enough units for a supported baseline, with few events each
    count = rng.randrange(30, 44) if wide else rng.randrange(1, most_units + 1)
    busy = min(most_events, 7 if wide else rng.choice([8, 12, 20, 40]))
    step = rng.choice([6 * HOUR, 12 * HOUR, DAY])
    long_session = most_events > 4 and count < 6 and rng.random() < 0.06  # some first sessions last until their cap of 24 hours, and beyond
    rows: list[Row] = []
    for number in range(count):
        rows += _unit_rows(rng, f"u{number:02}", accounts, start, end, step, rng.randrange(0, busy + 1), long_session)
    again = [row for row in rows if row.uuid is not None and rng.random() < 0.05]
    rows += again
    rng.shuffle(rows)
    members = {f"u{number:02}" for number in range(count) if rng.random() < 0.6}
    return Log(tuple(rows), start, end, {COHORT: members}, accounts)


def _unit_rows(rng: Random, unit: str, accounts: bool, start: int, end: int, step: int, count: int, long_session: bool) -> list[Row]:
    """One unit's events: mostly within the window, in little flocks, and from an entry that most units have."""
    rows = []
    rich, decimal = rng.random() < 0.75, rng.random() < 0.4

    def add(at: int, name: str) -> None:
        person = f"{unit}-{rng.randrange(3)}" if accounts else unit
        properties = {} if not rich and rng.random() < 0.5 else _properties(rng)
        if decimal and "amount" in properties:
            properties["amount"] = rng.choice(DECIMALS)
        uuid = f"{unit}/{len(rows)}" if rng.random() < 0.9 else None
        rows.append(Row(unit, name, at, properties, person, uuid))

    entry = _instant(rng, start, start + (end - start) // 3, step)
    if rng.random() < 0.1:
        entry = rng.choice([start, start - step, start - 1, end - step, end])
    if rng.random() < 0.85:
        add(entry, ENTRY)
    if long_session and rng.random() < 0.6:
        quiet = rng.random() < 0.5
        step, last = rng.choice([(30 * MINUTE, 47), (30 * MINUTE, 48), (29 * MINUTE, 49), (29 * MINUTE, 50)])
        for number in range(1, last + 1):
            add(entry + number * step, rng.choice(NAMES) if number > 45 and not quiet else WAITED)
    while len(rows) < count:
        chance = rng.random()
        if chance < 0.4:
            at = entry + rng.randrange(0, 7) * DAY + rng.choice([0, 0, 0, -1, 1])
        elif chance < 0.55:
            at = entry + rng.choice([0, MINUTE, 10 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1])
        else:
            at = _instant(rng, start, end, step)
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            add(at, rng.choice([*NAMES, *NAMES, *NAMES, *NAMES, *NAMES, ENTRY]))
            at += rng.choice([0, 0, MINUTE, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, 24 * HOUR])
    if rng.random() < 0.6:
        near = rng.choice(rows).at if rows else entry
        late = entry + rng.randrange(2, 12) * DAY
        add(rng.choice([near, near + DAY, near + 2 * DAY, near + 1, late, late, late, _instant(rng, start, end, step)]), OUTCOME)
    return rows


def _instant(rng: Random, start: int, end: int, step: int) -> int:
    if rng.random() < 0.1:
        return rng.choice([start, start - 1, start - 3 * DAY, end, end - 1, end + DAY, start - 8 * DAY])
    at = start + rng.randrange(-2, (end - start) // step + 2) * step
    return at + rng.choice([0] * 8 + [-1, 1])


def _properties(rng: Random) -> dict[str, Any]:
    return {name: rng.choice(VALUES[name]) for name in VALUES if rng.random() < 0.5}


# --- hypotheses ------------------------------------------------------------------------------------------------------


def random_hypothesis(rng: Random, log: Log) -> Hypothesis:
    kinds = [rng.choice(KINDS) for _ in range(rng.choice([1, 1, 1, 1, 1, 2, 2, 3]))]
    if all(kind in ("age", "cohort") for kind in kinds) and rng.random() < 0.7:
        kinds[0] = rng.choice(KINDS[:8])
    long_session = any(row.event == WAITED for row in log.rows)
    if long_session and rng.random() < 0.4:
        kinds[0] = "did_not"
    written: dict[str, Any] = {"clauses": [CLAUSES[kind](rng) for kind in kinds], "outcome": _outcome(rng)}
    if long_session:
        written["clauses"] = [one | ({"span": "first_session"} if "span" in one and rng.random() < 0.7 else {}) for one in written["clauses"]]
    if log.accounts:
        written["unit"] = {"group": "company"}
    if rng.random() < 0.6:
        written["entry"] = ENTRY if rng.random() < 0.8 else _match(rng)
    if rng.random() < 0.3:
        written["fires_again_after"] = _length(rng)
    return Hypothesis.model_validate(written)


def _length(rng: Random) -> str:
    return rng.choice(["1d", "1d", "2d", "2d", "3d", "3d", "6d", "12h", "12h", "30m"])


def _span(rng: Random, *, ever: bool = True) -> Any:
    spans = [{"first": _length(rng)}, {"last": _length(rng)}, {"last": _length(rng)}, "first_session", "ever"]
    return rng.choice(spans if ever else spans[:4])


def _match(rng: Random) -> Any:
    chance = rng.random()
    names = {"any_event": True} if chance < 0.25 else {"events": rng.sample(NAMES, rng.choice([1, 1, 1, 2]))}
    if chance > 0.97:
        names = {"events": [NAMES[0], NAMES[0]]}
    where = [_comparison(rng) for _ in range(rng.choice([0, 0, 0, 0, 0, 1, 1, 2]))]
    return names | ({"where": where} if where else {})


def _comparison(rng: Random, ops: list[str] | None = None) -> dict[str, Any]:
    path, op = rng.choice(PATHS), rng.choice(ops or OPS)
    comparison: dict[str, Any] = {"property": path.split("."), "op": op}
    if op == "any_of":
        comparison["value"] = rng.sample(WANTED[path], min(2, len(WANTED[path])))
    elif op == "starts_with":
        comparison["value"] = rng.choice([one for one in WANTED[path] if isinstance(one, str)] or ["2"])
    elif op in ORDERED:
        comparison["value"] = rng.choice([one for one in WANTED[path] if not isinstance(one, bool)])
    elif op not in ("is_set", "is_not_set"):
        comparison["value"] = rng.choice(WANTED[path])
    return comparison


def _did(rng: Random) -> dict[str, Any]:
    count = rng.choice(["events", "events", "days", "persons", {"values_of": rng.choice(PATHS).split(".")}])
    return {"kind": "did", "match": _match(rng), "at_least": rng.choice([1, 1, 1, 2, 2, 3]), "count": count, "span": _span(rng)}


def _did_not(rng: Random) -> dict[str, Any]:
    return {"kind": "did_not", "match": _match(rng), "span": _span(rng, ever=False)}


def _sequence(rng: Random) -> dict[str, Any]:
    within = {"within": rng.choice(["60s", "2m", "30m", "12h", "1d", "2d"])} if rng.random() < 0.6 else {}
    return {"kind": "sequence", "match": _match(rng), "then": _match(rng), "span": _span(rng)} | within


def _without(rng: Random) -> dict[str, Any]:
    return {"kind": "without", "match": _match(rng), "without": _match(rng), "within": rng.choice(["60s", "30m", "12h", "1d", "2d"])}


def _trend(rng: Random) -> dict[str, Any]:
    bound = rng.choice([{"ratio_at_least": rng.choice([1.0, 1.5, 1.1, 2.0, 0.5])}, {"ratio_at_most": rng.choice([0.0, 0.5, 1.0, 0.9])}])
    return {"kind": "trend", "match": _match(rng), "over": _length(rng), "at_least_before": rng.choice([1, 1, 2])} | bound


def _total(rng: Random) -> dict[str, Any]:
    path = rng.choice(["amount", "amount", "amount", "quota", "quota", "mixed", "meta.seats"])
    limit = fsum(rng.choice(DECIMALS) for _ in range(rng.randrange(2, 7))) if rng.random() < 0.5 else rng.choice([0, 1, 1, 2, 2.5])
    bound = {rng.choice(["at_least", "at_most"]): limit}
    measure = rng.choice(["sum", "sum", "max", "latest"])
    return {"kind": "total", "match": _match(rng), "property": path.split("."), "measure": measure, "span": _span(rng)} | bound


def _state(rng: Random) -> dict[str, Any]:
    return {"kind": "state"} | _comparison(rng, OPS[:9])


def _age(rng: Random) -> dict[str, Any]:
    return {"kind": "age", "at_least": _length(rng)}


def _cohort(rng: Random) -> dict[str, Any]:
    return {"kind": "cohort", "cohort": COHORT}


CLAUSES = {
    "did": _did, "did_not": _did_not, "sequence": _sequence, "without": _without, "trend": _trend,
    "total": _total, "state": _state, "age": _age, "cohort": _cohort,
}  # fmt: skip


def _outcome(rng: Random) -> dict[str, Any]:
    horizon = {"horizon": str(Duration.parse(rng.choice(["1d", "2d", "3d", "6d", "12h"])))}
    kind = rng.choice(["event"] * 6 + ["property", "lapse"])
    if kind == "lapse":
        return {"kind": "lapse", "match": _match(rng), "after": _length(rng)} | horizon
    if kind == "property":
        return {"kind": "property"} | _comparison(rng, [op for op in OPS[:10] if op != "not_equals"]) | horizon
    where = {"where": [_comparison(rng)]} if rng.random() < 0.2 else {}
    return {"kind": "event", "match": {"events": [OUTCOME]} | where} | horizon

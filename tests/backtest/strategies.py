"""Random hypotheses of every kind, for property tests.

The vocabulary is small and mean: names that are words of the sentences, that hold quotes and brackets, that look like numbers to YAML.
So two different hypotheses are often nearly the same, which is where a printer or a reader goes wrong.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from backtest.durations import DAY, HOUR, MINUTE, SECOND, Duration
from backtest.language import Hypothesis
from backtest.matching import ORDERED, Op
from backtest.reading import read_hypothesis

TRICKY = [
    "a",
    "b",
    "or",
    "any event",
    "a or b",
    'a (where p is "x")',
    "yes",
    "1e3",
    "10",
    "~",
    "null",
    "é ☃",
    "x\ny",
    "#c",
    "a: b",
    "- a",
    "\u2028",
    '"',
    "'",
    "%",
    "a,b",
]
NAMES = st.sampled_from(["a", "b", *TRICKY]) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
OUTCOME_NAMES = NAMES.map(lambda name: f"{name}!")  # never one of the clauses' own
PATHS = NAMES | st.lists(NAMES, min_size=1, max_size=3)
LENGTHS = st.sampled_from([SECOND, MINUTE, HOUR, DAY, 7 * DAY]).flatmap(lambda unit: st.integers(1, 40).map(lambda n: str(Duration(n * unit))))
GAPS = st.integers(60, 100_000).map(lambda n: f"{n}s") | st.sampled_from(["1d", "24h", "7d"])
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
SECONDS = st.floats(86_400, 4e9)
INSTANTS = st.tuples(SECONDS, ZONES).map(lambda both: {"instant": datetime.fromtimestamp(both[0], both[1]).isoformat()})
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.sampled_from(TRICKY) | st.text(st.characters(codec="utf-8"), max_size=4)
SCALARS = TEXTS | NUMBERS | st.booleans() | INSTANTS


@st.composite
def comparisons(draw: st.DrawFn, without: frozenset[Op] = frozenset()) -> dict[str, Any]:
    op = draw(st.sampled_from([one for one in Op if one not in without]))
    drawn = {"property": draw(PATHS), "op": op.value}
    if op is Op.any_of:
        return drawn | {"value": draw(st.lists(SCALARS, min_size=1, max_size=3))}
    if op is Op.starts_with:
        return drawn | {"value": draw(TEXTS)}
    if op in ORDERED:
        return drawn | {"value": draw(TEXTS | NUMBERS | INSTANTS)}
    return drawn if op in (Op.is_set, Op.is_not_set) else drawn | {"value": draw(SCALARS)}


def matches(names: st.SearchStrategy[str] = NAMES) -> st.SearchStrategy[Any]:
    where = st.lists(comparisons(), max_size=2)
    named = st.fixed_dictionaries({"events": names | st.lists(names, min_size=1, max_size=3)}, optional={"where": where})
    return names | named | st.fixed_dictionaries({"any_event": st.just(True)}, optional={"where": where})


FIRST, LAST = (st.fixed_dictionaries({word: LENGTHS}) for word in ("first", "last"))
SPANS = FIRST | LAST | st.sampled_from(["first_session", "ever"])
COUNTS = st.sampled_from(["events", "days", "persons"]) | st.fixed_dictionaries({"values_of": PATHS})


def _clause(kind: str, fields: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), **fields}, optional=optional)


def _one_bound(part: st.SearchStrategy[dict[str, Any]], **bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    bound = st.one_of(*(st.fixed_dictionaries({name: number}) for name, number in bounds.items()))
    return st.tuples(part, bound).map(lambda both: both[0] | both[1])


COUNT = st.integers(1, 4)
RATIOS = st.floats(0.01, 100) | st.integers(1, 5) | st.sampled_from([0.5, 1.2, 2.0])
CLAUSES = {
    "did": _clause("did", {"match": matches(), "span": SPANS}, at_least=COUNT, count=COUNTS),
    "did_not": _clause("did_not", {"match": matches(), "span": FIRST | LAST | st.just("first_session")}),
    "sequence": _clause("sequence", {"match": matches(), "then": matches(), "span": SPANS}, within=GAPS),
    "without": _clause("without", {"match": matches(), "without": matches(), "within": GAPS}),
    "trend": _one_bound(
        _clause("trend", {"match": matches(), "over": LENGTHS, "at_least_before": COUNT}), ratio_at_least=RATIOS, ratio_at_most=RATIOS
    ),
    "total": _one_bound(
        _clause("total", {"match": matches(), "property": PATHS, "measure": st.sampled_from(["sum", "max", "latest"]), "span": SPANS}),
        at_least=st.floats(-1e9, 1e9),
        at_most=st.integers(-5, 5) | st.floats(-1e30, 1e30),
    ),
    "state": comparisons(frozenset({Op.is_set, Op.is_not_set})).map(lambda one: {"kind": "state"} | one),
    "age": _clause("age", {"at_least": LENGTHS}),
    "cohort": _clause("cohort", {"cohort": st.sampled_from(["12", "best"]) | st.integers(1, 12)}),
}
GOALS = {"goal": st.sampled_from(["converts", "expands", "churns", "returns", "custom"])}
OUTCOMES = {
    "event": _clause("event", {"match": matches(OUTCOME_NAMES), "horizon": LENGTHS}, **GOALS),
    "property": st.tuples(comparisons(frozenset({Op.is_not_set, Op.not_equals})), LENGTHS).map(
        lambda both: {"kind": "property", "horizon": both[1]} | both[0]
    ),
    "lapse": _clause("lapse", {"match": matches(), "after": LENGTHS, "horizon": LENGTHS}, **GOALS),
}


def written() -> st.SearchStrategy[dict[str, Any]]:
    """Hypotheses as people write them, short forms and all."""
    return st.fixed_dictionaries(
        {"clauses": st.lists(st.one_of(*CLAUSES.values()), min_size=1, max_size=3), "outcome": st.one_of(*OUTCOMES.values())},
        optional={
            "unit": st.just("person") | st.fixed_dictionaries({"group": st.sampled_from(["company", "bus", "my group", "a"])}),
            "entry": matches(),
            "name": st.text(st.characters(codec="utf-8"), max_size=5),
            "fires_again_after": LENGTHS,
        },
    )


def hypotheses() -> st.SearchStrategy[Hypothesis]:
    return written().map(Hypothesis.model_validate)


def texts(data: Any) -> set[str]:
    """Every text in `data`, keys aside."""
    if isinstance(data, dict | list):
        return set().union(*map(texts, data.values() if isinstance(data, dict) else data))
    return {data} if isinstance(data, str) else set()


def leaves(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of everything in `data` that has no parts."""
    if isinstance(data, dict | list):
        return [leaf for key, value in (data.items() if isinstance(data, dict) else enumerate(data)) for leaf in leaves(value, (*path, key))]
    return [path]


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Hypothesis, Hypothesis]:
    """Two hypotheses that differ in one place, or not at all."""
    one = draw(hypotheses())
    data: Any = one.to_json()
    place = draw(st.sampled_from(leaves(data)))
    node: Any = data
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = draw(NAMES | LENGTHS | NUMBERS | st.booleans() | st.sampled_from([*(op.value for op in Op), "days", "ever", "max"]))
    changed = read_hypothesis(data)
    return one, changed if isinstance(changed, Hypothesis) else draw(hypotheses())

"""The engine and the brute-force oracle are one meaning: the same fires to the microsecond, the same counts, the same sums."""

from math import isclose
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtest.durations import DAY, HOUR, MINUTE
from backtest.events import EventLog
from backtest.fires import first_matches
from backtest.language import Hypothesis
from backtest.score import score
from tests.backtest.engine_log import engine_log, only_what_the_plan_asks
from tests.backtest.oracle import Oracle, Row
from tests.backtest.random_logs import FIRST_DAY, TYPES, Case, Log, random_case

PAIRS, CHUNK = 10_000, 250
MORE = [pytest.param(seed, marks=pytest.mark.long) for seed in range(PAIRS // 2, PAIRS, CHUNK)]


def oracle_of(case: Case) -> Oracle:
    return Oracle(list(case.log.rows), case.log.start, case.log.end, types=TYPES, cohorts=case.log.cohorts)


def engine_fires(case: Case, log: EventLog) -> list[tuple[str, int, int]]:
    found = first_matches(case.hypothesis, log)
    return [
        (log.units[unit], at, occurrence)
        for unit, at, occurrence in zip(*(one.tolist() for one in (found.unit, found.at, found.occurrence)), strict=True)
    ]


def engine_score(case: Case, log: EventLog) -> dict[str, Any]:
    found = score(case.hypothesis, log)
    closed = found.closed
    return {
        "fires_total": found.fires_total,
        "excluded_converted": found.excluded_converted,
        "pending": found.pending,
        "sample_size": found.sample_size,
        "true_positives": found.true_positives,
        "recall_converters": found.recall_converters,
        "recall_hits": found.recall_hits,
        "precision": found.precision,
        "recall": found.recall,
        "closed": {"design": found.design.value, "tp": closed.tp, "fp": closed.fp, "fn": closed.fn, "tn": closed.tn},
        "supported": found.expected.supported,
        "supported_true_positives": found.expected.hits,
        "expected": found.expected.total,
        "expected_live7d": found.expected_live7d.total,
        "expected_not_yet_fired": found.expected_not_yet_fired.total,
        "baseline": found.expected.baseline,
        "lift": found.lift,
        "median_lead": None if found.lead is None else found.lead.median_hours * 3.6e9,
    }


def oracle_score(case: Case, oracle: Oracle) -> dict[str, Any]:
    wanted = oracle.score(case.hypothesis)
    leads = wanted.pop("leads")
    middle = leads[(len(leads) - 1) // 2 : len(leads) // 2 + 1]
    return wanted | {"median_lead": sum(middle) / len(middle) if middle else None}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def disagreements(case: Case, *, lean: bool) -> list[str]:
    oracle, log = oracle_of(case), engine_log(case.log, case.hypothesis)
    if lean:
        log = only_what_the_plan_asks(log, case.hypothesis)
    told = []
    if (want := oracle.fires(case.hypothesis)) != (got := engine_fires(case, log)):
        told.append(f"fires: oracle {want}, engine {got}")
    wanted, found = oracle_score(case, oracle), engine_score(case, log)
    assert wanted.keys() == found.keys()
    told += [f"{name}: oracle {wanted[name]}, engine {found[name]}" for name in wanted if not same(wanted[name], found[name])]
    return told


@pytest.mark.parametrize("first_seed", [*range(0, PAIRS // 2, CHUNK), *MORE])
def test_the_engine_agrees_with_the_oracle_on_random_logs(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + CHUNK):
        case = random_case(seed)
        if told := disagreements(case, lean=seed % 2 == 1):
            pytest.fail(f"seed {seed}: {case.hypothesis.to_json()}\n" + "\n".join(told))


@pytest.mark.parametrize("ratio", [1 / 3, 1e-20, 1.2e19])
def test_a_ratio_of_many_digits_is_compared_exactly(ratio: float) -> None:
    trend = {"kind": "trend", "match": "a", "over": "1d", "ratio_at_least": ratio, "at_least_before": 1}
    hypothesis = Hypothesis.model_validate({"clauses": [trend], "outcome": {"kind": "event", "match": "paid", "horizon": "1d"}})
    times = [FIRST_DAY + half * 12 * HOUR + step for half in (2, 4) for step in range(1000)]
    rows = (Row("u", "b", FIRST_DAY, {}, "u"), *(Row("u", "a", at, {}, "u") for at in times))
    assert disagreements(Case(Log(rows, FIRST_DAY, FIRST_DAY + 10 * DAY, {}, accounts=False), hypothesis), lean=False) == []


# --- the same on tiny logs that shrink to the smallest disagreement --------------------------------------------------

NAMES, SHORT = st.sampled_from("ab"), st.sampled_from(["12h", "1d"])
SPANS = st.one_of(st.builds(lambda d: {"first": d}, SHORT), st.builds(lambda d: {"last": d}, SHORT), st.just("first_session"))
SPANS_AND_EVER = SPANS | st.just("ever")
BOUND = st.sampled_from(["at_least", "at_most"])


def part(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind)} | fields)


CLAUSES = st.one_of(
    part(
        "did",
        match=NAMES,
        span=SPANS_AND_EVER,
        at_least=st.integers(1, 3),
        count=st.sampled_from(["events", "days", "persons", {"values_of": "amount"}]),
    ),
    part("did_not", match=NAMES, span=SPANS),
    part("sequence", match=NAMES, then=NAMES, span=SPANS_AND_EVER, within=st.sampled_from([None, "30m", "12h"])),
    part("without", match=NAMES, without=NAMES, within=SHORT),
    part("trend", match=NAMES, over=SHORT, at_least_before=st.integers(1, 2), ratio_at_least=st.sampled_from([0.5, 1.0, 2.0])),
    part("trend", match=NAMES, over=SHORT, at_least_before=st.integers(1, 2), ratio_at_most=st.sampled_from([0.0, 0.5, 1.0])),
    st.builds(
        lambda clause, bound, limit: clause | {bound: limit},
        part("total", match=NAMES, span=SPANS_AND_EVER, property=st.just("amount"), measure=st.sampled_from(["sum", "max", "latest"])),
        BOUND,
        st.sampled_from([0.6, 1, 2]),
    ),
    part("state", property=st.just("amount"), op=st.sampled_from(["equals", "at_least", "not_equals"]), value=st.sampled_from([1, 2])),
    part("age", at_least=SHORT),
)
OUTCOMES = st.one_of(
    part("event", match=st.just("paid"), horizon=SHORT),
    part("property", property=st.just("amount"), op=st.just("at_least"), value=st.just(2), horizon=SHORT),
    part("lapse", match=NAMES, after=SHORT, horizon=SHORT),
)
HYPOTHESES = st.fixed_dictionaries(
    {"clauses": st.lists(CLAUSES, min_size=1, max_size=2), "outcome": OUTCOMES, "entry": st.sampled_from([None, "signed_up"])},
    optional={"fires_again_after": SHORT},
)
EVENTS = st.tuples(
    st.integers(-2, 12),  # half days since the window starts; it ends at 12
    st.sampled_from([0, 0, 0, 30 * MINUTE, 30 * MINUTE + 1, -1]),
    st.sampled_from(["a", "b", "signed_up", "paid"]),
    st.sampled_from([None, 1, 2, 0.1, 0.2, 0.3, "1"]),
    st.sampled_from(["u", "v"]),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, min_size=4, max_size=12), HYPOTHESES, st.booleans())
def test_the_engine_agrees_with_the_oracle_on_logs_that_shrink(events: list[Any], written: dict[str, Any], lean: bool) -> None:
    rows = [
        Row(unit, name, FIRST_DAY + half * 12 * HOUR + beside, {} if amount is None else {"amount": amount}, f"{unit}{amount}")
        for half, beside, name, amount, unit in events
    ]
    case = Case(Log(tuple(rows), FIRST_DAY, FIRST_DAY + 6 * DAY, {}, accounts=False), Hypothesis.model_validate(written))
    assert disagreements(case, lean=lean) == []

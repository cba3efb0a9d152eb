"""The engine and the brute-force oracle are one meaning: the same fires to the microsecond, the same counts, the same sums."""

from math import isclose
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtest.events import EventLog
from backtest.fires import first_matches
from backtest.score import score
from tests.backtest.engine_log import engine_log, only_what_the_plan_asks
from tests.backtest.oracle import Oracle
from tests.backtest.random_logs import TYPES, Case, random_case, random_hypothesis, random_log

PAIRS, CHUNK = 10_000, 250


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


@pytest.mark.parametrize("first_seed", range(0, PAIRS, CHUNK))
def test_the_engine_agrees_with_the_oracle_on_random_logs(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + CHUNK):
        case = random_case(seed)
        if told := disagreements(case, lean=seed % 2 == 1):
            pytest.fail(f"seed {seed}: {case.hypothesis.to_json()}\n" + "\n".join(told))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.booleans())
def test_the_engine_agrees_with_the_oracle_on_logs_that_shrink(rng: Random, lean: bool) -> None:
    log = random_log(rng, most_events=5, most_units=2)
    case = Case(log, random_hypothesis(rng, log))
    told = disagreements(case, lean=lean)
    assert not told, f"{case.hypothesis.to_json()}\n{log}\n" + "\n".join(told)

"""What a batch may not do: let one hypothesis, thread, bucket or scratch buffer show in the numbers of another."""

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest

from backtest.assembly import Rows, assemble
from backtest.durations import DAY, HOUR
from backtest.events import Column, EventLog, Window
from backtest.kernel.clauses import has_compiled_form
from backtest.kernel.evaluation import Result, evaluate
from backtest.kernel.prepared import prepare
from backtest.language import Hypothesis
from backtest.plan import ReadPlan, plan_reads
from backtest.tally import Tally
from tests.backtest.kernel.test_kernel_agrees_with_plain import differences, flat
from tests.backtest.random_logs import COHORT, ENTRY, FIRST_DAY, NAMES, OUTCOME, PATHS, TYPES, VALUES, WAITED, Log, random_hypothesis

WINDOW = Window(FIRST_DAY, FIRST_DAY + 30 * DAY)
EVENT_NAMES = sorted([*NAMES, ENTRY, OUTCOME, WAITED])


def random_rows(seed: int, events: int, units: int) -> Rows:
    """Crowded on purpose: half of the instants lie on whole hours, and units differ a hundredfold in how busy they are."""
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0, 1.5, units)
    unit = rng.choice(units, events, p=share / share.sum()).astype(np.int32)
    at = WINDOW.start - 3 * DAY + (rng.random(events) * 33 * DAY).astype(np.int64)
    at = np.where(rng.random(events) < 0.5, at // HOUR * HOUR, at)
    weights = [0.05 if name in (ENTRY, OUTCOME) else 0.225 for name in EVENT_NAMES]
    name = rng.choice(len(EVENT_NAMES), events, p=weights).astype(np.int32)
    columns = {}
    for path in PATHS:
        values = [value for value in VALUES.get(path, ["free", "pro", 2, "3"]) if value is not None]
        columns[tuple(path.split("."))] = Column(rng.integers(-1, len(values), events).astype(np.int32), values)
    return Rows([f"u{number:06}" for number in range(units)], EVENT_NAMES, unit, name, at, rng.integers(0, 50, events).astype(np.int32), columns)


@cache
def batch(count: int, seed: int) -> tuple[list[Hypothesis], ReadPlan]:
    rng = Random(seed)
    log = Log((), WINDOW.start, WINDOW.end, {COHORT: set()}, accounts=False)
    hypotheses = [random_hypothesis(rng, log) for _ in range(count)]
    (plan,) = plan_reads(hypotheses, WINDOW)
    return hypotheses, plan


def log_of(rows: Rows, plan: ReadPlan) -> EventLog:
    members = np.array([sum(map(ord, unit)) % 3 > 0 for unit in rows.units], np.bool_)
    return assemble(rows, plan, TYPES, {COHORT: members})


def everything(result: Result) -> tuple[object, ...]:
    fires = result.fires
    return flat(result.tally), fires.unit.tolist(), fires.at.tolist(), fires.occurrence.tolist(), result.sample_size, result.true_positives


def test_many_hypotheses_at_once_agree_with_the_plain_evaluator() -> None:
    hypotheses, plan = batch(120, 1)
    log = log_of(random_rows(1, 8_000, 120), plan)

    for one, result in zip(hypotheses, evaluate(hypotheses, prepare(log), threads=2), strict=True):
        assert differences(one, log, result) == [], one.to_json()


@pytest.mark.long
def test_three_hundred_hypotheses_on_two_hundred_thousand_events_agree_with_the_plain_evaluator() -> None:
    hypotheses, plan = batch(300, 2)
    log = log_of(random_rows(2, 200_000, 4_000), plan)

    for one, result in zip(hypotheses, evaluate(hypotheses, prepare(log), threads=2), strict=True):
        assert differences(one, log, result) == [], one.to_json()


def test_the_number_of_threads_changes_nothing() -> None:
    hypotheses, plan = batch(120, 3)
    log = prepare(log_of(random_rows(3, 8_000, 120), plan))
    alone = [everything(one) for one in evaluate(hypotheses, log, threads=1)]

    assert [everything(one) for one in evaluate(hypotheses, log, threads=4)] == alone


def test_fires_that_were_not_kept_are_found_anew() -> None:
    hypotheses, plan = batch(120, 3)
    log = prepare(log_of(random_rows(3, 8_000, 120), plan))
    kept = [everything(one) for one in evaluate(hypotheses, log, threads=1)]
    counted = evaluate(hypotheses, log, threads=1, keep_fires=False)

    assert [one.fires_total for one in counted] == [len(one.unit) for one in counted]
    assert [everything(one) for one in counted] == kept


def test_the_order_of_a_batch_and_its_company_change_nothing() -> None:
    hypotheses, plan = batch(120, 4)
    log = prepare(log_of(random_rows(4, 8_000, 120), plan))
    together = [everything(one) for one in evaluate(hypotheses, log, threads=1)]
    backwards = [everything(one) for one in evaluate(hypotheses[::-1], log, threads=1)][::-1]

    assert backwards == together
    assert [everything(evaluate([one], log, threads=1)[0]) for one in hypotheses[:20]] == together[:20]


@pytest.mark.parametrize("buckets", [2, 16])
def test_buckets_of_units_add_up_to_the_whole(buckets: int) -> None:
    hypotheses, plan = batch(60, 5)
    rows = random_rows(5, 6_000, 90)
    whole = [flat(one.tally) for one in evaluate(hypotheses, prepare(log_of(rows, plan)), threads=1)]
    sums: list[Tally | None] = [None] * len(hypotheses)
    for bucket in range(buckets):
        here = [number for number in range(len(rows.units)) if number % buckets == bucket]
        place = np.full(len(rows.units), -1, np.int32)
        place[here] = np.arange(len(here))
        keep = place[rows.unit] >= 0
        part = rows.where(keep)
        part = replace(part, units=[rows.units[number] for number in here], unit=place[part.unit])
        for index, one in enumerate(evaluate(hypotheses, prepare(log_of(part, plan)), threads=1)):
            before_it = sums[index]
            sums[index] = one.tally if before_it is None else before_it + one.tally

    assert [flat(one) for one in sums if one is not None] == whole


def test_read_only_arrays_are_taken_too() -> None:
    hypotheses, plan = batch(20, 6)
    log = log_of(random_rows(6, 2_000, 30), plan)
    wanted = [everything(one) for one in evaluate(hypotheses, prepare(log), threads=1)]
    for array in (log.unit, log.at, log.presence.unit, log.presence.first, log.presence.last, *(one.codes for one in log.columns.values())):
        array.flags.writeable = False

    assert [everything(one) for one in evaluate(hypotheses, prepare(log), threads=1)] == wanted


def test_one_day_with_a_match_is_one_match_however_far_apart_they_lie() -> None:
    written = {"kind": "did", "match": "viewed", "count": "days", "span": {"last": "12h"}}
    outcome = {"kind": "event", "match": OUTCOME, "horizon": "1d"}
    one = Hypothesis.model_validate({"clauses": [written], "outcome": outcome})
    (plan,) = plan_reads([one], WINDOW)
    at = WINDOW.start + 5 * DAY + np.array([0, 20 * HOUR])
    names, zeros = ["viewed", OUTCOME], np.zeros(2, np.int32)
    log = assemble(Rows(["u"], names, zeros, zeros, at), plan, {})
    (result,) = evaluate([one], prepare(log))

    assert differences(one, log, result) == []
    assert len(result.held.intervals) == 2


def test_totals_states_and_long_ratios_are_left_to_the_plain_evaluator() -> None:
    hypotheses, _ = batch(300, 7)
    plain = {clause.kind for one in hypotheses for clause in one.clauses if not has_compiled_form(clause)}
    compiled = {clause.kind for one in hypotheses for clause in one.clauses if has_compiled_form(clause)}

    assert plain == {"state", "total"}
    assert compiled == {"age", "cohort", "did", "did_not", "sequence", "trend", "without"}

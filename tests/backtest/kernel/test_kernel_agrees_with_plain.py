"""The kernel is the plain evaluator, only faster: the same fires to the microsecond, the same counts, the same tallies."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from backtest.baseline import AgeTable
from backtest.events import EventLog
from backtest.fires import held
from backtest.kernel.evaluation import Result, evaluate
from backtest.kernel.prepared import prepare
from backtest.language import Hypothesis
from backtest.tally import Tally, tally
from tests.backtest.engine_log import engine_log, only_what_the_plan_asks
from tests.backtest.random_logs import random_case

PAIRS, CHUNK = 10_000, 500
MORE = [pytest.param(seed, marks=pytest.mark.long) for seed in range(PAIRS // 2, PAIRS, CHUNK)]


def flat(counts: Tally) -> dict[str, Any]:
    """A tally as plain values; the order within its arrays carries no meaning."""
    found: dict[str, Any] = {}
    for one in fields(counts):
        value = getattr(counts, one.name)
        if isinstance(value, AgeTable):
            value = [np.sort(getattr(value, part.name)).tolist() for part in fields(value)]
        elif isinstance(value, np.ndarray):
            value = sorted(value.tolist())
        found[one.name] = value
    found["pairs"] = sorted(zip(counts.ages.tolist(), counts.hits.tolist(), strict=True))
    return found


def differences(hypothesis: Hypothesis, log: EventLog, result: Result) -> list[str]:
    wanted, fires = tally(hypothesis, log)
    told = []
    pairs = [(getattr(fires, part).tolist(), getattr(result.fires, part).tolist()) for part in ("unit", "at", "occurrence")]
    told += [f"fires: plain {want}, kernel {got}" for want, got in pairs if want != got]
    plain, kernel = flat(wanted), flat(result.tally)
    told += [f"{name}: plain {plain[name]}, kernel {kernel[name]}" for name in plain if plain[name] != kernel[name]]
    truth, again = held(hypothesis, log), result.held
    pairs = [(getattr(truth.intervals, part).tolist(), getattr(again.intervals, part).tolist()) for part in ("unit", "start", "stop")]
    told += [f"held: plain {want}, kernel {got}" for want, got in [*pairs, (truth.fires.tolist(), again.fires.tolist())] if want != got]
    sizes = {"sample_size": len(wanted.ages), "true_positives": int(wanted.hits.sum())}
    return told + [f"{name}: plain {want}, kernel {getattr(result, name)}" for name, want in sizes.items() if want != getattr(result, name)]


@pytest.mark.parametrize("first_seed", [*range(0, PAIRS // 2, CHUNK), *MORE])
def test_the_kernel_agrees_with_the_plain_evaluator_on_random_logs(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + CHUNK):
        case = random_case(seed)
        log = engine_log(case.log, case.hypothesis)
        if seed % 2:
            log = only_what_the_plan_asks(log, case.hypothesis)
        (result,) = evaluate([case.hypothesis], prepare(log), threads=1)
        if told := differences(case.hypothesis, log, result):
            pytest.fail(f"seed {seed}: {case.hypothesis.to_json()}\n" + "\n".join(told))

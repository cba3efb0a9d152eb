"""A backtest is the same by the plain and by the compiled evaluator, and however its units were cut."""

import numpy as np
import pytest

from backtest.engine import Backtest
from backtest.events import Window
from backtest.portable import add, dump
from backtest.report import published
from tests.backtest.engine_log import engine_log
from tests.backtest.random_logs import random_case


def test_the_compiled_evaluator_publishes_the_same_numbers() -> None:
    for seed in range(60):
        case = random_case(seed)
        log = engine_log(case.log, case.hypothesis)
        plain, compiled = Backtest((case.hypothesis,), keep_fires=True), Backtest((case.hypothesis,), keep_fires=True, compile_from=0)
        plain.add(case.hypothesis.unit, log)
        compiled.add(case.hypothesis.unit, log)

        assert compiled.fires == plain.fires, f"seed {seed}"
        assert published(compiled.score(0), log.window) == published(plain.score(0), log.window), f"seed {seed}"


def test_counts_survive_being_written_down() -> None:
    case = random_case(3)
    log = engine_log(case.log, case.hypothesis)
    whole, copy = Backtest((case.hypothesis,)), Backtest((case.hypothesis,))
    whole.add(case.hypothesis.unit, log)
    add(copy, dump(whole))

    assert published(copy.score(0), log.window) == published(whole.score(0), log.window)
    assert np.array_equal(copy.tallies[0].ages, whole.tallies[0].ages)


@pytest.mark.parametrize("end", [0, -1])
def test_a_window_has_a_length(end: int) -> None:
    with pytest.raises(ValueError, match="ends after it starts"):
        Window(0, end)

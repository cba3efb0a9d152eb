"""When an event has stopped: by hand, and how often it is said of one that goes on."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from backtest.silence import log_chance_of_none, silent


def test_the_chance_is_the_conditional_binomial_one():
    assert math.exp(log_chance_of_none([9, 4, 7, 5])) == pytest.approx(binom.pmf(0, 25, 1 / 5))
    assert log_chance_of_none([]) == 0


def test_little_or_something_or_a_gap_before_is_no_silence():
    assert silent(0, [12, 9, 8, 10])
    assert not silent(1, [12, 9, 8, 10])
    assert not silent(0, [2, 1, 3, 1])
    assert not silent(0, [40, 0, 40, 40])  # it pauses now and then
    assert not silent(0, [])
    assert not silent(0, [12, 9, 8, 10], looks=1000)


def test_of_names_that_go_on_hardly_one_in_a_thousand_looks_is_called_silent():
    rng = np.random.default_rng(4)
    false = sum(silent(int(last), before.tolist()) for rate in (3, 6, 9) for last, *_, before in _looks(rng, rate, 3000))
    assert false <= 9000 * 0.001 + 3 * math.sqrt(9000 * 0.001)


def _looks(rng: np.random.Generator, rate: float, many: int):
    for _ in range(many):
        drawn = rng.poisson(rate, 5)
        yield drawn[0], drawn[1:]

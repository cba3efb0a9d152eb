import math

import pytest
from scipy.stats import chi2, poisson

from backtest.durations import DAY
from backtest.rates import WEEK, weekly


def test_nothing_seen_bounds_the_rate_by_the_rule_of_three_and_a_bit() -> None:
    rate = weekly(0, 10 * WEEK)
    assert rate is not None
    assert (rate.value, rate.low) == (0, 0)
    assert rate.high == pytest.approx(-math.log(0.025) / 10)


@pytest.mark.parametrize("count", [1, 5, 12, 104, 2_000])
def test_the_limits_are_garwoods(count: int) -> None:
    rate = weekly(count, 4 * WEEK)
    assert rate is not None
    assert rate.low * 4 == pytest.approx(chi2.ppf(0.025, 2 * count) / 2)
    assert rate.high * 4 == pytest.approx(chi2.ppf(0.975, 2 * count + 2) / 2)
    assert poisson.sf(count - 1, rate.low * 4) == pytest.approx(0.025)


def test_a_window_without_length_has_no_rate() -> None:
    assert weekly(3, 0) is None
    assert weekly(3, -DAY) is None

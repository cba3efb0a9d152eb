"""Sample sizes of the worked tables, by the exact test and by search."""

import pytest
from scipy.stats import binom

from backtest.durations import DAY
from backtest.power import ALONE, IN_A_SEARCH, Wait, arms, least_support_for, per_week
from backtest.routing_effect import Arms


@pytest.mark.parametrize(
    ("base", "lift", "alone", "in_a_search"),
    [
        (0.05, 2, 169, 661),
        (0.05, 3, 52, 199),
        (0.10, 1.5, 270, 1090),
        (0.10, 2, 78, 308),
        (0.10, 3, 25, 91),
        (0.165, 2, 43, 166),
        (0.02, 3, 131, 519),
    ],
)
def test_the_worked_supports(base: float, lift: float, alone: int, in_a_search: int):
    assert least_support_for(base, lift) == alone
    assert least_support_for(base, lift, IN_A_SEARCH) == in_a_search


def test_it_is_the_smallest_by_trying_each():
    def power(n: int) -> float:
        critical = next(c for c in range(n + 2) if binom.sf(c - 1, n, 0.1) <= ALONE)
        return float(binom.sf(critical - 1, n, 0.3))

    needed = least_support_for(0.1, 3)
    assert needed is not None
    assert power(needed) >= 0.8
    assert all(power(n) < 0.8 for n in range(1, needed))


def test_no_support_shows_what_cannot_be():
    assert least_support_for(0.5, 3) is None
    assert least_support_for(0.1, 1) is None
    assert least_support_for(0.0, 2) is None
    assert least_support_for(0.5, 2) == 5  # certain success against a coin


def test_a_wait_is_told_in_weeks():
    wait = Wait("cases", 169, 60, 12.5)
    assert wait.sentence == "needs 169 cases, has 60: about 9 more weeks"
    assert Wait("cases", 169, 168, 12.5).sentence == "needs 169 cases, has 168: about 1 more week"
    assert Wait("cases", 169, 60, 0.0).sentence == "needs 169 cases, has 60; none come in, so waiting does not help"
    assert Wait("cases", 169, 60, None).weeks is None
    assert (Wait("cases", 20, 20, None).weeks, Wait("cases", 20, 21, 1.0).sentence) == (0, "needs 20 cases, has 21")
    assert per_week(45, 90 * DAY) == 3.5
    assert per_week(45, 0) is None


def test_the_worked_arms():
    assert arms(0.20, 0.25) == (1094, 1094)
    assert arms(0.25, 0.20, 1 / 9) == (5594, 622)
    assert arms(0.25, 0.20, 1 / 4) == (2783, 696)
    assert arms(0.05, 0.075) == (1471, 1471)
    assert arms(0.10, 0.20) == (199, 199)
    assert arms(0.2, 0.2) is None


def test_the_worked_holdout():
    example = Arms(230, 1000, 45, 250)
    assert example.difference == pytest.approx(0.05)
    assert example.difference_interval is not None
    assert (example.difference_interval.low, example.difference_interval.high) == pytest.approx((-0.0080, 0.1005), abs=5e-5)
    assert (example.z, example.p_value) == pytest.approx((1.707, 0.0878), abs=5e-4)
    ratio = example.ratio
    assert ratio is not None
    assert ratio.interval is not None
    assert (ratio.value, ratio.interval.low, ratio.interval.high) == pytest.approx((1.278, 0.958, 1.704), abs=5e-4)
    assert example.effect_on_contacted(0.8) == pytest.approx(0.0625)
    assert Arms(200, 800, 40, 200) + Arms(30, 200, 5, 50) == example


def test_an_empty_arm_tells_nothing():
    empty = Arms(3, 9, 0, 0)
    assert empty.difference is empty.difference_interval is empty.z is empty.p_value is empty.ratio is empty.effect_on_contacted(0.5) is None
    assert Arms(0, 9, 0, 9).z is None
    assert Arms(0, 9, 3, 9).effect_on_contacted(0.0) is None

"""Kaplan-Meier precision: the worked example, the plain proportion, and what is not identified."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.survival import converted_within, curve

DURATIONS = np.array([2, 5, 5, 9, 12, 14, 20, 30, 30, 30])
CENSORED = np.array([0, 0, 1, 0, 1, 0, 1, 1, 1, 1], bool)


def test_the_worked_example():
    told = converted_within(30, DURATIONS, ~CENSORED)
    assert told is not None
    assert told.share == pytest.approx(0.4514, abs=5e-5)
    assert told.interval is not None
    assert told.interval.low < told.share < told.interval.high
    complete = ~CENSORED | (DURATIONS >= 30)
    assert (~CENSORED).sum() / complete.sum() == pytest.approx(0.571, abs=5e-4)
    assert (~CENSORED).mean() == pytest.approx(0.4)


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=40))
def test_it_is_the_product_of_the_steps(some: list[tuple[int, bool]]):
    duration, converted = (np.array(column) for column in zip(*some, strict=True))
    survival = 1.0
    for at in sorted({length for length, hit in some if hit and length <= 20}):
        survival *= 1 - sum(hit and length == at for length, hit in some) / sum(length >= at for length, _ in some)
    told = converted_within(20, duration, converted)
    if duration.max() < 20 and survival > 1e-12:
        assert told is None
    else:
        assert told is not None
        assert told.share == pytest.approx(1 - survival)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=50))
def test_with_complete_horizons_it_is_the_plain_proportion(lengths: list[int]):
    duration = np.array(lengths)
    told = converted_within(20, np.minimum(duration, 20), duration <= 20)
    assert told is not None
    assert told.share == pytest.approx((duration <= 20).mean())


def test_nothing_is_told_of_nobody_or_of_an_unseen_end():
    assert converted_within(30, np.empty(0, np.int64), np.empty(0, bool)) is None
    assert converted_within(30, np.array([4, 9]), np.array([True, False])) is None


def test_the_curve_ends_where_the_estimate_stands():
    steps = curve(30, DURATIONS, ~CENSORED)
    told = converted_within(30, DURATIONS, ~CENSORED)
    assert told is not None
    assert [(one.at, one.at_risk) for one in steps] == [(2, 10), (5, 9), (9, 7), (14, 5)]
    assert [round(one.share, 4) for one in steps] == [0.1, 0.2, 0.3143, 0.4514]
    last = steps[-1].interval
    assert told.interval is not None
    assert last is not None
    assert (steps[-1].share, last.low, last.high) == pytest.approx((told.share, told.interval.low, told.interval.high))


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=40))
def test_the_curve_never_falls_and_stays_within_its_interval(some: list[tuple[int, bool]]):
    duration, converted = np.array([length for length, _ in some], int), np.array([hit for _, hit in some], bool)
    steps = curve(20, duration, converted)
    assert [one.share for one in steps] == sorted(one.share for one in steps)
    assert all(one.interval is None or one.interval.low <= one.share <= one.interval.high for one in steps)
    assert len(steps) == len({length for length, hit in some if hit and length <= 20})

"""Lead times and what is left for somebody who needs a day to act."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.baseline import at_risk, expected, supported
from backtest.durations import DAY, HOUR
from backtest.intervals import FOREVER
from backtest.lead import Actionable, actionable, lead_times

NEVER = int(FOREVER)


def test_lead_times_of_a_few_hits():
    told = lead_times(np.array([1, 2, 30, 60, 24, 100], np.int64) * HOUR)
    assert told is not None
    assert (told.median_hours, told.tenth_hours) == (27.0, 1.5)
    assert (told.share_within_1h, told.share_within_24h) == pytest.approx((1 / 6, 3 / 6))
    assert told.late_rate == pytest.approx(2 / 6)  # a lead of exactly 24 h is enough
    assert lead_times(np.empty(0, np.int64)) is None


def test_every_fire_lands_in_one_class():
    day = np.int64(DAY)
    at = np.array([0, 0, 0, 0, 0, 0, 20, 20], np.int64) * day
    outcome = np.array([0, 1, 2, 8, 9, NEVER // DAY, NEVER // DAY, 20.5]) * DAY
    entry = np.full(8, -day)
    found = actionable(at, entry, outcome.astype(np.int64), window_end=27 * DAY, horizon=7 * DAY)
    # a tie never counts; at 1 d it is too late; 2 d and 8 d are in time; 9 d is after the horizon; the fires of day 20 are pending or too late
    assert (found.too_late, found.pending, found.sample_size, found.true_positives) == (2, 1, 4, 2)
    assert (found.ages == 2 * DAY).all()
    assert found.precision == 0.5
    assert found.precision_interval is not None


def test_an_end_of_the_horizon_at_the_window_end_is_complete():
    one = np.zeros(1, np.int64)
    never = np.array([NEVER])
    assert actionable(one, one, never, window_end=8 * DAY, horizon=7 * DAY).sample_size == 1
    assert actionable(one, one, never, window_end=8 * DAY - 1, horizon=7 * DAY).pending == 1


@given(st.integers(0, 3 * DAY), st.integers(1, 20 * DAY))
def test_without_delay_it_is_the_sample_itself(delta: int, horizon: int):
    rng = np.random.default_rng(delta)
    entry = rng.integers(0, 10 * DAY, 200)
    at = entry + rng.integers(0, 10 * DAY, 200)
    outcome = np.where(rng.random(200) < 0.4, entry + rng.integers(0, 20 * DAY, 200), NEVER)
    found = actionable(at, entry, outcome, 40 * DAY, horizon, delta=0)
    counted = (outcome > at) & (at + horizon <= 40 * DAY)
    assert (found.sample_size, found.true_positives) == (counted.sum(), (counted & (outcome <= at + horizon)).sum())
    later = actionable(at, entry, outcome, 40 * DAY, horizon, delta)
    assert later.too_late + later.pending + later.sample_size == (outcome > at).sum()
    half = [actionable(at[part], entry[part], outcome[part], 40 * DAY, horizon, delta) for part in (slice(80), slice(80, None))]
    whole = half[0] + half[1]
    assert (whole.ages == later.ages).all()
    assert (whole.too_late, whole.pending, whole.true_positives) == (later.too_late, later.pending, later.true_positives)


def test_everybody_who_fires_at_entry_has_lift_1_after_any_delay():
    rng = np.random.default_rng(0)
    entry = rng.integers(0, 30 * DAY, 500)
    outcome = np.where(rng.random(500) < 0.5, entry + rng.integers(1, 30 * DAY, 500), NEVER)
    comparators = at_risk(entry, outcome, 0, 60 * DAY, 7 * DAY).table()
    found = actionable(entry, entry, outcome, 60 * DAY, 7 * DAY, delta=36 * HOUR)
    assert found.expected(comparators).lift == pytest.approx(1.0)
    interval = found.lift_interval(comparators)
    assert interval is not None
    assert interval.low < 1 < interval.high
    nothing = Actionable(0, 0, np.empty(0, np.int64), np.empty(0, np.bool_))
    assert nothing.precision is nothing.lift_interval(comparators) is None


def test_the_hand_labelled_example_of_the_age_matched_baseline():
    """30 enter, conversions at ages 1, 1, 2, 3, 5, 5, 8, 9, 12, 20 d, H = 7 d; fires at ages 0, 1.5, 1.5, 6 d."""
    entry = np.zeros(30, np.int64)
    outcome = np.full(30, NEVER)
    outcome[:10] = np.array([1, 1, 2, 3, 5, 5, 8, 9, 12, 20]) * DAY
    comparators = at_risk(entry, outcome, 0, 60 * DAY, 7 * DAY).table()
    ages = (np.array([0, 1.5, 1.5, 6]) * DAY).astype(np.int64)
    share = comparators.converting(ages) / comparators.at_risk(ages)
    assert share == pytest.approx([0.2, 0.178571, 0.178571, 0.125], abs=5e-7)
    sums = expected(comparators, ages, np.array([True, True, False, False]), supported(comparators, ages))
    assert (sums.total, sums.baseline, sums.lift) == pytest.approx((0.682143, 0.170536, 2.931937), abs=1e-6)

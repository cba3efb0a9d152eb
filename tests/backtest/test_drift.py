"""Watching a signal with free peeking: the worked figures, the definitions, and the rate of false alarms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from backtest.drift import Trend, Watch, confidence_sequence, e_benjamini_hochberg, trend
from backtest.proportions import wilson


@pytest.mark.parametrize(
    ("fires", "hits", "e", "tolerance"),
    [(20, 8, 2.157, 5e-4), (40, 16, 8.101, 5e-4), (60, 24, 33.84, 5e-3), (100, 60, 0.1038, 5e-5), (100, 71, 0.0318, 5e-5)],
)
def test_the_worked_e_values(fires: int, hits: int, e: float, tolerance: float):
    assert Watch(0.60, fires, hits).e_value == pytest.approx(e, abs=tolerance)


def test_an_alarm_is_raised_once_e_reaches_20_and_stays():
    watch, alarmed = Watch(0.60), []
    for place in range(60):
        watch = watch.add(place % 5 in (2, 4))  # two of five
        alarmed.append(watch.alarm())
    assert (watch.fires, watch.hits) == (60, 24)
    assert not alarmed[39]
    assert alarmed[59]
    assert alarmed == sorted(alarmed)
    for _ in range(200):
        watch = watch.add(True)
    assert watch.e_value < 1
    assert watch.alarm()


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.05, 0.95))
def test_it_is_the_likelihood_averaged_below_the_floor(hits: int, misses: int, floor: float):
    def relative(q: float) -> float:
        return (q / floor) ** hits * ((1 - q) / (1 - floor)) ** misses / floor

    assert Watch(floor, hits + misses, hits).e_value == pytest.approx(quad(relative, 0, floor, epsabs=0, epsrel=1e-10)[0], rel=1e-6)


@given(st.lists(st.booleans(), max_size=60), st.floats(0.05, 0.95))
def test_adding_one_by_one_counts_all_and_remembers_the_peak(some: list[bool], floor: float):
    watch, looks = Watch(floor), [0.0]
    for hit in some:
        watch = watch.add(hit)
        looks.append(watch.log_e)
    assert (watch.fires, watch.hits) == (len(some), sum(some))
    assert watch.peak == max(looks)
    assert watch.log_e == Watch(floor, len(some), sum(some)).log_e
    better = watch.add(True)
    assert better.log_e <= watch.add(False).log_e


def test_a_floor_of_zero_or_one_is_no_question():
    with pytest.raises(ValueError, match="between 0 and 1"):
        Watch(1.0)


@pytest.mark.parametrize(("hits", "n", "expected"), [(16, 40, (0.1910, 0.6379)), (71, 100, (0.5533, 0.8386))])
def test_the_worked_confidence_sequences(hits: int, n: int, expected: tuple[float, float]):
    told = confidence_sequence(hits, n)
    assert (told.low, told.high) == pytest.approx(expected, abs=5e-5)
    once = wilson(hits, n)
    assert once is not None
    assert told.low < once.low < once.high < told.high


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.01, 0.05, 0.2]))
def test_its_ends_solve_the_defining_equation(hits: int, misses: int, alpha: float):
    n = hits + misses
    told = confidence_sequence(hits, n, alpha)
    mirrored = confidence_sequence(misses, n, alpha)
    assert (told.low, told.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)
    log_beta = math.lgamma(1 + hits) + math.lgamma(1 + misses) - math.lgamma(2 + n)
    for end in (told.low, told.high):
        if 0 < end < 1:
            likelihood = hits * math.log(end) + misses * math.log1p(-end)
            assert log_beta - likelihood == pytest.approx(-math.log(alpha), abs=1e-6)


def test_the_worked_trend():
    told = trend(np.array([36, 33, 30, 27, 22, 19]), np.full(6, 50))
    assert isinstance(told, Trend)
    assert (told.z, told.p_value) == pytest.approx((-4.1171, 3.84e-5), rel=1e-3)
    up = trend(np.array([19, 22, 27, 30, 33, 36]), np.full(6, 50))
    assert up is not None
    assert up.z == pytest.approx(-told.z)
    assert trend(np.zeros(6, np.int64), np.full(6, 50)) is trend(np.array([3]), np.array([9])) is None
    assert trend(np.array([0, 3]), np.array([0, 9])) is None


@given(st.lists(st.floats(-5, 12), max_size=20).map(np.array), st.integers(0, 10))
def test_e_bh_by_trying_each_count(log_e: np.ndarray, more: int):
    m = len(log_e) + more
    called = e_benjamini_hochberg(log_e, 0.1, m)
    fit = [k for k in range(1, len(log_e) + 1) if np.sort(log_e)[::-1][k - 1] >= math.log(m / 0.1) - math.log(k)]
    assert called.sum() == max(fit, default=0)
    if called.any() and not called.all():
        assert log_e[called].min() >= log_e[~called].max()


def looks(rng: np.random.Generator, precision: np.ndarray, runs: int, floor: float) -> np.ndarray:
    """Log e of each run after each fire."""
    from scipy.special import betainc, betaln

    n = np.arange(1, len(precision) + 1)
    hits = (rng.random((runs, len(precision))) < precision).cumsum(1)
    with np.errstate(divide="ignore"):
        share = np.log(betainc(1 + hits, 1 + n - hits, floor))
    return betaln(1 + hits, 1 + n - hits) + share - math.log(floor) - hits * math.log(floor) - (n - hits) * math.log1p(-floor)


def test_peeking_400_times_keeps_the_error_and_a_drop_is_found():
    rng = np.random.default_rng(11)
    false = (looks(rng, np.full(400, 0.6), 600, 0.6) >= math.log(20)).any(1).mean()
    assert false <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)
    dropped = looks(rng, np.full(400, 0.45), 600, 0.6) >= math.log(20)
    assert dropped.any(1).mean() > 0.95
    assert np.median(np.argmax(dropped, 1) + 1) <= 100
    path = Watch(0.6)
    for hit in np.random.default_rng(11).random(400) < 0.6:
        path = path.add(bool(hit))
    assert path.log_e == pytest.approx(looks(np.random.default_rng(11), np.full(400, 0.6), 1, 0.6)[0, -1])

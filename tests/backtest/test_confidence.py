"""Shrunken precision and its calibration, against the worked figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln
from scipy.stats import beta

from backtest.confidence import DRIFT, ENDED, LEAST_SPREAD, Asked, Prior, asked, calibration, fitted_prior

HITS = np.array([30, 12, 45, 8, 60, 3, 22, 15])
N = np.array([60, 40, 60, 40, 150, 10, 100, 60])


def fitted(hits: np.ndarray, n: np.ndarray) -> Prior:
    prior = fitted_prior(hits, n)
    assert prior is not None
    return prior


def test_the_worked_example():
    prior = fitted(HITS, N)
    assert (prior.alpha, prior.beta) == pytest.approx((3.2388, 5.3906), abs=2e-4)
    pairs = list(zip(HITS.tolist(), N.tolist(), strict=True))
    shrunk = [0.484323, 0.313365, 0.702888, 0.231110, 0.398657, 0.334888, 0.232338, 0.265757]
    assert [prior.shrunk(x, n) for x, n in pairs] == pytest.approx(shrunk, abs=2e-6)
    confident = [0.999267, 0.564678, 1.0, 0.129332, 0.995684, 0.604956, 0.053328, 0.252554]
    assert [prior.confidence(x, n, 0.3) for x, n in pairs] == pytest.approx(confident, abs=5e-6)


def test_it_is_the_most_likely_prior():
    def likelihood(a: float, b: float) -> float:
        return float((betaln(a + HITS, b + N - HITS) - betaln(a, b)).sum())

    prior = fitted(HITS, N)
    best = likelihood(prior.alpha, prior.beta)
    for step in (0.999, 1.001):
        assert likelihood(prior.alpha * step, prior.beta) < best
        assert likelihood(prior.alpha, prior.beta * step) < best
        assert likelihood(prior.alpha * step, prior.beta * step) < best


@given(st.permutations(range(8)))
def test_order_carries_no_meaning(places: list[int]):
    assert fitted(HITS[places], N[places]) == fitted(HITS, N)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 0.99))
def test_confidence_grows_with_hits_and_falls_with_the_bar(hits: int, misses: int, bar: float):
    prior = Prior(3.2, 5.4)
    n = hits + misses
    told = prior.confidence(hits, n, bar)
    assert told == pytest.approx(beta.sf(bar, 3.2 + hits, 5.4 + misses), abs=1e-9)
    assert prior.confidence(hits + 1, n + 1, bar) >= told - 1e-12
    assert prior.confidence(hits, n, min(0.999, bar + 0.01)) <= told + 1e-12
    usual = 3.2 / 8.6
    observed = hits / n if n else usual
    assert min(usual, observed) - 1e-9 <= prior.shrunk(hits, n) <= max(usual, observed) + 1e-9


def test_many_hypotheses_with_some_that_always_hit_have_a_prior_between_the_extremes():
    rng = np.random.default_rng(3)
    n = rng.integers(20, 80, 300)
    precision = np.where(rng.random(300) < 0.05, 1.0, rng.beta(3, 10, 300))
    prior = fitted(rng.binomial(n, precision), n)
    usual = prior.alpha / (prior.alpha + prior.beta)
    assert 0.2 < usual < 0.4
    assert 1 < prior.alpha + prior.beta < 20


@pytest.mark.parametrize(
    ("precision", "base", "later_base", "told"), [(None, 0.2, 0.1, (0.15, 0.3)), (None, 0.2, None, (0.3, 0.3)), (0.4, 0.2, 0.25, (0.4, 0.32))]
)
def test_what_is_asked_of_later_data_is_carried_to_the_base_rate_so_far(
    precision: float | None, base: float, later_base: float | None, told: tuple[float, float]
):
    found = asked(precision, 1.5, base, later_base)
    assert found is not None
    assert (found.later, found.so_far) == pytest.approx(told)


def test_no_precision_stands_for_a_bar_beyond_every_case():
    assert asked(None, 1.5, 0.8, None) is asked(None, 1.5, None, 0.1) is asked(0.9, 1.5, 0.2, 0.1) is None


@pytest.mark.parametrize(("hits", "n"), [(60, 100), (35, 100), (10, 100), (1_500, 3_000)])
def test_later_confidence_is_what_drawing_later_data_shows(hits: int, n: int):
    rng, prior, later = np.random.default_rng(1), Prior(3.2, 5.4), min(n, 2_000)
    precision = rng.beta(3.2 + hits, 5.4 + n - hits, 40_000)
    bar = 0.35 * np.exp(-rng.normal(0, DRIFT, 40_000))
    share = np.mean((rng.binomial(later, precision) >= bar * later) & (rng.random(40_000) >= ENDED))
    assert prior.later_confidence(hits, n, Asked(0.35, 0.35)) == pytest.approx(share, abs=0.01)


def test_nothing_is_surer_of_later_data_than_that_effects_last():
    assert Prior(3.2, 5.4).later_confidence(900, 1_000, Asked(0.1, 0.1)) == pytest.approx(1 - ENDED)


def test_equal_precisions_are_shrunk_to_one_another():
    prior = fitted(np.full(9, 20), np.full(9, 100))
    assert prior.alpha + prior.beta == pytest.approx(LEAST_SPREAD, rel=0.01)
    assert prior.shrunk(1, 2) == pytest.approx(0.2, abs=1e-3)


def test_too_few_hypotheses_tell_no_usual_precision():
    assert fitted_prior(HITS[:4], N[:4]) is None
    assert fitted_prior(HITS, np.zeros(8, np.int64)) is None
    assert fitted_prior(np.zeros(8, np.int64), N) is fitted_prior(N, N) is None


def test_the_worked_calibration():
    forecast = np.array([0.9, 0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1, 0.1])
    told = calibration(forecast, np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 0], bool))
    assert told is not None
    assert (told.brier, told.log_loss, told.in_the_large) == pytest.approx((0.142, 0.429733, 0), abs=1e-6)
    assert told.brier_of_base_rate == 0.25
    assert sum(one.count for one in told.bins) == told.count == 10
    assert [(one.low, one.count, one.came_true) for one in told.bins] == [
        (0, 2, 0),
        (0.2, 2, 0.5),
        (0.4, 1, 0),
        (0.6, 2, 0.5),
        (0.8, 1, 1),
        (0.9, 2, 1),
    ]
    assert calibration(np.empty(0), np.empty(0, bool)) is None


def test_confidence_is_calibrated_where_its_model_holds():
    rng = np.random.default_rng(2)
    n = rng.integers(20, 200, 2_000)
    precision = rng.beta(3, 6, 2_000)
    hits = rng.binomial(n, precision)
    prior = fitted(hits, n)
    assert (prior.alpha, prior.beta) == pytest.approx((3, 6), rel=0.15)
    sure = np.array([prior.confidence(int(x), int(size), 0.35) for x, size in zip(hits, n, strict=True)])
    told = calibration(sure, precision >= 0.35)
    assert told is not None
    assert all(one.came_true == pytest.approx(one.forecast, abs=0.1) for one in told.bins)
    assert told.brier < told.brier_of_base_rate

"""Corrections for many hypotheses, against SciPy, statsmodels and the published examples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, hypergeom
from statsmodels.stats.multitest import multipletests

from backtest.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    best_null_lift,
    expected_best_z,
    least_log_p,
    least_support,
    tarone,
)

BH_1995 = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0])
P = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


def test_the_example_of_benjamini_and_hochberg():
    q, under_any = benjamini_hochberg(BH_1995), benjamini_yekutieli(BH_1995)
    assert q[:9] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625, 0.0603, 0.063857, 0.063857, 0.0645, 0.0765], abs=5e-7)
    assert under_any[:4] == pytest.approx([0.004977, 0.009955, 0.031523, 0.118212], abs=5e-7)
    assert ((BH_1995 <= 0.05 / 15).sum(), (q <= 0.05).sum(), (under_any <= 0.05).sum()) == (3, 4, 3)


@given(P)
def test_they_agree_with_scipy(p: np.ndarray):
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p, method="bh"))
    assert benjamini_yekutieli(p) == pytest.approx(false_discovery_control(p, method="by"))
    assert (benjamini_hochberg(p) >= p - 1e-15).all()


@given(P, st.integers(0, 50))
def test_a_dropped_hypothesis_counts_as_one_that_was_kept_with_p_1(p: np.ndarray, dropped: int):
    kept = np.concatenate([p, np.ones(dropped)])
    assert benjamini_hochberg(p, len(kept)) == pytest.approx(benjamini_hochberg(kept)[: len(p)])
    assert benjamini_yekutieli(p, len(kept)) == pytest.approx(benjamini_yekutieli(kept)[: len(p)])
    assert benjamini_hochberg(p, len(kept)) == pytest.approx(multipletests(kept, method="fdr_bh")[1][: len(p)])


@given(P, st.randoms())
def test_q_follows_its_p_wherever_that_stands(p: np.ndarray, random):
    shuffled = np.array(random.sample(range(len(p)), len(p)))
    assert benjamini_hochberg(p[shuffled]) == pytest.approx(benjamini_hochberg(p)[shuffled])


def test_m_below_the_number_of_p_values_is_refused():
    with pytest.raises(ValueError, match="everything that was evaluated"):
        benjamini_hochberg(BH_1995, 14)
    assert len(benjamini_hochberg(np.empty(0), 7)) == len(benjamini_yekutieli(np.empty(0), 7)) == 0


def test_the_minimum_attainable_p_of_small_supports():
    assert np.exp(least_log_p(np.array([5, 6, 7]), 1284, 212)) == pytest.approx([1.179e-4, 1.909e-5, 3.076e-6], rel=5e-4)
    assert np.exp(least_log_p(np.array([300]), 1284, 212)) == pytest.approx(hypergeom.sf(211, 1284, 212, 300), rel=1e-9)
    assert least_support(1284, 212, 0.05 / 5000) == 7
    assert least_support(20, 2, 0.001) is None


@given(st.lists(st.floats(-30, 0), min_size=1, max_size=40).map(np.array), st.sampled_from([0.01, 0.05, 0.2]))
def test_tarone_finds_the_smallest_factor_by_trying_each(least: np.ndarray, alpha: float):
    found = tarone(least, alpha)
    factor = next(k for k in range(1, len(least) + 2) if (least <= math.log(alpha / k)).sum() <= k)
    assert (found.factor, found.level) == (factor, alpha / factor)
    assert (found.which == (least <= math.log(alpha / factor))).all()
    assert found.factor <= max(1, len(least))


def test_tarone_spends_nothing_on_hopeless_hypotheses():
    supports = np.repeat([3, 4, 200], [4_000, 900, 100])
    found = tarone(least_log_p(supports, 1284, 212), 0.05)
    assert found.factor == 100
    assert found.which.sum() == 100


def test_the_expected_largest_z():
    assert [expected_best_z(m) for m in (1, 100, 1000, 5000)] == pytest.approx([0, 2.531, 3.255, 3.688], abs=5e-4)


@pytest.mark.parametrize(("m", "expected"), [(1, 1.0), (100, 2.16), (1000, 2.55), (5000, 2.79)])
def test_the_expected_best_lift_of_random_hypotheses(m: int, expected: float):
    """The worked figures were simulated; these are exact."""
    best = best_null_lift(np.full(m, 50), 2000, 200)
    assert best is not None
    assert best.expected == pytest.approx(expected, abs=0.01)
    x = np.arange(51)
    below = hypergeom.cdf(x, 2000, 200, 50) ** m
    assert best.expected == pytest.approx((x * np.diff(below, prepend=0.0)).sum() / 5, rel=1e-9)
    assert best.exceeded_by_5_percent == pytest.approx(x[np.argmax(below >= 0.95)] / 5)
    if m == 5000:
        assert best.exceeded_by_5_percent == pytest.approx(3.2)
        assert best.sentence == "The best of 5000 random hypotheses would reach a lift of 2.8."


def test_the_best_lift_of_unlike_supports_is_what_drawing_gives():
    rng = np.random.default_rng(6)
    supports = rng.integers(20, 400, 120)
    best = best_null_lift(supports, 3000, 240)
    drawn = (rng.hypergeometric(240, 2760, supports, (4_000, 120)) / supports / 0.08).max(1)
    assert best is not None
    assert best.expected == pytest.approx(drawn.mean(), abs=4 * drawn.std() / math.sqrt(4_000))
    assert best.exceeded_by_5_percent == pytest.approx(np.quantile(drawn, 0.95), abs=0.1)


def test_no_best_lift_without_converters_or_fires():
    assert best_null_lift(np.array([30]), 100, 0) is None
    assert best_null_lift(np.array([0]), 100, 10) is None

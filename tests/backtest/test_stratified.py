"""The exact stratified test, against plain loops over whole distributions, SciPy, permutation and the worked examples."""

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from backtest.durations import DAY
from backtest.proportions import Closed
from backtest.stratified import Strata, entry_weeks, log_p_values, minimum_attainable_log_p, strata_of, weeks_in

EXAMPLE = [Closed(40, 20, 60, 80), Closed(30, 90, 70, 510)]
"""Rows x = 1, x = 0 and columns y = 1, y = 0 of the two strata of the worked example."""


def strata(*tables: Closed) -> Strata:
    columns = zip(*((one.population, one.converters, one.fired, one.tp) for one in tables), strict=True)
    return Strata(*(np.array(column, np.int64) for column in columns))


def exact_p(tables: list[Closed]) -> float:
    """The definition: convolve whole distributions, add up the tail."""
    masses = [hypergeom.pmf(np.arange(one.fired + 1), one.population, one.converters, one.fired) for one in tables if one.population]
    return float(reduce(np.convolve, masses)[sum(one.tp for one in tables) :].sum())


@st.composite
def tables(draw: st.DrawFn, most: int = 30) -> Closed:
    return Closed(*(draw(st.integers(0, most)) for _ in range(4)))


def test_the_worked_example():
    assert strata(*EXAMPLE).p_value == pytest.approx(2.664e-6, rel=1e-3)
    assert strata(*EXAMPLE).p_value == pytest.approx(exact_p(EXAMPLE), rel=1e-12)
    assert strata(*EXAMPLE).tables() == EXAMPLE


def test_one_stratum_is_fishers_test_also_where_p_underflows():
    one = strata(Closed(912, 372, 1259, 10607))
    assert one.p_value == 0.0
    assert one.log_p is not None
    assert one.log_p / math.log(10) == pytest.approx(-481.19, abs=0.005)
    assert one.log_p == pytest.approx(float(hypergeom.logsf(911, 13150, 2171, 1284)), rel=1e-12)


@settings(max_examples=40)
@given(st.lists(tables(), min_size=1, max_size=5))
def test_it_equals_the_tail_of_the_whole_convolution(some: list[Closed]):
    if sum(one.population for one in some) == 0:
        assert strata(*some).log_p is None
    else:
        assert strata(*some).p_value == pytest.approx(exact_p(some), rel=1e-9)


@settings(max_examples=25)
@given(st.lists(tables(most=400), min_size=3, max_size=6))
def test_it_equals_the_whole_convolution_where_supports_are_cut(some: list[Closed]):
    if sum(one.population for one in some):
        assert strata(*some).p_value == pytest.approx(exact_p(some), rel=1e-9, abs=1e-13)


@settings(max_examples=40)
@given(st.lists(tables(), min_size=1, max_size=4), st.randoms())
def test_the_order_of_strata_and_empty_ones_do_not_matter(some: list[Closed], random):
    shuffled = [*some, Closed(0, 0, 0, 0), Closed(0, 0, 3, 9), Closed(2, 5, 0, 0)]
    random.shuffle(shuffled)
    expected = strata(*some).log_p
    assert strata(*shuffled).log_p == pytest.approx(0.0 if expected is None else expected, abs=1e-9)


def test_more_hits_with_the_same_margins_are_less_likely():
    base = strata(*EXAMPLE)
    several = Strata(base.units, base.converters, base.fired, np.array([[20 + step, 20] for step in range(40)]))
    assert (np.diff(log_p_values(several)) < 0).all()


def test_many_hypotheses_at_once_give_what_each_gives_alone():
    rng = np.random.default_rng(4)
    units = rng.integers(1, 300, (60, 5))
    converters, fired = rng.integers(0, units + 1), rng.integers(0, units + 1)
    hits = rng.hypergeometric(converters, units - converters, fired)
    at_once = log_p_values(Strata(units, converters, fired, hits))
    alone = [Strata(*one).log_p for one in zip(units, converters, fired, hits, strict=True)]
    assert at_once == pytest.approx(np.array(alone), rel=1e-10, abs=1e-13)


def test_hundred_thousand_units_per_stratum_are_no_trouble():
    shape = np.full(13, 100_000)
    large = Strata(shape, shape // 10, shape // 4, np.full(13, 2_600))
    assert large.log_p is not None
    # far out the normal tail with continuity correction agrees to a per cent of the logarithm
    z = (13 * 100 - 0.5) / math.sqrt(13 * 25_000 * 75_000 * 10_000 * 90_000 / (1e10 * 99_999))
    from scipy.stats import norm

    assert large.log_p == pytest.approx(float(norm.logsf(z)), rel=0.01)
    every = Strata(shape, shape // 10, shape // 4, shape // 10)
    assert every.log_p == pytest.approx(float(minimum_attainable_log_p(every)[0]), rel=1e-12)


@settings(max_examples=40)
@given(st.lists(tables(), min_size=1, max_size=4))
def test_no_p_is_below_the_attainable_minimum(some: list[Closed]):
    one = strata(*some)
    least = float(minimum_attainable_log_p(one)[0])
    assert (one.log_p or 0.0) >= least - 1e-9
    full = Strata(one.units, one.converters, one.fired, np.minimum(one.converters, one.fired))
    assert (full.log_p or 0.0) == pytest.approx(least, rel=1e-9, abs=1e-9)


def test_counts_by_stratum_add_up_over_buckets():
    rng = np.random.default_rng(8)
    stratum, converted = rng.integers(0, 4, 200).astype(np.int32), rng.random(200) < 0.3
    fired = rng.random((7, 200)) < 0.5
    whole = strata_of(stratum, fired, converted, 4)
    parts = strata_of(stratum[:90], fired[:, :90], converted[:90], 4) + strata_of(stratum[90:], fired[:, 90:], converted[90:], 4)
    for column in ("units", "converters", "fired", "hits"):
        assert (getattr(whole, column) == getattr(parts, column)).all()
    single = strata_of(stratum, fired[2], converted, 4)
    assert sum(single.tables(), Closed(0, 0, 0, 0)).tp == int((fired[2] & converted).sum())
    assert single.tables()[1].fired == int((fired[2] & (stratum == 1)).sum())


def test_contradicting_counts_are_refused():
    with pytest.raises(ValueError, match="contradict"):
        Strata(*(np.array([value], np.int64) for value in (10, 3, 4, 5)))


def test_weeks_are_counted_from_the_start_of_the_window():
    start = 20_000 * DAY
    entries = start + np.array([0, 7 * DAY - 1, 7 * DAY, 89 * DAY])
    assert entry_weeks(entries, start).tolist() == [0, 0, 1, 12]
    assert weeks_in(start, start + 90 * DAY) == 13
    assert weeks_in(start, start + 14 * DAY) == 2


@pytest.mark.parametrize("rounds", [4_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_it_is_what_shuffling_outcomes_within_weeks_gives(rounds: int):
    rng = np.random.default_rng(20)
    stratum = rng.integers(0, 13, 1_000).astype(np.int32)
    converted = rng.random(1_000) < 0.05 + 0.02 * stratum  # the base rate drifts
    fired = rng.random(1_000) < 0.1 + 0.03 * stratum  # and so does the condition
    observed = strata_of(stratum, fired, converted, 13)
    # hits of each stratum are drawn as the shuffle would draw them, by urn
    urns = rng.hypergeometric(observed.converters, observed.units - observed.converters, observed.fired, (rounds, 13)).sum(1)
    for hits in (observed.hits.sum(), observed.hits.sum() + 5):
        share = float((urns >= hits).mean())
        moved = observed.hits.copy()
        moved[np.argmax(np.minimum(observed.fired, observed.converters) - moved)] += hits - observed.hits.sum()
        p = Strata(observed.units, observed.converters, observed.fired, moved).p_value
        assert p is not None
        assert share == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / rounds))


@pytest.mark.long
def test_it_is_uniform_under_real_shuffles_where_pooled_fisher_is_not():
    rng = np.random.default_rng(2)
    stratum = np.repeat(np.arange(13, dtype=np.int32), 150)
    chance = np.linspace(0.07, 0.25, 13)[stratum]
    fired = rng.random(len(stratum)) < np.linspace(0.05, 0.5, 13)[stratum]
    stratified, pooled = [], []
    for _ in range(1_000):
        converted = rng.random(len(stratum)) < chance
        one = strata_of(stratum, fired, converted, 13)
        stratified.append(one.p_value)
        pooled.append(sum(one.tables(), Closed(0, 0, 0, 0)).p_value)
    assert np.mean(np.array(stratified) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1_000)
    assert np.mean(np.array(pooled) <= 0.05) > 0.3

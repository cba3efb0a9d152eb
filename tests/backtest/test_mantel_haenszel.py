"""Ratios over strata, against statsmodels and the worked example of two strata."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from backtest.mantel_haenszel import breslow_day, cmh_z, odds_ratio, risk_ratio
from backtest.proportions import Closed
from backtest.stratified import Strata
from tests.backtest.test_stratified import EXAMPLE, strata

CELLS = st.integers(1, 60)
TABLES = st.lists(st.builds(Closed, CELLS, CELLS, CELLS, CELLS), min_size=2, max_size=5)


def reference(some: list[Closed]) -> StratifiedTable:
    return StratifiedTable([np.array([[one.tp, one.fp], [one.fn, one.tn]], float) for one in some])


def test_the_worked_example():
    example = strata(*EXAMPLE)
    assert cmh_z(example)[0] == pytest.approx(4.792675, abs=1e-6)
    assert cmh_z(example)[0] ** 2 == pytest.approx(22.9697, abs=1e-4)
    assert cmh_z(example, continuity=True)[0] == pytest.approx(4.687835, abs=1e-6)
    ratio, odds, same = risk_ratio(example), odds_ratio(example), breslow_day(example)
    assert ratio is not None
    assert odds is not None
    assert same is not None
    assert ratio.value == pytest.approx(1.7619, abs=5e-5)
    assert odds.value == pytest.approx(2.5238, abs=5e-5)
    assert same.p_value == pytest.approx(0.817, abs=5e-4)
    whole = EXAMPLE[0] + EXAMPLE[1]
    assert (whole.tp / whole.fired) / (whole.fn / (whole.population - whole.fired)) == pytest.approx(2.1538, abs=5e-5)


@given(TABLES)
def test_they_agree_with_statsmodels(some: list[Closed]):
    ours, theirs = strata(*some), reference(some)
    ratio, odds, same = risk_ratio(ours), odds_ratio(ours), breslow_day(ours)
    assert ratio is not None
    assert odds is not None
    assert same is not None
    assert ratio.value == pytest.approx(theirs.riskratio_pooled)
    assert odds.value == pytest.approx(theirs.oddsratio_pooled)
    assert odds.interval is not None
    assert (odds.interval.low, odds.interval.high) == pytest.approx(theirs.oddsratio_pooled_confint())
    if abs(odds.value - 1) > 1e-6:  # statsmodels divides by zero there
        assert same.statistic == pytest.approx(theirs.test_equal_odds().statistic, rel=1e-6, abs=1e-9)
    assert cmh_z(ours)[0] ** 2 == pytest.approx(theirs.test_null_odds(correction=False).statistic)


@given(TABLES)
def test_one_stratum_gives_the_plain_ratio_with_katz_interval(some: list[Closed]):
    one = some[0]
    ratio = risk_ratio(strata(one))
    assert ratio is not None
    assert ratio.interval is not None
    assert one.lift_interval is not None
    share = one.fired / one.population
    carried = [end / (share * end + 1 - share) for end in (ratio.interval.low, ratio.interval.high)]
    assert carried == pytest.approx([one.lift_interval.low, one.lift_interval.high], rel=1e-9)


@given(TABLES)
def test_exchanging_fired_and_unfired_inverts_the_ratios(some: list[Closed]):
    turned = strata(*(Closed(one.fn, one.tn, one.tp, one.fp) for one in some))
    for ratio in (risk_ratio, odds_ratio):
        there, back = ratio(strata(*some)), ratio(turned)
        assert there is not None
        assert back is not None
        assert there.value * back.value == pytest.approx(1.0)
    assert cmh_z(turned)[0] == pytest.approx(-cmh_z(strata(*some))[0], abs=1e-9)


def test_nothing_is_told_without_a_comparison():
    everyone_fired = strata(Closed(3, 7, 0, 0))
    assert risk_ratio(everyone_fired) is None
    assert odds_ratio(everyone_fired) is None
    assert breslow_day(everyone_fired) is None
    assert cmh_z(everyone_fired)[0] == -np.inf
    none_hit = risk_ratio(strata(Closed(0, 9, 30, 261)))
    assert none_hit is not None
    assert (none_hit.value, none_hit.interval) == (0.0, None)


def test_many_hypotheses_are_screened_at_once():
    rng = np.random.default_rng(3)
    units = rng.integers(2, 300, (50, 4))
    converters, fired = rng.integers(0, units + 1), rng.integers(0, units + 1)
    hits = rng.hypergeometric(converters, units - converters, fired)
    at_once = cmh_z(Strata(units, converters, fired, hits))
    assert at_once == pytest.approx([cmh_z(Strata(*one))[0] for one in zip(units, converters, fired, hits, strict=True)])


@pytest.mark.parametrize(
    ("table", "value", "ends"),
    [
        (Closed(912, 372, 1259, 10607), 6.694350, (6.286676, 7.128461)),
        (Closed(89, 36, 123, 1036), 6.709008, (5.488109, 8.201512)),
        (Closed(5, 7, 15, 173), 5.222222, (2.284119, 11.939660)),
    ],
)
def test_the_risk_ratios_of_the_running_examples(table: Closed, value: float, ends: tuple[float, float]):
    ratio = risk_ratio(strata(table))
    assert ratio is not None
    assert ratio.value == pytest.approx(value, abs=1e-6)
    assert ratio.interval is not None
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx(ends, abs=1e-5)

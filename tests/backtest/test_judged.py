"""The interval of observed over expected: against plain sums over units, against jackknife, whatever order, however cut."""

import math

import numpy as np
import pytest

from backtest.baseline import MINIMUM_COMPARATORS, Comparators
from backtest.judged import Judged, Observed, observed
from backtest.proportions import ratio_interval, wilson
from tests.backtest.test_proportions import ends

H = 100


def units(seed: int, size: int = 300) -> tuple[Comparators, Judged, np.ndarray]:
    """Units at risk from some age to some age, a third of whom fire while they are; those who fire convert more often."""
    rng = np.random.default_rng(seed)
    start = np.where(rng.random(size) < 0.7, 0, rng.integers(0, 60, size))
    end = start + rng.integers(40, 120, size)
    fires = rng.random(size) < 0.35
    outcome = np.where(rng.random(size) < np.where(fires, 0.6, 0.3), start + rng.integers(1, 250, size), 10**6)
    stop = np.minimum(end, outcome)
    everyone = Comparators(start, np.clip(outcome - H, start, stop), stop)
    who = np.flatnonzero(fires)
    age = rng.integers(start[who], stop[who])
    return everyone, Judged(age, Comparators(*(column[who] for column in everyone.columns))), who


def lift_of(everyone: Comparators, fires: Judged) -> float:
    total = 0.0
    for age in fires.ages.tolist():
        at_risk = (everyone.start <= age) & (age < everyone.stop)
        total += (at_risk & (everyone.soonest <= age)).sum() / at_risk.sum()
    return float(fires.hits.sum()) / total


def told(everyone: Comparators, fires: Judged) -> Observed:
    return observed(fires, everyone.ordered(), everyone.table())


def without(everyone: Comparators, fires: Judged, who: np.ndarray, unit: int) -> float:
    rest = np.arange(len(everyone)) != unit
    return lift_of(Comparators(*(column[rest] for column in everyone.columns)), fires.where(who != unit))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_is_what_leaving_out_each_unit_in_turn_shows(seed: int) -> None:
    everyone, fires, who = units(seed)
    enough = everyone.table().at_risk(fires.ages) > 2 * MINIMUM_COMPARATORS
    fires, who = fires.where(enough), who[enough]
    left = np.log([without(everyone, fires, who, unit) for unit in range(len(everyone))])
    jackknife = math.sqrt((len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum())
    assert told(everyone, fires).spread == pytest.approx(jackknife, rel=0.03)


def test_what_all_units_add_as_comparators_cancels_out() -> None:
    everyone, fires, _ = units(4)
    fires = fires.where(everyone.table().at_risk(fires.ages) >= MINIMUM_COMPARATORS)
    one = told(everyone, fires)
    by_hand = np.zeros(len(everyone))
    for age in fires.ages.tolist():
        at_risk = (everyone.start <= age) & (age < everyone.stop)
        converts = at_risk & (everyone.soonest <= age)
        by_hand += (converts - converts.sum() / at_risk.sum() * at_risk) / at_risk.sum()
    assert by_hand.sum() == pytest.approx(0, abs=1e-12)
    assert (by_hand**2).sum() == pytest.approx((one.own**2).sum() + one.others)


def test_neither_order_nor_buckets_change_a_digit() -> None:
    everyone, fires, _ = units(5)
    rng = np.random.default_rng(0)
    mixed, again = rng.permutation(len(everyone)), rng.permutation(len(fires.ages))
    parts = [Comparators(*(column[some] for column in everyone.columns)) for some in (mixed[:80], mixed[80:])]
    other = told(parts[0] + parts[1], fires.where(again[:20]) + fires.where(again[20:]))
    one = told(everyone, fires)
    assert one.interval(2.0) == other.interval(2.0)
    assert one.bootstrap(np.random.default_rng(1)) == other.bootstrap(np.random.default_rng(1))


def test_resampling_shows_the_same_spread() -> None:
    everyone, fires, _ = units(6, 2_000)
    fires = fires.where(everyone.table().at_risk(fires.ages) >= MINIMUM_COMPARATORS)
    one, lift = told(everyone, fires), lift_of(everyone, fires)
    assert ends(one.bootstrap(np.random.default_rng(2), 4_000)) == pytest.approx(ends(one.interval(lift)), rel=0.02)


def test_fires_that_are_few_among_their_comparators_have_the_interval_of_a_known_expectation() -> None:
    everyone, fires, _ = units(7, 20_000)
    fires = fires.where(np.arange(200))
    base = float(told(everyone, fires).expected.mean())
    lift = float(fires.hits.mean()) / base
    assert ends(told(everyone, fires).interval(lift)) == pytest.approx(ends(ratio_interval(int(fires.hits.sum()), 200, lift)), rel=0.02)


def test_where_none_or_all_hit_the_limits_are_those_of_the_precision() -> None:
    for hits in (0, 9):
        one = Observed(np.full(9, hits > 0), np.full(9, 0.25), np.zeros(9), 0.1)
        share = wilson(hits, 9)
        assert share is not None
        assert ends(one.interval(hits / 9 / 0.25)) == pytest.approx((share.low / 0.25, share.high / 0.25))
    assert Observed(np.zeros(0, bool), np.zeros(0), np.zeros(0), 0.0).interval(0.0) is None


def test_where_everybody_fires_at_entry_there_is_nothing_to_be_uncertain_about() -> None:
    everyone, _, _ = units(8)
    since = Comparators(np.zeros(300, np.int64), np.maximum(everyone.soonest - everyone.start, 0), everyone.stop - everyone.start)
    fires = Judged(np.zeros(300, np.int64), since)
    assert lift_of(since, fires) == pytest.approx(1, abs=1e-12)
    assert told(since, fires).interval(1.0) is None

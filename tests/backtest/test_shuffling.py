"""Westfall and Young's step-down, against plain loops and the exhaustive worked example."""

import math
from itertools import combinations

import numpy as np
import pytest

from backtest.shuffling import best_null_lifts, shuffles, westfall_young
from backtest.stratified import strata_of


def bits(text: str) -> np.ndarray:
    return np.array([one == "1" for one in text])


def test_the_exhaustive_example():
    observed = bits("11100000")
    every = np.array([[place in three for place in range(8)] for three in combinations(range(8), 3)])
    assert (every[0] == observed).all()
    fired = np.array([bits(one) for one in ("11100000", "11010000", "01111000", "00001111")])
    found = westfall_young(fired, np.zeros(8, np.int32), every)
    assert np.exp(found.log_p) == pytest.approx([0.017857, 0.285714, 0.5, 1], abs=5e-7)
    assert found.single_step == pytest.approx([0.035714, 0.517857, 1, 1], abs=5e-7)
    assert found.step_down == pytest.approx([0.035714, 0.392857, 0.839286, 1], abs=5e-7)


def by_loops(fired: np.ndarray, stratum: np.ndarray, outcomes: np.ndarray) -> tuple[list[float], list[float]]:
    m, strata = len(fired), int(stratum.max()) + 1
    p = np.array([[strata_of(stratum, one, row, strata).p_value for one in fired] for row in outcomes], float)
    by = np.argsort(p[0])
    down, single = [0.0] * m, [0.0] * m
    highest = 0.0
    for place, one in enumerate(by):
        rest = p[:, by[place:]].min(1)
        highest = max(highest, float((rest <= p[0, one] * (1 + 1e-9)).mean()))
        down[one] = highest
        single[one] = float((p.min(1) <= p[0, one] * (1 + 1e-9)).mean())
    return single, down


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_definition_in_loops(seed: int):
    rng = np.random.default_rng(seed)
    stratum = rng.integers(0, 3, 40).astype(np.int32)
    converted = rng.random(40) < 0.4
    fired = rng.random((7, 40)) < rng.uniform(0.1, 0.8, (7, 1))
    fired[0] |= converted
    outcomes = shuffles(converted, stratum, rng, 50)
    found = westfall_young(fired, stratum, outcomes)
    single, down = by_loops(fired, stratum, outcomes)
    assert found.single_step == pytest.approx(single)
    assert found.step_down == pytest.approx(down)


def test_blocks_of_hypotheses_do_not_show():
    rng = np.random.default_rng(9)
    stratum, converted = rng.integers(0, 2, 60).astype(np.int32), rng.random(60) < 0.3
    fired = rng.random((30, 60)) < rng.uniform(0.1, 0.9, (30, 1))
    outcomes = shuffles(converted, stratum, rng, 80)
    whole, lifts = westfall_young(fired, stratum, outcomes), best_null_lifts(fired, outcomes)
    assert (westfall_young(fired, stratum, outcomes, together=7).step_down == whole.step_down).all()
    assert best_null_lifts(fired, outcomes, together=7) == pytest.approx(lifts)


def test_shuffles_keep_what_is_observed_and_the_converters_of_each_stratum():
    rng = np.random.default_rng(1)
    stratum, converted = rng.integers(0, 5, 300).astype(np.int32), rng.random(300) < 0.2
    rows = shuffles(converted, stratum, rng, 40)
    assert (rows[0] == converted).all()
    assert not (rows[1] == converted).all()
    for one in range(5):
        assert (rows[:, stratum == one].sum(1) == converted[stratum == one].sum()).all()
    assert (shuffles(converted, stratum, np.random.default_rng(3), 9) == shuffles(converted, stratum, np.random.default_rng(3), 9)).all()


def test_adjusted_p_lies_between_the_single_p_and_bonferroni_and_copies_cost_nothing():
    rng = np.random.default_rng(12)
    stratum = np.zeros(400, np.int32)
    converted = rng.random(400) < 0.2
    one = (rng.random(400) < 0.3) | (converted & (rng.random(400) < 0.25))
    outcomes = shuffles(converted, stratum, rng, 2_000)
    alone = westfall_young(one[None], stratum, outcomes)
    copied = westfall_young(np.repeat(one[None], 20, 0), stratum, outcomes)
    assert copied.step_down == pytest.approx(np.repeat(alone.step_down, 20))
    p = math.exp(alone.log_p[0])
    assert alone.step_down[0] == pytest.approx(p, abs=4 * math.sqrt(p / 2_000) + 1 / 2_000)
    threshold = copied.threshold(0.05)
    assert threshold is not None
    assert threshold > 0.05 / 20
    assert westfall_young(one[None], stratum, outcomes[:10]).threshold(0.05) is None


def test_the_best_null_lift_of_a_search():
    rng = np.random.default_rng(5)
    converted = np.arange(2_000) < 200
    fired = np.zeros((100, 2_000), bool)
    for row in fired:
        row[rng.choice(2_000, 50, replace=False)] = True
    lifts = best_null_lifts(fired, shuffles(converted, np.zeros(2_000, np.int32), rng, 400))
    assert lifts.mean() == pytest.approx(2.16, abs=0.05)
    assert len(best_null_lifts(fired[:0], converted[None])) == 0


@pytest.mark.long
def test_a_search_of_thousands_keeps_its_family_wise_error():
    rng = np.random.default_rng(30)
    stratum = np.repeat(np.arange(13, dtype=np.int32), 80)
    chance = np.linspace(0.05, 0.25, 13)[stratum]
    singles = rng.random((60, len(stratum))) < rng.uniform(0.05, 0.4, (60, 1))
    fired = np.concatenate([singles, *((singles[one] & singles[one + 1 :]) for one in range(59))])
    wrong = 0
    for _ in range(100):
        outcomes = shuffles(rng.random(len(stratum)) < chance, stratum, rng, 200)
        wrong += bool((westfall_young(fired, stratum, outcomes).step_down <= 0.1).any())
    assert wrong <= 10 + 3 * math.sqrt(100 * 0.1 * 0.9)

"""Resampled intervals of lift: against the worked figures, against formulas, and independent of how rows are ordered."""

import numpy as np
import pytest

from backtest.bootstrap import lift_of_fires, lift_of_patterns, lift_of_rows
from backtest.proportions import Closed, ratio_interval
from tests.backtest.test_proportions import E1, E2, E3, ends


def rows(table: Closed) -> tuple[np.ndarray, np.ndarray]:
    times = (table.tp, table.fp, table.fn, table.tn)
    return np.repeat([True, True, False, False], times), np.repeat([True, False, True, False], times)


@pytest.mark.parametrize(("table", "expected", "tolerance"), [(E1, (4.129, 4.480), 0.02), (E2, (3.788, 4.926), 0.04), (E3, (1.563, 7.576), 0.15)])
def test_the_worked_figures(table: Closed, expected: tuple[float, float], tolerance: float):
    """Themselves simulated, with 20,000 rounds."""
    assert ends(lift_of_rows(*rows(table), np.random.default_rng(1), rounds=20_000)) == pytest.approx(expected, abs=tolerance)


def test_order_carries_no_meaning_and_patterns_suffice():
    rng = np.random.default_rng(2)
    fired, converted, unit = rng.random(300) < 0.3, rng.random(300) < 0.2, rng.integers(0, 90, 300).astype(np.int32)
    shuffled = rng.permutation(300)
    renamed = rng.permutation(90).astype(np.int32)[unit]
    whole = lift_of_rows(fired, converted, np.random.default_rng(7), unit)
    assert whole == lift_of_rows(fired[shuffled], converted[shuffled], np.random.default_rng(7), renamed[shuffled])
    per_unit = np.array(
        [[(fired & converted)[unit == u].sum(), fired[unit == u].sum(), converted[unit == u].sum(), (unit == u).sum()] for u in set(unit)]
    )
    assert whole == lift_of_patterns(*np.unique(per_unit, axis=0, return_counts=True), np.random.default_rng(7))
    buckets = [np.unique(part, axis=0, return_counts=True) for part in (per_unit[:30], per_unit[30:])]
    patterns, times = (np.concatenate(column) for column in zip(*buckets, strict=True))
    assert whole == lift_of_patterns(patterns, times, np.random.default_rng(7))
    hits, expected = rng.random(200) < 0.4, rng.random(200) * 0.3
    mixed = rng.permutation(200)
    assert lift_of_fires(hits, expected, np.random.default_rng(7)) == lift_of_fires(hits[mixed], expected[mixed], np.random.default_rng(7))


def test_fires_of_units_of_their_own_agree_with_the_formula():
    rng = np.random.default_rng(3)
    expected = rng.uniform(0.1, 0.2, 600)
    hits = rng.random(600) < 2.5 * expected
    lift = hits.sum() / expected.sum()
    assert ends(lift_of_fires(hits, expected, rng)) == pytest.approx(ends(ratio_interval(int(hits.sum()), 600, lift)), rel=0.05)


def test_rows_of_one_unit_move_together():
    rng = np.random.default_rng(4)
    fired, converted = rng.random(200) < 0.3, rng.random(200) < 0.2
    single = ends(lift_of_rows(fired, converted, np.random.default_rng(5)))
    unit = np.tile(np.arange(200, dtype=np.int32), 4)
    four = ends(lift_of_rows(np.tile(fired, 4), np.tile(converted, 4), np.random.default_rng(5), unit))
    assert four == pytest.approx(single)
    assert np.diff(ends(lift_of_rows(np.tile(fired, 4), np.tile(converted, 4), np.random.default_rng(5)))) < 0.7 * np.diff(single)
    hits, expected = rng.random(150) < 0.3, np.full(150, 0.1)
    pair = np.repeat(np.arange(150, dtype=np.int32), 2)
    doubled = lift_of_fires(np.repeat(hits, 2), np.repeat(expected, 2), np.random.default_rng(6), pair)
    assert ends(doubled) == pytest.approx(ends(lift_of_fires(hits, expected, np.random.default_rng(6))))


def test_it_cannot_tell_where_resamples_have_no_lift():
    rng = np.random.default_rng(5)
    nobody = np.zeros(50, bool)
    assert lift_of_rows(nobody, nobody, rng) is None
    assert lift_of_rows(nobody[:0], nobody[:0], rng) is None
    assert lift_of_fires(nobody[:0], np.empty(0), rng) is None
    once = nobody.copy()
    once[0] = True
    assert lift_of_rows(once, once, rng) is None


@pytest.mark.long
def test_it_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(400):
        fired = rng.random(1_500) < 0.2
        low, high = ends(lift_of_rows(fired, rng.random(1_500) < np.where(fired, 0.3, 0.1), rng, rounds=500))
        covered += low <= 0.3 / 0.14 <= high
    assert covered / 400 == pytest.approx(0.945, abs=0.035)

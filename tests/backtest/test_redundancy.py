"""Overlap, what is left of a lift once others are known, and a covering list without near-copies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.proportions import Closed
from backtest.redundancy import Increment, Overlap, common, conditional_lift, covering, increment, merges, overlap
from tests.backtest.test_stratified import EXAMPLE


def test_the_worked_overlap():
    example = Overlap(100, 120, 40)
    assert example.jaccard == pytest.approx(0.2222, abs=5e-5)
    assert example.first_contained == pytest.approx(0.40)
    assert not example.suggests_merge
    assert Overlap(100, 300, 95).suggests_merge
    assert not Overlap(100, 300, 94).suggests_merge
    assert Overlap(90, 90, 80).suggests_merge  # Jaccard exactly 0.8
    assert Overlap(0, 9, 0) == Overlap(0, 4, 0) + Overlap(0, 5, 0)
    assert Overlap(0, 0, 0).jaccard is Overlap(0, 9, 0).first_contained is None
    assert not Overlap(0, 9, 0).suggests_merge


@given(st.integers(0, 2**32))
def test_all_pairs_at_once_are_the_pairs_one_by_one(seed: int):
    rng = np.random.default_rng(seed)
    fired = rng.random((6, 40)) < rng.random((6, 1))
    fired[3] = fired[0]
    fired[4] &= fired[1]
    shared = common(fired)
    pairs = {(i, j): overlap(fired[i], fired[j]) for i in range(6) for j in range(i + 1, 6)}
    assert all(shared[i, j] == one.both and shared[i, i] == one.first for (i, j), one in pairs.items())
    assert merges(shared) == [pair for pair, one in pairs.items() if one.suggests_merge]


def flags(tables: list[Closed]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fired, converted and stratum, unit by unit."""
    cells = [
        (x, y, k) for k, one in enumerate(tables) for x, y, n in ((1, 1, one.tp), (1, 0, one.fp), (0, 1, one.fn), (0, 0, one.tn)) for _ in range(n)
    ]
    fired, converted, stratum = np.array(cells).T
    return fired.astype(bool), converted.astype(bool), stratum


def test_the_worked_conditional_lift():
    fired, converted, flagged = flags(EXAMPLE)
    ratio = conditional_lift(fired, converted, flagged.astype(bool))
    assert ratio is not None
    assert ratio.value == pytest.approx(1.7619, abs=5e-5)
    assert ratio.interval is not None
    assert 1 < ratio.interval.low < ratio.value < ratio.interval.high
    same = conditional_lift(fired, converted, np.zeros(len(fired), bool), flagged.astype(np.int32))
    assert same == ratio


def test_a_copy_of_what_is_known_has_no_conditional_lift_to_tell():
    rng = np.random.default_rng(0)
    fired, converted = rng.random(500) < 0.3, rng.random(500) < 0.2
    assert conditional_lift(fired, converted, fired) is None


def test_a_proxy_loses_its_lift_once_the_cause_is_known():
    rng = np.random.default_rng(1)
    cause = rng.random(20_000) < 0.2
    proxy = np.where(cause, rng.random(20_000) < 0.7, rng.random(20_000) < 0.1)
    converted = rng.random(20_000) < np.where(cause, 0.4, 0.1)
    alone = conditional_lift(proxy, converted, np.zeros(20_000, bool))
    known = conditional_lift(proxy, converted, cause)
    assert alone is not None
    assert known is not None
    assert alone.value > 2
    assert known.value == pytest.approx(1.0, abs=0.12)


def test_what_is_added_counts_new_units_only():
    fired = np.array([1, 1, 1, 0, 0, 1], bool)
    converted = np.array([1, 1, 0, 1, 0, 0], bool)
    flagged = np.array([1, 0, 0, 0, 1, 0], bool)
    added = increment(fired, converted, flagged)
    assert added == Increment(new=3, new_hits=1, converters=3)
    assert (added.precision, added.recall) == pytest.approx((1 / 3, 1 / 3))
    assert Increment(0, 0, 0).precision is Increment(0, 0, 0).recall is None


def test_covering_takes_different_causes_and_no_copies():
    rng = np.random.default_rng(3)
    first, second = rng.random(5_000) < 0.1, rng.random(5_000) < 0.08
    converted = rng.random(5_000) < np.where(first | second, 0.6, 0.04)
    copies = [first & (rng.random(5_000) < 0.97) for _ in range(5)]
    noise = [rng.random(5_000) < 0.1 for _ in range(5)]
    fired = np.array([first, *copies, second, *noise])
    found = covering(fired, converted, limit=10)
    assert found[0].hypothesis in range(6)
    assert found[1].hypothesis == 6
    assert not {one.hypothesis for one in found[2:]} & set(range(6))
    assert found[0].gain > found[1].gain
    for one in found:
        assert one.added.recall is not None
        assert one.added.recall >= 0.02
    chosen = fired[[one.hypothesis for one in found]]
    assert sum(one.added.new_hits for one in found) == int((chosen.any(0) & converted).sum())
    assert len(covering(fired, converted, limit=1)) == 1


def test_covering_begins_with_the_highest_relative_accuracy_and_ends_when_nothing_is_accurate():
    rng = np.random.default_rng(4)
    converted = rng.random(300) < 0.3
    fired = rng.random((12, 300)) < rng.uniform(0.1, 0.6, (12, 1))
    accuracy = [(one & converted).sum() / 300 - one.mean() * converted.mean() for one in fired]
    found = covering(fired, converted, 12)
    assert found[0].hypothesis == int(np.argmax(accuracy))
    assert found[0].gain == pytest.approx(max(accuracy))
    assert all(one.gain > 0 for one in found)
    assert covering(fired[:0], converted, 3) == covering(fired, np.zeros(300, bool), 3) == []
    assert covering(~converted[None], converted, 3) == []

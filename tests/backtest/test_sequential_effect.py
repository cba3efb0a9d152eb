"""The effect of routing under free looks: definitions, coverage, false alarms, and whether the planned numbers are enough."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.sequential_effect import BETS, Drawn, difference_at_any_look, log_evidence, needed

LOG20 = math.log(20)
units = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


def drawn(some: list[tuple[bool, bool]], share: float = 0.2) -> Drawn:
    return Drawn(np.array([held for held, _ in some], bool), np.array([hit for _, hit in some], bool), share)


def by_hand(some: list[tuple[bool, bool]], share: float, difference: float, sign: int) -> float:
    """The capital of bets of one sign, unit by unit."""
    most = 0.9 / (1 / share + 1)
    capitals, hits = [1.0] * BETS, 0
    for before, (held, hit) in enumerate(some):
        guess = (0.5 + hits) / (1 + before)
        score = -(hit - guess) / share if held else (hit - guess) / (1 - share)
        capitals = [one * (1 + sign * most * 2 ** (-place / 2) * (score - difference)) for place, one in enumerate(capitals)]
        hits += hit
    return sum(capitals) / BETS


@given(units)
def test_the_evidence_is_the_capital_of_its_bets(some: list[tuple[bool, bool]]):
    told = (by_hand(some, 0.2, 0.0, 1) + by_hand(some, 0.2, 0.0, -1)) / 2
    assert log_evidence(drawn(some)) == pytest.approx(math.log(told), abs=1e-9)


def test_over_all_outcomes_of_the_draw_the_capital_is_one_whatever_the_units_do():
    """The sharp null: who converts is fixed in advance, and only the draw is by chance."""
    share = 0.2
    for hits in product((False, True), repeat=5):
        mean = 0.0
        for helds in product((False, True), repeat=5):
            chance = math.prod(share if held else 1 - share for held in helds)
            mean += chance * math.exp(log_evidence(drawn(list(zip(helds, hits, strict=True)), share)))
        assert mean == pytest.approx(1, abs=1e-9)


@given(units.filter(lambda one: len({held for held, _ in one}) == 2))
def test_the_interval_ends_where_the_capital_reaches_its_height(some: list[tuple[bool, bool]]):
    told = difference_at_any_look(drawn(some), 0.2)
    assert told is not None
    assert by_hand(some, 0.2, told.low, 1) == pytest.approx(10, rel=1e-3) or told.low == -1
    assert by_hand(some, 0.2, told.high, -1) == pytest.approx(10, rel=1e-3) or told.high == 1


def test_an_empty_arm_says_nothing():
    assert difference_at_any_look(drawn([(False, True)] * 9)) is None
    assert log_evidence(drawn([])) == 0
    with pytest.raises(ValueError, match="probability"):
        drawn([], 0.0)


def experiment(rng: np.random.Generator, routed: np.ndarray, held: np.ndarray, share: float) -> Drawn:
    out = rng.random(len(routed)) < share
    return Drawn(out, rng.random(len(routed)) < np.where(out, held, routed), share)


def until(whole: Drawn, n: int) -> Drawn:
    return Drawn(whole.held[:n], whole.hit[:n], whole.share)


@pytest.mark.parametrize(("base", "added", "share"), [(0.2, 0.0, 0.2), (0.2, 0.08, 0.1), (0.05, 0.03, 0.2)])
def test_the_truth_is_within_at_every_look_while_the_base_rate_drifts(base: float, added: float, share: float):
    rng, runs, n = np.random.default_rng(5), 80, 1000
    rate, missed = base * np.linspace(1.4, 0.6, n), 0
    for _ in range(runs):
        whole = experiment(rng, rate + added, rate, share)
        looks = [difference_at_any_look(until(whole, size)) for size in range(200, n + 1, 200)]
        missed += any(told is not None and not told.low <= added <= told.high for told in looks)
    assert missed / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("drifting", [False, True])
def test_looking_again_and_again_finds_no_effect_that_is_not_there(drifting: bool):
    rng, runs, n = np.random.default_rng(6), 200, 1500
    rate = np.linspace(0.35, 0.1, n) if drifting else np.full(n, 0.2)
    false = 0
    for _ in range(runs):
        whole = experiment(rng, rate, rate, 0.2)
        false += any(log_evidence(until(whole, size)) >= LOG20 for size in range(50, n + 1, 50))
    assert false / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


def test_the_worked_sample_sizes():
    ten, twenty = needed(0.20, 0.05, 0.1), needed(0.20, 0.05, 0.2)
    assert ten is not None
    assert twenty is not None
    assert (ten.routed, ten.held) == (5594, 622)
    assert (twenty.routed, twenty.held) == (2783, 696)
    assert 1 < ten.routed_at_any_look / ten.routed < 2.5
    assert needed(0.2, 0.05, 0.0) is needed(0.9, 0.2, 0.1) is None


def test_the_numbers_for_any_look_are_enough_and_no_waste():
    plan = needed(0.2, 0.1, 0.2)
    assert plan is not None
    rng, runs, n = np.random.default_rng(7), 200, plan.routed_at_any_look + plan.held_at_any_look
    found = 0
    for _ in range(runs):
        whole = experiment(rng, np.full(n, 0.3), np.full(n, 0.2), 0.2)
        found += any(log_evidence(until(whole, size)) >= LOG20 for size in range(n // 20, n + 1, n // 20))
    assert 0.75 <= found / runs <= 0.97

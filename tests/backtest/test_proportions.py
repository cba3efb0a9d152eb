"""The running examples E1 to E3 and the small intervals, against statsmodels and the worked figures."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import hypergeom
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from backtest.proportions import Closed, Interval, ratio_interval, wilson
from backtest.score_intervals import clopper_pearson, haldane_ratio, lift_score, newcombe_difference, score_ratio

E1, E2, E3 = Closed(912, 372, 1259, 10607), Closed(89, 36, 123, 1036), Closed(5, 7, 15, 173)
EXAMPLES = pytest.mark.parametrize(
    ("table", "precision", "wilson_ends", "exact_ends", "recall", "recall_ends", "lift", "lift_ends"),
    [
        (E1, 0.710280, (0.684870, 0.734436), (0.684617, 0.734977), 0.420083, (0.399480, 0.440968), 4.302251, (4.146324, 4.459751)),
        (E2, 0.712000, (0.627233, 0.784125), (0.624218, 0.789451), 0.419811, (0.355383, 0.487094), 4.312302, (3.819339, 4.821351)),
        (E3, 0.416667, (0.193260, 0.680489), (0.151652, 0.723330), 0.25, (0.111862, 0.468701), 4.166667, (2.120723, 7.208287)),
    ],
)
CELL = st.integers(0, 80)
TABLES = st.builds(Closed, CELL, CELL, CELL, CELL)


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


@EXAMPLES
def test_the_running_examples(table: Closed, precision, wilson_ends, exact_ends, recall, recall_ends, lift, lift_ends):
    def near(value):
        return pytest.approx(value, abs=1e-6)

    assert table.tp / table.fired == near(precision)
    assert ends(wilson(table.tp, table.fired)) == near(wilson_ends)
    assert ends(clopper_pearson(table.tp, table.fired)) == near(exact_ends)
    assert table.tp / table.converters == near(recall)
    assert ends(wilson(table.tp, table.converters)) == near(recall_ends)
    assert table.lift == near(lift)
    assert ends(table.lift_interval) == near(lift_ends)
    assert recall / lift == pytest.approx(table.fired / table.population, abs=1e-6)


def test_one_sided_exact_p_of_the_examples():
    assert E1.p_value == 0.0
    assert E2.p_value == pytest.approx(1.167e-48, rel=1e-3)
    assert E3.p_value == pytest.approx(0.00303540, rel=1e-5)


def test_the_hand_labelled_toy_table():
    toy = Closed(2, 2, 1, 3)
    assert (toy.tp / toy.fired, toy.converters / toy.population) == (0.5, 0.375)
    assert toy.tp / toy.converters == pytest.approx(0.6667, abs=5e-5)
    assert toy.lift == pytest.approx(1.3333, abs=5e-5)
    assert toy.p_value == pytest.approx(0.5)


def test_no_hits_leave_an_upper_limit():
    none = Closed(0, 9, 30, 261)
    assert ends(wilson(0, 9)) == pytest.approx((0, 0.2991), abs=5e-5)
    assert ends(clopper_pearson(0, 9)) == pytest.approx((0, 0.3363), abs=5e-5)
    assert none.lift_interval is None
    assert ends(score_ratio(0, 9, 30, 291)) == pytest.approx((0, 3.0025), abs=5e-5)
    fallback = haldane_ratio(none)
    assert fallback is not None
    assert fallback.value == pytest.approx(0.4787, abs=5e-5)
    assert ends(fallback.interval) == pytest.approx((0.0315, 7.284), abs=5e-4)
    low, high = ends(lift_score(none))
    assert low == 0
    assert high == pytest.approx(3.002525 / (0.03 * 3.002525 + 0.97), abs=1e-6)


def test_everybody_who_converted_fired_leaves_a_lower_limit():
    all_fired = Closed(5, 7, 0, 188)
    assert all_fired.lift_interval is None
    low, high = ends(lift_score(all_fired))
    assert all_fired.lift == high == pytest.approx(200 / 12)
    assert 1 < low < high


def test_nothing_is_said_of_nothing():
    assert wilson(0, 0) is clopper_pearson(0, 0) is None
    assert score_ratio(0, 9, 0, 30) is None
    assert lift_score(Closed(3, 4, 0, 0)) is lift_score(Closed(0, 0, 3, 4)) is haldane_ratio(Closed(3, 4, 0, 0)) is None
    assert newcombe_difference(1, 0, 3, 9) is None
    assert ratio_interval(0, 9, 0.0) is None


def test_newcombes_difference():
    assert ends(newcombe_difference(230, 1000, 45, 250)) == pytest.approx((-0.0080, 0.1005), abs=5e-5)


@given(st.integers(0, 200), st.integers(0, 200))
def test_proportions_agree_with_statsmodels(hits: int, misses: int):
    assume(hits + misses)
    n = hits + misses
    assert ends(wilson(hits, n)) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)
    assert ends(clopper_pearson(hits, n)) == pytest.approx(proportion_confint(hits, n, method="beta"), abs=1e-9)
    inner, outer = wilson(hits, n), clopper_pearson(hits, n)
    assert inner is not None
    assert outer is not None
    assert inner.low <= hits / n <= inner.high
    assert outer.low <= hits / n <= outer.high


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_ratios_and_differences_agree_with_statsmodels(tp: int, fp: int, fn: int, tn: int):
    cells = (tp, tp + fp, fn, fn + tn)
    theirs = confint_proportions_2indep(*cells, compare="ratio", method="score")
    assert ends(score_ratio(*cells)) == pytest.approx(theirs, rel=1e-6)
    assert ends(newcombe_difference(*cells)) == pytest.approx(confint_proportions_2indep(*cells, compare="diff", method="newcomb"), abs=1e-9)


@given(TABLES)
def test_the_score_interval_holds_the_lift_and_turns_with_the_table(table: Closed):
    interval = lift_score(table)
    assume(interval is not None)
    assert interval is not None
    assert table.lift is not None
    assert interval.low - 1e-9 <= table.lift <= interval.high + 1e-9
    there = score_ratio(table.tp, table.fired, table.fn, table.fn + table.tn)
    back = score_ratio(table.fn, table.fn + table.tn, table.tp, table.fired)
    assert there is not None
    assert back is not None
    inverse = [math.inf if end == 0 else 1 / end for end in (back.high, back.low)]
    assert [there.low, there.high] == pytest.approx(inverse, rel=1e-6)


@given(TABLES, TABLES)
def test_tables_add_and_p_is_a_tail(one: Closed, other: Closed):
    whole = one + other
    assert whole.population == one.population + other.population
    assume(whole.population)
    tail = sum(hypergeom.pmf(x, whole.population, whole.converters, whole.fired) for x in range(whole.tp, whole.fired + 1))
    assert whole.p_value == pytest.approx(tail, rel=1e-6, abs=1e-12)

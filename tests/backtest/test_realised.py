"""Realised precision: only what has matured counts, and its intervals hold the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.holdout import LARGEST_SHARE, is_held
from backtest.realised import Realised, judged, realised
from beton.work.becoming import Became, became

DAY = 86_400_000_000
H = 14 * DAY


def test_each_edge_by_hand():
    until = 100 * DAY
    assert judged(86 * DAY, 99 * DAY, H, until) == Realised(matured=1, converted=1)  # f + H = until is complete
    assert judged(86 * DAY + 1, 90 * DAY, H, until) == Realised(too_early=1)  # also where the outcome has come
    assert judged(50 * DAY, 64 * DAY, H, until) == Realised(matured=1, converted=1)
    assert judged(50 * DAY, 64 * DAY + 1, H, until) == Realised(matured=1)
    assert judged(50 * DAY, None, H, until) == Realised(matured=1)
    assert judged(50 * DAY, 50 * DAY, H, until) == Realised(had_converted=1)  # a tie is never a success
    assert judged(99 * DAY, 20 * DAY, H, until) == Realised(had_converted=1)


@given(st.lists(st.tuples(st.integers(0, 60), st.none() | st.integers(0, 60))), st.integers(1, 20), st.integers(0, 60))
def test_it_counts_as_the_backtest_does(fires: list[tuple[int, int | None]], horizon: int, until: int):
    told = realised(fires, horizon, until)
    kinds = [became(fired, outcome, horizon, until) for fired, outcome in fires]
    count = {kind: kinds.count(kind) for kind in Became}
    assert told == Realised(count[Became.PENDING], count[Became.BEFORE], count[Became.CONVERTED] + count[Became.NOT], count[Became.CONVERTED])


def test_nothing_matured_is_no_zero():
    told = Realised(too_early=40)
    assert told.precision is told.interval is told.at_any_look is None


def test_counting_early_successes_would_flatter_and_maturity_does_not():
    """Half a year of fires with a true precision of 0.3; the last two weeks are young."""
    rng = np.random.default_rng(3)
    fired = rng.integers(0, 60 * DAY, 20_000)
    late = np.where(rng.random(20_000) < 0.3, rng.integers(1, H, 20_000), 90 * DAY)
    seen = [(int(f), int(f + late) if f + late < 60 * DAY else None) for f, late in zip(fired, late, strict=True)]
    told = realised(seen, H, 60 * DAY)
    assert told.precision == pytest.approx(0.3, abs=0.01)
    young = [one for one in seen if one[0] + H > 60 * DAY]
    assert told.too_early == len(young)


@pytest.mark.parametrize("precision", [0.06, 0.3, 0.7])
def test_the_intervals_hold_the_true_precision(precision: float):
    """Months of looks: Wilson's at the end, the confidence sequence at every week."""
    rng, runs, weeks, weekly = np.random.default_rng(8), 120, 26, 12
    once = always = 0
    for _ in range(runs):
        hits = rng.binomial(weekly, precision, weeks).cumsum()
        looks = [Realised(matured=weekly * (week + 1), converted=int(hits[week])) for week in range(weeks)]
        last = looks[-1].interval
        assert last is not None
        once += last.low <= precision <= last.high
        always += all(one.at_any_look is not None and one.at_any_look.low <= precision <= one.at_any_look.high for one in looks)
    assert once / runs >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)
    assert always / runs >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no more convert"):
        Realised(matured=1, converted=2)


def test_a_share_is_held_out_and_a_larger_one_keeps_those():
    digests = [np.random.default_rng(number).bytes(20) for number in range(4000)]
    held = {share: {one for one in digests if is_held(one, share)} for share in (0.0, 0.05, 0.1, 0.2)}
    assert not held[0.0]
    assert held[0.05] < held[0.1] < held[0.2]
    for share in (0.05, 0.1, 0.2):
        assert len(held[share]) == pytest.approx(4000 * share, abs=4 * math.sqrt(4000 * share * (1 - share)))
    with pytest.raises(ValueError, match="between"):
        is_held(digests[0], LARGEST_SHARE + 0.01)
    with pytest.raises(ValueError, match="8 bytes"):
        is_held(b"short", 0.1)

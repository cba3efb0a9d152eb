"""So many calls a week: whole hypotheses first, then a part of the next, and never more than there are."""

import pytest

from beton.work.capacity import Source, reach
from beton.work.figures import Estimate


def source(volume: float, precision: float) -> Source:
    return Source("Who pays", "/h", Estimate(volume, volume / 2, volume * 2), Estimate(precision, precision - 0.1, precision + 0.1), 40, 0.1)


SOURCES = [source(10, 0.5), source(20, 0.3)]


def test_the_last_hypothesis_is_followed_up_in_part() -> None:
    told = reach(SOURCES, 15)
    assert (told.signals, told.whole, told.part) == (15, 1, 0.25)
    assert told.conversions.value == pytest.approx(10 * 0.5 + 5 * 0.3)
    assert (told.conversions.low, told.conversions.high) == (pytest.approx(5.0), pytest.approx(8.0))
    assert told.anyway == pytest.approx(1.5)


def test_nobody_calls_more_than_there_are() -> None:
    told = reach(SOURCES, 100)
    assert (told.signals, told.whole, told.part) == (30, 2, 0.0)
    assert reach([], 20).conversions.value == 0


def test_exactly_one_hypothesis_leaves_nothing_of_the_next() -> None:
    told = reach(SOURCES, 10)
    assert (told.signals, told.whole, told.part) == (10, 1, 0.0)

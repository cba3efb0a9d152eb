"""Slices of the window: none too large, no day read twice, nothing forgotten."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.durations import DAY, HOUR
from beton.posthog.slices import DAYS, MOST_EVENTS, MOST_UNITS, Sizes, Slice, cut

MIDNIGHT = 20_454 * DAY


def sizes_of(per_day: dict[int, tuple[int, int]]) -> Sizes:
    """What the size query would answer: (events, units) by day since the window's first midnight. Units of several days add up."""
    found: dict[tuple[int, int, int], tuple[int, int]] = {}
    for day, (events, units) in per_day.items():
        for level, places in DAYS.items():
            for place, (first, last) in enumerate(places):
                if first <= day % 7 < last:
                    known = found.get((level, day // 7, place), (0, 0))
                    found[level, day // 7, place] = known[0] + events, known[1] + units
    return Sizes(found)


def days_of(piece: Slice) -> set[int]:
    """UTC days that the slice touches."""
    return set(range(piece.start // DAY, (piece.end - 1) // DAY + 1))


def whole_window(pieces: list[Slice], start: int, end: int) -> bool:
    """Whether the slices (of one part) follow one another without a gap."""
    first = sorted({(piece.start, piece.end) for piece in pieces})
    return first[0][0] == start and first[-1][1] == end and all(one[1] == other[0] for one, other in pairwise(first))


WINDOWS = st.tuples(st.integers(0, 23), st.integers(1, 40), st.integers(-12, 12)).map(
    lambda told: (MIDNIGHT + told[0] * HOUR, MIDNIGHT + (told[1] + 1) * DAY + told[2] * HOUR)
)


@given(WINDOWS, st.integers(0, 10_000))
def test_slices_cover_the_window_and_read_no_day_twice(window: tuple[int, int], seed: int) -> None:
    start, end = window
    dice = Random(seed)
    days = -(-(end - MIDNIGHT) // DAY)
    per_day = {day: (dice.choice([1, 10, 90, 130]), dice.choice([1, 10])) for day in range(days)}
    pieces = cut(sizes_of(per_day), start, end, most_events=100)
    assert whole_window(pieces, start, end)
    for piece in pieces:
        assert piece.end - piece.start <= 7 * DAY
        events = sum(per_day[day - MIDNIGHT // DAY][0] for day in days_of(piece))
        assert events <= 100 * piece.parts
        twins = [other for other in pieces if other is not piece and days_of(other) & days_of(piece)]
        assert [(one.start, one.end, one.parts) for one in twins] == [(piece.start, piece.end, piece.parts)] * (piece.parts - 1)
        assert len({one.part for one in (*twins, piece)}) == piece.parts


def test_a_week_that_fits_is_one_slice_and_an_empty_one_none() -> None:
    pieces = cut(sizes_of({0: (10, 5), 6: (10, 5), 15: (10, 5)}), MIDNIGHT, MIDNIGHT + 21 * DAY)
    assert pieces == [Slice(MIDNIGHT, MIDNIGHT + 7 * DAY), Slice(MIDNIGHT + 14 * DAY, MIDNIGHT + 21 * DAY)]


def test_sizes_are_nested_and_the_largest_that_fit_are_taken() -> None:
    pieces = cut(sizes_of(dict.fromkeys(range(7), (30, 1))), MIDNIGHT, MIDNIGHT + 7 * DAY, most_events=100)
    assert [(piece.end - piece.start) // DAY for piece in pieces] == [2, 2, 3]


def test_a_day_with_too_many_events_is_cut_by_units() -> None:
    pieces = cut(sizes_of({0: (5 * MOST_EVENTS, 9)}), MIDNIGHT, MIDNIGHT + DAY)
    assert [(piece.part, piece.parts) for piece in pieces] == [(part, 5) for part in range(5)]
    assert len({(piece.start, piece.end) for piece in pieces}) == 1


def test_units_share_rows_only_where_there_are_too_many_of_them() -> None:
    few, many = ({0: (100, units)} for units in (MOST_UNITS, MOST_UNITS + 1))
    assert [piece.shared for piece in cut(sizes_of(few), MIDNIGHT, MIDNIGHT + DAY)] == [False]
    assert [piece.shared for piece in cut(sizes_of(many), MIDNIGHT, MIDNIGHT + DAY)] == [True]


@pytest.mark.parametrize("start", [MIDNIGHT, MIDNIGHT + 5 * HOUR])
def test_halves_are_whole_days_first_and_units_after_that(start: int) -> None:
    week = Slice(start, MIDNIGHT + 7 * DAY)
    one, other = week.halves()
    assert (one.start, one.end, other.start, other.end) == (start, MIDNIGHT + 3 * DAY, MIDNIGHT + 3 * DAY, MIDNIGHT + 7 * DAY)
    day = Slice(start, MIDNIGHT + DAY)
    assert [(half.start, half.end, half.part, half.parts) for half in day.halves()] == [(start, MIDNIGHT + DAY, part, 2) for part in (0, 1)]


def test_halves_of_a_part_are_that_part_again() -> None:
    """Units are dealt out by a hash modulo the number of parts."""
    pieces = [Slice(MIDNIGHT, MIDNIGHT + DAY, 1, 3)]
    for _ in range(3):
        pieces = [half for piece in pieces for half in piece.halves()]
    assert {piece.halvings for piece in pieces} == {3}
    for number in range(200):
        assert sum(number % piece.parts == piece.part for piece in pieces) == (number % 3 == 1)

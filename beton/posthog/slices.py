"""Cutting the window into slices of time, each one query.

A slice must stay well under PostHog's 10 s. Slices begin and end at midnight UTC where they can,
because ClickHouse keeps events by day: two slices inside one day would read that day twice. They are at most seven days long, so that a unit's first
and last instant of a slice say exactly when it was present (`backtest.events.Presence`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from backtest.durations import DAY
from beton.posthog.hogql import ROWS, Query, at, between

MOST_UNITS = ROWS - 1
"""Units that travel as one row each; with more of them, several units share a row (the cap is on rows, and reading a slice twice would cost more).

`uniq` counts exactly up to 65,536."""

MOST_EVENTS = 2_000_000
"""Events per slice: what a small ClickHouse groups in a second or two, and about 30 MB of JSON."""

MOST_HALVINGS = 8
"""From a week to a thirty-second of one day's units. What is still too heavy then will not be helped by asking for less of it."""


@dataclass(frozen=True)
class Slice:
    """`[start, end)` in microseconds; `part` of `parts` hash buckets of the units where one day alone has too many events. `shared`: several
    units to a row. `halvings` counts how often it was cut in two because it turned out to be too heavy."""

    start: int
    end: int
    part: int = 0
    parts: int = 1
    shared: bool = False
    halvings: int = 0

    def halves(self) -> tuple[Slice, Slice]:
        """Two smaller ones: by whole days while there are several, then by units, since halving a day in time would read it twice all the same."""
        days = -(-(self.end - _midnight(self.start)) // DAY)
        half = replace(self, halvings=self.halvings + 1)
        if days > 1:
            middle = _midnight(self.start) + days // 2 * DAY
            return replace(half, end=middle), replace(half, start=middle)
        return replace(half, parts=self.parts * 2), replace(half, part=self.part + self.parts, parts=self.parts * 2)

    def sharing(self) -> Slice:
        """The same slice with several units to a row: more units came than one row each can hold."""
        return replace(self, shared=True)


def _midnight(at: int) -> int:
    return at - at % DAY


def size_query(query: Query, unit: str, guard: str, start: int, end: int) -> str:
    """Events and units per week, half week, pair of days and day, counted from the window's first midnight: a nested set of candidate slices."""
    day = f"dateDiff('day', {at(query, _midnight(start))}, timestamp)"
    slots = "[tuple(0, w, 0), tuple(1, w, intDiv(r, 4)), tuple(2, w, intDiv(r, 2)), tuple(3, w, r)]"
    return (
        f"SELECT slot.1 AS level, slot.2 AS week, slot.3 AS place, count() AS events, uniq(u) AS units FROM ("
        f"SELECT u, arrayJoin({slots}) AS slot FROM (SELECT u, intDiv(d, 7) AS w, d % 7 AS r FROM ("
        f"SELECT {unit} AS u, {day} AS d FROM events WHERE {between(query, start, end)}{guard}))) "
        f"GROUP BY level, week, place LIMIT {ROWS}"
    )


DAYS = {0: ((0, 7),), 1: ((0, 4), (4, 7)), 2: ((0, 2), (2, 4), (4, 6), (6, 7)), 3: tuple((day, day + 1) for day in range(7))}
"""Days of the week that each place of a level covers."""


@dataclass(frozen=True)
class Sizes:
    """Events and units per (level, week, place)."""

    of: dict[tuple[int, int, int], tuple[int, int]]

    @property
    def events(self) -> int:
        return sum(events for (level, _, _), (events, _) in self.of.items() if level == 0)


def cut(sizes: Sizes, start: int, end: int, most_events: int = MOST_EVENTS) -> list[Slice]:
    """The largest slices that fit; days that do not fit are cut by units. Stretches without events need no query."""
    origin = _midnight(start)
    weeks = -(-(end - origin) // (7 * DAY))
    return [piece for week in range(weeks) for piece in _cut(sizes, week, 0, 0, (origin, start, end), most_events)]


def _cut(sizes: Sizes, week: int, level: int, place: int, window: tuple[int, int, int], most_events: int) -> Iterator[Slice]:
    events, units = sizes.of.get((level, week, place), (0, 0))
    if not events:
        return
    origin, start, end = window
    first, last = DAYS[level][place]
    piece = Slice(max(start, origin + (7 * week + first) * DAY), min(end, origin + (7 * week + last) * DAY), shared=units > MOST_UNITS)
    if events <= most_events:
        yield piece
    elif level < 3:
        for below, (inner_first, inner_last) in enumerate(DAYS[level + 1]):
            if first <= inner_first and inner_last <= last:
                yield from _cut(sizes, week, level + 1, below, window, most_events)
    else:
        parts = -(-events // most_events)
        yield from (replace(piece, part=part, parts=parts, shared=units > MOST_UNITS * parts) for part in range(parts))

"""Cutting the window into slices of time, each one query.

A slice must stay under 50,000 rows (one packed row per unit) and well under PostHog's 10 s. Slices begin and end at midnight UTC where they can,
because ClickHouse keeps events by day: two slices inside one day would read that day twice. They are at most seven days long, so that a unit's first
and last instant of a slice say exactly when it was present (`backtest.events.Presence`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backtest.durations import DAY
from beton.posthog.hogql import ROWS, between, literal

MOST_UNITS = ROWS * 9 // 10
"""Units per slice: `uniq` is an estimate, so one tenth stays free."""

MOST_EVENTS = 2_000_000
"""Events per slice: what a small ClickHouse groups in a second or two, and about 30 MB of JSON."""


@dataclass(frozen=True)
class Slice:
    """`[start, end)` in microseconds; `part` of `parts` hash buckets of the units where one day alone has too many."""

    start: int
    end: int
    part: int = 0
    parts: int = 1

    def halves(self) -> tuple[Slice, Slice]:
        """Two smaller ones: by whole days while there are several, then by units, since halving a day in time would read it twice all the same."""
        days = -(-(self.end - _midnight(self.start)) // DAY)
        if days > 1:
            middle = _midnight(self.start) + days // 2 * DAY
            return Slice(self.start, middle, self.part, self.parts), Slice(middle, self.end, self.part, self.parts)
        return Slice(self.start, self.end, self.part, self.parts * 2), Slice(self.start, self.end, self.part + self.parts, self.parts * 2)


def _midnight(at: int) -> int:
    return at - at % DAY


def size_query(unit: str, guard: str, start: int, end: int) -> str:
    """Events and units per week, half week, pair of days and day, counted from the window's first midnight: a nested set of candidate slices."""
    day = f"dateDiff('day', {literal(_midnight(start))}, timestamp)"
    week, rest = f"intDiv({day}, 7)", f"({day} % 7)"
    levels = f"[tuple(0, {week}, 0), tuple(1, {week}, intDiv({rest}, 4)), tuple(2, {week}, intDiv({rest}, 2)), tuple(3, {week}, {rest})]"
    return (
        f"SELECT slot.1 AS level, slot.2 AS week, slot.3 AS place, count() AS events, uniq(u) AS units FROM "
        f"(SELECT {unit} AS u, arrayJoin({levels}) AS slot FROM events WHERE {between(start, end)}{guard}) "
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


def cut(sizes: Sizes, start: int, end: int, most_units: int = MOST_UNITS, most_events: int = MOST_EVENTS) -> list[Slice]:
    """The largest slices that fit; days that do not fit are cut by units. Stretches without events need no query."""
    origin = _midnight(start)
    weeks = -(-(end - origin) // (7 * DAY))
    return [piece for week in range(weeks) for piece in _cut(sizes, week, 0, 0, (origin, start, end), (most_units, most_events))]


def _cut(sizes: Sizes, week: int, level: int, place: int, window: tuple[int, int, int], most: tuple[int, int]) -> Iterator[Slice]:
    events, units = sizes.of.get((level, week, place), (0, 0))
    if not events:
        return
    origin, start, end = window
    first, last = DAYS[level][place]
    piece = Slice(max(start, origin + (7 * week + first) * DAY), min(end, origin + (7 * week + last) * DAY))
    if units <= most[0] and events <= most[1]:
        yield piece
    elif level < 3:
        for below, (inner_first, inner_last) in enumerate(DAYS[level + 1]):
            if first <= inner_first and inner_last <= last:
                yield from _cut(sizes, week, level + 1, below, window, most)
    else:
        parts = max(-(-units // most[0]), -(-events // most[1]))
        yield from (Slice(piece.start, piece.end, part, parts) for part in range(parts))

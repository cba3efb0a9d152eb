"""The matches of one matcher, and the compiled passes that select, merge and gather rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from backtest.events import EventLog, Matches
from backtest.intervals import Codes, Flags, Ints

FEW = 24
"""Rows that are sorted faster by insertion."""


@dataclass(frozen=True)
class Slice:
    """Matches sorted by (unit, instant). Rows of the log they are, if `find` is None, `low`, `low + 1`, ...; then nothing was copied.

    `find` tells the rows otherwise: only who counts distinct things or compares once more wants to know them, so they are not kept with every slice.
    """

    unit: Codes
    at: Ints
    low: int = 0
    find: Callable[[], Ints] | None = None
    known_runs: dict[int, tuple[Codes, Codes]] = field(default_factory=dict)
    known_rows: dict[int, int] = field(default_factory=dict)

    def runs(self, n: int = 1) -> tuple[Codes, Codes]:
        """Starts and stops of the runs of one unit that have at least n rows. A threshold never looks at shorter ones."""
        if n not in self.known_runs:
            self.known_runs[n] = _runs(self.unit) if n <= 1 else _long(*self.runs(), n)
        return self.known_runs[n]

    def rows_in_runs(self, n: int) -> int:
        """How many rows lie in runs of at least n."""
        if n not in self.known_rows:
            starts, stops = self.runs(n)
            self.known_rows[n] = int(stops.sum(dtype=np.int64) - starts.sum(dtype=np.int64))
        return self.known_rows[n]

    def __len__(self) -> int:
        return len(self.unit)

    def of(self, column: Codes) -> Codes:
        """The slice's part of an array that follows the log's rows."""
        return column[self.low : self.low + len(self.unit)] if self.find is None else take(column, self.find())

    @property
    def rows(self) -> Ints:
        return np.arange(self.low, self.low + len(self.unit), dtype=np.int64) if self.find is None else self.find()

    def matches(self) -> Matches:
        return Matches(self.unit, self.at, self.rows)


@njit(cache=True, nogil=True)
def _runs(unit: Codes) -> tuple[Codes, Codes]:
    count = min(1, len(unit))
    for row in range(1, len(unit)):
        count += unit[row] != unit[row - 1]
    starts, stops = np.empty(count + 1, np.int32), np.empty(count + 1, np.int32)
    starts[0], run, before_it = 0, np.uint64(0), unit[0] if len(unit) else np.int32(-1)
    for row in range(1, len(unit)):
        starts[run + np.uint64(1)] = row
        stops[run] = row
        run += np.uint64(unit[row] != before_it)
        before_it = unit[row]
    stops[run] = len(unit)
    return starts[:count], stops[:count]


@njit(cache=True, nogil=True)
def _long(starts: Codes, stops: Codes, n: int) -> tuple[Codes, Codes]:
    count = 0
    for run in range(len(starts)):
        count += stops[run] - starts[run] >= n
    long_starts, long_stops, written = np.empty(count + 1, np.int32), np.empty(count + 1, np.int32), np.uint64(0)
    for run in range(len(starts)):
        long_starts[written], long_stops[written] = starts[run], stops[run]
        written += np.uint64(stops[run] - starts[run] >= n)
    return long_starts[:count], long_stops[:count]


@njit(cache=True, nogil=True)
def take(column: Codes, rows: Ints | Codes) -> Codes:
    taken = np.empty(len(rows), np.int32)
    for index in range(len(rows)):
        taken[index] = column[np.uint64(rows[index])]
    return taken


@njit(cache=True, nogil=True)
def _count(codes: Codes, answers: Flags) -> int:
    count = 0
    for index in range(len(codes)):
        count += answers[np.uint32(codes[index] + 1)]
    return count


@njit(cache=True, nogil=True)
def _keep(unit: Codes, at: Ints, codes: Codes, answers: Flags, out_unit: Codes, out_at: Ints) -> None:
    written = np.uint64(0)
    for index in range(len(unit)):
        out_unit[written], out_at[written] = unit[index], at[index]
        written += np.uint64(answers[np.uint32(codes[index] + 1)])


@njit(cache=True, nogil=True)
def _kept_rows(rows: Ints, codes: Codes, answers: Flags, out_rows: Ints) -> None:
    written = np.uint64(0)
    for index in range(len(rows)):
        out_rows[written] = rows[index]
        written += np.uint64(answers[np.uint32(codes[index] + 1)])


def kept(found: Slice, codes: Codes, answers: Flags, *, in_order: bool = False) -> Slice:
    """`answers` has one place per code and a last one for -1, the missing value. `codes` follow the log's rows, or (`in_order`) the slice's."""
    here, by_code = codes if in_order else found.of(codes), np.roll(answers, 1)
    count = _count(here, by_code)  # first, so that no more is held than needed
    unit, at = np.empty(count + 1, np.int32), np.empty(count + 1, np.int64)
    _keep(found.unit, found.at, here, by_code, unit, at)

    def find() -> Ints:
        rows = np.empty(count + 1, np.int64)
        _kept_rows(found.rows, here, by_code, rows)
        return rows[:count]

    return Slice(unit[:count], at[:count], 0, find)


@njit(cache=True, nogil=True)
def _merged(a_unit: Codes, a_at: Ints, a_rows: Ints, b_unit: Codes, b_at: Ints, b_rows: Ints) -> tuple[Codes, Ints, Ints]:
    total = len(a_unit) + len(b_unit)
    unit, at, rows = np.empty(total, np.int32), np.empty(total, np.int64), np.empty(total, np.int64)
    a, b = 0, 0
    for place in range(total):
        if a < len(a_unit) and (b == len(b_unit) or a_unit[a] < b_unit[b] or (a_unit[a] == b_unit[b] and a_at[a] <= b_at[b])):
            unit[place], at[place], rows[place] = a_unit[a], a_at[a], a_rows[a]
            a += 1
        else:
            unit[place], at[place], rows[place] = b_unit[b], b_at[b], b_rows[b]
            b += 1
    return unit, at, rows


def merged(parts: list[Slice]) -> Slice:
    """Several slices as one, two and two, smallest with smallest."""
    if not parts:
        return Slice(np.empty(0, np.int32), np.empty(0, np.int64))
    while len(parts) > 1:
        parts = sorted(parts, key=len)
        paired = [_pair(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = paired + ([parts[-1]] if len(parts) % 2 else [])
    return parts[0]


def _pair(a: Slice, b: Slice) -> Slice:
    one, other = a.matches(), b.matches()
    unit, at, rows = _merged(one.unit, one.at, one.rows, other.unit, other.at, other.rows)
    return Slice(unit, at, 0, lambda: rows)


def named(log: EventLog, name: str) -> Slice:
    low, high = log.slices[name]
    return Slice(log.unit[low:high], log.at[low:high], low)


@njit(cache=True, nogil=True)
def _by_unit(unit: Codes, at: Ints, rows: Ints, units: int) -> tuple[Codes, Ints, Ints]:
    """Rows dealt out by unit, then each unit's sorted by instant: few rows by insertion, many by quicksort."""
    places = np.zeros(units + 1, np.int64)
    for index in range(len(unit)):
        places[unit[index] + 1] += 1
    for who in range(units):
        places[who + 1] += places[who]
    ends = places[1:].copy()
    new_unit, new_at, new_rows = np.empty(len(unit), np.int32), np.empty(len(unit), np.int64), np.empty(len(unit), np.int64)
    for index in range(len(unit)):
        place = places[unit[index]]
        places[unit[index]] += 1
        new_unit[place], new_at[place], new_rows[place] = unit[index], at[index], rows[index]
    start = 0
    for who in range(units):
        stop = ends[who]
        if stop - start > FEW:
            by = np.argsort(new_at[start:stop])
            new_at[start:stop] = new_at[start:stop][by]
            new_rows[start:stop] = new_rows[start:stop][by]
        else:
            for index in range(start + 1, stop):
                when, row, place = new_at[index], new_rows[index], index
                while place > start and new_at[place - 1] > when:
                    new_at[place], new_rows[place] = new_at[place - 1], new_rows[place - 1]
                    place -= 1
                new_at[place], new_rows[place] = when, row
        start = stop
    return new_unit, new_at, new_rows


def by_unit(found: Slice, units: int) -> Slice:
    """Rows in any order as a slice, sorted by unit and instant."""
    rows = found.matches().rows
    unit, at, rows = _by_unit(found.unit, found.at, rows, units)
    return Slice(unit, at, 0, lambda: rows)

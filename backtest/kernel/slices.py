"""The matches of one matcher, and the compiled passes that select, merge and gather rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from backtest.events import EventLog, Matches
from backtest.intervals import Codes, Flags, Ints


@dataclass(frozen=True)
class Slice:
    """Matches sorted by (unit, instant). Rows of the log they are, if `rows` is None, `low`, `low + 1`, ...; then nothing was copied."""

    unit: Codes
    at: Ints
    low: int = 0
    rows: Ints | None = None

    def __len__(self) -> int:
        return len(self.unit)

    def of(self, column: Codes) -> Codes:
        """The slice's part of an array that follows the log's rows."""
        return column[self.low : self.low + len(self.unit)] if self.rows is None else take(column, self.rows)

    def matches(self) -> Matches:
        rows = np.arange(self.low, self.low + len(self.unit), dtype=np.int64) if self.rows is None else self.rows
        return Matches(self.unit, self.at, rows)


@njit(cache=True, nogil=True)
def take(column: Codes, rows: Ints) -> Codes:
    taken = np.empty(len(rows), np.int32)
    for index in range(len(rows)):
        taken[index] = column[rows[index]]
    return taken


@njit(cache=True, nogil=True)
def _kept(unit: Codes, at: Ints, rows: Ints, low: int, codes: Codes, answers: Flags) -> tuple[Codes, Ints, Ints]:
    """Rows whose code is answered yes; -1 asks for the last answer. Counted first, so that nothing is held that is not needed."""
    count = 0
    for index in range(len(unit)):
        count += answers[codes[index]]
    kept_unit, kept_at, kept_rows = np.empty(count, np.int32), np.empty(count, np.int64), np.empty(count, np.int64)
    plain, written = len(rows) == 0, 0
    for index in range(len(unit)):
        if answers[codes[index]]:
            kept_unit[written], kept_at[written] = unit[index], at[index]
            kept_rows[written] = low + index if plain else rows[index]
            written += 1
    return kept_unit, kept_at, kept_rows


NO_ROWS = np.empty(0, np.int64)


def kept(found: Slice, codes: Codes, answers: Flags) -> Slice:
    """`answers` has one place per code and a last one for -1, the missing value."""
    unit, at, rows = _kept(found.unit, found.at, NO_ROWS if found.rows is None else found.rows, found.low, found.of(codes), answers)
    return Slice(unit, at, 0, rows)


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
    return Slice(unit, at, 0, rows)


def named(log: EventLog, name: str) -> Slice:
    low, high = log.slices[name]
    return Slice(log.unit[low:high], log.at[low:high], low)

"""Compiled passes over interval lists: where two hold, and which starts are silent."""

from __future__ import annotations

from numba import njit

from backtest.intervals import Codes, Flags, Ints
from backtest.kernel.ends import FOREVER


@njit(cache=True, nogil=True)
def overlap(
    a_unit: Codes,
    a_start: Ints,
    a_stop: Ints,
    a_count: int,
    b_unit: Codes,
    b_start: Ints,
    b_stop: Ints,
    b_count: int,
    out_unit: Codes,
    out_start: Ints,
    out_stop: Ints,
) -> int:
    """Where both hold. Both lists are sorted, disjoint and untouching per unit, and so is the result: between two of its intervals lies an
    instant at which one of the two does not hold."""
    written, a, b = 0, 0, 0
    while a < a_count and b < b_count:
        if a_unit[a] < b_unit[b]:
            a += 1
        elif b_unit[b] < a_unit[a]:
            b += 1
        else:
            start, stop = max(a_start[a], b_start[b]), min(a_stop[a], b_stop[b])
            if start < stop:
                out_unit[written], out_start[written], out_stop[written] = a_unit[a], start, stop
                written += 1
            if a_stop[a] <= b_stop[b]:
                a += 1
            else:
                b += 1
    return written


@njit(cache=True, nogil=True)
def mark_starts(
    unit: Codes, start: Ints, count: int, entry: Ints, part_unit: Codes, part_start: Ints, part_count: int, quiet: Flags, hushed: Flags, loud: Flags
) -> None:
    """For each interval of a conjunction (cut to entry): does this part of it begin at that very instant, and does it begin silently?

    `quiet` flags the part's own starts that are no fire by themselves (empty: none); `hushed` and `loud` gather the answers over all parts.
    """
    part = 0
    some_quiet = len(quiet) > 0
    for index in range(count):
        who, when = unit[index], max(start[index], entry[unit[index]])
        while part < part_count and (part_unit[part] < who or (part_unit[part] == who and part_start[part] < when)):
            part += 1
        if part < part_count and part_unit[part] == who and part_start[part] == when:
            if some_quiet and quiet[part]:
                hushed[index] = True
            else:
                loud[index] = True


@njit(cache=True, nogil=True)
def only_loud(
    unit: Codes, start: Ints, stop: Ints, count: int, entry: Ints, hushed: Flags, loud: Flags, out_unit: Codes, out_start: Ints, out_stop: Ints
) -> int:
    """The intervals whose start may be a fire: not silent, or silent together with a loud one, or at the unit's entry."""
    written = 0
    for index in range(count):
        since = entry[unit[index]]
        if since == FOREVER:
            continue
        if not hushed[index] or loud[index] or start[index] <= since:
            out_unit[written], out_start[written], out_stop[written] = unit[index], start[index], stop[index]
            written += 1
    return written


@njit(cache=True, nogil=True)
def mark_quiet(unit: Codes, start: Ints, silent_unit: Codes, silent_at: Ints, quiet: Flags) -> None:
    """Flags the intervals whose starts are listed; both lists are sorted by (unit, instant)."""
    index = 0
    for one in range(len(silent_unit)):
        who, when = silent_unit[one], silent_at[one]
        while index < len(unit) and (unit[index] < who or (unit[index] == who and start[index] < when)):
            index += 1
        if index < len(unit) and unit[index] == who and start[index] == when:
            quiet[index] = True

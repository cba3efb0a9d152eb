"""Compiled passes over one slice that count events: `did`, `did_not`, `without` and `trend`.

Every pass reads matches sorted by (unit, instant) and writes intervals sorted the same way, disjoint and not touching, into buffers that the
caller owns (`out_unit`, `out_start`, `out_stop`); it returns how many it wrote. All instants are int64 microseconds and all arithmetic is on
whole numbers. `FOREVER` is 2^61, so that adding any span to it stays below 2^63.
"""

from __future__ import annotations

from numba import njit

from backtest.intervals import Codes, Ints
from backtest.kernel.ends import FOREVER


@njit(cache=True, nogil=True)
def nth_since_entry(unit: Codes, at: Ints, entry: Ints, length: int, ends: Ints, n: int, out_unit: Codes, out_at: Ints) -> int:
    """Each unit's n-th match in `[entry, entry + length)`, or in `[entry, ends[unit])` where `ends` is not empty. `FOREVER` as length is `ever`."""
    written, counted, before = 0, 0, -1
    low, high = FOREVER, FOREVER
    bounded = len(ends) > 0
    for row in range(len(unit)):
        who = unit[row]
        if who != before:
            before, counted = who, 0
            low = entry[who]
            high = ends[who] if bounded else low + length
        when = at[row]
        if low <= when < high:
            counted += 1
            if counted == n:
                out_unit[written], out_at[written] = who, when
                written += 1
    return written


@njit(cache=True, nogil=True)
def since_nth(unit: Codes, at: Ints, count: int, entry: Ints, length: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """`[n-th match, for ever)` from n-th matches since entry, of those within `length` of entry."""
    written = 0
    for row in range(count):
        who, when = unit[row], at[row]
        if when < entry[who] + length:
            out_unit[written], out_start[written], out_stop[written] = who, when, FOREVER
            written += 1
    return written


@njit(cache=True, nogil=True)
def lately(unit: Codes, at: Ints, n: int, last: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """At least n matches in `(t - last, t]`: each run of n consecutive matches holds from its newest until its oldest is `last` old; their union.

    Oldest and newest of the runs ascend together, so a run either prolongs the interval before it (also where it only touches it) or begins one.
    """
    written, back = 0, n - 1
    open_unit, open_stop = -1, -FOREVER
    for row in range(back, len(unit)):
        oldest = at[row - back] + last
        if at[row] < oldest and unit[row] == unit[row - back]:
            if unit[row] == open_unit and at[row] <= open_stop:
                out_stop[written - 1] = oldest
            else:
                open_unit = unit[row]
                out_unit[written], out_start[written], out_stop[written] = open_unit, at[row], oldest
                written += 1
            open_stop = oldest
    return written


@njit(cache=True, nogil=True)
def silent_since_entry(
    unit: Codes, at: Ints, entry: Ints, length: int, ends: Ints, known: Ints, out_unit: Codes, out_start: Ints, out_stop: Ints
) -> int:
    """No match in `[entry, entry + length)`: from its end on. With `ends` the span stops there, and is known to be over at `known`."""
    written, row, rows = 0, 0, len(unit)
    bounded = len(ends) > 0
    for who in range(len(entry)):
        low = entry[who]
        high = low + length
        if bounded:
            high = ends[who]
        heard = False
        while row < rows and unit[row] == who:
            heard |= low <= at[row] < high
            row += 1
        if low < FOREVER and not heard:
            start = known[who] if bounded else high
            if start < FOREVER:
                out_unit[written], out_start[written], out_stop[written] = who, start, FOREVER
                written += 1
    return written


@njit(cache=True, nogil=True)
def silent_lately(unit: Codes, at: Ints, entry: Ints, last: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """t >= entry + last and no match in `(t - last, t]`: the gaps between `[match, match + last)`, where touching ones leave none."""
    written, row, rows = 0, 0, len(unit)
    for who in range(len(entry)):
        quiet_from = entry[who] + last if entry[who] < FOREVER else FOREVER
        while row < rows and unit[row] == who:
            if quiet_from < at[row]:
                out_unit[written], out_start[written], out_stop[written] = who, quiet_from, at[row]
                written += 1
            quiet_from = max(quiet_from, at[row] + last)
            row += 1
        if quiet_from < FOREVER:
            out_unit[written], out_start[written], out_stop[written] = who, quiet_from, FOREVER
            written += 1
    return written


@njit(cache=True, nogil=True)
def unanswered(unit: Codes, at: Ints, other_unit: Codes, other_at: Ints, within: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """From `within` after a unit's first match that nothing of the other kind follows in `(match, match + within]`."""
    written, other, others = 0, 0, len(other_unit)
    done = -1
    for row in range(len(unit)):
        who, when = unit[row], at[row]
        if who == done:
            continue
        while other < others and (other_unit[other] < who or (other_unit[other] == who and other_at[other] <= when)):
            other += 1
        if other == others or other_unit[other] != who or other_at[other] > when + within:
            done = who
            out_unit[written], out_start[written], out_stop[written] = who, when + within, FOREVER
            written += 1
    return written


@njit(cache=True, nogil=True)
def trending(
    unit: Codes,
    at: Ints,
    entry: Ints,
    over: int,
    least_before: int,
    numerator: int,
    denominator: int,
    rising: bool,
    out_unit: Codes,
    out_start: Ints,
    out_stop: Ints,
) -> int:
    """The count in `(t - over, t]` against that in `(t - 2 over, t - over]`, from t = entry + 2 over on.

    Three hands go through a unit's matches: where one arrives, turns `over` old, and turns `2 over` old. Everything that happens at one instant
    happens before the question is asked.
    """
    written, first, rows = 0, 0, len(unit)
    while first < rows:
        who, stop = unit[first], first
        while stop < rows and unit[stop] == who:
            stop += 1
        from_on = entry[who] + 2 * over if entry[who] < FOREVER else FOREVER
        young, middle, old = first, first, first
        open_at = FOREVER
        while old < stop:
            now = at[old] + 2 * over
            if middle < stop:
                now = min(now, at[middle] + over)
            if young < stop:
                now = min(now, at[young])
            while young < stop and at[young] == now:
                young += 1
            while middle < stop and at[middle] + over == now:
                middle += 1
            while old < stop and at[old] + 2 * over == now:
                old += 1
            recent, before = (young - middle) * denominator, (middle - old) * numerator
            holds = middle - old >= least_before and (recent >= before if rising else recent <= before)
            if holds and open_at == FOREVER:
                open_at = now
            elif not holds and open_at < FOREVER:
                if max(open_at, from_on) < now:
                    out_unit[written], out_start[written], out_stop[written] = who, max(open_at, from_on), now
                    written += 1
                open_at = FOREVER
        first = stop
    return written

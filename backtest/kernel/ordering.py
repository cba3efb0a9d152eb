"""Compiled passes over two slices at once: "A, then B", where B is strictly later (two events at one instant have no order)."""

from __future__ import annotations

from numba import njit

from backtest.intervals import Codes, Ints
from backtest.kernel.ends import FOREVER

NONE = -FOREVER


@njit(cache=True, nogil=True)
def first_pair(
    a_unit: Codes,
    a_at: Ints,
    b_unit: Codes,
    b_at: Ints,
    entry: Ints,
    length: int,
    ends: Ints,
    within: int,
    out_unit: Codes,
    out_start: Ints,
    out_stop: Ints,
) -> int:
    """From each unit's first B that follows an A by at most `within`, both in `[entry, entry + length)` (or in `[entry, ends[unit])`).

    The latest A before a B decides: if that one is too far back, or before entry, so are all others.
    """
    written, a, count_a = 0, 0, len(a_unit)
    before, done = -1, False
    low, high, latest = FOREVER, FOREVER, NONE
    bounded = len(ends) > 0
    for b in range(len(b_unit)):
        who = b_unit[b]
        if who != before:
            before, done, latest = who, False, NONE
            low = entry[who]
            high = ends[who] if bounded else low + length
            while a < count_a and a_unit[a] < who:
                a += 1
        if done:
            continue
        when = b_at[b]
        if when < low:
            continue
        if when >= high:
            done = True
            continue
        while a < count_a and a_unit[a] == who and a_at[a] < when:
            latest = a_at[a]
            a += 1
        if latest >= low and when - latest <= within:
            done = True
            out_unit[written], out_start[written], out_stop[written] = who, when, FOREVER
            written += 1
    return written


@njit(cache=True, nogil=True)
def pairs_lately(
    a_unit: Codes, a_at: Ints, b_unit: Codes, b_at: Ints, last: int, within: int, out_unit: Codes, out_start: Ints, out_stop: Ints
) -> int:
    """Some A and a later B, at most `within` apart, both in `(t - last, t]`: from B until the latest A before it is `last` old; the union."""
    written, a, count_a = 0, 0, len(a_unit)
    before, latest = -1, NONE
    open_unit, open_stop = -1, NONE
    for b in range(len(b_unit)):
        who, when = b_unit[b], b_at[b]
        if who != before:
            before, latest = who, NONE
            while a < count_a and a_unit[a] < who:
                a += 1
        while a < count_a and a_unit[a] == who and a_at[a] < when:
            latest = a_at[a]
            a += 1
        if latest == NONE or when - latest > within or when >= latest + last:
            continue
        if who == open_unit and when <= open_stop:
            out_stop[written - 1] = latest + last
        else:
            open_unit = who
            out_unit[written], out_start[written], out_stop[written] = who, when, latest + last
            written += 1
        open_stop = latest + last
    return written

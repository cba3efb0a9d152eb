"""Compiled passes over two slices at once: "A, then B", where B is strictly later (two events at one instant have no order)."""

from __future__ import annotations

import numpy as np
from numba import njit

from backtest.intervals import Codes, Ints
from backtest.kernel.ends import FOREVER

NONE = -FOREVER


@njit(cache=True, nogil=True)
def shared_runs(a_unit: Codes, a_starts: Codes, b_unit: Codes, b_starts: Codes, place: Codes, out_a: Codes, out_b: Codes) -> int:
    """Runs of both slices that are of one unit. `place` is scratch with a place per unit, all -1; a unit's run is looked up there."""
    for run in range(len(b_starts)):
        place[np.uint32(b_unit[np.uint32(b_starts[run])])] = run
    written = np.uint64(0)
    for run in range(len(a_starts)):
        other = place[np.uint32(a_unit[np.uint32(a_starts[run])])]
        out_a[written], out_b[written] = run, other
        written += np.uint64(other >= 0)
    for run in range(len(b_starts)):
        place[np.uint32(b_unit[np.uint32(b_starts[run])])] = -1
    return int(written)


@njit(cache=True, nogil=True)
def first_pair(
    a_at: Ints,
    a_starts: Codes,
    a_stops: Codes,
    b_unit: Codes,
    b_at: Ints,
    b_starts: Codes,
    b_stops: Codes,
    pairs_a: Codes,
    pairs_b: Codes,
    pairs: int,
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
    written, bounded = 0, len(ends) > 0
    for pair in range(pairs):
        a, a_stop = a_starts[pairs_a[pair]], a_stops[pairs_a[pair]]
        first = b_starts[pairs_b[pair]]
        who = b_unit[first]
        low = entry[who]
        high = ends[who] if bounded else low + length
        if low == FOREVER:
            continue
        latest = NONE
        for b in range(first, b_stops[pairs_b[pair]]):
            when = b_at[b]
            if when >= high:
                break
            while a < a_stop and a_at[a] < when:
                latest = a_at[a]
                a += 1
            if latest >= low and when - latest <= within:
                out_unit[written], out_start[written], out_stop[written] = who, when, FOREVER
                written += 1
                break
    return written


@njit(cache=True, nogil=True)
def pairs_lately(
    a_at: Ints,
    a_starts: Codes,
    a_stops: Codes,
    b_unit: Codes,
    b_at: Ints,
    b_starts: Codes,
    b_stops: Codes,
    pairs_a: Codes,
    pairs_b: Codes,
    pairs: int,
    last: int,
    within: int,
    out_unit: Codes,
    out_start: Ints,
    out_stop: Ints,
) -> int:
    """Some A and a later B, at most `within` apart, both in `(t - last, t]`: from B until the latest A before it is `last` old; the union."""
    written = 0
    for pair in range(pairs):
        a, a_stop = a_starts[pairs_a[pair]], a_stops[pairs_a[pair]]
        latest, open_stop = NONE, NONE
        for b in range(b_starts[pairs_b[pair]], b_stops[pairs_b[pair]]):
            when = b_at[b]
            while a < a_stop and a_at[a] < when:
                latest = a_at[a]
                a += 1
            if (when >= latest + last) | (when - latest > within):
                continue
            if when <= open_stop:
                out_stop[written - 1] = latest + last
            else:
                out_unit[written], out_start[written], out_stop[written] = b_unit[b], when, latest + last
                written += 1
            open_stop = latest + last
    return written

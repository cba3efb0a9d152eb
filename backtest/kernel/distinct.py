"""Compiled passes that count distinct things among a unit's matches: values, persons, and UTC dates.

`code[row]` says which thing a match carries (-1: none). `seen` is scratch, one place per thing, that outlives calls: what it holds is compared with
a number that only grows (`serial`), so nobody ever has to wipe it. Callers raise `serial` by the number of rows after each call.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backtest.durations import DAY
from backtest.intervals import Codes, Ints
from backtest.kernel.ends import FOREVER


@njit(cache=True, nogil=True)
def by_day(unit: Codes, at: Ints, since: Ints, out_unit: Codes, out_first: Ints, out_last: Ints) -> int:
    """A row per unit and UTC date: its first match and its last, of matches at or after `since[unit]`.

    Dates ascend, so that two or more distinct days are counted as events are: n of them lie in `(t - last, t]` from the first match of the newest
    until the last match of the oldest is `last` old. (Matches of a single day may lie more than `last` apart: that is no such case.)
    """
    place, before_unit, before_day = -1, -1, np.int64(0)
    for row in range(len(unit)):
        if at[row] < since[unit[row]]:
            continue
        who, day = unit[row], at[row] // DAY
        begins = (who != before_unit) | (day != before_day)
        place += begins
        out_unit[place], out_last[place] = who, at[row]
        out_first[place] = at[row] if begins else out_first[place]
        before_unit, before_day = who, day
    return place + 1


@njit(cache=True, nogil=True)
def nth_distinct_since_entry(
    unit: Codes,
    at: Ints,
    code: Ints,
    entry: Ints,
    length: int,
    ends: Ints,
    n: int,
    seen: Ints,
    serial: int,
    out_unit: Codes,
    out_start: Ints,
    out_stop: Ints,
) -> int:
    """From the match since entry that brings the n-th distinct thing, for ever. Matches at one instant bring theirs together."""
    written, counted, before, mark = 0, 0, -1, serial
    low, high = FOREVER, FOREVER
    bounded = len(ends) > 0
    for row in range(len(unit)):
        who = unit[row]
        if who != before:
            before, counted, mark = who, 0, serial + row
            low = entry[who]
            high = ends[who] if bounded else low + length
        thing = code[row]
        if low <= at[row] < high and thing >= 0 and seen[thing] < mark:
            seen[thing] = serial + row
            counted += 1
            if counted == n:
                out_unit[written], out_start[written], out_stop[written] = who, at[row], FOREVER
                written += 1
    return written


@njit(cache=True, nogil=True)
def distinct_lately(
    unit: Codes,
    at: Ints,
    starts: Codes,
    stops: Codes,
    code: Ints,
    n: int,
    last: int,
    seen: Ints,
    serial: int,
    out_unit: Codes,
    out_start: Ints,
    out_stop: Ints,
) -> int:
    """At least n distinct things among the matches in `(t - last, t]`. Given are the runs of at least n rows.

    A thing is present from a match on until `last` after its latest match. Two hands: matches arrive, and turn `last` old; one that turns old takes
    its thing away only if it is that thing's latest. At one instant arrivals come first and the question is asked after both, so a thing whose next
    match arrives just when its last one turns old stays present.
    """
    written = 0
    for run in range(len(starts)):
        first, stop = np.uint64(starts[run]), np.uint64(stops[run])
        arriving, aging, present = first, first, 0
        mark = serial + np.int64(first)
        open_at = FOREVER
        while aging < stop:
            now = at[aging] + last
            if arriving < stop:
                now = min(now, at[arriving])
            while arriving < stop and at[arriving] == now:
                thing = code[arriving]
                if thing >= 0:
                    present += seen[np.uint64(thing)] < mark
                    seen[np.uint64(thing)] = serial + np.int64(arriving)
                arriving += np.uint64(1)
            while aging < arriving and at[aging] + last == now:
                thing = code[aging]
                if thing >= 0 and seen[np.uint64(thing)] == serial + np.int64(aging):
                    seen[np.uint64(thing)] = -1
                    present -= 1
                aging += np.uint64(1)
            if present >= n:
                if open_at == FOREVER:
                    open_at = now
            elif open_at < FOREVER:
                out_unit[written], out_start[written], out_stop[written] = unit[first], open_at, now
                written += 1
                open_at = FOREVER
            if open_at == FOREVER and present + np.int64(stop - arriving) < n:
                break
    return written

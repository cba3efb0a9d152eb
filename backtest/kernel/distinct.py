"""Compiled passes that count distinct things among a unit's matches: UTC dates, values, persons.

`code[row]` says which thing a match carries (-1: none). `seen` is scratch, one place per thing, that outlives calls: what it holds is compared with
a number that only grows (`serial`), so nobody ever has to wipe it. Callers raise `serial` by the number of rows after each call.
"""

from __future__ import annotations

from numba import njit

from backtest.intervals import Codes, Ints
from backtest.kernel.ends import FOREVER


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
    unit: Codes, at: Ints, code: Ints, n: int, last: int, seen: Ints, serial: int, out_unit: Codes, out_start: Ints, out_stop: Ints
) -> int:
    """At least n distinct things among the matches in `(t - last, t]`.

    A thing is present from a match on until `last` after its latest match. Two hands: matches arrive, and turn `last` old; one that turns old takes
    its thing away only if it is that thing's latest. At one instant arrivals come first and the question is asked after both, so a thing whose next
    match arrives just when its last one turns old stays present.
    """
    written, first, rows = 0, 0, len(unit)
    while first < rows:
        who, arriving, aging, present = unit[first], first, first, 0
        mark = serial + first
        open_at = FOREVER
        while aging < rows and unit[aging] == who:
            now = at[aging] + last
            if arriving < rows and unit[arriving] == who and at[arriving] < now:
                now = at[arriving]
            while arriving < rows and unit[arriving] == who and at[arriving] == now:
                thing = code[arriving]
                if thing >= 0:
                    if seen[thing] < mark:
                        present += 1
                    seen[thing] = serial + arriving
                arriving += 1
            while aging < arriving and at[aging] + last == now:
                thing = code[aging]
                if thing >= 0 and seen[thing] == serial + aging:
                    seen[thing] = -1
                    present -= 1
                aging += 1
            if present >= n:
                if open_at == FOREVER:
                    open_at = now
            elif open_at < FOREVER:
                out_unit[written], out_start[written], out_stop[written] = who, open_at, now
                written += 1
                open_at = FOREVER
        first = aging
    return written

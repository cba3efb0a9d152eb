"""Compiled passes over one slice that count events: `did`, `did_not`, `without` and `trend`.

Every pass reads matches sorted by (unit, instant) and writes intervals sorted the same way, disjoint and not touching, into buffers that the
caller owns (`out_unit`, `out_start`, `out_stop`); it returns how many it wrote. All instants are int64 microseconds and all arithmetic is on
whole numbers. `FOREVER` is 2^61, so that adding any span to it stays below 2^63.

Events of a unit come two or three in a row, so that a branch per row is mispredicted as often as not, which costs more than the work. Hence the
pattern below: write to the next place in any case, and move on to the place after it only if what was written counts.

Places and unit numbers are unsigned where they index (`np.uint64`, `np.uint32`): of a signed index compiled code has to ask, row after row, whether
it counts from the end of the array, which costs as much as the rest of the row.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backtest.intervals import Codes, Flags, Ints
from backtest.kernel.ends import FOREVER


@njit(cache=True, nogil=True)
def nth_since_entry(unit: Codes, at: Ints, starts: Codes, stops: Codes, entry: Ints, n: int, out_unit: Codes, out_at: Ints) -> int:
    """Each unit's n-th match at or after its entry, from its runs of at least n rows. Most runs begin after entry and cost one look."""
    written, back = np.uint64(0), np.uint64(n - 1)
    for run in range(len(starts)):
        row, stop = np.uint64(starts[run]), np.uint64(stops[run])
        who = unit[row]
        since = entry[np.uint32(who)]
        if (at[row] < since) & (since < FOREVER):
            while row < stop and at[row] < since:
                row += np.uint64(1)
        row += back
        out_unit[written], out_at[written] = who, at[min(row, stop - np.uint64(1))]
        written += np.uint64((row < stop) & (since < FOREVER))
    return int(written)


@njit(cache=True, nogil=True)
def nth_before(unit: Codes, at: Ints, entry: Ints, ends: Ints, n: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """`[n-th match, for ever)`, of the matches in `[entry, ends[unit])`."""
    written, counted, before = 0, 0, -1
    low, high = FOREVER, FOREVER
    for row in range(len(unit)):
        who = unit[row]
        if who != before:
            before, counted, low, high = who, 0, entry[who], ends[who]
        if low <= at[row] < high:
            counted += 1
            if counted == n:
                out_unit[written], out_start[written], out_stop[written] = who, at[row], FOREVER
                written += 1
    return written


@njit(cache=True, nogil=True)
def since_nth(unit: Codes, at: Ints, count: int, entry: Ints, length: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """`[n-th match, for ever)` from n-th matches since entry, of those within `length` of entry."""
    written = np.uint64(0)
    for row in range(count):
        out_unit[written], out_start[written], out_stop[written] = unit[row], at[row], FOREVER
        written += np.uint64(at[row] < entry[np.uint32(unit[row])] + length)
    return int(written)


@njit(cache=True, nogil=True)
def lately(unit: Codes, opens: Ints, closes: Ints, n: int, last: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """At least n matches in `(t - last, t]`: each n consecutive matches hold from the newest (`opens`) until the oldest (`closes`) is `last` old.

    `opens` and `closes` are the same instants for events; for days, each day's first match and its last.
    """
    if n == 1:
        return _once_lately(unit, opens, closes, last, out_unit, out_start, out_stop)
    back = min(n - 1, len(unit))
    newest, newest_unit, oldest, oldest_unit = opens[back:], unit[back:], closes[: len(unit) - back], unit[: len(unit) - back]
    found = np.uint64(0)
    for row in range(len(newest)):
        stop = oldest[row] + last
        out_unit[found], out_start[found], out_stop[found] = newest_unit[row], newest[row], stop
        found += np.uint64((newest_unit[row] == oldest_unit[row]) & (newest[row] < stop))
    return _united(int(found), out_unit, out_start, out_stop)


@njit(cache=True, nogil=True)
def _once_lately(unit: Codes, opens: Ints, closes: Ints, last: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """The same for one match, united in the same pass."""
    places, before_unit, before_stop = np.uint64(0), np.int32(-1), np.int64(0)
    for row in range(len(unit)):
        who, begin = unit[row], opens[row]
        out_unit[places], out_start[places] = who, begin
        places += np.uint64((who != before_unit) | (begin > before_stop))
        before_unit, before_stop = who, closes[row] + last
        out_stop[places - np.uint64(1)] = before_stop
    return int(places)


@njit(cache=True, nogil=True)
def lately_in_runs(
    unit: Codes,
    opens: Ints,
    closes: Ints,
    starts: Codes,
    stops: Codes,
    n: int,
    last: int,
    out_unit: Codes,
    out_start: Ints,
    out_stop: Ints,
) -> int:
    """The same from the runs of at least n rows: faster where these are few."""
    found, back = np.uint64(0), np.uint64(n - 1)
    for run in range(len(starts)):
        who = unit[np.uint32(starts[run])]
        for row in range(np.uint64(starts[run]) + back, np.uint64(stops[run])):
            stop = closes[row - back] + last
            out_unit[found], out_start[found], out_stop[found] = who, opens[row], stop
            found += np.uint64(opens[row] < stop)
    return _united(int(found), out_unit, out_start, out_stop)


@njit(cache=True, nogil=True)
def _united(count: int, unit: Codes, start: Ints, stop: Ints) -> int:
    """The union, in place, of intervals whose starts and stops both ascend within each unit: each begins anew or prolongs the one before it, also
    where it only touches it. One that prolongs leaves its start where the next that begins will put its own."""
    places, before_unit, before_stop = np.uint64(0), np.int32(-1), np.int64(0)
    for index in range(count):
        who, begin, end = unit[index], start[index], stop[index]
        unit[places], start[places] = who, begin
        places += np.uint64((who != before_unit) | (begin > before_stop))
        stop[places - np.uint64(1)] = end
        before_unit, before_stop = who, end
    return int(places)


@njit(cache=True, nogil=True)
def silent_since_entry(
    heard_unit: Codes, heard_at: Ints, count: int, entry: Ints, length: int, heard: Flags, out_unit: Codes, out_start: Ints, out_stop: Ints
) -> int:
    """No match in `[entry, entry + length)`: from its end on. Given is each unit's first match since entry; `heard` is scratch, all false."""
    for index in range(count):
        who = np.uint32(heard_unit[index])
        heard[who] = heard_at[index] < entry[who] + length
    written = np.uint64(0)
    for who in range(len(entry)):
        out_unit[written], out_start[written], out_stop[written] = who, entry[who] + length, FOREVER
        written += np.uint64((entry[who] < FOREVER) & (not heard[who]))
    for index in range(count):
        heard[np.uint32(heard_unit[index])] = False
    return int(written)


@njit(cache=True, nogil=True)
def silent_before(unit: Codes, at: Ints, entry: Ints, ends: Ints, known: Ints, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """No match in `[entry, ends[unit])`: from the instant at which that is known."""
    written, row, rows = 0, 0, len(unit)
    for who in range(len(entry)):
        heard = False
        while row < rows and unit[row] == who:
            heard |= (entry[who] <= at[row]) & (at[row] < ends[who])
            row += 1
        out_unit[written], out_start[written], out_stop[written] = who, known[who], FOREVER
        written += (entry[who] < FOREVER) & (not heard)
    return written


@njit(cache=True, nogil=True)
def silent_lately(
    unit: Codes, at: Ints, starts: Codes, stops: Codes, entry: Ints, last: int, out_unit: Codes, out_start: Ints, out_stop: Ints
) -> int:
    """t >= entry + last and no match in `(t - last, t]`: the gaps between `[match, match + last)`, where touching ones leave none.

    Given are all runs. Between the units of two runs lie those without a match: quiet as soon as they are old enough.
    """
    written, who = np.uint64(0), 0
    for run in range(len(starts) + 1):
        heard = unit[np.uint32(starts[run])] if run < len(starts) else np.int32(len(entry))
        for quiet in range(who, heard):
            since = entry[np.uint32(quiet)]
            out_unit[written], out_start[written], out_stop[written] = quiet, since + last, FOREVER
            written += np.uint64(since < FOREVER)
        if run == len(starts):
            break
        who = heard + 1
        since = entry[np.uint32(heard)]
        if since == FOREVER:
            continue
        quiet_from = since + last
        for row in range(np.uint64(starts[run]), np.uint64(stops[run])):
            out_unit[written], out_start[written], out_stop[written] = heard, quiet_from, at[row]
            written += np.uint64(quiet_from < at[row])
            quiet_from = max(quiet_from, at[row] + last)
        out_unit[written], out_start[written], out_stop[written] = heard, quiet_from, FOREVER
        written += np.uint64(1)
    return int(written)


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

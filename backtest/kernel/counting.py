"""Compiled passes over one slice that count events: `did`, `did_not`, `without` and `trend`.

Every pass reads matches sorted by (unit, instant) and writes intervals sorted the same way, disjoint and not touching, into buffers that the
caller owns (`out_unit`, `out_start`, `out_stop`); it returns how many it wrote. All instants are int64 microseconds and all arithmetic is on
whole numbers. `FOREVER` is 2^61, so that adding any span to it stays below 2^63.

Events of a unit come two or three in a row, so that a branch per row is mispredicted as often as not, which costs more than the work. Hence the
pattern below: write to the next place in any case, and move on to the place after it only if what was written counts.
"""

from __future__ import annotations

from numba import njit

from backtest.intervals import Codes, Flags, Ints
from backtest.kernel.ends import FOREVER


@njit(cache=True, nogil=True)
def nth_since_entry(unit: Codes, at: Ints, starts: Codes, stops: Codes, entry: Ints, n: int, out_unit: Codes, out_at: Ints) -> int:
    """Each unit's n-th match at or after its entry, from its runs of at least n rows. Most runs begin after entry and cost one look."""
    written = 0
    for run in range(len(starts)):
        low, high = starts[run], stops[run]
        who = unit[low]
        since = entry[who]
        if (at[low] < since) & (since < FOREVER):
            while low < high and at[low] < since:
                low += 1
        row = low + n - 1
        out_unit[written], out_at[written] = who, at[min(row, high - 1)]
        written += (row < high) & (since < FOREVER)
    return written


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
    written = 0
    for row in range(count):
        out_unit[written], out_start[written], out_stop[written] = unit[row], at[row], FOREVER
        written += at[row] < entry[unit[row]] + length
    return written


@njit(cache=True, nogil=True)
def lately(unit: Codes, opens: Ints, closes: Ints, n: int, last: int, out_unit: Codes, out_start: Ints, out_stop: Ints) -> int:
    """At least n matches in `(t - last, t]`: each n consecutive matches hold from the newest (`opens`) until the oldest (`closes`) is `last` old.

    `opens` and `closes` are the same instants for events; for days, each day's first match and its last.
    """
    found, back = 0, n - 1
    for row in range(back, len(unit)):
        stop = closes[row - back] + last
        out_unit[found], out_start[found], out_stop[found] = unit[row], opens[row], stop
        found += (unit[row] == unit[row - back]) & (opens[row] < stop)
    return _united(found, out_unit, out_start, out_stop)


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
    found, back = 0, n - 1
    for run in range(len(starts)):
        for row in range(starts[run] + back, stops[run]):
            stop = closes[row - back] + last
            out_unit[found], out_start[found], out_stop[found] = unit[row], opens[row], stop
            found += opens[row] < stop
    return _united(found, out_unit, out_start, out_stop)


@njit(cache=True, nogil=True)
def _united(count: int, unit: Codes, start: Ints, stop: Ints) -> int:
    """The union, in place, of intervals whose starts and stops both ascend within each unit: each begins anew or prolongs the one before it, also
    where it only touches it."""
    if count == 0:
        return 0
    place, before_unit, before_stop = 0, unit[0], stop[0]
    for index in range(1, count):
        who, begin, end = unit[index], start[index], stop[index]
        begins = (who != before_unit) | (begin > before_stop)
        place += begins
        unit[place], stop[place] = who, end
        start[place] = begin if begins else start[place]
        before_unit, before_stop = who, end
    return place + 1


@njit(cache=True, nogil=True)
def silent_since_entry(
    heard_unit: Codes, heard_at: Ints, count: int, entry: Ints, length: int, heard: Flags, out_unit: Codes, out_start: Ints, out_stop: Ints
) -> int:
    """No match in `[entry, entry + length)`: from its end on. Given is each unit's first match since entry; `heard` is scratch, all false."""
    for index in range(count):
        heard[heard_unit[index]] = heard_at[index] < entry[heard_unit[index]] + length
    written = 0
    for who in range(len(entry)):
        out_unit[written], out_start[written], out_stop[written] = who, entry[who] + length, FOREVER
        written += (entry[who] < FOREVER) & (not heard[who])
    for index in range(count):
        heard[heard_unit[index]] = False
    return written


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
    written, who = 0, 0
    for run in range(len(starts) + 1):
        heard = unit[starts[run]] if run < len(starts) else len(entry)
        while who < heard:
            out_unit[written], out_start[written], out_stop[written] = who, entry[who] + last, FOREVER
            written += entry[who] < FOREVER
            who += 1
        if run == len(starts):
            break
        who += 1
        if entry[heard] == FOREVER:
            continue
        quiet_from = entry[heard] + last
        for row in range(starts[run], stops[run]):
            out_unit[written], out_start[written], out_stop[written] = heard, quiet_from, at[row]
            written += quiet_from < at[row]
            quiet_from = max(quiet_from, at[row] + last)
        out_unit[written], out_start[written], out_stop[written] = heard, quiet_from, FOREVER
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

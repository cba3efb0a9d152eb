"""What each clause means: for every unit, the half-open intervals in which it holds.

One rule governs all of them: only events at or before an instant decide what holds at that instant. Two events at the same microsecond have no
order. First spans are counted from entry; trailing spans look at `(t - d, t]` and see the unit's own events before its entry too; whoever uses
these intervals cuts them to `[entry, ∞)` (`backtest.fires`). Spans are in `backtest.spans`, clauses that measure in `backtest.measures`.

Each function below is one row of the reference page of the language and is checked against a brute-force oracle in plain loops.
"""

from __future__ import annotations

import numpy as np

from backtest.durations import DAY
from backtest.events import EventLog, Matches
from backtest.intervals import ALWAYS, FOREVER, Codes, Flags, Intervals, Ints, complement, covered, intersection, nothing, order, since
from backtest.language import Age, Clause, Cohort, Counted, Did, DidNot, Last, Sequence, State, Total, Trend, ValuesOf, Without
from backtest.measures import Truth, state, total, trend
from backtest.spans import first_session, in_first_span, span_end
from backtest.values import as_text


def truth(clause: Clause, log: EventLog, entry: Ints) -> Truth:
    """`entry`: each unit's entry instant, `FOREVER` for units outside the population."""
    if isinstance(clause, State):
        return state(clause, log, entry)
    return Truth(_plain_truth(clause, log, entry), np.empty(0, np.int32), np.empty(0, np.int64))


def _plain_truth(clause: Clause, log: EventLog, entry: Ints) -> Intervals:
    match clause:
        case Did():
            return did(clause, log, entry)
        case DidNot():
            return did_not(clause, log, entry)
        case Sequence():
            return sequence(clause, log, entry)
        case Without():
            return without(clause, log)
        case Trend():
            return trend(clause, log, entry)
        case Total():
            return total(clause, log, entry)
        case Age():
            everyone = np.arange(len(entry), dtype=np.int32)
            return since(everyone, np.where(entry < FOREVER, entry + clause.at_least, FOREVER))
        case Cohort():
            members = np.flatnonzero(log.cohorts[clause.cohort]).astype(np.int32)
            return Intervals(members, np.full(len(members), ALWAYS), np.full(len(members), FOREVER))
        case State():
            raise TypeError("a state has silent starts; ask truth()")


# --- did, did not ----------------------------------------------------------------------------------------------------


def did(clause: Did, log: EventLog, entry: Ints) -> Intervals:
    found = log.matches(clause.match)
    if isinstance(clause.span, Last):
        return _did_lately(clause, found, log, int(clause.span.last))
    found = in_first_span(found, clause.span, log, entry)
    if clause.count is not Counted.events:
        found = _first_of_each(found, _distinct(clause, found, log))
    return _from_nth(found, clause.at_least)


def _from_nth(found: Matches, n: int) -> Intervals:
    """From each unit's n-th match for ever."""
    if len(found) < n:
        return nothing()
    nth = np.flatnonzero(found.unit[n - 1 :] == found.unit[: len(found) - n + 1]) + n - 1
    first = np.concatenate(([True], np.diff(found.unit[nth]) != 0)) if len(nth) else np.empty(0, np.bool_)
    return since(found.unit[nth[first]], found.at[nth[first]])


def _did_lately(clause: Did, found: Matches, log: EventLog, last: int) -> Intervals:
    n = clause.at_least
    if clause.count is Counted.events:
        if len(found) < n:
            return nothing()
        opens = slice(0, len(found) - n + 1)
        same = found.unit[n - 1 :] == found.unit[opens]
        # From the n-th match until the oldest of those n is `last` old.
        return covered(found.unit[n - 1 :][same], found.at[n - 1 :][same], found.at[opens][same] + last)
    key, found = _keyed(found, _distinct(clause, found, log))
    each = covered(key, found.at, found.at + last)  # where this unit has this key within the span
    unit_of_key = np.zeros(int(key.max(initial=-1)) + 1, np.int32)
    unit_of_key[key] = found.unit
    return covered(unit_of_key[each.unit], each.start, each.stop, n)


def _distinct(clause: Did, found: Matches, log: EventLog) -> Ints:
    """A code per match: two matches of a unit count once where their codes are equal; -1 where there is nothing to count."""
    if clause.count is Counted.days:
        return found.at // DAY + 1_000_000  # dates of UTC; the offset keeps those before 1970 clear of -1
    if clause.count is Counted.persons:
        return (log.persons if log.persons is not None else log.unit)[found.rows].astype(np.int64)
    if not isinstance(clause.count, ValuesOf):
        raise TypeError("events are counted, not told apart")
    column = log.columns[clause.count.values_of]
    texts: dict[str, int] = {}
    same_text = np.fromiter((texts.setdefault(as_text(value), len(texts)) for value in column.values), np.int64, len(column.values))
    codes = column.codes[found.rows]
    return np.where(codes >= 0, np.append(same_text, -1)[codes], -1)


def _keyed(found: Matches, code: Ints) -> tuple[Codes, Matches]:
    """One number per distinct (unit, code), and the matches that have a code, ordered by it."""
    known = code != -1
    found, code = found.where(known), code[known]
    if np.any((np.diff(found.unit) == 0) & (np.diff(code) < 0)):  # dates come in order with the instants, values and persons do not
        by = np.lexsort((found.at, code, found.unit))
        found, code = Matches(found.unit[by], found.at[by], found.rows[by]), code[by]
    new = (np.diff(found.unit, prepend=-1) != 0) | (np.diff(code, prepend=-2) != 0)
    return (np.cumsum(new) - 1).astype(np.int32), found


def _first_of_each(found: Matches, code: Ints) -> Matches:
    key, found = _keyed(found, code)
    firsts = found.where(np.diff(key, prepend=-1) != 0)
    by = order(firsts.unit, firsts.at)
    return Matches(firsts.unit[by], firsts.at[by], firsts.rows[by])


def did_not(clause: DidNot, log: EventLog, entry: Ints) -> Intervals:
    found = log.matches(clause.match)
    if isinstance(clause.span, Last):
        return absent(found.unit, found.at, int(clause.span.last), entry)
    inside = in_first_span(found, clause.span, log, entry)
    quiet = entry < FOREVER
    quiet[inside.unit] = False
    over = first_session(log, entry)[1] if clause.span == "first_session" else span_end(clause.span, log, entry)
    return since(np.flatnonzero(quiet).astype(np.int32), over[quiet])


def absent(unit: Codes, at: Ints, last: int, entry: Ints) -> Intervals:
    """Where t >= entry + last and no match lies in (t - last, t]."""
    units = len(entry)
    heard = covered(unit, at, at + last)
    entered = entry < FOREVER
    old_enough = since(np.flatnonzero(entered).astype(np.int32), entry[entered] + last)
    return intersection([complement(heard, units), old_enough])


def lapse(unit: Codes, at: Ints, after: int, entry: Ints, end: int) -> Ints:
    """The first instant before `end` at which a unit has been silent for `after`; `FOREVER` where there is none. All history counts."""
    quiet = absent(unit, at, after, entry)
    first = np.full(len(entry), FOREVER)
    np.minimum.at(first, quiet.unit, quiet.start)
    return np.where(first < end, first, FOREVER)


# --- order -----------------------------------------------------------------------------------------------------------


def _merged(a: Matches, b: Matches) -> tuple[Codes, Ints, Flags]:
    """Both kinds in order of (unit, instant), b before a where they tie, so that "strictly before" is "earlier in the list"."""
    unit, at = np.concatenate((a.unit, b.unit)), np.concatenate((a.at, b.at))
    is_a = np.concatenate((np.ones(len(a), np.bool_), np.zeros(len(b), np.bool_)))
    by = np.lexsort((is_a, at, unit))
    return unit[by], at[by], is_a[by]


def pairs(a: Matches, b: Matches, within: int | None) -> tuple[Codes, Ints, Ints]:
    """For each b: the latest a strictly before it and at most `within` earlier. Gives unit, instant of a, instant of b."""
    unit, at, is_a = _merged(a, b)
    latest = np.maximum.accumulate(np.where(is_a, np.arange(len(at)), -1)) if len(at) else np.empty(0, np.int64)
    ok = ~is_a & (latest >= 0) & (unit[latest] == unit)
    when_b, when_a, who = at[ok], at[latest[ok]], unit[ok]
    near = when_b - when_a <= within if within is not None else np.ones(len(who), np.bool_)
    return who[near], when_a[near], when_b[near]


def sequence(clause: Sequence, log: EventLog, entry: Ints) -> Intervals:
    a, b = log.matches(clause.match), log.matches(clause.then)
    if isinstance(clause.span, Last):
        unit, first, second = pairs(a, b, clause.within)
        return covered(unit, second, first + int(clause.span.last))
    a, b = (in_first_span(found, clause.span, log, entry) for found in (a, b))
    unit, _, second = pairs(a, b, clause.within)
    return _from_nth(Matches(unit, second, second), 1)


def without(clause: Without, log: EventLog) -> Intervals:
    """From `within` after the first `match` that nothing answered in time."""
    a, b = log.matches(clause.match), log.matches(clause.without)
    unit, at, is_a = _merged(a, b)
    count = len(at)
    following = np.minimum.accumulate(np.where(is_a, count, np.arange(count))[::-1])[::-1] if count else np.empty(0, np.int64)
    answered = np.full(count, FOREVER)
    real = following < count
    same = np.zeros(count, np.bool_)
    same[real] = unit[following[real]] == unit[real]
    answered[same] = at[following[same]]
    lonely = is_a & (answered - at > clause.within)
    return _from_nth(Matches(unit[lonely], at[lonely] + int(clause.within), at[lonely]), 1)

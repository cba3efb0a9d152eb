"""What each clause means: for every unit, the half-open intervals in which it holds.

One rule governs all of them: only events at or before an instant decide what holds at that instant. Two events at the same microsecond have no
order. First spans are counted from entry; trailing spans look at `(t - d, t]` and see the unit's own events before its entry too; whoever uses
these intervals cuts them to `[entry, ∞)` (`backtest.fires`).

Each function below is one row of the reference page of the language and is checked against a brute-force oracle in plain loops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from backtest.durations import DAY, MINUTE
from backtest.events import Column, EventLog, Matches
from backtest.intervals import (
    ALWAYS,
    FOREVER,
    Codes,
    Flags,
    Intervals,
    Ints,
    complement,
    covered,
    intersection,
    nothing,
    order,
    runs,
    since,
)
from backtest.language import (
    SESSION_CAP,
    Age,
    Clause,
    Cohort,
    Counted,
    Did,
    DidNot,
    First,
    Last,
    Measure,
    Sequence,
    State,
    Total,
    Trend,
    ValuesOf,
    Without,
)
from backtest.matching import EventMatch
from backtest.values import as_number, as_text, exact, predicate, rank

SESSION_GAP = 30 * MINUTE
"""A gap of more than this between two consecutive events of a unit ends its first session; exactly this does not."""


@dataclass(frozen=True)
class Truth:
    """Where a clause holds. `silent_unit`, `silent_at`: starts that are no fire by themselves (a state that merely becomes known)."""

    held: Intervals
    silent_unit: Codes
    silent_at: Ints


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


# --- spans that are counted from entry -------------------------------------------------------------------------------


def span_end(span: First | str, log: EventLog, entry: Ints) -> Ints:
    """Where each unit's first span stops (exclusive); `FOREVER` for `ever`."""
    if isinstance(span, First):
        return np.where(entry < FOREVER, entry + span.first, FOREVER)
    return first_session(log, entry)[0] if span == "first_session" else np.full(len(entry), FOREVER)


def first_session(log: EventLog, entry: Ints) -> tuple[Ints, Ints]:
    """Per unit: the end of the first session (exclusive) and the instant at which it is known to be over."""
    cap = np.where(entry < FOREVER, entry + SESSION_CAP, FOREVER)
    seen = log.matches(EventMatch(any_event=True))
    seen = seen.where((seen.at >= entry[seen.unit]) & (seen.at < cap[seen.unit]))
    if not len(seen):
        return cap, cap
    breaks = (np.diff(seen.unit) == 0) & (np.diff(seen.at) > SESSION_GAP)
    new_unit = np.concatenate(([True], np.diff(seen.unit) != 0))
    block = np.cumsum(np.concatenate(([False], breaks)))
    in_first = block == block[new_unit][np.cumsum(new_unit) - 1]
    last = np.full(len(entry), ALWAYS)
    np.maximum.at(last, seen.unit[in_first], seen.at[in_first])
    over = np.where(last > ALWAYS, np.minimum(last + SESSION_GAP, cap), cap)
    return np.where(last > ALWAYS, np.minimum(last + 1, cap), cap), over


def _in_first_span(found: Matches, span: First | str, log: EventLog, entry: Ints) -> Matches:
    end = span_end(span, log, entry)
    return found.where((found.at >= entry[found.unit]) & (found.at < end[found.unit]))


# --- did, did not ----------------------------------------------------------------------------------------------------


def did(clause: Did, log: EventLog, entry: Ints) -> Intervals:
    found = log.matches(clause.match)
    if isinstance(clause.span, Last):
        return _did_lately(clause, found, log, int(clause.span.last))
    found = _in_first_span(found, clause.span, log, entry)
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
    inside = _in_first_span(found, clause.span, log, entry)
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
    a, b = (_in_first_span(found, clause.span, log, entry) for found in (a, b))
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


# --- trend, total, state ---------------------------------------------------------------------------------------------


def trend(clause: Trend, log: EventLog, entry: Ints) -> Intervals:
    """Two counts that change where a match arrives, turns `over` old, and turns `2 over` old."""
    found, over = log.matches(clause.match), int(clause.over)
    unit = np.concatenate((found.unit,) * 3)
    at = np.concatenate((found.at, found.at + over, found.at + 2 * over))
    one, none = np.ones(len(found), np.int64), np.zeros(len(found), np.int64)
    now_step, before_step = np.concatenate((one, -one, none)), np.concatenate((none, one, -one))
    by = order(unit, at)
    unit, at = unit[by], at[by]
    first = np.flatnonzero(np.concatenate(([True], (np.diff(unit) != 0) | (np.diff(at) != 0)))) if len(at) else np.empty(0, np.int64)
    if not len(first):
        return nothing()
    now = np.cumsum(np.add.reduceat(now_step[by], first))
    before = np.cumsum(np.add.reduceat(before_step[by], first))
    holds = (before >= clause.at_least_before) & _ratio_holds(clause, now, before)
    entered = entry < FOREVER
    old_enough = since(np.flatnonzero(entered).astype(np.int32), entry[entered] + 2 * over)
    return intersection([runs(unit[first], at[first], holds), old_enough])


def _ratio_holds(clause: Trend, now: Ints, before: Ints) -> Flags:
    """Whole numbers against the ratio as it was written: 11 to 10 is exactly 1.1. Judged once per distinct pair of counts."""
    pairs, which = np.unique(np.stack((now, before)), axis=1, return_inverse=True)
    up = clause.ratio_at_least is not None
    ratio = Fraction(exact(clause.ratio_at_least if clause.ratio_at_least is not None else clause.ratio_at_most or 0))
    answers = [n >= ratio * b if up else n <= ratio * b for n, b in pairs.T.tolist()]
    return np.array(answers, np.bool_)[which]


def total(clause: Total, log: EventLog, entry: Ints) -> Intervals:
    """The running sum, greatest or latest value. Where the span holds no number there is no total, and the clause does not hold."""
    found, value = _numbers(clause, log)
    if not isinstance(clause.span, Last):
        inside = _in_first_span(Matches(found.unit, found.at, np.arange(len(found))), clause.span, log, entry)
        found, value = found.where(inside.rows), value[inside.rows]
        return _total_since_entry(clause, found, value)
    last = int(clause.span.last)
    if clause.measure is Measure.max:
        return _greatest_lately(clause, found, value, last)
    if clause.measure is Measure.latest:
        unit, at, value = _latest_at(found, value)
        next_at = np.where(np.diff(unit, append=-1) == 0, np.append(at[1:], FOREVER), FOREVER)
        holds = _clears(clause, value)
        return covered(unit[holds], at[holds], np.minimum(next_at, at + last)[holds])
    return _sum_lately(clause, found, value, last)


def _clears(clause: Total, value: np.ndarray) -> Flags:
    return value >= clause.at_least if clause.at_least is not None else value <= clause.at_most


def _numbers(clause: Total, log: EventLog) -> tuple[Matches, np.ndarray]:
    found = log.matches(clause.match)
    column = log.columns[clause.property]
    kind = log.types.get(".".join(clause.property))
    numbers = [as_number(value, kind) for value in column.values]
    known = np.append([number is not None for number in numbers], False).astype(np.bool_)
    found = found.where(known[column.codes[found.rows]])
    value = np.array([number or 0 for number in numbers], np.float64)
    return found, value[column.codes[found.rows]] if len(found) else np.empty(0)


def _total_since_entry(clause: Total, found: Matches, value: np.ndarray) -> Intervals:
    unit, at = found.unit, found.at
    if not len(unit):
        return nothing()
    if clause.measure is Measure.latest:
        unit, at, value = _latest_at(found, value)
    else:
        starts = np.flatnonzero(np.diff(unit, prepend=-1) != 0)
        parts = np.split(value, starts[1:])
        value = np.concatenate([_running_sum(part) if clause.measure is Measure.sum else np.maximum.accumulate(part) for part in parts])
        last_of_tie = np.append((np.diff(unit) != 0) | (np.diff(at) != 0), True)
        unit, at, value = unit[last_of_tie], at[last_of_tie], value[last_of_tie]
    return runs(unit, at, _clears(clause, value))


def _running_sum(values: np.ndarray) -> np.ndarray:
    """Correctly rounded sums (fsum), so that the result does not depend on how the history was cut."""
    if np.all(values == np.trunc(values)) and np.abs(values).max(initial=0) * len(values) < 2**53:
        return np.cumsum(values)  # whole numbers add exactly
    return np.array([_sum(values[: index + 1]) for index in range(len(values))])


def _sum(values: np.ndarray) -> float:
    """Beyond the largest double a sum is infinite, as in any other arithmetic of doubles."""
    try:
        return math.fsum(values)
    except OverflowError:
        return math.copysign(math.inf, float(np.sum(values / 2**64)))


def _latest_at(found: Matches, value: np.ndarray) -> tuple[Codes, Ints, np.ndarray]:
    """One value per (unit, instant): the greatest of tied ones."""
    by = np.lexsort((value, found.at, found.unit))
    unit, at, value = found.unit[by], found.at[by], value[by]
    last = np.append((np.diff(unit) != 0) | (np.diff(at) != 0), True) if len(unit) else np.empty(0, np.bool_)
    return unit[last], at[last], value[last]


def _greatest_lately(clause: Total, found: Matches, value: np.ndarray, last: int) -> Intervals:
    if clause.at_least is not None:
        high = value >= clause.at_least
        return covered(found.unit[high], found.at[high], found.at[high] + last)
    any_value = covered(found.unit, found.at, found.at + last)
    high = value > clause.at_most
    units = int(found.unit.max(initial=-1)) + 1
    return intersection([any_value, complement(covered(found.unit[high], found.at[high], found.at[high] + last), units)])


def _sum_lately(clause: Total, found: Matches, value: np.ndarray, last: int) -> Intervals:
    """The sum over (t - last, t] at every instant where it can change."""
    if not len(found):
        return nothing()
    starts = np.flatnonzero(np.diff(found.unit, prepend=-1) != 0)
    ends = np.append(starts[1:], len(found))
    units, instants, holds = [], [], []
    for lo, hi in zip(starts, ends, strict=True):
        at, values = found.at[lo:hi], value[lo:hi]
        change = np.unique(np.concatenate((at, at + last)))
        oldest, newest = np.searchsorted(at, change - last, "right"), np.searchsorted(at, change, "right")
        sums = np.array([_sum(values[a:b]) for a, b in zip(oldest, newest, strict=True)])
        units.append(np.full(len(change), found.unit[lo], np.int32))
        instants.append(change)
        holds.append((newest > oldest) & _clears(clause, sums))
    return runs(np.concatenate(units), np.concatenate(instants), np.concatenate(holds))


def state(clause: State, log: EventLog, entry: Ints) -> Truth:
    """The latest known value, from the unit's first event that carries it, or from what was known before the window."""
    path, kind = clause.property, log.types.get(".".join(clause.property))
    test = predicate(clause.comparison, log.types)
    found = log.carrying(path)
    column = log.columns[path]
    codes = column.codes[found.rows]
    ranked = np.empty(len(column.values), np.int64)
    ranked[sorted(range(len(column.values)), key=lambda index: rank(column.values[index], kind))] = np.arange(len(column.values))
    unit, at, best = _latest_at(found, ranked[codes])
    true_at_rank = np.empty(len(column.values), np.bool_)
    true_at_rank[ranked] = [test(value) for value in column.values]
    holds = true_at_rank[best] if len(best) else np.empty(0, np.bool_)
    new_unit = np.diff(unit, prepend=-1) != 0
    seed = log.seeds.get(path, Column(np.full(len(entry), -1, np.int32), []))
    seeded = np.flatnonzero(seed.codes >= 0).astype(np.int32)
    seed_holds = np.array([test(seed.values[code]) for code in seed.codes[seeded]], np.bool_)
    by = order(both := np.concatenate((seeded, unit)), when := np.concatenate((np.full(len(seeded), ALWAYS), at)))
    held = runs(both[by], when[by], np.concatenate((seed_holds, holds))[by])
    silent = new_unit & holds & (seed.codes[unit] < 0)
    return Truth(held, unit[silent], at[silent])

"""What the clauses mean that measure: trends of counts, totals of a numeric property, and the state of a property."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from backtest.events import Column, EventLog, Matches
from backtest.intervals import ALWAYS, FOREVER, Codes, Flags, Intervals, Ints, complement, covered, intersection, nothing, order, runs, since
from backtest.language import Last, Measure, State, Total, Trend
from backtest.spans import in_first_span
from backtest.values import as_number, exact, predicate, rank


@dataclass(frozen=True)
class Truth:
    """Where a clause holds. `silent_unit`, `silent_at`: starts that are no fire by themselves (a state that merely becomes known)."""

    held: Intervals
    silent_unit: Codes
    silent_at: Ints


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
        inside = in_first_span(Matches(found.unit, found.at, np.arange(len(found))), clause.span, log, entry)
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

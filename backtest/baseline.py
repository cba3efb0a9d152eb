"""The age-matched baseline: how often does *any* unit that is still unconverted at this age convert within the horizon?

For a fire at age u (time since entry), B(u) = converted within (u, u + H] / at risk, over all units with an entry, fired or not, for which the
instant entry + u lies in the window with its horizon complete (numbers 1.5 and 1.9 rule 5). A unit with entry a and outcome age s = c - a is at
risk for exactly the ages u in [T0 - a, T1 - H - a] with u < s, and converts in time where also u >= s - H: two intervals of u per unit. So B is a
table of sorted interval ends, and one age costs four binary searches. The table needs all units and does not depend on how the log was cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.intervals import FOREVER, Codes, Flags, Intervals, Ints, covered, intersection, order

MINIMUM_COMPARATORS = 20
"""With fewer units at risk at its age a fire is unsupported: it counts for precision, not for lift."""


@dataclass(frozen=True)
class Expected:
    """Sums over fires: `supported` of them, `hits` true positives among these, and `total` = Σ B(age), once, in a fixed order (fsum)."""

    supported: int
    hits: int
    total: float

    @property
    def baseline(self) -> float | None:
        return self.total / self.supported if self.supported else None

    @property
    def lift(self) -> float | None:
        return self.hits / self.total if self.supported and self.total > 0 else None


@dataclass(frozen=True)
class AgeTable:
    """How many intervals of age cover u, for those at risk and those who convert in time: sorted starts (inclusive) and stops (exclusive)."""

    risk_starts: Ints
    risk_stops: Ints
    hit_starts: Ints
    hit_stops: Ints

    def at_risk(self, age: Ints) -> Ints:
        return _covering(self.risk_starts, self.risk_stops, age)

    def converting(self, age: Ints) -> Ints:
        return _covering(self.hit_starts, self.hit_stops, age)

    def __add__(self, other: AgeTable) -> AgeTable:
        """Tables of disjoint sets of units add up, however the units were cut."""
        return AgeTable(*(np.sort(np.concatenate(both)) for both in zip(self._ends(), other._ends(), strict=True)))

    def _ends(self) -> tuple[Ints, Ints, Ints, Ints]:
        return self.risk_starts, self.risk_stops, self.hit_starts, self.hit_stops


def _covering(starts: Ints, stops: Ints, age: Ints) -> Ints:
    return np.searchsorted(starts, age, "right") - np.searchsorted(stops, age, "right")


@dataclass(frozen=True)
class Comparators:
    """Per unit the ages [start, stop) at which it is at risk with a complete horizon; from `soonest` on it converts in time (`stop` where it never
    does). Unlike the table this keeps what belongs to one unit together. Order carries no meaning."""

    start: Ints
    soonest: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.start)

    def __add__(self, other: Comparators) -> Comparators:
        return Comparators(*(np.concatenate(both) for both in zip(self.columns, other.columns, strict=True)))

    @property
    def columns(self) -> tuple[Ints, Ints, Ints]:
        return self.start, self.soonest, self.stop

    def ordered(self) -> Comparators:
        """In the one order that all have who hold the same units."""
        by = np.lexsort((self.start, self.soonest, self.stop))
        return Comparators(*(column[by] for column in self.columns))

    def table(self) -> AgeTable:
        hits = self.soonest < self.stop
        return AgeTable(np.sort(self.start), np.sort(self.stop), np.sort(self.soonest[hits]), np.sort(self.stop[hits]))


@dataclass(frozen=True)
class AtRisk:
    """The intervals of age in which each unit is at risk with a complete horizon; narrow it for other comparators, then make the `table`."""

    ages: Intervals
    outcome_age: Ints
    horizon: int

    def comparators(self) -> Comparators:
        start, stop = self.ages.start, self.ages.stop
        return Comparators(start, np.clip(self.outcome_age[self.ages.unit] - self.horizon, start, stop), stop)

    def table(self) -> AgeTable:
        return self.comparators().table()

    def narrowed(self, to: Intervals) -> AtRisk:
        return AtRisk(intersection([self.ages, to]), self.outcome_age, self.horizon)


def at_risk(entry: Ints, outcome: Ints, window_start: int, window_end: int, horizon: int) -> AtRisk:
    entered = entry < FOREVER
    age = np.where(outcome < FOREVER, outcome - np.where(entered, entry, 0), FOREVER)
    unit = np.flatnonzero(entered)
    start = np.maximum(window_start - entry[unit], 0)
    stop = np.minimum(window_end - horizon - entry[unit] + 1, age[unit])  # ages are whole microseconds: u < s, u <= T1 - H - a
    real = start < stop
    return AtRisk(Intervals(unit[real].astype(np.int32), start[real], stop[real]), age, horizon)


def awake_ages(entry: Ints, unit: Codes, first: Ints, last: Ints, within: int) -> Intervals:
    """Ages at which a unit had an event in (t - within, t], from blocks of presence without inner gaps longer than `within`."""
    known = entry[unit] < FOREVER
    unit, first, last = unit[known], first[known], last[known]
    by = order(unit, first)
    unit, first, last = unit[by], first[by], last[by]
    start, stop = first - entry[unit], last - entry[unit] + within
    return covered(unit, start, stop)


def ages_after_fire(entry: Ints, fired_unit: Codes, fired_at: Ints) -> Intervals:
    """Ages beyond a unit's fire. Taken away from the comparators they leave those not yet fired; a fire is its own comparator."""
    return Intervals(fired_unit, fired_at - entry[fired_unit] + 1, np.full(len(fired_unit), FOREVER))


def expected(table: AgeTable, ages: Ints, converted: Flags, supported: Flags, without: AgeTable | None = None) -> Expected:
    """Over fires at `ages` (microseconds since entry) that are `supported`; `converted` flags the true positives.

    `without` holds comparators to leave out, as ages at which they no longer count.
    """
    ages, converted = ages[supported], converted[supported]
    risk, hits = table.at_risk(ages), table.converting(ages)
    if without is not None:
        risk, hits = risk - without.at_risk(ages), hits - without.converting(ages)
    answerable = risk > 0
    total = math.fsum(np.sort(hits[answerable] / risk[answerable]).tolist())
    return Expected(int(answerable.sum()), int(converted[answerable].sum()), total)


def supported(table: AgeTable, ages: Ints) -> Flags:
    return table.at_risk(ages) >= MINIMUM_COMPARATORS

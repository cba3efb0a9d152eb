"""How far off may observed over expected, TP / E, be? The lift of design F, with everything that makes it uncertain taken into account.

The units that fire are among the comparators too: one that hits raises TP and, by raising B at all ages at which it is compared, also E. So TP and E
move together, and an interval that takes E as known is too wide where fires precede many of the conversions. And B is an estimate, so where
comparators are few the same interval is too narrow. To first order unit j moves ln(TP / E) by its influence

    ψ_j = hit_j / TP - (B(u_j) + w_j) / E,    w_j = Σ over fires i of (converts_j(u_i) - B(u_i) at_risk_j(u_i)) / at risk(u_i),

where hit_j and B(u_j) are 0 unless j has a supported fire, and w_j is what it adds to E as a comparator. Units are independent, so the variance of
ln(TP / E) is Σ ψ_j² (the delta method for a ratio of sums over units: Deville 1999; Davison, Hinkley 1997, section 2.7). All fires are at ages
within [start, stop) of their own unit, so each w_j is four look-ups in running sums over the fires in order of age.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.baseline import AgeTable, Comparators, at_risk, supported
from backtest.bootstrap import ROUNDS, lift_of_fires
from backtest.events import EventLog
from backtest.intervals import Codes, Flags, Ints
from backtest.language import Hypothesis
from backtest.proportions import Z95, Interval, wilson
from backtest.stratified import Floats

NO_SPREAD = 1e-9
"""A standard error of ln lift below this is rounding: the lift is what it is whatever the data are (everybody fires at entry: exactly 1)."""


@dataclass(frozen=True)
class Judged:
    """The fires in the sample: each one's age and its unit as a comparator, aligned. Order carries no meaning; those of disjoint units add."""

    ages: Ints
    own: Comparators

    def __add__(self, other: Judged) -> Judged:
        return Judged(np.concatenate((self.ages, other.ages)), self.own + other.own)

    @property
    def hits(self) -> Flags:
        return self.own.soonest <= self.ages

    def where(self, keep: Flags | Ints) -> Judged:
        return Judged(self.ages[keep], Comparators(*(column[keep] for column in self.own.columns)))

    def ordered(self) -> Judged:
        by = np.lexsort((*self.own.columns, self.ages))
        return Judged(self.ages[by], Comparators(*(column[by] for column in self.own.columns)))


def judged(hypothesis: Hypothesis, log: EventLog, unit: Codes, at: Ints) -> Judged:
    """Of the fires of `unit` at `at`, unconverted and with a complete horizon: so all of them are at risk."""
    entry, outcome = log.entry(hypothesis)[unit], log.outcome(hypothesis)[unit]
    return Judged(at - entry, at_risk(entry, outcome, log.window.start, log.window.end, int(hypothesis.horizon)).comparators())


@dataclass(frozen=True)
class Observed:
    """The supported fires in one fixed order: whether each `hits`, what is `expected` of it (B), and what its unit adds to the whole expectation as
    a comparator (`own`, w_j). `others`: Σ w_j² over all units without such a fire."""

    hits: Flags
    expected: Floats
    own: Floats
    others: float

    @property
    def spread(self) -> float:
        """The standard error of ln(TP / E)."""
        total = self.expected.sum()
        each = self.hits / self.hits.sum() - (self.expected + self.own) / total
        return math.sqrt(float((each * each).sum()) + self.others / float(total * total))

    def interval(self, lift: float) -> Interval | None:
        """lift · exp(± z √Σψ²). Where none or all of the fires hit, that says nothing about the precision: then Wilson's limits of it, divided by
        the mean expectation. `None` where nothing could vary."""
        hits, n = int(self.hits.sum()), len(self.hits)
        if hits in (0, n):
            share, base = wilson(hits, n), float(self.expected.sum()) / n if n else 0.0
            return Interval(share.low / base, share.high / base) if share and base else None
        half = Z95 * self.spread
        return Interval(lift * math.exp(-half), lift * math.exp(half)) if half > NO_SPREAD else None

    def bootstrap(self, rng: np.random.Generator, rounds: int = ROUNDS) -> Interval | None:
        """By resampling the fires, each with what its unit adds to E, while all other units together move E as a normal sum of many small parts."""
        n, own = len(self.hits), float(self.own.sum())
        spread = math.sqrt(self.others + own * own / n) if n else 0.0  # how many of the units fire varies too
        return lift_of_fires(self.hits, self.expected + self.own, rng, rounds=rounds, rest=(-own, spread))


def observed(fires: Judged, everyone: Comparators, table: AgeTable) -> Observed:
    """`everyone` in a fixed order, the firing units included, and the same as a table."""
    fires = fires.where(supported(table, fires.ages)).ordered()
    risk = table.at_risk(fires.ages)
    chance = table.converting(fires.ages) / risk
    weights = _Weights(fires.ages, np.concatenate(([0.0], np.cumsum(1 / risk))), np.concatenate(([0.0], np.cumsum(chance / risk))))
    own, all_of_them = weights.of(fires.own), weights.of(everyone)
    others = float((all_of_them * all_of_them).sum()) - float((own * own).sum())
    return Observed(fires.hits, chance, own, max(0.0, others))


@dataclass(frozen=True)
class _Weights:
    """Running sums over fires in order of age, of 1 / at risk and of B / at risk."""

    ages: Ints
    converting: Floats
    at_risk: Floats

    def of(self, units: Comparators) -> Floats:
        start, soonest, stop = (np.searchsorted(self.ages, column, "left") for column in units.columns)
        return self.converting[stop] - self.converting[soonest] - (self.at_risk[stop] - self.at_risk[start])

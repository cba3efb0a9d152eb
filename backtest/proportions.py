"""Intervals and tests for counts, each with its formula and source. Every function returns `None` where nothing can be said.

Checked against statsmodels and scipy on the worked examples E1-E3 in `tests/backtest/test_proportions.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def wilson(hits: int, n: int, z: float = Z95) -> Interval | None:
    """Wilson's score interval of a proportion (Wilson 1927; preferred to Wald by Brown, Cai, DasGupta 2001).

    centre (p + z²/2n) / (1 + z²/n), half width z √(p(1-p)/n + z²/4n²) / (1 + z²/n).
    """
    if n == 0:
        return None
    p, z2 = hits / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(0.0 if hits == 0 else max(0.0, centre - half), 1.0 if hits == n else min(1.0, centre + half))


@dataclass(frozen=True)
class Closed:
    """A closed two by two table: fired or not at one index time, converted or not within the horizon after it."""

    tp: int
    fp: int
    fn: int
    tn: int

    def __post_init__(self) -> None:
        if min(self.tp, self.fp, self.fn, self.tn) < 0:
            raise ValueError("counts are not negative")

    def __add__(self, other: Closed) -> Closed:
        return Closed(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def fired(self) -> int:
        return self.tp + self.fp

    @property
    def converters(self) -> int:
        return self.tp + self.fn

    @property
    def population(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def lift(self) -> float | None:
        """Precision over base rate: (tp / fired) / (converters / population)."""
        if self.fired == 0 or self.converters == 0:
            return None
        return (self.tp / self.fired) / (self.converters / self.population)

    @property
    def lift_interval(self) -> Interval | None:
        """Katz's logarithmic interval of the risk ratio (Katz et al. 1978), carried to lift.

        ln RR ± z √(1/tp - 1/fired + 1/fn - 1/unfired); lift = RR / (π RR + 1 - π) with π = fired / population is monotone in RR.
        """
        unfired = self.population - self.fired
        if self.tp == 0 or self.fn == 0 or unfired == 0:
            return None
        ratio = (self.tp / self.fired) / (self.fn / unfired)
        half = Z95 * math.sqrt(1 / self.tp - 1 / self.fired + 1 / self.fn - 1 / unfired)
        share = self.fired / self.population
        low, high = (ratio * math.exp(step) for step in (-half, half))
        return Interval(low / (share * low + 1 - share), high / (share * high + 1 - share))

    @property
    def p_value(self) -> float | None:
        """One-sided hypergeometric tail P(X >= tp): Fisher's exact test, "greater"."""
        if self.population == 0:
            return None
        from scipy.stats import hypergeom

        return float(hypergeom.sf(self.tp - 1, self.population, self.converters, self.fired))


def ratio_interval(hits: int, n: int, ratio: float) -> Interval | None:
    """Approximate interval of observed over expected hits: ratio · exp(± z √((1-p)/(n p))), p = hits/n.

    The delta method for a binomial numerator with the expectation taken as known.
    """
    if n == 0 or hits == 0:
        return None
    p = hits / n
    half = Z95 * math.sqrt((1 - p) / (n * p))
    return Interval(ratio * math.exp(-half), ratio * math.exp(half))

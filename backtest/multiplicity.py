"""What p-values and lifts are worth after many hypotheses were tried.

`m` counts everything that was evaluated: proposals that were evaluated and dropped, thresholds and windows scanned. What was dropped counts as p = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.intervals import Flags, Ints
from backtest.stratified import Floats, log_factorials, log_hypergeometric

EULER = 0.5772156649015329


def benjamini_hochberg(p: Floats, m: int | None = None) -> Floats:
    """q-values in the order of `p`: min over ranks j >= i of m p_(j) / j, at most 1 (Benjamini, Hochberg 1995).

    Controls the false discovery rate where the tests are independent or positively dependent.
    """
    m = len(p) if m is None else m
    if m < len(p):
        raise ValueError("m counts everything that was evaluated, so it is at least the number of p-values")
    by = np.argsort(p)
    scaled = m * p[by] / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[by] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return q


def benjamini_yekutieli(p: Floats, m: int | None = None) -> Floats:
    """q-values under any dependence: those of Benjamini-Hochberg times Σ 1/i, i = 1 … m (Benjamini, Yekutieli 2001)."""
    m = len(p) if m is None else m
    return np.minimum(1.0, benjamini_hochberg(p, m) * math.fsum(1 / np.arange(1, m + 1))) if len(p) else np.empty(0)


@dataclass(frozen=True)
class Attainable:
    """`factor` replaces m in Bonferroni's correction, `level` = alpha / factor; hypotheses outside `which` can never be significant."""

    factor: int
    level: float
    which: Flags


def tarone(least_log_p: Floats, alpha: float) -> Attainable:
    """Tarone's correction: the smallest k with at most k hypotheses whose minimum attainable p is <= alpha / k (Tarone 1990; Terada et al. 2013).

    `least_log_p` comes from `stratified.minimum_attainable_log_p`. The family-wise error stays below alpha, and hopeless hypotheses cost nothing.
    """
    ascending = np.sort(least_log_p)
    factors = np.arange(1, len(ascending) + 2)
    testable = np.searchsorted(ascending, math.log(alpha) - np.log(factors), "right")
    factor = int(factors[np.argmax(testable <= factors)])
    return Attainable(factor, alpha / factor, least_log_p <= math.log(alpha / factor))


def least_log_p(fired: Ints, units: int, converters: int) -> Floats:
    """log of the minimum attainable p of a support in one stratum: all of min(fired, converters) hit."""
    most = np.minimum(fired, converters)
    spread = (np.full(len(fired), side) for side in (units, converters))
    return log_hypergeometric(most, *spread, fired, log_factorials(units))


def least_support(units: int, converters: int, level: float) -> int | None:
    """The smallest number of fired units that can reach p <= `level` at all; `None` where none can."""
    supports = np.arange(1, converters + 1)
    reached = least_log_p(supports, units, converters) <= math.log(level)
    return int(supports[np.argmax(reached)]) if reached.any() else None


def expected_best_z(m: int) -> float:
    """E[max z] of m independent null hypotheses ≈ (1 - γ) Φ⁻¹(1 - 1/m) + γ Φ⁻¹(1 - 1/(m e)) (Bailey, López de Prado 2014); 0 for one."""
    from scipy.special import ndtri

    if m < 2:
        return 0.0
    return float((1 - EULER) * -ndtri(1 / m) + EULER * -ndtri(1 / (m * math.e)))


@dataclass(frozen=True)
class BestLift:
    """What the best of `m` random hypotheses would reach: its mean, and the value that it exceeds in one search out of twenty."""

    m: int
    expected: float
    exceeded_by_5_percent: float

    @property
    def sentence(self) -> str:
        return f"The best of {self.m} random hypotheses would reach a lift of {self.expected:.1f}."


def best_null_lift(fired: Ints, units: int, converters: int) -> BestLift | None:
    """The largest lift among null hypotheses of the supports `fired`, from the order statistics of independent hypergeometric counts.

    E[max] = ∫ 1 - Π F_i(l) dl. Overlapping hypotheses reach less: `shuffling.best_null_lifts` measures that. `None` where lift is undefined.
    """
    supports, times = np.unique(fired[fired > 0], return_counts=True)
    if not len(supports) or not converters:
        return None
    factorials, to_lift = log_factorials(units), units / converters
    distributions = [_cumulative(int(n), units, converters, factorials) for n in supports]
    attainable = np.unique(
        np.concatenate([(first + np.arange(len(mass))) / n * to_lift for n, (first, mass) in zip(supports, distributions, strict=True)])
    )
    lifts = attainable[np.unique(np.linspace(0, len(attainable) - 1, 8192).astype(np.int64))]
    log_below = np.zeros(len(lifts))
    for n, count, (first, mass) in zip(supports, times, distributions, strict=True):
        hits = np.floor(lifts * n / to_lift + 1e-9).astype(np.int64) - first
        with np.errstate(divide="ignore"):
            log_below += count * np.where(hits < 0, -np.inf, np.log(mass[np.clip(hits, 0, len(mass) - 1)]))
    below = np.exp(log_below)
    expected = float(lifts[0] + ((1 - below[:-1]) * np.diff(lifts)).sum())
    return BestLift(int(times.sum()), expected, float(lifts[np.argmax(below >= 0.95)]))


def _cumulative(n: int, units: int, converters: int, factorials: Floats) -> tuple[int, Floats]:
    """First possible number of hits worth counting, and P(hits <= first + i)."""
    mean = n * converters / units
    reach = 10 * math.sqrt(mean * (1 - converters / units)) + 26
    low = max(0, n + converters - units, math.floor(mean - reach))
    x = np.arange(low, min(n, converters, math.ceil(mean + reach)) + 1)
    sides = (np.full(len(x), side) for side in (units, converters, n))
    mass = np.exp(log_hypergeometric(x, *sides, factorials))
    return low, np.minimum(1.0, np.cumsum(mass) / mass.sum())

"""Is an approved signal still as good as it was? Tests that may be looked at after every matured fire.

A one-sided Wilson limit, peeked at after each of 400 fires, gives a false alarm in one run of three. A mixture e-process gives one in at most
1/alpha = 20 however often anybody looks (Ville's inequality). Judge drift on the randomised holdout where there is one: once sales contacts a lead,
its conversion is the natural rate plus what sales does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from backtest.intervals import Flags, Ints
from backtest.proportions import Interval
from backtest.stratified import Floats

ALPHA = 0.05


@dataclass(frozen=True)
class Watch:
    """The mixture e-process against H0: precision >= `floor` (the lower Wilson limit of the confirmed precision, or the bar).

    Fires are added in the order in which they fired, when their horizon is complete. `peak` is the largest log e so far: an alarm stays.
    """

    floor: float
    fires: int = 0
    hits: int = 0
    peak: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.floor < 1:
            raise ValueError("a precision to hold lies strictly between 0 and 1")

    def add(self, hit: bool) -> Watch:
        later = replace(self, fires=self.fires + 1, hits=self.hits + hit)
        return replace(later, peak=max(later.peak, later.log_e))

    @property
    def log_e(self) -> float:
        """log of e = [B(1 + S, 1 + n - S) I_p0(1 + S, 1 + n - S) / p0] / (p0^S (1 - p0)^(n - S)): the likelihood averaged over a uniform prior on
        q < p0, relative to p0 (Robbins 1970; Howard et al. 2021). -∞ where the average underflows."""
        from scipy.special import betainc, betaln

        hits, misses = self.hits, self.fires - self.hits
        share = float(betainc(1 + hits, 1 + misses, self.floor))
        if share == 0:
            return -math.inf
        average = float(betaln(1 + hits, 1 + misses)) + math.log(share) - math.log(self.floor)
        return average - hits * math.log(self.floor) - misses * math.log1p(-self.floor)

    @property
    def e_value(self) -> float:
        return math.exp(min(self.log_e, 700.0))

    def alarm(self, alpha: float = ALPHA) -> bool:
        """Has any look so far reached e >= 1/alpha?"""
        return self.peak >= -math.log(alpha)


def confidence_sequence(hits: int, n: int, alpha: float = ALPHA) -> Interval:
    """All p with B(1 + S, 1 + n - S) / (p^S (1 - p)^(n - S)) < 1/alpha: holds the true precision at every n at once (Robbins 1970)."""
    from scipy.special import betaln

    height = float(betaln(1 + hits, 1 + n - hits)) + math.log(alpha)

    def inside(p: float) -> bool:
        return hits * math.log(p) + (n - hits) * math.log1p(-p) > height

    top = hits / n if n else 0.5
    low = 0.0 if hits == 0 else _edge(0.0, top, inside)
    high = 1.0 if hits == n else 1 - _edge(0.0, 1 - top, lambda p: inside(1 - p))
    return Interval(low, high)


def _edge(outside: float, within: float, inside: Callable[[float], bool]) -> float:
    """Where `inside` begins between the two, by bisection to the last digit."""
    for _ in range(100):
        middle = (outside + within) / 2
        if middle <= 0 or not inside(middle):
            outside = middle
        else:
            within = middle
    return within


@dataclass(frozen=True)
class Trend:
    """z of the Cochran-Armitage test, negative where precision falls, and its two-sided p-value."""

    z: float
    p_value: float


def trend(hits: Ints, fires: Ints) -> Trend | None:
    """Cochran-Armitage trend over consecutive weeks 0, 1, 2, … (Cochran 1954; Armitage 1955):

    z = Σ t (x_t - n_t p̄) / √(p̄ (1 - p̄) (Σ n_t t² - (Σ n_t t)²/N)).  `None` with fires in fewer than two weeks, or when all or none hit.
    """
    week = np.arange(len(fires))
    total = int(fires.sum())
    if not total or int(hits.sum()) in (0, total):
        return None
    share = hits.sum() / total
    spread = float((fires * week**2).sum() - (fires * week).sum() ** 2 / total)
    if spread <= 0:
        return None
    z = float((week * (hits - fires * share)).sum() / math.sqrt(share * (1 - share) * spread))
    return Trend(z, math.erfc(abs(z) / math.sqrt(2)))


def e_benjamini_hochberg(log_e: Floats, alpha: float = ALPHA, m: int | None = None) -> Flags:
    """Which of many watched signals to call drifted, with false discovery rate at most alpha under any dependence (Wang, Ramdas 2022):

    the k with the largest e-values, for the largest k with e_(k) >= m / (alpha k). Use each signal's current e, not its peak.
    """
    m = len(log_e) if m is None else m
    by = np.argsort(-log_e, kind="stable")
    ranks = np.arange(1, len(log_e) + 1)
    passed = np.flatnonzero(log_e[by] >= math.log(m / alpha) - np.log(ranks)) if len(log_e) else ranks
    called = np.zeros(len(log_e), np.bool_)
    called[by[: passed[-1] + 1 if len(passed) else 0]] = True
    return called

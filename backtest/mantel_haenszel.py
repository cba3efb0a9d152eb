"""Ratios and screening tests over strata: what is common to several closed tables once the differences between them are set aside.

Cells of a stratum k: a hits, b = fired - a, c converted without fire, d neither; N units. Everything is `None` where nothing can be said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.proportions import Z95, Interval
from backtest.stratified import Floats, Strata


@dataclass(frozen=True)
class Ratio:
    """A ratio with its 95 % interval, which is `None` where the logarithm has no finite variance."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Homogeneity:
    """Do the strata share one odds ratio? χ² with `freedom` degrees of freedom and its p-value."""

    statistic: float
    freedom: int
    p_value: float


def cmh_z(strata: Strata, *, continuity: bool = False) -> Floats:
    """Cochran-Mantel-Haenszel z per hypothesis, for screening only: z = (O - E) / √V, with `continuity` (O - E - ½) / √V.

    O = Σ a, E = Σ n K / N, V = Σ n (N - n) K (N - K) / (N² (N - 1)) over strata of at least two units (Cochran 1954; Mantel, Haenszel 1959).
    -∞ where V = 0: no evidence, last in any ranking.
    """
    size, k, n = (column.astype(np.float64) for column in (strata.units, strata.converters, strata.fired))
    safe = np.maximum(size, 2)
    expected = (n * k / np.maximum(size, 1)).sum(-1)
    variance = (n * (size - n) * k * (size - k) / (safe * safe * (safe - 1))).sum(-1)
    excess = strata.hits.sum(-1) - expected - (0.5 if continuity else 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.atleast_1d(np.where(variance > 0, excess / np.sqrt(variance), -np.inf))


def risk_ratio(strata: Strata) -> Ratio | None:
    """Mantel-Haenszel risk ratio Σ a n₀/N / Σ c n/N, n₀ = unfired; log variance by Greenland, Robins 1985:

    Σ (n n₀ K - a c N) / N²  /  (Σ a n₀/N · Σ c n/N).
    """
    size, k, n, a = _columns(strata)
    c, unfired = k - a, size - n
    above, below = float((a * unfired / size).sum()), float((c * n / size).sum())
    if below == 0 or above == 0:
        return None if below == 0 else Ratio(0.0, None)
    variance = float(((n * unfired * k - a * c * size) / size**2).sum()) / (above * below)
    return _ratio(above / below, variance)


def odds_ratio(strata: Strata) -> Ratio | None:
    """Mantel-Haenszel odds ratio Σ a d/N / Σ b c/N; log variance by Robins, Breslow, Greenland 1986:

    Σ P R / 2R₊² + Σ (P S + Q R) / 2R₊S₊ + Σ Q S / 2S₊², P = (a + d)/N, Q = (b + c)/N, R = a d/N, S = b c/N.
    """
    size, k, n, a = _columns(strata)
    b, c = n - a, k - a
    d = size - n - c
    p, q, r, s = (a + d) / size, (b + c) / size, a * d / size, b * c / size
    above, below = float(r.sum()), float(s.sum())
    if below == 0 or above == 0:
        return None if below == 0 else Ratio(0.0, None)
    variance = float((p * r).sum()) / (2 * above**2) + float((p * s + q * r).sum()) / (2 * above * below) + float((q * s).sum()) / (2 * below**2)
    return _ratio(above / below, variance)


def breslow_day(strata: Strata) -> Homogeneity | None:
    """Breslow-Day test that the strata share the Mantel-Haenszel odds ratio ψ: Σ (a - A)² / V (Breslow, Day 1980, without Tarone's correction).

    A solves A (N - n - K + A) = ψ (n - A)(K - A), V = 1 / (1/A + 1/(n - A) + 1/(K - A) + 1/(N - n - K + A)). Strata without variance are left
    out; `None` with fewer than two others.
    """
    common = odds_ratio(strata)
    if common is None or common.value == 0:
        return None
    size, k, n, a = _columns(strata)
    informative = (n > 0) & (n < size) & (k > 0) & (k < size)
    size, k, n, a = size[informative], k[informative], n[informative], a[informative]
    if len(size) < 2:
        return None
    psi = common.value
    half = size + (psi - 1) * (k + n)
    fitted = 2 * psi * k * n / (half + np.sqrt(half * half - 4 * (psi - 1) * psi * k * n))
    variance = 1 / (1 / fitted + 1 / (n - fitted) + 1 / (k - fitted) + 1 / (size - n - k + fitted))
    statistic = float(((a - fitted) ** 2 / variance).sum())
    from scipy.special import chdtrc

    return Homogeneity(statistic, len(size) - 1, float(chdtrc(len(size) - 1, statistic)))


def _columns(strata: Strata) -> tuple[Floats, Floats, Floats, Floats]:
    """Units, converters, fired and hits of the strata of one hypothesis that have units."""
    if strata.units.ndim != 1:
        raise ValueError("one hypothesis at a time")
    some = strata.units > 0
    columns = (strata.units, strata.converters, strata.fired, strata.hits)
    units, converters, fired, hits = (column[some].astype(np.float64) for column in columns)
    return units, converters, fired, hits


def _ratio(value: float, log_variance: float) -> Ratio:
    if log_variance <= 0:
        return Ratio(value, None)
    half = Z95 * math.sqrt(log_variance)
    return Ratio(value, Interval(value * math.exp(-half), value * math.exp(half)))

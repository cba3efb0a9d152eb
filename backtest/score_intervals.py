"""Intervals for small or empty cells, where Wald's and Katz's fail. `None` where nothing can be said."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backtest.proportions import Z95, Closed, Interval, wilson


def clopper_pearson(hits: int, n: int, alpha: float = 0.05) -> Interval | None:
    """The exact interval of a proportion (Clopper, Pearson 1934): quantiles of Beta(hits, n - hits + 1) and Beta(hits + 1, n - hits).

    Never covers less than 1 - alpha, usually more (Brown, Cai, DasGupta 2001).
    """
    if n == 0:
        return None
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, alpha / 2)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - alpha / 2)) if hits < n else 1.0
    return Interval(low, high)


def score_ratio(hits: int, n: int, other_hits: int, other_n: int, z: float = Z95) -> Interval | None:
    """The score interval of the risk ratio θ = p/q (Koopman 1984; Miettinen, Nurminen 1985): all θ with |p̂ - θ q̂| <= z √V(θ).

    V(θ) = [p̃(1 - p̃)/n + θ² q̃(1 - q̃)/n'] N/(N - 1), N = n + n', at the most likely p̃ = θ q̃ under θ. `high` is infinite without other hits.
    """
    if n == 0 or other_n == 0 or hits + other_hits == 0:
        return None
    cells = (hits, n, other_hits, other_n)
    low = 0.0 if hits == 0 else math.exp(_where_statistic_is(z, *cells))
    high = math.inf if other_hits == 0 else math.exp(_where_statistic_is(-z, *cells))
    return Interval(low, high)


def _where_statistic_is(target: float, hits: int, n: int, other_hits: int, other_n: int) -> float:
    """log θ at which (p̂ - θ q̂) / √V(θ), which falls in θ, passes `target`; by bisection to the last digit."""
    low, high = -60.0, 60.0
    for _ in range(80):
        middle = (low + high) / 2
        ratio = math.exp(middle)
        difference = hits / n - ratio * other_hits / other_n
        wanted = target * _spread(hits, n, other_hits, other_n, ratio)
        above = difference > wanted or (difference == wanted and target < 0)  # both are 0 at θ = 1 where everybody converted
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2


def _spread(hits: int, n: int, other_hits: int, other_n: int, ratio: float) -> float:
    """√V(θ). q̃ is the smaller root of Nθ q² - [n θ + x + n' + x' θ] q + x + x' = 0."""
    total = n + other_n
    middle = n * ratio + hits + other_n + other_hits * ratio
    root = math.sqrt(max(0.0, middle * middle - 4 * total * ratio * (hits + other_hits)))
    q = min(1.0, 2 * (hits + other_hits) / (middle + root))
    p = min(1.0, ratio * q)
    return math.sqrt((p * (1 - p) / n + ratio * ratio * q * (1 - q) / other_n) * total / (total - 1))


def lift_score(closed: Closed) -> Interval | None:
    """Miettinen and Nurminen's interval of the risk ratio, carried to lift = RR / (π RR + 1 - π), π = fired / population.

    For tables where Katz's is undefined: an upper limit where nobody who fired converted, a lower one and N/n where everybody who converted fired.
    """
    unfired = closed.population - closed.fired
    ratio = score_ratio(closed.tp, closed.fired, closed.fn, unfired)
    if ratio is None:
        return None
    share = closed.fired / closed.population
    return Interval(*(1 / share if math.isinf(end) else end / (share * end + 1 - share) for end in (ratio.low, ratio.high)))


@dataclass(frozen=True)
class Continued:
    """A risk ratio with half a count added to every cell, and its logarithmic interval."""

    value: float
    interval: Interval


def haldane_ratio(closed: Closed) -> Continued | None:
    """Haldane's fallback, Katz's interval after adding ½ to each cell: (tp + ½)/(n + 1) over (fn + ½)/(n' + 1). Prefer the score interval."""
    unfired = closed.population - closed.fired
    if closed.fired == 0 or unfired == 0:
        return None
    tp, n, fn, rest = closed.tp + 0.5, closed.fired + 1, closed.fn + 0.5, unfired + 1
    value = (tp / n) / (fn / rest)
    half = Z95 * math.sqrt(1 / tp - 1 / n + 1 / fn - 1 / rest)
    return Continued(value, Interval(value * math.exp(-half), value * math.exp(half)))


def newcombe_difference(hits: int, n: int, other_hits: int, other_n: int, z: float = Z95) -> Interval | None:
    """Interval of p - q from the Wilson limits (l, u) of each (Newcombe 1998, method 10):

    d - √((p - l)² + (u' - q)²)  to  d + √((u - p)² + (q - l')²).
    """
    ours, theirs = wilson(hits, n, z), wilson(other_hits, other_n, z)
    if ours is None or theirs is None:
        return None
    p, q = hits / n, other_hits / other_n
    return Interval(p - q - math.hypot(p - ours.low, theirs.high - q), p - q + math.hypot(ours.high - p, q - theirs.low))

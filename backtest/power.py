"""How much data is enough: support for a lift to show, waiting time, and arms of an experiment. Shares are between 0 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.durations import DAY

POWER = 0.8
ALONE, IN_A_SEARCH = 0.05, 1e-5
"""One-sided levels: of a single hypothesis, and after multiplicity in a search of thousands."""


def least_support_for(base: float, lift: float, alpha: float = ALONE, power: float = POWER) -> int | None:
    """The smallest n at which the exact one-sided binomial test of p = base at level alpha has the wanted power against p = base · lift.

    Smallest c with P(Bin(n, base) >= c) <= alpha; then P(Bin(n, base · lift) >= c) >= power. `None` where lift does not exceed 1 or base · lift
    exceeds 1. Power is a saw-tooth in n: a little above the answer it may dip below again.
    """
    if not 0 < base < 1 or lift <= 1 or base * lift > 1:
        return None
    from scipy.stats import binom

    start, step = 1, 256
    while True:
        n = np.arange(start, start + step)
        critical = binom.isf(alpha, n, base)  # the test rejects above this count
        enough = binom.sf(critical, n, base * lift) >= power
        if enough.any():
            return int(n[np.argmax(enough)])
        start, step = start + step, 2 * step


@dataclass(frozen=True)
class Wait:
    """What is missing, and how long that takes at the rate at which it comes in. `weekly` is `None` where no rate is known."""

    what: str
    needs: int
    has: int
    weekly: float | None

    @property
    def enough(self) -> bool:
        return self.has >= self.needs

    @property
    def weeks(self) -> int | None:
        """Whole weeks, rounded up; 0 when there is enough, `None` when nothing comes in."""
        if self.enough:
            return 0
        return math.ceil((self.needs - self.has) / self.weekly) if self.weekly else None

    @property
    def sentence(self) -> str:
        counted = f"needs {self.needs} {self.what}, has {self.has}"
        if self.enough:
            return counted
        if self.weeks is None:
            return f"{counted}; none come in, so waiting does not help"
        return f"{counted}: about {self.weeks} more week{'' if self.weeks == 1 else 's'}"


def per_week(count: int, length: int) -> float | None:
    """The weekly rate of `count` in `length` microseconds; `None` for an empty length."""
    return count * 7 * DAY / length if length else None


def arms(first: float, second: float, ratio: float = 1.0, alpha: float = 0.05, power: float = POWER) -> tuple[int, int] | None:
    """Units of two arms (the second `ratio` times the first) that a two-sided z test needs to tell p from q (Fleiss, Levin, Paik 2003, without
    continuity correction):

    n = [z_(1-α/2) √(p̄ (1 - p̄)(1 + 1/r)) + z_power √(p(1 - p) + q(1 - q)/r)]² / (p - q)², p̄ = (p + r q)/(1 + r).
    """
    if first == second or ratio <= 0:
        return None
    from scipy.special import ndtri

    pooled = (first + ratio * second) / (1 + ratio)
    null = math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    alternative = math.sqrt(first * (1 - first) + second * (1 - second) / ratio)
    n = ((ndtri(1 - alpha / 2) * null + ndtri(power) * alternative) / (first - second)) ** 2
    return math.ceil(n), math.ceil(n * ratio)

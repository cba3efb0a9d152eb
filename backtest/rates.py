"""How often something happens, from how often it did: a Poisson rate with its exact interval (Garwood 1936)."""

from __future__ import annotations

from dataclasses import dataclass

from backtest.durations import DAY

WEEK = 7 * DAY
LEVEL = 0.95


@dataclass(frozen=True)
class Rate:
    """Events a week: the observed rate and the 95 % limits of the true one. `count` is how many were seen."""

    count: int
    value: float
    low: float
    high: float


def weekly(count: int, length: int) -> Rate | None:
    """The rate of `count` events in `length` microseconds; `None` where nothing was observed long enough to have one.

    Limits are those rates at which so many or more, or so few or fewer, have a chance of 2.5 %.
    """
    if length <= 0:
        return None
    from scipy.special import gammaincinv

    weeks = length / WEEK
    tail = (1 - LEVEL) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return Rate(count, count / weeks, low / weeks, float(gammaincinv(count + 1, 1 - tail)) / weeks)

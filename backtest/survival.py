"""Precision that also uses fires whose horizon is not complete yet: 1 - S(H), Kaplan-Meier from the fire.

Counting pending fires as failures biases precision down, counting only those of them that have converted biases it up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.intervals import Flags, Ints
from backtest.proportions import Z95, Interval


@dataclass(frozen=True)
class Step:
    """At this length after the fire: how many were still observed and unconverted just before, and the share that has converted by then. The
    interval is `None` where Greenwood's variance says nothing: nobody or everybody has converted."""

    at: int
    at_risk: int
    share: float
    interval: Interval | None


@dataclass(frozen=True)
class Converted:
    """The estimated share that converts within the horizon, and its 95 % interval where one can be told."""

    share: float
    interval: Interval | None


def converted_within(horizon: int, duration: Ints, converted: Flags) -> Converted | None:
    """1 - S(H) with S(t) = Π (1 - d_i / r_i) over conversion times <= t (Kaplan, Meier 1958); `None` where nobody is observed.

    `duration` runs from the fire to the outcome where `converted`, else to the end of what is known. Interval: exp(-exp(…)) transform of
    Greenwood's variance Σ d / (r (r - d)) (Kalbfleisch, Prentice 1980). `None` too where the observation of everybody ends before H and the
    last one is not a conversion: S(H) is then not identified.
    """
    if not len(duration):
        return None
    _, events, at_risk = _conversions(horizon, duration, converted)
    survival = float(np.prod(1 - events / at_risk))
    if duration.max() < horizon and survival > 0:
        return None
    return Converted(1 - survival, _interval(survival, math.fsum(_variances(events, at_risk).tolist())))


def curve(horizon: int, duration: Ints, converted: Flags) -> tuple[Step, ...]:
    """The same estimate at every length at which somebody converts, pointwise; it holds until the next one. Empty where nobody does."""
    times, events, at_risk = _conversions(horizon, duration, converted)
    survival, greenwood = np.cumprod(1 - events / at_risk), np.cumsum(_variances(events, at_risk))
    steps = zip(times.tolist(), at_risk.tolist(), survival.tolist(), greenwood.tolist(), strict=True)
    return tuple(Step(at, risk, 1 - left, _interval(left, variance)) for at, risk, left, variance in steps)


def _conversions(horizon: int, duration: Ints, converted: Flags) -> tuple[Ints, Ints, Ints]:
    """Distinct lengths of conversions within the horizon, how many there are at each, and how many are at risk just before."""
    times, events = np.unique(duration[converted & (duration <= horizon)], return_counts=True)
    return times, events, len(duration) - np.searchsorted(np.sort(duration), times, "left")


def _variances(events: Ints, at_risk: Ints) -> np.ndarray:
    """Greenwood's terms; where all who are left convert nothing survives, and the term is never used."""
    left = at_risk - events
    return np.where(left > 0, events / (at_risk * np.maximum(left, 1)), 0.0)


def _interval(survival: float, greenwood: float) -> Interval | None:
    if survival in (0.0, 1.0):
        return None
    step = Z95 * math.sqrt(greenwood) / abs(math.log(survival))
    low, high = (survival ** math.exp(sign * step) for sign in (1, -1))
    return Interval(1 - high, 1 - low)

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
    times, events = np.unique(duration[converted & (duration <= horizon)], return_counts=True)
    at_risk = len(duration) - np.searchsorted(np.sort(duration), times, "left")
    survival = float(np.prod(1 - events / at_risk))
    if duration.max() < horizon and survival > 0:
        return None
    if survival in (0.0, 1.0):
        return Converted(1 - survival, None)
    greenwood = math.fsum((events / (at_risk * (at_risk - events))).tolist())
    step = Z95 * math.sqrt(greenwood) / abs(math.log(survival))
    low, high = (survival ** math.exp(sign * step) for sign in (1, -1))
    return Converted(1 - survival, Interval(1 - high, 1 - low))

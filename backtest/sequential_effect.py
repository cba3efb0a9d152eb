"""What routing changes, looked at as often as one likes.

Unit i, in order of fire, was held out with probability s and then converted or not, Y = 1 or 0. With any guess m of Y made from earlier units,

    ψ = (Y - m) / (1 - s) if it was routed, -(Y - m) / s if it was held out

has the mean "share converting when routed minus share when held out", whatever the base rate is by then (the augmented inverse propensity score;
Robins, Rotnitzky, Zhao 1994). So for the true difference δ and any bet λ small enough, Π 1 + λ (ψ - δ) is a non-negative martingale that begins at
1, and so is its average over several λ; by Ville's inequality it ever reaches 1/alpha with probability at most alpha. All δ for which neither the
bets upwards nor those downwards have done so hold the truth at every look at once: the hedged capital process of Waudby-Smith and Ramdas 2024
(numbers section 11), applied to such scores by Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022. At δ = 0 it tests that routing changes
nothing, from the draw alone: that base rates drift, or that units differ, does it no harm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.drift import ALPHA
from backtest.intervals import Flags
from backtest.power import POWER, arms
from backtest.proportions import Interval
from backtest.routing_effect import Arms
from backtest.stratified import Floats

BETS = 20
"""How many λ of either sign are averaged: each 1/√2 of the one before, so that small differences are met by small bets."""

_STEPS = 24


@dataclass(frozen=True)
class Drawn:
    """Matured units in the order of their fires: whether each was held out, and whether it converted in time. `share` is what is held out."""

    held: Flags
    hit: Flags
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or len(self.held) != len(self.hit):
            raise ValueError("each unit was held out or routed with a probability between 0 and 1, and converted or not")

    @property
    def arms(self) -> Arms:
        """The same as counts."""
        routed = ~self.held
        return Arms(int((self.hit & routed).sum()), int(routed.sum()), int((self.hit & self.held).sum()), int(self.held.sum()))

    @property
    def scores(self) -> Floats:
        """ψ of each unit; m is the share of conversions before it, with half a conversion in one unit added so that it can begin."""
        guess = (0.5 + np.concatenate(([0.0], np.cumsum(self.hit)[:-1]))) / (1.0 + np.arange(len(self.hit)))
        rest = self.hit - guess
        return np.where(self.held, -rest / self.share, rest / (1 - self.share))


def log_evidence(drawn: Drawn) -> float:
    """log of the e-value against "routing changes nothing": log(1/alpha) at any look says that it does. 0 with nothing matured."""
    if not len(drawn.hit):
        return 0.0
    up, down = (_capital(drawn.scores, 0.0, drawn.share, side) for side in (1, -1))
    return float(np.logaddexp(up, down) - math.log(2))


def difference_at_any_look(drawn: Drawn, alpha: float = ALPHA) -> Interval | None:
    """Share converting when routed minus share when held out: holds the true difference at all looks at once. `None` while an arm is empty."""
    if not drawn.held.any() or drawn.held.all():
        return None
    scores, height = drawn.scores, math.log(2 / alpha)
    low, high = (_edge(scores, drawn.share, side, height) for side in (1, -1))
    return Interval(low, max(low, high))


@dataclass(frozen=True)
class Needed:
    """Matured units of both arms for a difference to show with the wanted power: looked at once at the end, or at every look."""

    routed: int
    held: int
    routed_at_any_look: int
    held_at_any_look: int


def needed(base: float, added: float, share: float, alpha: float = ALPHA, power: float = POWER) -> Needed | None:
    """To tell `base` + `added` when routed from `base` when held out, with `share` of the units held out.

    Once: Fleiss, Levin, Paik 2003 (`power.arms`). At any look: the number at which the e-value is expected to reach 1/alpha even where both shares
    come out as close to each other as in the unluckiest 1 - `power` of experiments (normal approximation). `None` where nothing is held out or a
    share is none.
    """
    if not 0 < share < 1 or not 0 < base < 1 or not 0 < base + added < 1:
        return None
    once = arms(base + added, base, share / (1 - share), alpha, power)
    if once is None:
        return None
    high = once[0] + once[1]
    while _unlucky(high, base, added, share, power) < -math.log(alpha):
        high *= 2
    low = high // 4
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if _unlucky(middle, base, added, share, power) >= -math.log(alpha) else (middle, high)
    return Needed(*once, math.ceil(high * (1 - share)), math.ceil(high * share))


def _bets(share: float) -> Floats:
    """ψ - δ lies within ± (1 / the rarer arm + 1), and no bet may lose more than there is."""
    most = 0.9 / (1 / min(share, 1 - share) + 1)
    return most * 2.0 ** (-np.arange(BETS) / 2)


def _capital(scores: Floats, difference: float, share: float, side: int) -> float:
    """log of the average capital of the bets that the difference is larger (side 1) or smaller (side -1) than so much."""
    gains = [np.log1p(side * bet * (scores - difference)).sum() for bet in _bets(share)]
    return float(np.logaddexp.reduce(gains) - math.log(BETS))


def _edge(scores: Floats, share: float, side: int, height: float) -> float:
    """Where the capital of one side falls below the height: it falls with δ for bets upwards, and rises for those downwards."""
    ruled_out, still_open = -float(side), float(side)
    if _capital(scores, ruled_out, share, side) < height:
        return ruled_out
    for _ in range(_STEPS):
        middle = (ruled_out + still_open) / 2
        ruled_out, still_open = (middle, still_open) if _capital(scores, middle, share, side) >= height else (ruled_out, middle)
    return ruled_out


def _unlucky(total: int, base: float, added: float, share: float, power: float) -> float:
    """Expected log of the e-value after `total` units whose observed difference is at its 1 - power quantile."""
    from scipy.special import ndtri

    routed, held = total * (1 - share), total * share
    spread = (base + added) * (1 - base - added) / routed, base * (1 - base) / held
    step = math.copysign(float(ndtri(power)) / math.sqrt(sum(spread)), added)
    first, second = base + added - step * spread[0], base + step * spread[1]
    if (first - second) * added <= 0 or not (0 < first < 1 and 0 < second < 1):
        return -math.inf
    guess = (1 - share) * first + share * second
    likely = np.array([(1 - share) * first, (1 - share) * (1 - first), share * second, share * (1 - second)])
    scores = np.array([(1 - guess) / (1 - share), -guess / (1 - share), -(1 - guess) / share, guess / share])
    bets = math.copysign(1.0, added) * _bets(share)
    grown = total * (np.log1p(bets[:, None] * scores) @ likely)
    return float(np.logaddexp.reduce(grown) - math.log(2 * BETS))

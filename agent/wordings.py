"""One idea in many wordings: which one to show, and which others the data cannot tell from it.

"80 % used" or "90 % used", "twice" or "three times", "in the first week" or "on the last day": each wording weighs as much as what it precedes is
likelier for it than by chance, less the price of its words. So the weights are posterior probabilities up to a constant. Shown is the wording that
stands for most of them, where wordings that fire for much the same units (Jaccard 0.8) stand for each other; of such the plainest, and of equally
plain ones the first to fire, since a proxy follows its cause. Where much of the weight is left, what stands for the rest may be shown as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agent.racer import Racer
from backtest.intervals import Flags
from backtest.redundancy import MERGE_AT_JACCARD
from backtest.stratified import Floats

FAR_LESS = 10.0
"""Log-likelihood, before wordings are compared on equal terms: what is so much less likely than the best does not count."""

RELATED = 0.5
"""Jaccard from which on two wordings may stand for one idea, whatever events they name."""

MOST_WORDINGS = 60
AS_MUCH = 0.9
"""A wording that stands for this much of what the best stands for is as good a choice."""

TEMPER = 2.0
"""Wordings share their cases, and their effects are not as simple as the model of the hazard: evidence counts for half (a power posterior)."""

LEFT = 0.10
"""Weight that may remain untold, of one."""


@dataclass(frozen=True)
class Wordings:
    """Wordings of one idea with the log-likelihood, less its price, that each adds to the lines before."""

    racers: Sequence[Racer]
    worth: Sequence[float]

    @cached_property
    def weight(self) -> Floats:
        """Adds up to one."""
        raw = np.exp((np.array(self.worth) - max(self.worth)) / TEMPER)
        return raw / raw.sum()

    @cached_property
    def alike(self) -> Flags:
        """Which wordings stand for each other; shape (wordings, wordings)."""
        count = len(self.racers)
        found = np.eye(count, dtype=np.bool_)
        for first in range(count):
            for second in range(first):
                near = (self.racers[first].like(self.racers[second]).jaccard or 0.0) >= MERGE_AT_JACCARD
                found[first, second] = found[second, first] = near
        return found

    def best(self, left: Flags | None = None) -> Racer:
        """The plainest of those that stand for as much as any; with `left`, for as much of these."""
        stands = self.alike @ (self.weight if left is None else self.weight * left)
        some = np.flatnonzero(stands >= AS_MUCH * stands.max())
        first = self.racers[int(np.argmax(stands))]
        return min((self.racers[place] for place in some), key=lambda one: (one.price, one.after(first), one.place))

    def others(self, shown: Racer) -> list[Racer]:
        """What stands for the rest, the weightiest first, until little is left."""
        place = {one.place: number for number, one in enumerate(self.racers)}
        left, found = ~self.alike[place[shown.place]], []
        while float(self.weight[left].sum()) > LEFT:
            other = self.best(left)
            found.append(other)
            left &= ~self.alike[place[other.place]]
            left[place[other.place]] = False
        return found


def one_idea(first: Racer, second: Racer) -> bool:
    """They name an event in common, or fire for many of the same units."""
    return bool(first.named & second.named) or alike(first, second)


def alike(first: Racer, second: Racer) -> bool:
    """They fire for many of the same units."""
    return (first.like(second).jaccard or 0.0) >= RELATED

"""Does a hypothesis say anything that others do not say already? Overlap, conditional lift, and a short list that covers.

Sets of units (or rows of design G) are flags along the last axis, over one population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest.intervals import Codes, Flags, Ints
from backtest.mantel_haenszel import Ratio, risk_ratio
from backtest.stratified import Floats, strata_of

MERGE_AT_JACCARD, MERGE_AT_CONTAINMENT = 0.8, 0.95


@dataclass(frozen=True)
class Overlap:
    """How many units fired under each of two hypotheses and under both. Overlaps of disjoint units add."""

    first: int
    second: int
    both: int

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.first + other.first, self.second + other.second, self.both + other.both)

    @property
    def jaccard(self) -> float | None:
        """|A ∩ B| / |A ∪ B|."""
        union = self.first + self.second - self.both
        return self.both / union if union else None

    @property
    def first_contained(self) -> float | None:
        """|A ∩ B| / |A|: how much of the first lies in the second."""
        return self.both / self.first if self.first else None

    @property
    def second_contained(self) -> float | None:
        return self.both / self.second if self.second else None

    @property
    def suggests_merge(self) -> bool:
        """Jaccard at least 0.8, or one lies in the other by at least 95 %."""
        return bool(_alike(*(np.array(size) for size in (self.first, self.second, self.both))))


def _alike(first: Ints, second: Ints, both: Ints) -> Flags:
    smaller = np.minimum(first, second)
    near = (both >= MERGE_AT_JACCARD * (first + second - both)) | (both >= MERGE_AT_CONTAINMENT * smaller)
    return near & (smaller > 0)


def overlap(first: Flags, second: Flags) -> Overlap:
    return Overlap(int(first.sum()), int(second.sum()), int((first & second).sum()))


def common(fired: Flags) -> Ints:
    """How many units each pair of hypotheses (rows) has in common; the diagonal holds their supports. Exact up to 2^24 units."""
    numbers = fired.astype(np.float32)
    return (numbers @ numbers.T).astype(np.int64)


def merges(shared: Ints) -> list[tuple[int, int]]:
    """The pairs (i < j) of a matrix from `common` that suggest a merge."""
    support = np.diag(shared)
    alike = _alike(support[:, None], support, shared)
    return [(int(i), int(j)) for i, j in np.argwhere(np.triu(alike, 1))]


def conditional_lift(fired: Flags, converted: Flags, flagged: Flags, stratum: Codes | None = None) -> Ratio | None:
    """Mantel-Haenszel risk ratio of `fired` over strata of what others had `flagged` at the index time (and over `stratum`, if given).

    About 1: whatever it adds, the others knew. `None` where no stratum compares fired with unfired units.
    """
    place = flagged.astype(np.int32) if stratum is None else (2 * stratum + flagged).astype(np.int32)
    return risk_ratio(strata_of(place, fired, converted, int(place.max(initial=-1)) + 1))


@dataclass(frozen=True)
class Increment:
    """What a hypothesis adds to those that flagged units before it: newly flagged units, and the converters among them, of all converters."""

    new: int
    new_hits: int
    converters: int

    @property
    def precision(self) -> float | None:
        """Of the newly flagged, the share that converts."""
        return self.new_hits / self.new if self.new else None

    @property
    def recall(self) -> float | None:
        return self.new_hits / self.converters if self.converters else None


def increment(fired: Flags, converted: Flags, flagged: Flags) -> Increment:
    new = fired & ~flagged
    return Increment(int(new.sum()), int((new & converted).sum()), int(converted.sum()))


@dataclass(frozen=True)
class Covered:
    """One item of a covering list: which hypothesis, its weighted relative accuracy when it was chosen, what it adds to the items before it."""

    hypothesis: int
    gain: float
    added: Increment


def covering(fired: Flags, converted: Flags, limit: int, min_recall: float = 0.02) -> list[Covered]:
    """A short list that covers the converters without near-copies (weighted covering, CN2-SD: Lavrač et al. 2004).

    In each round the hypothesis with the largest weighted relative accuracy n_w/N_w (tp_w/n_w - K_w/N_w) = (tp_w - n_w K_w/N_w)/N_w is taken; each
    converter it covers, covered c times by now, weighs 1/(1 + c) from then on. Chosen hypotheses and those that suggest a merge with a chosen
    one leave the race; the list ends at `limit` or when none accurate enough adds `min_recall` of the converters.
    """
    weight = np.ones(fired.shape[1])
    times = np.zeros(fired.shape[1], np.int64)
    flagged = np.zeros(fired.shape[1], np.bool_)
    racing = np.flatnonzero(fired.any(1))
    chosen: list[Covered] = []
    while len(racing) and len(chosen) < limit:
        gain = _accuracy(fired[racing], converted, weight)
        adds = (fired[racing] & (converted & ~flagged)).sum(1) >= max(1, min_recall * converted.sum())
        fit = np.flatnonzero(adds & (gain > 0))
        if not len(fit):
            break
        place = fit[np.argmax(gain[fit])]
        best = int(racing[place])
        chosen.append(Covered(best, float(gain[place]), increment(fired[best], converted, flagged)))
        flagged |= fired[best]
        times += fired[best] & converted
        weight = np.where(converted, 1 / (1 + times), 1.0)
        both = (fired[racing] & fired[best]).sum(1)
        racing = racing[~_alike(fired[racing].sum(1), fired[best].sum(), both)]
    return chosen


def _accuracy(fired: Flags, converted: Flags, weight: Floats) -> Floats:
    n = fired @ weight
    return (fired @ (weight * converted) - n * (weight[converted].sum() / weight.sum())) / weight.sum()

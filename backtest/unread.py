"""How much the whole read will count, told from the part that has been read: confidence sequences for totals.

A reader cuts the units into B hash buckets and reads one after the other. A hash has nothing to do with behaviour, so every unit falls into each
bucket with probability 1/B, independently of the others. Let T be how many units of some kind there are in all (those with a true positive, say).
Then the counts x_1, ..., x_b of the buckets read so far have, with X their sum and f = b/B,

    P_T(x_1, ..., x_b) = T! / (x_1! ... x_b! (T - X)!) · B^-X · (1 - f)^(T - X).

For any prior π on the total, M_b(T) = Σ_T' π(T') P_T' / P_T is a non-negative martingale under P_T that begins at 1, so by Ville's inequality it
ever reaches 1/δ with probability at most δ: {T: M_b(T) < 1/δ} holds the true total after every bucket at once, however often anybody looks and
whenever somebody stops. That is the mixture martingale of numbers section 11 (Robbins 1970; Howard et al. 2021) carried to sampling a finite
population without replacement (Waudby-Smith, Ramdas 2020, 2024): the interval narrows to the point X when everything has been read. The order of
units within a bucket plays no part. For a geometric prior (1 - ρ) ρ^T the sum has a closed form, X! (1 - ρ) ρ^X / (1 - ρ (1 - f))^(X + 1) over the
factors that cancel; the prior here is an equal mixture of geometric ones with means 1, 10, ..., 10^8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backtest.intervals import Flags, Ints
from backtest.stratified import Floats

MEANS = tuple(10.0**power for power in range(9))


@dataclass(frozen=True)
class Totals:
    """Of each count the least and the most that the whole read may come to."""

    low: Ints
    high: Ints


def totals(seen: Ints, share: float, delta: float) -> Totals:
    """Bounds that all hold at once, at every look, with probability at least 1 - `delta`. `seen`: counts of distinct units in the part read;
    `share` of all buckets, above 0 and at most 1."""
    seen = np.asarray(seen, np.int64)
    if share >= 1:
        return Totals(seen, seen)
    height = math.log(max(seen.size, 1) / delta)
    best = np.floor(seen / share).astype(np.int64)
    evidence = _log_mixture(seen, share)

    def inside(total: Ints) -> Flags:
        return evidence - _log_chance(total, seen, share) < height

    return Totals(_edge(best, seen - 1, inside), _edge(best, _beyond(best, inside), inside))


def _log_chance(total: Ints, seen: Ints, share: float) -> Floats:
    """log of T! / (T - X)! · (1 - f)^(T - X), the part of P_T that depends on T."""
    from scipy.special import gammaln

    return gammaln(total + 1) - gammaln(total - seen + 1) + (total - seen) * math.log1p(-share)


def _log_mixture(seen: Ints, share: float) -> Floats:
    from scipy.special import gammaln, logsumexp

    stop = 1 / (1 + np.array(MEANS))[:, None]
    each = np.log(stop) + seen * np.log1p(-stop) - (seen + 1) * np.log(share + stop - share * stop)
    return logsumexp(each, axis=0) - math.log(len(MEANS)) + gammaln(seen + 1)


def _beyond(best: Ints, inside: Callable[[Ints], Flags]) -> Ints:
    """Totals that are surely too large, by doubling."""
    far = best + 16
    while (still := inside(far)).any():
        far = np.where(still, 2 * far, far)
    return far


def _edge(within: Ints, outside: Ints, inside: Callable[[Ints], Flags]) -> Ints:
    """The last total inside between the two, by bisection: log P_T is concave in T. `outside` itself is never asked."""
    within, outside = within.copy(), outside.copy()
    while (np.abs(within - outside) > 1).any():
        middle = (within + outside) // 2
        ok = inside(np.where(middle == outside, within, middle))
        moved = np.abs(within - outside) > 1
        within, outside = np.where(moved & ok, middle, within), np.where(moved & ~ok, middle, outside)
    return within

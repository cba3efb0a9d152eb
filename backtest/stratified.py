"""The exact test under calendar drift: outcomes are exchangeable within an entry week (G: within a grid instant), not over the whole window.

If the base rate drifts, a condition that is merely more common in good weeks looks predictive to plain Fisher. Given the margins of every stratum
the hits of a stratum are hypergeometric and independent of the other strata, so the p-value is one tail of a convolution:

    p = P(Σ X_k >= Σ hits_k),  X_k ~ Hypergeometric(units_k, converters_k, fired_k)        (Birch 1964; Gart 1970)

Three devices make that exact at any scale. Each stratum is tilted by e^(λx) so that the expected total is the observed one (Fisher's noncentral
hypergeometric; the factor is undone at the end), so a p of 1e-481 is computed as well as one of 0.1. A tilted hypergeometric count is a sum of
independent Bernoulli variables, so by Bernstein's inequality less than 1e-16 of it lies further than 10 σ + 26 from its centre: only that support
is touched. The convolution is a product of Fourier transforms, many hypotheses at once. Ranks and thresholds use log p; p itself may underflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtest.durations import DAY
from backtest.intervals import Codes, Flags, Ints
from backtest.proportions import Closed

Floats = NDArray[np.float64]

WEEK = 7 * DAY

BLOCK = 1 << 21
"""How many numbers one block of hypotheses may hold at a time."""


@dataclass(frozen=True)
class Strata:
    """A closed table per stratum, as counts along the last axis. A first axis, if any, runs over hypotheses; margins broadcast along it.

    Strata of disjoint units add, element by element.
    """

    units: Ints
    converters: Ints
    fired: Ints
    hits: Ints

    def __post_init__(self) -> None:
        missed = self.converters - self.hits
        parts = (self.hits, self.fired - self.hits, missed, self.units - self.fired - missed)
        if any((part < 0).any() for part in parts):
            raise ValueError("the counts of a stratum contradict each other")

    def __add__(self, other: Strata) -> Strata:
        return Strata(self.units + other.units, self.converters + other.converters, self.fired + other.fired, self.hits + other.hits)

    def tables(self) -> list[Closed]:
        """One closed table per stratum, of a single hypothesis."""
        columns = (np.atleast_1d(column).tolist() for column in (self.units, self.converters, self.fired, self.hits))
        return [Closed(hits, n - hits, k - hits, size - n - k + hits) for size, k, n, hits in zip(*columns, strict=True)]

    @property
    def log_p(self) -> float | None:
        """Natural logarithm of the exact one-sided p of a single hypothesis; `None` where no stratum has units."""
        return float(log_p_values(self)[0]) if int(self.units.sum()) else None

    @property
    def p_value(self) -> float | None:
        """May underflow to 0.0, which is normal at scale."""
        return None if self.log_p is None else float(np.exp(self.log_p))


def strata_of(stratum: Codes, fired: Flags, converted: Flags, count: int) -> Strata:
    """Counts by stratum. `stratum` and `converted` have one element per unit (or row of design G), `fired` too, or one row per hypothesis."""
    members = [np.flatnonzero(stratum == one) for one in range(count)]
    units = np.array([len(one) for one in members], np.int64)
    converters = np.array([converted[one].sum() for one in members], np.int64)
    n = np.stack([fired[..., one].sum(-1) for one in members], -1).astype(np.int64)
    hits = np.stack([fired[..., one[converted[one]]].sum(-1) for one in members], -1).astype(np.int64)
    return Strata(np.broadcast_to(units, n.shape), np.broadcast_to(converters, n.shape), n, hits)


def entry_weeks(entry: Ints, window_start: int) -> Codes:
    """Stratum of an anchored hypothesis: whole weeks from the window's start to the entry. Not calendar weeks: shifting all times by whole days
    must change nothing."""
    return ((entry - window_start) // WEEK).astype(np.int32)


def weeks_in(window_start: int, window_end: int) -> int:
    return -(-(window_end - window_start) // WEEK)


def log_p_values(strata: Strata) -> Floats:
    """Natural logarithms of the exact stratified one-sided p-values, one per hypothesis. Relative error of p about 1e-13 at 100 units per
    stratum, 1e-12 at 1,000, 1e-10 at 100,000 (that of log-factorials); 0.0 where a hypothesis has no hits."""
    units, converters, fired, hits = np.broadcast_arrays(*map(np.atleast_2d, (strata.units, strata.converters, strata.fired, strata.hits)))
    margins, observed = Margins(units, converters, fired), hits.sum(-1)
    tilt = margins.tilt_to(observed)
    answer = np.zeros(len(observed))
    for block, null in margins.sums(tilt):
        beyond = null.totals - observed[block, None]  # how far above the observed total
        weight = np.where(beyond >= 0, null.mass * np.exp(-tilt[block, None] * np.maximum(beyond, 0)), 0.0).sum(-1)
        certain = (tilt[block] == 0) & (observed[block] <= null.totals[:, 0])
        weight = np.where(certain, 1.0, weight)
        answer[block] = np.minimum(0.0, np.log(weight) + null.log_scale - tilt[block] * (observed[block] - null.centre))
    return np.where(observed <= margins.least.sum(-1), 0.0, answer)


def minimum_attainable_log_p(strata: Strata) -> Floats:
    """The smallest log p that these margins allow, Σ log P(X_k = min(fired_k, converters_k)): every hit that could be there is there (Tarone)."""
    most = np.minimum(strata.fired, strata.converters)
    return np.atleast_1d(
        log_hypergeometric(most, strata.units, strata.converters, strata.fired, log_factorials(int(strata.units.max(initial=0)))).sum(-1)
    )


@dataclass(frozen=True)
class Null:
    """Distributions of the total of hits, one row per hypothesis of a block: log P(total) = log mass + log_scale - tilt (total - centre)."""

    totals: Ints
    mass: Floats
    log_scale: Floats
    centre: Ints


@dataclass(frozen=True)
class Margins:
    """The margins of every stratum (columns) of every hypothesis (rows), which fix the distribution of hits when outcomes are exchangeable."""

    units: Ints
    converters: Ints
    fired: Ints

    @property
    def least(self) -> Ints:
        return np.maximum(0, self.converters + self.fired - self.units)

    @property
    def most(self) -> Ints:
        return np.minimum(self.converters, self.fired)

    def centres(self, tilt: Floats) -> Floats:
        """Where the tilted pmf of each stratum peaks (Cornfield 1956): e^λ (K - x)(n - x) = x (N - K - n + x), the stable root."""
        odds = np.exp(tilt)[:, None]
        product = odds * self.converters * self.fired
        half = self.units + (odds - 1) * (self.converters + self.fired)
        root = half + np.sqrt(np.maximum(half * half - 4 * (odds - 1) * product, 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.clip(np.where(root > 0, 2 * product / root, 0.0), self.least, self.most)

    def tilt_to(self, observed: Ints) -> Floats:
        """λ >= 0 at which the expected total is about the observed one; any λ gives the same p, this one keeps it within the touched support."""
        low, high = np.zeros(len(observed)), np.full(len(observed), 60.0)
        target = np.minimum(observed, self.most.sum(-1) - 0.3)
        for _ in range(40):
            middle = (low + high) / 2
            below = self.centres(middle).sum(-1) < target
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.where(self.centres(np.zeros(len(observed))).sum(-1) >= target, 0.0, high)

    def sums(self, tilt: Floats) -> Iterator[tuple[NDArray[np.intp], Null]]:
        """The distribution of the total for each hypothesis, in blocks of hypotheses that need about the same width."""
        x = self.centres(tilt)
        cells = (x, self.converters - x, self.fired - x, self.units - self.converters - self.fired + x)
        with np.errstate(divide="ignore"):
            variance = 1 / sum(1 / np.maximum(cell, 0.0) for cell in cells)
        reach = np.ceil(10 * np.sqrt(variance) + 26).astype(np.int64)
        peak = np.round(x).astype(np.int64)
        low, high = np.maximum(self.least, peak - reach), np.minimum(self.most, peak + reach)
        wanted = 2 * np.ceil(10 * np.sqrt(variance.sum(-1)) + 26 + low.shape[1]).astype(np.int64)
        length = 1 << np.ceil(np.log2(wanted)).astype(np.int64)
        factorials = log_factorials(int(self.units.max(initial=0)))
        for size in np.unique(length):
            rows = np.flatnonzero(length == size)
            step = max(1, BLOCK // (int(size) * low.shape[1]))
            for start in range(0, len(rows), step):
                block = rows[start : start + step]
                yield block, self._convolved(block, tilt[block], low[block], high[block], peak[block], int(size), factorials)

    def _convolved(self, block: NDArray[np.intp], tilt: Floats, low: Ints, high: Ints, peak: Ints, length: int, factorials: Floats) -> Null:
        steps = np.arange(int((high - low).max()) + 1)
        x = low[..., None] + steps
        inside = x <= high[..., None]
        x = np.minimum(x, high[..., None])
        log_mass = log_hypergeometric(x, *(side[block][..., None] for side in (self.units, self.converters, self.fired)), factorials)
        log_mass += tilt[:, None, None] * (x - peak[..., None])
        log_mass[~inside] = -np.inf
        top = log_mass.max(-1)
        mass = np.exp(log_mass - top[..., None])
        whole = mass.sum(-1)
        scale = np.where(tilt > 0, (top + np.log(whole)).sum(-1), 0.0)  # untilted, each stratum sums to 1 exactly
        if len(steps) > length:  # fold what a transform of this length would cut off
            padding = -len(steps) % length
            mass = np.pad(mass, ((0, 0), (0, 0), (0, padding))).reshape(*mass.shape[:2], -1, length).sum(2)
        circular = np.fft.irfft(np.fft.rfft(mass / whole[..., None], length).prod(1), length)
        centre = peak.sum(-1)
        totals = (centre - length // 2)[:, None] + np.arange(length)
        unrolled = np.take_along_axis(circular, (totals - low.sum(-1)[:, None]) % length, 1)
        possible = (totals >= self.least[block].sum(-1)[:, None]) & (totals <= self.most[block].sum(-1)[:, None])
        return Null(totals, np.where(possible, np.maximum(unrolled, 0.0), 0.0), scale, centre)


def log_factorials(most: int) -> Floats:
    from scipy.special import gammaln

    return gammaln(np.arange(most + 1) + 1.0)


def log_hypergeometric(x: Ints, units: Ints, converters: Ints, fired: Ints, factorials: Floats) -> Floats:
    """log [C(K, x) C(N - K, n - x) / C(N, n)] by a table of log-factorials."""
    chosen = factorials[converters] - factorials[x] - factorials[converters - x]
    rest = factorials[units - converters] - factorials[fired - x] - factorials[units - converters - fired + x]
    return chosen + rest - (factorials[units] - factorials[fired] - factorials[units - fired])

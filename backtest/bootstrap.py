"""Percentile intervals of lift by resampling units, for when a unit counts several times or a formula's assumptions are in doubt.

The unit is what is drawn (cluster bootstrap: Efron 1979; Davison, Hinkley 1997, section 3.8). Rows are put into a canonical order first, so that a
seed gives the same interval however the log was cut.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from backtest.intervals import Codes, Flags, Ints
from backtest.proportions import Interval
from backtest.stratified import Floats

Numbers = TypeVar("Numbers", Ints, Floats)

ROUNDS = 2_000

AT_A_TIME = 1 << 20
"""Draws held in memory at a time."""

UNDEFINED = 0.05
"""With a larger share of resamples without a lift (no fire, no converter) there is no interval."""


def lift_of_fires(
    hits: Flags,
    expected: Floats,
    rng: np.random.Generator,
    unit: Codes | None = None,
    rounds: int = ROUNDS,
    rest: tuple[float, float] = (0.0, 0.0),
) -> Interval | None:
    """Interval of observed over expected, TP / E, over supported fires: `hits` and what each adds to E, and its unit if a unit may have several.

    `rest`: mean and standard deviation of what everything else adds to E, drawn from a normal distribution.
    """
    sums = np.column_stack((hits.astype(np.float64), expected))
    if unit is not None:
        sums = _per_unit(sums, unit)
    sums = sums[np.lexsort(sums.T)]
    if not len(sums):
        return None
    observed, expectation = (np.ascontiguousarray(column) for column in sums.T)
    totals = np.empty((2, rounds))
    step = max(1, AT_A_TIME // len(sums))
    for start in range(0, rounds, step):
        drawn = rng.integers(len(sums), size=(min(step, rounds - start), len(sums)), dtype=np.int32)
        totals[:, start : start + step] = observed[drawn].sum(1), expectation[drawn].sum(1)
    expectation_ = totals[1] + rng.normal(*rest, rounds)
    lifts = np.full(rounds, np.nan)
    np.divide(totals[0], expectation_, out=lifts, where=expectation_ > 0)
    return _percentiles(lifts)


def lift_of_rows(fired: Flags, converted: Flags, rng: np.random.Generator, unit: Codes | None = None, rounds: int = ROUNDS) -> Interval | None:
    """Interval of the closed lift (TP/n) / (K/N) over the rows of design L (a row per unit) or G (`unit` tells whose row it is)."""
    rows = np.column_stack((fired & converted, fired, converted, np.ones(len(fired), np.bool_))).astype(np.int64)
    if unit is not None:
        rows = _per_unit(rows, unit)
    return lift_of_patterns(*np.unique(rows, axis=0, return_counts=True), rng, rounds)


def lift_of_patterns(patterns: Ints, times: Ints, rng: np.random.Generator, rounds: int = ROUNDS) -> Interval | None:
    """The same from how often each pattern (hits, fired rows, converted rows, rows) of a unit occurs: few
    patterns, and those of several buckets may simply be put one after the other."""
    if not times.sum():
        return None
    patterns, place = np.unique(patterns, axis=0, return_inverse=True)
    times = np.bincount(place.ravel(), times).astype(np.int64)
    hits, fired, converted, rows = (rng.multinomial(times.sum(), times / times.sum(), rounds) @ patterns).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return _percentiles((hits / fired) / (converted / rows))


def _per_unit(rows: Numbers, unit: Codes) -> Numbers:
    order = np.argsort(unit, kind="stable")
    starts = np.flatnonzero(np.diff(unit[order], prepend=-1))
    return np.add.reduceat(rows[order], starts, 0) if len(starts) else rows


def _percentiles(lifts: Floats) -> Interval | None:
    known = lifts[np.isfinite(lifts)]
    if len(known) < (1 - UNDEFINED) * len(lifts):
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(float(low), float(high))

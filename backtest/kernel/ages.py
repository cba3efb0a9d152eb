"""The age-matched baseline for very many fires: one look-up per fire in a ladder of ages, and sums that are exact in any order.

`backtest.baseline` searches four sorted arrays per fire and adds with `fsum`. Here the four become one ladder of steps, on which both counts are
constant, with a table of equal cells that leads to within a few rungs. A sum of floats is kept as whole numbers per binary exponent: it is exact,
and rounding it once gives what `fsum` gives, to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp

import numpy as np
from numba import njit

from backtest.baseline import MINIMUM_COMPARATORS, AgeTable, Expected
from backtest.intervals import Flags, Ints

EXPONENTS = 64
"""Shares of at most 1 with denominators below 2^31 have binary exponents from -30 to 1."""

LOW = 26
"""Mantissas of 53 bits are added in two parts, so that 2^36 of them fit."""


@dataclass(frozen=True)
class Ladder:
    """`at_risk[i]` and `converting[i]` hold for ages in `[rungs[i], rungs[i + 1])`; before the first rung both are 0."""

    rungs: Ints
    at_risk: Ints
    converting: Ints
    cells: Ints
    shift: int


def ladder(table: AgeTable) -> Ladder:
    rungs = np.unique(np.concatenate((table.risk_starts, table.risk_stops, table.hit_starts, table.hit_stops)))
    span = int(rungs[-1] - rungs[0]) if len(rungs) else 0
    shift = max(0, span.bit_length() - max(1, len(rungs).bit_length()))
    edges = (np.arange((span >> shift) + 2, dtype=np.int64) << shift) + (rungs[0] if len(rungs) else 0)
    return Ladder(rungs, table.at_risk(rungs), table.converting(rungs), np.searchsorted(rungs, edges, "right") - 1, shift)


@njit(cache=True, nogil=True)
def _look_up(ages: Ints, rungs: Ints, cells: Ints, shift: int, at_risk: Ints, converting: Ints, out_risk: Ints, out_hits: Ints) -> None:
    count, first = len(rungs), rungs[0] if len(rungs) else 0
    for index in range(len(ages)):
        age = ages[index]
        if count == 0 or age < first:
            out_risk[index], out_hits[index] = 0, 0
            continue
        cell = min((age - first) >> shift, len(cells) - 2)
        low, high = cells[cell], min(cells[cell + 1], count - 1)
        if age >= rungs[count - 1]:
            low, high = count - 1, count - 1
        while low < high:
            middle = (low + high + 1) >> 1
            if rungs[middle] <= age:
                low = middle
            else:
                high = middle - 1
        out_risk[index], out_hits[index] = at_risk[low], converting[low]


def look_up(steps: Ladder, ages: Ints) -> tuple[Ints, Ints]:
    """Units at risk at each age, and those of them who convert in time."""
    risk, hits = np.empty(len(ages), np.int64), np.empty(len(ages), np.int64)
    _look_up(ages, steps.rungs, steps.cells, steps.shift, steps.at_risk, steps.converting, risk, hits)
    return risk, hits


@njit(cache=True, nogil=True)
def _add(risk: Ints, hits: Ints, keep: Flags, high: Ints, low: Ints) -> None:
    mask = (1 << LOW) - 1
    for index in range(len(risk)):
        if keep[index] and hits[index] > 0:
            fraction, exponent = frexp(hits[index] / risk[index])
            mantissa = np.int64(fraction * 9007199254740992.0)
            high[exponent + EXPONENTS // 2] += mantissa >> LOW
            low[exponent + EXPONENTS // 2] += mantissa & mask


def exact_sum(risk: Ints, hits: Ints, keep: Flags) -> float:
    """Σ hits / risk over those kept, each share rounded as a float, their sum rounded once."""
    high, low = np.zeros(EXPONENTS, np.int64), np.zeros(EXPONENTS, np.int64)
    _add(risk, hits, keep, high, low)
    whole = sum(((int(above) << LOW) + int(below)) << place for place, (above, below) in enumerate(zip(high, low, strict=True)))
    return whole / (1 << (53 + EXPONENTS // 2))


def supported(steps: Ladder, ages: Ints) -> Flags:
    """As `backtest.baseline.supported`."""
    return look_up(steps, ages)[0] >= MINIMUM_COMPARATORS


def expected(steps: Ladder, ages: Ints, converted: Flags, enough: Flags, without: Ladder | None = None) -> Expected:
    """As `backtest.baseline.expected`, to the last digit."""
    risk, hits = look_up(steps, ages)
    if without is not None:
        less_risk, less_hits = look_up(without, ages)
        risk, hits = risk - less_risk, hits - less_hits
    answerable = enough & (risk > 0)
    return Expected(int(answerable.sum()), int((converted & answerable).sum()), exact_sum(risk, hits, answerable))

"""Sets of half-open intervals per unit, as three aligned arrays, and the two operations that everything is built from.

`Intervals(unit, start, stop)`: sorted by (unit, start), disjoint, and never touching (touching intervals are one). Instants are int64 microseconds;
`ALWAYS` and `FOREVER` stand for minus and plus infinity and survive the addition of any span.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]

FOREVER = np.int64(2**61)
ALWAYS = np.int64(-(2**61))


@dataclass(frozen=True)
class Intervals:
    unit: Codes
    start: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.unit)

    def where(self, keep: Flags) -> Intervals:
        return Intervals(self.unit[keep], self.start[keep], self.stop[keep])


def nothing() -> Intervals:
    return Intervals(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))


def order(unit: Codes, at: Ints) -> NDArray[np.intp]:
    """Stable order by (unit, at).

    Most inputs are a few sorted runs put end to end (slices of a log, starts and stops of intervals). One packed key keeps them so, and a
    merge sort then needs a single pass; two keys would cost a full sort each.
    """
    if len(unit) < 2:
        return np.arange(len(unit))
    step = np.diff(unit)
    if np.all((step > 0) | ((step == 0) & (np.diff(at) >= 0))):
        return np.arange(len(unit))
    finite = at[(at > ALWAYS) & (at < FOREVER)]
    low, high = (int(finite.min()) - 1, int(finite.max()) + 1) if len(finite) else (0, 0)
    width = high - low + 1
    if (int(unit.max()) + 1) * width >= 2**62:
        return np.lexsort((at, unit))
    return np.argsort(unit.astype(np.int64) * width + np.clip(at, low, high), kind="stable")


def covered(unit: Codes, start: Ints, stop: Ints, depth: int = 1) -> Intervals:
    """Where at least `depth` of the given half-open intervals overlap. They may overlap, touch, repeat, and come in any order."""
    real = start < stop
    unit, start, stop = unit[real], start[real], stop[real]
    steps = np.ones(len(unit), np.int64)
    return sweep(np.concatenate((unit, unit)), np.concatenate((start, stop)), np.concatenate((steps, -steps)), depth)


def sweep(unit: Codes, at: Ints, step: Ints, least: int) -> Intervals:
    """Where the running sum of `step` per unit is at least `least` (> 0). Steps at one instant count together; each unit's steps sum to zero."""
    if not len(unit):
        return nothing()
    by = order(unit, at)
    unit, at, step = unit[by], at[by], step[by]
    first = np.flatnonzero(np.concatenate(([True], (np.diff(unit) != 0) | (np.diff(at) != 0))))
    level = np.cumsum(np.add.reduceat(step, first))
    return runs(unit[first], at[first], level >= least)


def runs(unit: Codes, at: Ints, holds: Flags) -> Intervals:
    """Maximal intervals of a step function given by its breakpoints (sorted by unit and instant): `holds[i]` from `at[i]` to the unit's next
    breakpoint, or for ever after the last one."""
    if not len(unit):
        return nothing()
    new_unit = np.concatenate(([True], np.diff(unit) != 0))
    begins = holds & (new_unit | ~np.concatenate(([False], holds[:-1])))
    ends_here = np.concatenate((new_unit[1:], [True]))
    next_at = np.where(ends_here, FOREVER, np.concatenate((at[1:], [FOREVER])))
    finishes = holds & (ends_here | ~np.concatenate((holds[1:], [False])))
    return Intervals(unit[begins], at[begins], next_at[finishes])


def union(unit: Codes, start: Ints, stop: Ints) -> Intervals:
    return covered(unit, start, stop)


def intersection(sets: list[Intervals]) -> Intervals:
    """Where all of them hold. Each is disjoint, so all hold where their depths add up to their number."""
    if len(sets) == 1:
        return sets[0]
    return covered(
        np.concatenate([one.unit for one in sets]),
        np.concatenate([one.start for one in sets]),
        np.concatenate([one.stop for one in sets]),
        len(sets),
    )


def complement(held: Intervals, units: int) -> Intervals:
    """Everything else, for units numbered 0 to `units` - 1."""
    everyone = np.arange(units, dtype=np.int32)
    unit = np.concatenate((everyone, held.unit, held.unit, everyone))
    at = np.concatenate((np.full(units, ALWAYS), held.start, held.stop, np.full(units, FOREVER)))
    one = np.ones(len(held), np.int64)
    step = np.concatenate((np.ones(units, np.int64), -one, one, -np.ones(units, np.int64)))
    return sweep(unit, at, step, 1)


def since(unit: Codes, start: Ints) -> Intervals:
    """`[start, ∞)`, at most one per unit, sorted by unit; those that never start are left out."""
    real = start < FOREVER
    return Intervals(unit[real].astype(np.int32), start[real], np.full(int(real.sum()), FOREVER))

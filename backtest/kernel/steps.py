"""Instants at equal steps, and the number of them before an instant without dividing: a table of cells no wider than a step, and one comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from backtest.intervals import Ints

WORD = 62
"""Grid instants per 64-bit word; a longer grid takes several words."""


@dataclass(frozen=True)
class Steps:
    """`s0 + j step` for `count` (at most 62) values of j. `table[cell]` counts those before the cell, which is 2^shift microseconds wide."""

    s0: int
    step: int
    count: int
    shift: int
    table: Ints


def steps(s0: int, step: int, count: int) -> Steps:
    shift = step.bit_length() - 1
    cells = np.arange(((count * step) >> shift) + 1, dtype=np.int64) << shift
    return Steps(s0, step, count, shift, np.minimum((cells + step - 1) // step, count))


@njit(cache=True, nogil=True)
def before(when: int, s0: int, step: int, count: int, shift: int, table: Ints) -> int:
    """How many instants are earlier than `when`."""
    passed = min(max(when - s0, 0), count * step)
    found = table[np.uint64(passed) >> np.uint64(shift)]
    return min(found + (found * step < passed), count)


@njit(cache=True, nogil=True)
def ones(bits: int) -> int:
    """How many bits of a non-negative number are set."""
    bits -= (bits >> 1) & 0x5555555555555555
    bits = (bits & 0x3333333333333333) + ((bits >> 2) & 0x3333333333333333)
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (bits * 0x0101010101010101) >> 56

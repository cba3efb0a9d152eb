"""Who is asked when: the parts of closed tables and of recall that all hypotheses of one entry, outcome, horizon and look-back share."""

from __future__ import annotations

import numpy as np
from numba import njit

from backtest.intervals import Codes, Ints
from backtest.kernel.steps import before, ones


@njit(cache=True, nogil=True)
def mark_active(unit: Codes, first: Ints, last: Ints, within: int, s0: int, step: int, count: int, shift: int, table: Ints, active: Ints) -> None:
    """Sets bit j of `active[unit]` where the unit has an event in the `within` up to grid instant j, from blocks of presence."""
    for block in range(len(unit)):
        low = before(first[block], s0, step, count, shift, table)
        high = before(last[block] + within, s0, step, count, shift, table)
        active[np.uint32(unit[block])] |= (1 << high) - (1 << low)


@njit(cache=True, nogil=True)
def mark_asked(
    active: Ints,
    entry: Ints,
    outcome: Ints,
    entered_from: int,
    s0: int,
    step: int,
    count: int,
    shift: int,
    table: Ints,
    asked: Ints,
    converting: Ints,
) -> tuple[int, int]:
    """Keeps of `active` the grid instants at which a unit has entered and is not yet converted. Returns how many rows that makes, and how many of
    them convert within a step: an outcome lies within a step of exactly one instant, the last one before it, whose bit is put into `converting`."""
    rows, hits = 0, 0
    for who in range(len(active)):
        low = before(entry[who], s0, step, count, shift, table)
        high = before(outcome[who], s0, step, count, shift, table)
        eligible = (entered_from <= entry[who]) & (low < high)
        bits = active[who] & ((1 << high) - (1 << low)) * eligible
        last = bits & (1 << max(high - 1, 0)) if outcome[who] <= s0 + count * step else 0
        asked[who], converting[who] = bits, last
        rows += ones(bits)
        hits += last != 0
    return rows, hits


@njit(cache=True, nogil=True)
def landmark_margins(entry: Ints, outcome: Ints, s0: int, end: int, ask_after: int, horizon: int) -> tuple[int, int]:
    """Design L without the hypothesis: how many units are asked at entry + `ask_after`, and how many of them convert within the horizon."""
    rows, hits = 0, 0
    for who in range(len(entry)):
        instant = entry[who] + ask_after
        if s0 <= entry[who] < end and instant + horizon <= end and outcome[who] > instant:
            rows += 1
            hits += outcome[who] <= instant + horizon
    return rows, hits


@njit(cache=True, nogil=True)
def recall_converters(entry: Ints, outcome: Ints, s0: int, end: int, entered_from: int) -> int:
    """Units with `s0 <= outcome < end`, after their entry, and entered at or after `entered_from`."""
    found = 0
    for who in range(len(entry)):
        found += s0 <= outcome[who] < end and outcome[who] > entry[who] and entry[who] >= entered_from
    return found

"""Compiled passes from the intervals in which a hypothesis holds to its fires and to the counts of numbers 1.9 rules 2 to 7."""

from __future__ import annotations

import numpy as np
from numba import njit

from backtest.intervals import Codes, Ints
from backtest.kernel.ends import FOREVER
from backtest.kernel.steps import before, ones

EXCLUDED, PENDING, SAMPLE, HITS, RECALL_HITS, ASKED, ASKED_HITS = range(7)
"""Places in the counts that `count_fires` fills."""


@njit(cache=True, nogil=True)
def first_fires(
    unit: Codes, start: Ints, stop: Ints, count: int, entry: Ints, s0: int, end: int, entered_from: int, out_unit: Codes, out_at: Ints
) -> int:
    """Each unit's first interval that begins in `[s0, end)`, after being cut to entry; only units with entry >= `entered_from`."""
    written, before_it = np.uint64(0), np.int32(-1)
    for index in range(count):
        who = unit[index]
        since = entry[np.uint32(who)]
        when = max(start[index], since)
        fires = (s0 <= when) & (when < end) & (when < stop[index]) & (since >= entered_from) & (who != before_it)
        out_unit[written], out_at[written] = who, when
        written += np.uint64(fires)
        before_it = who if fires else before_it
    return int(written)


@njit(cache=True, nogil=True)
def repeated_fires(
    unit: Codes,
    start: Ints,
    stop: Ints,
    count: int,
    entry: Ints,
    s0: int,
    end: int,
    entered_from: int,
    cool_down: int,
    out_unit: Codes,
    out_at: Ints,
    out_occurrence: Codes,
) -> int:
    """As `first_fires`, and then each first one that begins at least `cool_down` after the fire before it."""
    written = 0
    for index in range(count):
        who = unit[index]
        since = entry[who]
        when = max(start[index], since)
        if not (s0 <= when < end and when < stop[index] and since >= entered_from):
            continue
        occurrence = 1
        if written and out_unit[written - 1] == who:
            if when < out_at[written - 1] + cool_down:
                continue
            occurrence = out_occurrence[written - 1] + 1
        out_unit[written], out_at[written], out_occurrence[written] = who, when, occurrence
        written += 1
    return written


@njit(cache=True, nogil=True)
def count_fires(unit: Codes, at: Ints, count: int, entry: Ints, outcome: Ints, horizon: int, end: int, ask_after: int, counts: Ints) -> None:
    """Design F, recall, and the fired cells of design L asked at entry + `ask_after` (negative: no such table).

    A fired unit of an anchored hypothesis entered in `[s0, end)`, so only the horizon and the outcome decide whether it is asked.
    """
    excluded, sample, hits, recall_hits, asked, asked_hits = 0, 0, 0, 0, 0, 0
    for index in range(count):
        when, reached = at[index], outcome[np.uint32(unit[index])]
        later, complete = reached > when, when + horizon <= end
        in_time = later & (reached <= when + horizon)
        excluded += not later
        sample += later & complete
        hits += in_time & complete
        recall_hits += in_time & (reached < end)
    if ask_after >= 0:
        for index in range(count):
            who = np.uint32(unit[index])
            instant, reached = entry[who] + ask_after, outcome[who]
            is_asked = (at[index] <= instant) & (instant + horizon <= end) & (reached > instant)
            asked += is_asked
            asked_hits += is_asked & (reached <= instant + horizon)
    counts[EXCLUDED], counts[PENDING], counts[SAMPLE], counts[HITS] = excluded, count - excluded - sample, sample, hits
    counts[RECALL_HITS], counts[ASKED], counts[ASKED_HITS] = recall_hits, asked, asked_hits


@njit(cache=True, nogil=True)
def sample_ages(
    unit: Codes, at: Ints, count: int, entry: Ints, outcome: Ints, horizon: int, end: int, out_age: Ints, out_outcome_age: Ints, out_last_age: Ints
) -> int:
    """The fires in the sample, as ages since entry: of the fire, of the outcome (`FOREVER`: none), and the last with a complete horizon."""
    written = 0
    for index in range(count):
        who, when = unit[index], at[index]
        reached, since = outcome[who], entry[who]
        if reached > when and when + horizon <= end:
            out_age[written] = when - since
            out_outcome_age[written] = reached - since if reached < FOREVER else FOREVER
            out_last_age[written] = end - horizon - since
            written += 1
    return written


@njit(cache=True, nogil=True)
def grid_hits(
    unit: Codes,
    start: Ints,
    stop: Ints,
    intervals: int,
    asked: Ints,
    converting: Ints,
    s0: int,
    step: int,
    count: int,
    shift: int,
    table: Ints,
    counts: Ints,
) -> None:
    """Adds the fired cells of design G to `counts[ASKED]` and `counts[ASKED_HITS]`.

    Bit j of `asked[unit]` tells whether the unit is asked at grid instant j; `converting[unit]` is the one of these bits, if any, whose instant the
    outcome follows in time. Intervals of a unit are disjoint, so no instant is counted twice.
    """
    rows, hits = 0, 0
    for index in range(intervals):
        who = np.uint32(unit[index])
        low = before(start[index], s0, step, count, shift, table)
        high = before(stop[index], s0, step, count, shift, table)
        held = (1 << high) - (1 << low)
        rows += ones(asked[who] & held)
        hits += (converting[who] & held) != 0
    counts[ASKED] += rows
    counts[ASKED_HITS] += hits

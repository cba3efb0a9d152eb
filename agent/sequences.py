"""All ordered pairs of events in one pass per unit: A, then B within a gap, both inside a window of each row of a closed design.

For every pair the smallest gap from an A to a later B decides all gaps at once. Counts go straight into the strata: memory does
not grow with units. The same counts as the evaluator's `sequence`: B strictly later than A, and of several A's the latest before B is the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from agent.tables import AT_LANDMARK, Table
from backtest.durations import DAY, HOUR
from backtest.events import EventLog
from backtest.intervals import FOREVER, Codes, Flags, Ints

GAPS = (HOUR, DAY, 7 * DAY)


@dataclass(frozen=True)
class Timeline:
    """Rows of some event names in order of unit and instant. `starts[u]` to `starts[u + 1]` are those of unit u."""

    names: tuple[str, ...]
    starts: Ints
    at: Ints
    name: Codes


def timeline(log: EventLog, names: Sequence[str]) -> Timeline:
    known = tuple(name for name in names if name in log.slices)
    rows = np.concatenate([np.arange(*log.slices[name]) for name in known]) if known else np.empty(0, np.int64)
    name = np.repeat(np.arange(len(known), dtype=np.int32), [log.slices[one][1] - log.slices[one][0] for one in known])
    by = np.lexsort((log.at[rows], log.unit[rows]))
    starts = np.searchsorted(log.unit[rows][by], np.arange(len(log.units) + 1))
    return Timeline(known, starts, log.at[rows][by], name[by])


@dataclass(frozen=True)
class Ordered:
    """Rows in which A is followed by B within each gap, and those of them that convert: [gap, stratum, A, B]; and rows with the event at all, and
    converting ones: [stratum, event]."""

    fired: Ints
    hits: Ints
    alone: Ints
    alone_hits: Ints


def ordered_pairs(table: Table, events: Timeline, span: int) -> Ordered:
    """`span`: the length of the window, from entry (L) or before the index time (G), in microseconds."""
    entry = table.part.log.entry(table.shape)[table.unit]
    if table.instants == (AT_LANDMARK,):
        low, high = entry, entry + span
    else:
        high = np.array(table.instants)[table.place] + 1
        low = high - span
    stratum = np.repeat(np.arange(len(table.bounds), dtype=np.int32), table.units)
    e, strata = len(events.names), len(table.bounds)
    fired, hits = (np.zeros((len(GAPS), strata, e, e), np.int64) for _ in range(2))
    alone, alone_hits = (np.zeros((strata, e), np.int64) for _ in range(2))
    rows = (table.unit, low, high, stratum, table.converted)
    _count(events.starts, events.at, events.name, *rows, np.array(GAPS), fired, hits, alone, alone_hits)
    return Ordered(fired, hits, alone, alone_hits)


@njit(cache=True, nogil=True)
def _count(
    starts: Ints,
    at: Ints,
    name: Codes,
    unit: Codes,
    low: Ints,
    high: Ints,
    stratum: Codes,
    converted: Flags,
    gaps: Ints,
    fired: Ints,
    hits: Ints,
    alone: Ints,
    alone_hits: Ints,
) -> None:
    """Each row walks its unit's events in [low, high)."""
    e = fired.shape[2]
    last, nearest = np.empty(e, np.int64), np.empty((e, e), np.int64)
    for row in range(len(unit)):
        first, stop = starts[unit[row]], starts[unit[row] + 1]
        while first < stop and at[first] < low[row]:
            first += 1
        while stop > first and at[stop - 1] >= high[row]:
            stop -= 1
        if first == stop:
            continue
        last[:] = -FOREVER
        nearest[:] = FOREVER
        event = first
        while event < stop:
            tied = event
            while tied < stop and at[tied] == at[event]:
                b = name[tied]
                for a in range(e):
                    if last[a] > -FOREVER and at[tied] - last[a] < nearest[a, b]:
                        nearest[a, b] = at[tied] - last[a]
                tied += 1
            for one in range(event, tied):
                last[name[one]] = at[one]
            event = tied
        place = stratum[row]
        for a in range(e):
            if last[a] == -FOREVER:
                continue
            alone[place, a] += 1
            alone_hits[place, a] += converted[row]
            for b in range(e):
                for gap in range(len(gaps)):
                    if nearest[a, b] <= gaps[gap]:
                        fired[gap, place, a, b] += 1
                        hits[gap, place, a, b] += converted[row]

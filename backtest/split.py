"""Time apart: what was found on the earlier part of a log is confirmed once on the later part (numbers section 5, split rule).

Units are disjoint, so anchored hypotheses split by unit at an entry instant: who entered before the cut discovers, who entered after it confirms.
Rolling ones split by time: discovery is the log as of the cut (no outcome after it is visible, which is the purge of one horizon), confirmation
starts at the cut.
"""

from __future__ import annotations

import numpy as np

from backtest.events import Column, EventLog, Presence, Window, event_log, first_key
from backtest.intervals import FOREVER, Flags
from backtest.language import Hypothesis

DISCOVERY = 0.6
"""Share of the units, in order of entry, that discovers."""

FEWEST_ENTRY_DAYS = 14
"""With fewer days of entries in the confirming part nothing can be confirmed."""


def cut_at(hypothesis: Hypothesis, log: EventLog) -> int | None:
    """The entry instant that splits the evaluable units 60 to 40; `None` without any. One cut serves all hypotheses of an entry and horizon."""
    entry = log.entry(hypothesis)
    evaluable = np.sort(entry[(entry >= log.window.start) & (entry < log.window.end - int(hypothesis.horizon))])
    return int(evaluable[int(len(evaluable) * DISCOVERY)]) if len(evaluable) else None


def earlier(log: EventLog, hypothesis: Hypothesis, cut: int) -> EventLog:
    """The discovering part, for hypotheses anchored (or rolling) as this one is."""
    if hypothesis.counts_entrants_only:
        return _entrants(log, hypothesis, log.entry(hypothesis) < cut)
    return _within(log, Window(log.window.start, cut))


def later(log: EventLog, hypothesis: Hypothesis, cut: int) -> EventLog:
    """The confirming part."""
    if hypothesis.counts_entrants_only:
        return _entrants(log, hypothesis, log.entry(hypothesis) >= cut)
    return _within(log, Window(cut, log.window.end))


def _entrants(log: EventLog, hypothesis: Hypothesis, keep: Flags) -> EventLog:
    key = first_key(hypothesis.entry)
    return log.replaced(firsts={**log.firsts, key: np.where(keep, log.firsts[key], FOREVER)})


def _within(log: EventLog, window: Window) -> EventLog:
    rows = np.flatnonzero((log.at >= window.start) & (log.at < window.end))
    name = np.zeros(len(log.at), np.int32)
    for code, one in enumerate(log.names):
        if one in log.slices:
            name[slice(*log.slices[one])] = code
    here = log.presence
    seen = here.first < window.end
    return event_log(
        window=window,
        units=log.units,
        names=log.names,
        unit=log.unit[rows],
        name=name[rows],
        at=log.at[rows],
        presence=Presence(here.unit[seen], here.first[seen], np.minimum(here.last[seen], window.end - 1)),
        firsts={key: np.where(first < window.end, first, FOREVER) for key, first in log.firsts.items()},
        persons=None if log.persons is None else log.persons[rows],
        columns={path: Column(column.codes[rows], column.values) for path, column in log.columns.items()},
        seeds=log.seeds,
        cohorts=log.cohorts,
        types=log.types,
    )

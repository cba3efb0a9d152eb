"""The stretch of history that a clause looks at, counted from entry."""

from __future__ import annotations

import numpy as np

from backtest.durations import MINUTE
from backtest.events import EventLog, Matches
from backtest.intervals import ALWAYS, FOREVER, Ints
from backtest.language import SESSION_CAP, First
from backtest.matching import EventMatch

SESSION_GAP = 30 * MINUTE
"""A gap of more than this between two consecutive events of a unit ends its first session; exactly this does not."""


def span_end(span: First | str, log: EventLog, entry: Ints) -> Ints:
    """Where each unit's first span stops (exclusive); `FOREVER` for `ever`."""
    if isinstance(span, First):
        return np.where(entry < FOREVER, entry + span.first, FOREVER)
    return first_session(log, entry)[0] if span == "first_session" else np.full(len(entry), FOREVER)


def first_session(log: EventLog, entry: Ints) -> tuple[Ints, Ints]:
    """Per unit: the end of the first session (exclusive) and the instant at which it is known to be over."""
    cap = np.where(entry < FOREVER, entry + SESSION_CAP, FOREVER)
    seen = log.matches(EventMatch(any_event=True))
    seen = seen.where((seen.at >= entry[seen.unit]) & (seen.at < cap[seen.unit]))
    if not len(seen):
        return cap, cap
    breaks = (np.diff(seen.unit) == 0) & (np.diff(seen.at) > SESSION_GAP)
    new_unit = np.concatenate(([True], np.diff(seen.unit) != 0))
    block = np.cumsum(np.concatenate(([False], breaks)))
    in_first = block == block[new_unit][np.cumsum(new_unit) - 1]
    last = np.full(len(entry), ALWAYS)
    np.maximum.at(last, seen.unit[in_first], seen.at[in_first])
    over = np.where(last > ALWAYS, np.minimum(last + SESSION_GAP, cap), cap)
    return np.where(last > ALWAYS, np.minimum(last + 1, cap), cap), over


def in_first_span(found: Matches, span: First | str, log: EventLog, entry: Ints) -> Matches:
    """The matches from entry on and before the span ends."""
    end = span_end(span, log, entry)
    return found.where((found.at >= entry[found.unit]) & (found.at < end[found.unit]))

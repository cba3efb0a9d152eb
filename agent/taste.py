"""What an experienced analyst would rather read: few clauses, small counts, a week, one event by its name.

Taste never decides against evidence. It is an offset of the log-likelihood, about what the choice among so many wordings costs anyway.
"""

from __future__ import annotations

from backtest.durations import DAY
from backtest.language import Clause, Counted, Did, DidNot, First, Last, Sequence, State, Total, Trend
from backtest.matching import EventMatch, Op

PER_CLAUSE = 7.0
"""A further clause has to earn this much: e^7 is about how many conditions it was chosen from."""

WEEK = 7 * DAY

EVERYTHING = frozenset(("$pageview", "$pageleave", "$autocapture", "$screen", "$rageclick"))
"""PostHog's own events that whatever one does leads to: they say no more than any event does."""

UNTOLD = 2.0
"""What it costs not to say what is done."""


def price(clauses: tuple[Clause, ...]) -> float:
    """What a wording costs, in units of log-likelihood; 0 for the plainest."""
    return sum(map(_of_clause, clauses)) + PER_CLAUSE * (len(clauses) - 1)


def _of_clause(clause: Clause) -> float:
    cost = _of_span(clause) + sum(_of_match(getattr(clause, role)) for role in ("match", "then", "without") if hasattr(clause, role))
    if isinstance(clause, Did):
        cost += 0.3 * (clause.at_least - 1) if clause.at_least <= 3 else min(0.2 * clause.at_least, 2.0)
        cost += 0.0 if clause.count is Counted.events else 0.5
    elif isinstance(clause, Sequence):
        cost += 1.0 + (0.0 if clause.within == DAY else 0.5)
    elif isinstance(clause, Total | State | DidNot):
        cost += 1.0
    elif isinstance(clause, Trend):
        cost += 1.5
    return cost


def _of_span(clause: Clause) -> float:
    span = getattr(clause, "span", None)
    days = span.first if isinstance(span, First) else span.last if isinstance(span, Last) else WEEK
    return 0.0 if days == WEEK else 0.5


def _of_match(match: EventMatch) -> float:
    named = UNTOLD if match.any_event or any(name in EVERYTHING for name in match.events) else 0.25 * (len(match.events) - 1)
    return named + 0.5 * len(match.where)


def usual(clause: Clause) -> bool:
    """Plain enough to be paired with others. Decided without looking at outcomes."""
    if isinstance(clause, Did):
        days = _days(clause)
        if clause.match.where:
            return days in (1, 7) and all(one.op is not Op.is_set for one in clause.match.where)
        if clause.count is Counted.events:
            return days == 7 and clause.at_least <= 3
        return days == 7 and clause.at_least in (2, 3, 4)
    if isinstance(clause, DidNot):
        return _days(clause) in (7, 14)
    if isinstance(clause, Trend):
        return clause.over == 14 * DAY and clause.ratio_at_most == 0.5 and clause.at_least_before == 5
    return isinstance(clause, Total) and _days(clause) == 7


def _days(clause: Did | DidNot | Total) -> float:
    span = clause.span
    return (span.first if isinstance(span, First) else span.last) / DAY if isinstance(span, First | Last) else 0

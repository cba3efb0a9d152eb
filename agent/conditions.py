"""Which single conditions are worth trying, from the taxonomy alone: so what has to be read is known before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backtest import Duration, Hypothesis, Window
from backtest.language import Did, DidNot, Outcome, Unit
from backtest.matching import EventMatch
from backtest.refusals import window_faults
from backtest.taxonomy import Taxonomy

MOST_EVENTS = 40
"""Event names that are tried: the most widely used ones. Rarer ones have too few units to be found by search."""

COUNTS = (1, 2, 3, 5)
FIRST_DAYS = (3, 7)
LAST_DAYS = (7,)
FEWEST_UNITS = 20
"""Conditions with less support say nothing (numbers section 14)."""


@dataclass(frozen=True)
class Question:
    """What is searched for: behaviour of these units that precedes this outcome."""

    unit: Unit
    entry: EventMatch | None
    outcome: Outcome

    def ask(self, *clauses: Any) -> Hypothesis:
        """The hypothesis with these clauses for this question."""
        return Hypothesis(unit=self.unit, entry=self.entry, clauses=clauses, outcome=self.outcome)


def conditions(question: Question, taxonomy: Taxonomy, window: Window) -> list[Hypothesis]:
    """Counts of events in first and trailing spans, values of properties that have few, days of activity. All of them are counted as tried."""
    taken = {*_names(question.entry), *_names(getattr(question.outcome, "match", None))}
    usable = [one for one in taxonomy.events if one.name not in taken and not one.hidden and one.units >= FEWEST_UNITS]
    events = sorted(usable, key=lambda one: (-one.units, one.name))[:MOST_EVENTS]
    clauses: list[Did | DidNot] = []
    for one in events:
        clauses += _of_event(one.name)
        for name in one.properties:
            known = taxonomy.property(name)
            if known is not None and known.type in ("string", "boolean") and 1 < len(known.values) <= 12:
                clauses += [_valued(one.name, name, known.type, value) for value in known.values]
    everyone = EventMatch(any_event=True)
    clauses += [
        Did(kind="did", match=everyone, at_least=days, count="days", span=span) for days in (2, 3, 4, 5) for span in ({"first": "7d"}, {"last": "7d"})
    ]
    asked = (question.ask(clause) for clause in clauses)
    return [one for one in asked if not window_faults(one, Duration(window.end - window.start))]


def _names(match: EventMatch | None) -> tuple[str, ...]:
    return match.events if match else ()


def _of_event(name: str) -> Iterable[Did | DidNot]:
    match = EventMatch(events=(name,))
    for days in FIRST_DAYS:
        for count in COUNTS:
            yield Did(kind="did", match=match, at_least=count, span={"first": f"{days}d"})
    for days in LAST_DAYS:
        for count in COUNTS:
            yield Did(kind="did", match=match, at_least=count, span={"last": f"{days}d"})
    yield Did(kind="did", match=match, at_least=3, count="days", span={"last": "7d"})


def _valued(event: str, name: str, kind: str, value: str) -> Did:
    plain: Any = value.lower() == "true" if kind == "boolean" else value
    where = {"property": name, "op": "equals", "value": plain}
    return Did(kind="did", match={"events": [event], "where": [where]}, span={"first": "7d"})

"""Which single conditions are worth trying, from the taxonomy alone: so what has to be read is known before anything is read.

The grid is the same for every project (numbers section 14). What depends on values of properties comes after reading, from the discovering part
only (`agent.cuts`); here a property is named by "it is set", so that it gets read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backtest import Duration, Hypothesis, Window
from backtest.durations import DAY
from backtest.language import Clause, Counted, Did, DidNot, Outcome, PropertyOutcome, State, Trend, Unit
from backtest.matching import EventMatch, Op
from backtest.refusals import window_faults
from backtest.taxonomy import EventDefinition, Taxonomy

MOST_EVENTS = 40
"""Event names that are tried: the most widely used ones. Rarer ones have too few units to be found by search."""

MOST_COLUMNS = 60
"""Pairs of event and property that are read: those of the most widely used events first."""

MOST_STATES = 5
MOST_VALUES = 30
FEWEST_UNITS = 20
"""Conditions with less support say nothing (numbers section 14)."""

COUNTS = (1, 2, 3, 5, 10, 20)
SOME_DAYS = (2, 3, 4, 5)
SOME_PERSONS = (2, 3, 5)
SESSION_COUNTS = (1, 2, 3)
FIRST_DAYS = (1, 3, 7, 14)
LAST_DAYS = (1, 7, 14, 30)
ABSENT_FIRST, ABSENT_LAST = (3, 7, 14), (7, 14)
TREND_DAYS = (7, 14)
FALLS = (0.0, 0.3, 0.5)
FALLS_FROM = (3, 5, 8, 13)
"""A fall is one only from something; each minimum is about 1.6 times the last."""

RISES, RISES_FROM = (2.0, 3.0), (2, 5)
OFTEN = 3
"""Events a unit has on average, from which on their trend is worth asking for."""

BOOKKEEPING = frozenset(
    (
        "$identify",
        "$set",
        "$unset",
        "$groupidentify",
        "$create_alias",
        "$merge_dangerously",
        "$feature_flag_called",
        "$pageleave",
        "$web_vitals",
        "$opt_in",
    )
)
"""Events that PostHog's libraries send for themselves: nobody does them."""

ADDRESS, PLACE = "$current_url", "$pathname"
TELLING = frozenset((ADDRESS, PLACE, "$event_type"))
"""PostHog's own properties that say something of the event; those of `CONTEXT` say something of who enters, and are asked of the entry only. The
others are identifiers."""

CONTEXT = frozenset(("$os", "$browser", "$device_type", "$referring_domain"))

ANYTHING = EventMatch(any_event=True)


@dataclass(frozen=True)
class Question:
    """What is searched for: behaviour of these units that precedes this outcome."""

    unit: Unit
    entry: EventMatch | None
    outcome: Outcome

    def ask(self, *clauses: Any) -> Hypothesis:
        """The hypothesis with these clauses for this question."""
        return Hypothesis(unit=self.unit, entry=self.entry, clauses=clauses, outcome=self.outcome)

    @property
    def events(self) -> frozenset[str]:
        """Names of its entry and its outcome, which are no conditions."""
        matches = (self.entry, getattr(self.outcome, "match", None))
        return frozenset(name for match in matches if match is not None for name in match.events)

    @property
    def properties(self) -> frozenset[str]:
        """What its outcome compares: no condition either."""
        named = {one.property[0] for one in self.outcome.match.where}
        return frozenset(named | {self.outcome.property[0]} if isinstance(self.outcome, PropertyOutcome) else named)


def conditions(question: Question, taxonomy: Taxonomy, window: Window) -> list[Hypothesis]:
    """The grid over the taxonomy: counts, days, persons, sessions, absence and trends of events, and which properties are to be read."""
    usable = usable_events(question, taxonomy)
    clauses: list[Clause] = []
    for match, often in [*((EventMatch(events=(one.name,)), _often(one)) for one in usable), *_merged(usable)]:
        clauses += _of_event(match, accounts=question.unit != "person", often=often)
    clauses += [*_days(ANYTHING), *(_trends(ANYTHING)), *_states(question, taxonomy, usable)]
    for name, path in _columns(question, taxonomy, usable):
        entering = question.entry is not None and name in question.entry.events
        clauses += (Did(kind="did", match=_set(name, path), span=span) for span in (ENTERING if entering else VALUED))
    return fitting(question, clauses, window)


ENTERING: tuple[dict[str, Any], ...] = ({"first": "1d"},)
VALUED: tuple[dict[str, Any], ...] = ({"first": "7d"}, {"last": "7d"}, {"last": "30d"})
"""Spans in which values of properties are asked for; those of the entry event are known at entry."""


def fitting(question: Question, clauses: Iterable[Clause], window: Window) -> list[Hypothesis]:
    """Each clause as a hypothesis of its own, unless it does not fit into the window."""
    asked = (question.ask(clause) for clause in clauses)
    return [one for one in asked if not window_faults(one, Duration(window.end - window.start))]


def usable_events(question: Question, taxonomy: Taxonomy) -> list[EventDefinition]:
    """Events that conditions may name: widely used, done by somebody, neither entry nor outcome."""
    usable = [one for one in taxonomy.events if one.name not in question.events | BOOKKEEPING and not one.hidden and one.units >= FEWEST_UNITS]
    return sorted(usable, key=lambda one: (-one.units, one.name))[:MOST_EVENTS]


def concept(name: str) -> str:
    """Equal for spellings of one name: `Signed Up`, `signed_up`, `SignedUp`."""
    return re.sub(r"[^0-9a-z]", "", name.casefold()) or name


def _merged(usable: Sequence[EventDefinition]) -> Iterator[tuple[EventMatch, bool]]:
    spelt: dict[str, list[EventDefinition]] = {}
    for one in usable:
        spelt.setdefault(concept(one.name), []).append(one)
    for several in spelt.values():
        if len(several) > 1:
            yield EventMatch(events=tuple(sorted(one.name for one in several))), any(map(_often, several))


def _often(one: EventDefinition) -> bool:
    return one.volume >= OFTEN * one.units


def _of_event(match: EventMatch, *, accounts: bool, often: bool) -> Iterator[Clause]:
    for count in COUNTS:
        for days in FIRST_DAYS:
            yield Did(kind="did", match=match, at_least=count, span={"first": f"{days}d"})
        for days in LAST_DAYS:
            yield Did(kind="did", match=match, at_least=count, span={"last": f"{days}d"})
    for count in SESSION_COUNTS:
        yield Did(kind="did", match=match, at_least=count, span="first_session")
    for days in ABSENT_FIRST:
        yield DidNot(kind="did_not", match=match, span={"first": f"{days}d"})
    for days in ABSENT_LAST:
        yield DidNot(kind="did_not", match=match, span={"last": f"{days}d"})
    yield from _days(match)
    if accounts:
        for count in SOME_PERSONS:
            for span in _fortnights():
                yield Did(kind="did", match=match, at_least=count, count=Counted.persons, span=span)
    if often:
        yield from _trends(match)


def _fortnights() -> Iterator[dict[str, str]]:
    for which in ("first", "last"):
        for days in (7, 14):
            yield {which: f"{days}d"}


def _days(match: EventMatch) -> Iterator[Clause]:
    for count in SOME_DAYS:
        for span in _fortnights():
            yield Did(kind="did", match=match, at_least=count, count=Counted.days, span=span)


def _trends(match: EventMatch) -> Iterator[Clause]:
    for days in TREND_DAYS:
        over = Duration(days * DAY)
        for least in FALLS_FROM:
            for ratio in FALLS:
                yield Trend(kind="trend", match=match, over=over, ratio_at_most=ratio, at_least_before=least)
        for least in RISES_FROM:
            for ratio in RISES:
                yield Trend(kind="trend", match=match, over=over, ratio_at_least=ratio, at_least_before=least)


# --- properties ------------------------------------------------------------------------------------------------------


def _set(event: str, path: str) -> EventMatch:
    return EventMatch.model_validate({"events": [event], "where": [{"property": path, "op": "is_set"}]})


def readable(question: Question, taxonomy: Taxonomy, name: str) -> bool:
    """Whether values of this property are worth a look: they are few, numbers, or addresses and sentences that `agent.cuts` takes apart."""
    if name in question.properties or (name.startswith("$") and name not in TELLING | CONTEXT):
        return False
    known = taxonomy.property(name)
    if known is None or known.hidden or known.virtual or known.type not in ("string", "numeric", "boolean"):
        return False
    few = known.cardinality is None or known.cardinality <= MOST_VALUES
    return known.type == "numeric" or few or _numbers(known.values) or _texts(name, known.values)


def _numbers(values: Sequence[str]) -> bool:
    return bool(values) and all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in values)


def _texts(name: str, values: Sequence[str]) -> bool:
    return name in (ADDRESS, PLACE) or (bool(values) and all(re.search(r"\s|^/|://", value) for value in values))


def _columns(question: Question, taxonomy: Taxonomy, usable: Sequence[EventDefinition]) -> list[tuple[str, str]]:
    """Pairs of event and property: those of the entry first, then by how widely the event is used."""
    entering = [taxonomy.event(name) for name in (question.entry.events if question.entry else ())]
    outcomes = frozenset(question.outcome.match.events)
    named = [(one.name, path) for one in (*entering, *usable) if one is not None and one.name not in outcomes for path in one.properties]
    entry = question.entry.events if question.entry else ()
    named = [(event, path) for event, path in named if path not in CONTEXT or event in entry]
    placed = {event for event, path in named if path == PLACE}  # of an address, the place is what is told by the path
    named = [(event, path) for event, path in named if path != ADDRESS or event not in placed]
    return [(event, path) for event, path in named if readable(question, taxonomy, path)][:MOST_COLUMNS]


def _states(question: Question, taxonomy: Taxonomy, usable: Sequence[EventDefinition]) -> Iterator[State]:
    """Of properties that several events carry and whose few values are known."""
    carried: dict[str, int] = {}
    for one in usable:
        for path in one.properties:
            carried[path] = carried.get(path, 0) + 1
    found = 0
    for name in sorted(carried, key=lambda path: (-carried[path], path)):
        known = taxonomy.property(name)
        if carried[name] < 2 or name.startswith("$") or known is None or not readable(question, taxonomy, name) or known.type == "numeric":
            continue
        if 1 < len(known.values) <= MOST_VALUES and (known.cardinality or 0) <= MOST_VALUES and found < MOST_STATES:
            found += 1
            for value in known.values:
                yield State(kind="state", property=(name,), op=Op.equals, value=value.lower() == "true" if known.type == "boolean" else value)

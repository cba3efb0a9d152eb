"""The hypothesis language: what Beton proposes, people read, the engine scores and the live sweep evaluates.

A hypothesis says: *units* (persons, or accounts of one group type), from their *entry* on, for whom one to three *clauses* all hold,
reach an *outcome* within a *horizon*. A clause denotes, for each unit, a set of half-open intervals `[from, until)` in which it holds; the
hypothesis holds where all of them do, cut to `[entry, ∞)`, and **fires** where it becomes true. "Or" is two hypotheses. What each clause
means to the microsecond is told in `backtest.truth`; `docs/reference/language/` shows every form.

Two rules about what may live in this file: only the shape of the language (no arithmetic, no data), and nothing without a line in the
reference.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from backtest.durations import DAY, MINUTE, Duration
from backtest.matching import NEEDS_NO_VALUE, Comparison, EventMatch, Json, Match, Op, Part

SHORTEST_GAP = MINUTE
"""PostHog's clock-skew correction can reverse a device's own events by up to a minute, so a shorter stated gap means nothing."""

SESSION_CAP = DAY
"""A first session ends at its first gap of more than 30 minutes, or 24 hours after entry."""

# --- spans: the stretch of history that a clause looks at ------------------------------------------------------------


class First(Part):
    """`[entry, entry + first)`: counted from the unit's entry."""

    first: Duration


class Last(Part):
    """`(t - last, t]`: trailing, from the instant asked about; it sees the unit's events before its entry too."""

    last: Duration


FirstSession = Literal["first_session"]
Ever = Literal["ever"]
Span = First | Last | FirstSession | Ever
FirstSpan = First | FirstSession

# --- clauses ---------------------------------------------------------------------------------------------------------


class Counted(StrEnum):
    events = "events"
    days = "days"
    persons = "persons"


def _as_path(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


PropertyPath = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_path), Field(min_length=1)]


class ValuesOf(Part):
    """Count distinct values of a property, compared as text; missing ones do not count."""

    values_of: PropertyPath

    @model_serializer
    def _short(self) -> dict[str, Json]:
        return {"values_of": _path_json(self.values_of)}


def _path_json(path: tuple[str, ...]) -> Json:
    return path[0] if len(path) == 1 else list(path)


class Did(Part):
    """At least `at_least` matching events (or distinct UTC days, persons, values) in the span."""

    kind: Literal["did"]
    match: Match
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    count: Counted | ValuesOf = Counted.events
    span: Span


class DidNot(Part):
    """No matching event in the span; known only once the span is over."""

    kind: Literal["did_not"]
    match: Match
    span: First | Last | FirstSession


class Sequence(Part):
    """`match`, then strictly later `then`, both in the span and at most `within` apart."""

    kind: Literal["sequence"]
    match: Match
    then: Match
    within: Duration | None = None
    span: Span


class Without(Part):
    """`match` that no `without` follows within the stated time: true from that moment on."""

    kind: Literal["without"]
    match: Match
    without: Match
    within: Duration


class Trend(Part):
    """The count in the last `over` against the `over` before it: their ratio at least, or at most, so much.

    The earlier count must be at least `at_least_before`, so that one event after one event is no trend.
    """

    kind: Literal["trend"]
    match: Match
    over: Duration
    ratio_at_least: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    ratio_at_most: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    at_least_before: Annotated[int, Field(ge=1)]


class Measure(StrEnum):
    sum = "sum"
    max = "max"
    latest = "latest"


class Total(Part):
    """The sum, greatest or latest value of a numeric property over the span, at least or at most so much."""

    kind: Literal["total"]
    match: Match
    property: PropertyPath
    measure: Measure
    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = None
    span: Span

    @model_serializer(mode="wrap")
    def _short(self, plain: Any) -> dict[str, Json]:
        return plain(self) | {"property": _path_json(self.property)}


class State(Part):
    """The latest value of a property, as carried by the unit's own events, compares so.

    Becoming known is no fire, unless it happens at the unit's entry; changing is.
    """

    kind: Literal["state"]
    property: PropertyPath
    op: Op
    value: Any = None

    @property
    def comparison(self) -> Comparison:
        return Comparison(property=self.property, op=self.op, value=self.value)

    @model_validator(mode="before")
    @classmethod
    def _reads_as_a_comparison(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "property" not in data or "op" not in data:
            return data
        comparison = Comparison.model_validate({key: data[key] for key in ("property", "op", "value") if key in data})
        if comparison.op in NEEDS_NO_VALUE:
            raise ValueError("a state compares a known value; to ask whether a property is set use did with a where")
        return data | {"property": comparison.property, "op": comparison.op, "value": comparison.value}

    @model_serializer
    def _short(self) -> dict[str, Json]:
        return {"kind": "state"} | self.comparison.model_dump()


class Age(Part):
    """So long since entry."""

    kind: Literal["age"]
    at_least: Duration


class Cohort(Part):
    """Member of a PostHog cohort, by today's membership: it looks back with today's knowledge and says so."""

    kind: Literal["cohort"]
    cohort: Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value), Field(min_length=1)]


Clause = Annotated[Did | DidNot | Sequence | Without | Trend | Total | State | Age | Cohort, Field(discriminator="kind")]

# --- outcomes --------------------------------------------------------------------------------------------------------


class Goal(StrEnum):
    """What the outcome means to the business; it changes words and signal types, never a number."""

    converts = "converts"
    expands = "expands"
    churns = "churns"
    returns = "returns"
    custom = "custom"


class Event(Part):
    """The first matching event."""

    kind: Literal["event"]
    match: Match
    horizon: Duration
    goal: Goal = Goal.converts


class PropertyOutcome(Part):
    """The first of the unit's events whose own property compares so (`plan` becomes `pro`, `seats` reaches 50)."""

    kind: Literal["property"]
    property: PropertyPath
    op: Op
    value: Any = None
    horizon: Duration
    goal: Goal = Goal.converts

    @property
    def match(self) -> EventMatch:
        return EventMatch(any_event=True, where=(Comparison(property=self.property, op=self.op, value=self.value),))

    @model_validator(mode="before")
    @classmethod
    def _reads_as_a_comparison(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "property" not in data or "op" not in data:
            return data
        comparison = Comparison.model_validate({key: data[key] for key in ("property", "op", "value") if key in data})
        if comparison.op in (Op.is_not_set, Op.not_equals):
            raise ValueError(f"a property outcome is a value reached; {comparison.op} would be true of every event without the property")
        return data | {"property": comparison.property, "op": comparison.op, "value": comparison.value}

    @model_serializer
    def _short(self) -> dict[str, Json]:
        comparison = Comparison(property=self.property, op=self.op, value=self.value).model_dump()
        return {"kind": "property"} | comparison | {"horizon": str(self.horizon), "goal": self.goal.value}


class Lapse(Part):
    """No matching event for `after`, dated at the end of that time. It counts once, the first."""

    kind: Literal["lapse"]
    match: Match
    after: Duration
    horizon: Duration
    goal: Goal = Goal.churns


Outcome = Annotated[Event | PropertyOutcome | Lapse, Field(discriminator="kind")]

# --- the whole -------------------------------------------------------------------------------------------------------


class Group(Part):
    """An account: a PostHog group of this type (`group: company`)."""

    group: Annotated[str, Field(min_length=1)]


Unit = Literal["person"] | Group


class Hypothesis(Part):
    """One falsifiable claim. `name` is a label; everything else is its identity (see `fingerprint`)."""

    name: Annotated[str, Field(max_length=200)] | None = None
    unit: Unit = "person"
    entry: Match | None = None
    clauses: Annotated[tuple[Clause, ...], Field(min_length=1, max_length=3)]
    outcome: Outcome
    fires_again_after: Duration | None = None

    @model_validator(mode="after")
    def _refusals(self) -> Hypothesis:
        from backtest.refusals import structural_faults

        if faults := structural_faults(self):
            told = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
            raise PydanticCustomError("refused", "{told}", {"told": told, "faults": [asdict(fault) for fault in faults]})
        return self

    @property
    def horizon(self) -> Duration:
        return self.outcome.horizon

    def canonical(self) -> Hypothesis:
        """Synonyms folded and clauses sorted, so that one meaning has one form."""
        clauses = {json.dumps(_dump(one), sort_keys=True): one for one in map(canonical_clause, self.clauses)}
        outcome = self.outcome
        if isinstance(outcome, PropertyOutcome):
            folded = outcome.match.where[0].canonical()
            outcome = outcome.model_copy(update={"op": folded.op, "value": folded.value})
        else:
            outcome = outcome.model_copy(update={"match": outcome.match.canonical()})
        entry = self.entry.canonical() if self.entry else None
        if entry and entry.any_event and not entry.where:
            entry = None  # the first of any event is the unit's first event
        return self.model_copy(update={"clauses": tuple(clauses[key] for key in sorted(clauses)), "outcome": outcome, "entry": entry})

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (first 32 hex digits) of the canonical form without name and goal: equal exactly where two hypotheses are the same."""
        identity = _dump(self.canonical())
        identity.pop("name", None)
        identity["outcome"].pop("goal", None)
        return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Hypothesis:
        """As of any model; a copy that was changed is another hypothesis, so it does not inherit the fingerprint."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("fingerprint", None)
        return copied

    def to_json(self) -> dict[str, Any]:
        """The file form: fields at their defaults are left out; `Hypothesis.model_validate` reads it back to an equal value."""
        return _dump(self)

    @property
    def anchored(self) -> bool:
        """Whether any clause looks at a first span: then only units that enter in the window count, by design L."""
        return any(isinstance(getattr(one, "span", None), First) or getattr(one, "span", None) == "first_session" for one in self.clauses)

    @property
    def counts_entrants_only(self) -> bool:
        """`ever` restricts the units as a first span does, though the closed table stays G (numbers 1.9 rule 17)."""
        return self.anchored or any(getattr(one, "span", None) == "ever" for one in self.clauses)

    @property
    def longest_first(self) -> int:
        """Microseconds of the longest first span (a first session counts as 24 h); 0 for a rolling hypothesis."""
        spans = [getattr(one, "span", None) for one in self.clauses]
        return max((int(one.first) if isinstance(one, First) else SESSION_CAP if one == "first_session" else 0 for one in spans), default=0)

    @property
    def look_back(self) -> int:
        """Microseconds before an instant that the trailing clauses need (numbers 1.9 rule 17)."""
        return max(map(look_back, self.clauses))


def look_back(clause: Clause) -> int:
    if isinstance(clause, Trend):
        return 2 * clause.over
    if isinstance(clause, Without):
        return int(clause.within)
    span = getattr(clause, "span", None)
    return int(span.last) if isinstance(span, Last) else 0


def canonical_clause(clause: Clause) -> Clause:
    update: dict[str, Any] = {
        field: value.canonical() for field in ("match", "then", "without") if isinstance(value := getattr(clause, field, None), EventMatch)
    }
    if isinstance(clause, State):
        folded = clause.comparison.canonical()
        update |= {"op": folded.op, "value": folded.value}
    if isinstance(clause, Did) and clause.at_least == 1 and clause.count in (Counted.days, Counted.persons):
        update["count"] = Counted.events  # one day with a match is one match
    for field in ("ratio_at_least", "ratio_at_most", "at_least", "at_most"):
        number = getattr(clause, field, None)
        if isinstance(number, float) and number.is_integer() and math.isfinite(number):
            update[field] = int(number)
    return clause.model_copy(update=update)


def _dump(part: Part) -> dict[str, Any]:
    dumped = part.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    if isinstance(part, Hypothesis):
        dumped["outcome"]["goal"] = part.outcome.goal.value
    return dumped

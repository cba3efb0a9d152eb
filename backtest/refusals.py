"""What a hypothesis must refuse: each refusal names the field, the reason and the nearest valid choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backtest.durations import Duration
from backtest.matching import EventMatch

if TYPE_CHECKING:
    from backtest.language import Hypothesis
    from backtest.taxonomy import Taxonomy


@dataclass(frozen=True)
class Fault:
    """One reason to refuse. `field` is a dotted path into the hypothesis, `nearest` the closest valid choice (may be empty)."""

    field: str
    message: str
    nearest: str = ""


def matches_of(hypothesis: Hypothesis) -> Iterator[tuple[str, EventMatch]]:
    """Every event matcher of a hypothesis with its field path."""
    if hypothesis.entry:
        yield "entry", hypothesis.entry
    for index, clause in enumerate(hypothesis.clauses):
        for field in ("match", "then", "without"):
            if isinstance(match := getattr(clause, field, None), EventMatch):
                yield f"clauses.{index}.{field}", match
    if isinstance(match := getattr(hypothesis.outcome, "match", None), EventMatch):
        yield "outcome.match", match


def structural_faults(hypothesis: Hypothesis) -> list[Fault]:
    """Faults that can be seen without data: short gaps, an outcome inside its own clauses, a trend or total without exactly one bound."""
    from backtest.language import SHORTEST_GAP, Event, Sequence, Total, Trend, Without

    faults = []
    for index, clause in enumerate(hypothesis.clauses):
        where = f"clauses.{index}"
        if isinstance(clause, Sequence | Without) and clause.within is not None and clause.within < SHORTEST_GAP:
            why = f"a gap of {clause.within} is refused: PostHog's clock correction can reverse a device's own events by up to a minute"
            faults.append(Fault(f"{where}.within", why, "60s"))
        if isinstance(clause, Trend) and (clause.ratio_at_least is None) == (clause.ratio_at_most is None):
            faults.append(Fault(where, "a trend needs either ratio_at_least or ratio_at_most", "ratio_at_least: 1.2"))
        if isinstance(clause, Total) and (clause.at_least is None) == (clause.at_most is None):
            faults.append(Fault(where, "a total needs either at_least or at_most", "at_least: 1"))
    if isinstance(hypothesis.outcome, Event):
        taken = set(hypothesis.outcome.match.events)
        for field, match in matches_of(hypothesis):
            for name in sorted(taken & set(match.events)) if field.startswith("clauses") else ():
                why = f"{name} is the outcome itself: a clause must not look at it"
                faults.append(Fault(f"{field}.events", why, "an event that comes before the outcome"))
    return faults


def window_faults(hypothesis: Hypothesis, window: Duration) -> list[Fault]:
    """Faults against the length of the backtested window."""
    from backtest.language import First, Last, Trend

    faults = []
    for index, clause in enumerate(hypothesis.clauses):
        span = getattr(clause, "span", None)
        length = span.first if isinstance(span, First) else span.last if isinstance(span, Last) else None
        field = f"clauses.{index}.span"
        if isinstance(clause, Trend):
            length, field = Duration(2 * clause.over), f"clauses.{index}.over"
        if (within := getattr(clause, "within", None)) is not None and within > window:
            faults.append(Fault(f"clauses.{index}.within", f"{within} is longer than the window of {window}", str(window)))
        if length is not None and length > window:
            faults.append(Fault(field, f"{length} is longer than the window of {window}", str(window)))
    horizon = getattr(hypothesis.outcome, "horizon", None)  # of a hypothesis that can only be read in part there may be no outcome
    if horizon is not None and horizon >= window:
        faults.append(Fault("outcome.horizon", f"{horizon} leaves nothing of the window of {window}", "14d"))
    return faults


def taxonomy_faults(hypothesis: Hypothesis, taxonomy: Taxonomy) -> list[Fault]:
    """Faults against what the project knows: unknown events, properties, group types."""
    from backtest.language import PropertyOutcome

    faults = []
    for field, match in matches_of(hypothesis):
        unknown = [name for name in match.events if taxonomy.event(name) is None]
        faults += [Fault(f"{field}.events", f"no event is called {name!r}", _or(taxonomy.nearest_event(name))) for name in unknown]
        for index, comparison in enumerate(match.where):
            where = (
                "outcome.property"
                if isinstance(hypothesis.outcome, PropertyOutcome) and field == "outcome.match"
                else f"{field}.where.{index}.property"
            )
            faults += _property_faults(where, comparison.property, taxonomy)
    for index, clause in enumerate(hypothesis.clauses):
        if isinstance(path := getattr(clause, "property", None), tuple):
            faults += _property_faults(f"clauses.{index}.property", path, taxonomy)
        if (values := getattr(getattr(clause, "count", None), "values_of", None)) is not None:
            faults += _property_faults(f"clauses.{index}.count.values_of", values, taxonomy)
    if hypothesis.unit != "person":
        known = [group.name for group in taxonomy.group_types]
        if hypothesis.unit.group not in known:
            faults.append(Fault("unit.group", f"no group type is called {hypothesis.unit.group!r}", _or(known or ["person"])))
    return faults


def _property_faults(field: str, path: tuple[str, ...], taxonomy: Taxonomy) -> list[Fault]:
    if taxonomy.property(path[0]) is not None:
        return []
    if taxonomy.property(path[0], "person") is not None:
        why = f"{path[0]!r} is a property of persons, known only as it is today: a hypothesis looks at what the events carried"
        return [Fault(field, why, _or(taxonomy.nearest_property(path[0])))]
    return [Fault(field, f"no event carries a property called {path[0]!r}", _or(taxonomy.nearest_property(path[0])))]


def _or(names: list[str]) -> str:
    return " or ".join(names)

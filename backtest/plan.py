"""What a batch of hypotheses needs to have read: one set of reads that serves all of them, as a value that can be printed, counted and compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from backtest.events import Path, Window, first_key, outcome_key
from backtest.language import Cohort, Counted, Did, Hypothesis, Lapse, State, Total, Unit, ValuesOf
from backtest.matching import EventMatch
from backtest.refusals import matches_of


@dataclass(frozen=True)
class LapseRead:
    """A first-ever lapse: needs every matching event of all history, and the entry from which its first silence is counted."""

    entry: EventMatch | None
    match: EventMatch
    after: int
    key: str


@dataclass(frozen=True)
class ReadPlan:
    """One pass over the window for one unit kind.

    `names`: events whose instants are needed. `every_event`: instants of all events (some clause looks at any event, or at sessions).
    `columns`: property paths that conditions compare, each with the event names that need it (`None`: any event).
    `carrying`: properties whose every carrier is needed, whatever its name (states), with a seed from before the window.
    `firsts`: matchers (`None`: any event) whose first-ever instant per unit is needed.
    `arrived`: only events that the source received then (a live sweep asks for what is new to it); `ids`: the events' own ids are needed too.
    """

    unit: Unit
    window: Window
    names: frozenset[str] = frozenset()
    every_event: bool = False
    columns: dict[Path, frozenset[str] | None] = field(default_factory=dict)
    carrying: frozenset[Path] = frozenset()
    persons: bool = False
    firsts: dict[str, EventMatch | None] = field(default_factory=dict)
    lapses: dict[str, LapseRead] = field(default_factory=dict)
    cohorts: frozenset[str] = frozenset()
    arrived: Window | None = None
    ids: bool = False


def plan_reads(hypotheses: Iterable[Hypothesis], window: Window) -> tuple[ReadPlan, ...]:
    """The reads for a batch, one plan per unit kind (persons, each group type), in order of first appearance."""
    by_unit: dict[Unit, list[Hypothesis]] = {}
    for hypothesis in hypotheses:
        by_unit.setdefault(hypothesis.unit, []).append(hypothesis)
    return tuple(_plan(unit, batch, window) for unit, batch in by_unit.items())


def _plan(unit: Unit, batch: list[Hypothesis], window: Window) -> ReadPlan:
    conditions = [match for one in batch for field_, match in matches_of(one) if field_.startswith("clauses")]
    clauses = [clause for one in batch for clause in one.clauses]
    columns: dict[Path, frozenset[str] | None] = {}
    for match in conditions:
        for comparison in match.where:
            _need(columns, comparison.property, match)
    for clause in clauses:
        if isinstance(clause, Total):
            _need(columns, clause.property, clause.match)
        if isinstance(clause, Did) and isinstance(clause.count, ValuesOf):
            _need(columns, clause.count.values_of, clause.match)
        if isinstance(clause, State):
            columns[clause.property] = None
    firsts: dict[str, EventMatch | None] = {first_key(one.entry): one.entry for one in batch}
    firsts |= {first_key(one.outcome.match): one.outcome.match for one in batch if not isinstance(one.outcome, Lapse)}
    return ReadPlan(
        unit=unit,
        window=window,
        names=frozenset(name for match in conditions for name in match.events),
        every_event=any(match.any_event for match in conditions) or any(getattr(one, "span", None) == "first_session" for one in clauses),
        columns=columns,
        carrying=frozenset(clause.property for clause in clauses if isinstance(clause, State)),
        persons=any(isinstance(clause, Did) and clause.count is Counted.persons for clause in clauses),
        firsts=firsts,
        lapses={read.key: read for one in batch if (read := _lapse(one))},
        cohorts=frozenset(clause.cohort for clause in clauses if isinstance(clause, Cohort)),
    )


def plan_new_events(hypotheses: Iterable[Hypothesis], window: Window) -> tuple[ReadPlan, ...]:
    """The reads of a live sweep: only what happened in the window. Entries are read as events; older ones are in the live state."""
    plans = []
    batches = list(hypotheses)
    for plan in plan_reads(batches, window):
        entries = [one.entry for one in batches if one.unit == plan.unit and one.entry is not None]
        columns = dict(plan.columns)
        for match in entries:
            for comparison in match.where:
                _need(columns, comparison.property, match)
        names = plan.names | {name for match in entries for name in match.events}
        every = plan.every_event or any(match.any_event for match in entries)
        plans.append(replace(plan, names=names, every_event=every, columns=columns, firsts={}, lapses={}))
    return tuple(plans)


def _need(columns: dict[Path, frozenset[str] | None], path: Path, match: EventMatch) -> None:
    known = columns.get(path, frozenset())
    columns[path] = None if match.any_event or known is None else known | frozenset(match.events)


def _lapse(hypothesis: Hypothesis) -> LapseRead | None:
    outcome = hypothesis.outcome
    if not isinstance(outcome, Lapse):
        return None
    return LapseRead(hypothesis.entry, outcome.match, int(outcome.after), outcome_key(hypothesis))

"""What the published numbers rest on besides the tally: strata for the exact test, rows for the bootstrap, fires with their own units for the
interval of the F lift, and what decides the labels.

Like the tally it is small, exact, and adds over disjoint units. It costs a second look at the fires, so screening thousands of conditions does
without it; everything that a person gets to see has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest.durations import SECOND
from backtest.events import EventLog
from backtest.fires import Fires, Held
from backtest.intervals import FOREVER, Codes, Flags, Ints
from backtest.judged import Judged, judged
from backtest.labels import Order
from backtest.language import Hypothesis, Lapse, PropertyOutcome, State, Total
from backtest.lead import Actionable, actionable
from backtest.matching import Op
from backtest.refusals import matches_of
from backtest.stratified import Strata, strata_of
from backtest.tally import asked_rows, recall_converters, sample_of


@dataclass(frozen=True)
class Detail:
    """`patterns` and `times`: how often each (hits, fired rows, converted rows, rows) of a unit occurs in the closed design."""

    strata: Strata
    patterns: Ints
    times: Ints
    actionable: Actionable
    order: Order
    judged: Judged

    def __add__(self, other: Detail) -> Detail:
        return Detail(
            self.strata + other.strata,
            np.concatenate((self.patterns, other.patterns)),
            np.concatenate((self.times, other.times)),
            self.actionable + other.actionable,
            self.order + other.order,
            self.judged + other.judged,
        )


def detail_of(hypothesis: Hypothesis, log: EventLog, truth: Held, fires: Fires) -> Detail:
    """From fires that are known already."""
    firsts = fires.firsts()
    entry, outcome = log.entry(hypothesis), log.outcome(hypothesis)
    asked = asked_rows(hypothesis, log, truth, firsts)
    rows = np.column_stack((asked.fired & asked.converted, asked.fired, asked.converted, np.ones(len(asked.unit), np.bool_))).astype(np.int64)
    patterns, times = np.unique(_summed(rows, asked.unit), axis=0, return_counts=True)
    later = actionable(firsts.at, entry[firsts.unit], outcome[firsts.unit], log.window.end, int(hypothesis.horizon))
    strata = strata_of(asked.stratum, asked.fired, asked.converted, max(asked.strata, 1))
    counted = sample_of(hypothesis, log, firsts).counted
    own = judged(hypothesis, log, firsts.unit[counted], firsts.at[counted])
    return Detail(strata, patterns, times, later, _order(hypothesis, log, truth, firsts), own)


def _summed(rows: Ints, unit: Codes) -> Ints:
    by = np.argsort(unit, kind="stable")
    starts = np.flatnonzero(np.diff(unit[by], prepend=-1))
    return np.add.reduceat(rows[by], starts, 0) if len(starts) else rows


def _order(hypothesis: Hypothesis, log: EventLog, truth: Held, firsts: Fires) -> Order:
    """How fires and outcomes follow each other in the units that convert, and how many of the others fire."""
    entry, outcome = log.entry(hypothesis), log.outcome(hypothesis)
    converters = recall_converters(hypothesis, log)
    s0 = log.window.start + hypothesis.look_back
    entered = (entry < log.window.end) & ((entry >= s0) | (not hypothesis.counts_entrants_only))
    others = entered & (outcome >= FOREVER)
    fired_at = np.full(len(entry), FOREVER)
    fired_at[firsts.unit] = firsts.at
    fired = fired_at < FOREVER
    both = converters & fired
    return Order(
        converters=int(converters.sum()),
        before=int((both & (fired_at < outcome)).sum()),
        tied=int((both & (fired_at == outcome)).sum()),
        after=int((both & (fired_at > outcome)).sum()),
        within_second=int((np.abs(fired_at[both] - outcome[both]) < SECOND).sum()),
        had=int((converters & (_first_held(truth, len(entry)) <= outcome)).sum()),
        carried=int((converters & _carries(hypothesis, log)).sum()),
        others=int(others.sum()),
        others_fired=int((others & fired).sum()),
    )


def _first_held(truth: Held, units: int) -> Ints:
    """Since when the hypothesis first held; `FOREVER` where it never did."""
    held = truth.intervals
    since = np.full(units, FOREVER)
    first = np.diff(held.unit, prepend=-1) != 0
    since[held.unit[first]] = held.start[first]
    return since


def _carries(hypothesis: Hypothesis, log: EventLog) -> Flags:
    """Units with an event that a clause names at the very instant of their outcome."""
    outcome = log.outcome(hypothesis)
    carries = np.zeros(len(outcome), np.bool_)
    for where, match in matches_of(hypothesis):
        if where.startswith("clauses") and not match.any_event:
            found = log.matches(match)
            carries[found.unit[found.at == outcome[found.unit]]] = True
    return carries


def names_outcome(hypothesis: Hypothesis) -> bool:
    """Whether a clause is made of the outcome's own event or property."""
    outcome = hypothesis.outcome
    clauses = [match for where, match in matches_of(hypothesis) if where.startswith("clauses")]
    if isinstance(outcome, PropertyOutcome):
        compared = {one.property for match in clauses for one in match.where}
        return outcome.property in compared | {clause.property for clause in hypothesis.clauses if isinstance(clause, State | Total)}
    if isinstance(outcome, Lapse) and outcome.match.any_event:
        return any(match.any_event for match in clauses)
    return bool(set(outcome.match.events) & {name for match in clauses for name in match.events})


def implied(hypothesis: Hypothesis) -> bool:
    """Whether the outcome cannot happen unless the hypothesis held before: a lower bar of the same growing number."""
    outcome = hypothesis.outcome
    if not isinstance(outcome, PropertyOutcome) or outcome.op not in (Op.at_least, Op.greater_than) or len(hypothesis.clauses) != 1:
        return False
    clause = hypothesis.clauses[0]
    bar = clause.at_least if isinstance(clause, Total) else clause.value if isinstance(clause, State) and clause.op is outcome.op else None
    same = isinstance(clause, State | Total) and clause.property == outcome.property
    return same and isinstance(bar, int | float) and isinstance(outcome.value, int | float) and bar <= outcome.value

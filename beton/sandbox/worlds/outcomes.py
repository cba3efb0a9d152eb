"""From behaviour to outcomes: planted causes fire, the hazard follows, and an instant is drawn by inversion.

The hazard of unit i at t is `λ · calendar(t) · traits(i) · age(t) · Π factor(cause)`, each cause's factor for as long as its effect lasts. All but
the calendar is constant between a few breakpoints of the unit, so the hazard adds up exactly. λ is set so that the expected share of units with an
outcome is the spec's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from backtest.assembly import Rows, assemble
from backtest.durations import Duration
from backtest.events import Column, EventLog, Path, Window
from backtest.fires import held
from backtest.intervals import ALWAYS, FOREVER, Codes, Flags, Intervals, Ints, covered
from backtest.language import Hypothesis
from backtest.matching import Json
from backtest.plan import ReadPlan, plan_reads
from backtest.values import dig
from beton.sandbox.worlds.people import Calendar, Population, Streams
from beton.sandbox.worlds.properties import Batch
from beton.sandbox.worlds.spec import Cause, WorldSpec


@dataclass(frozen=True)
class Effects:
    """For one cause: the first fire of each unit (`FOREVER` without one), and where its factor applies."""

    cause: Cause
    hypothesis: Hypothesis
    first: Ints
    active: Intervals


def hypothesis_of(spec: WorldSpec, cause: Cause) -> Hypothesis:
    return spec.hypothesis(cause.clauses, cause.id)


def effects_of(spec: WorldSpec, population: Population, batches: Sequence[Batch]) -> list[Effects]:
    if not spec.causes:
        return []
    hypotheses = [hypothesis_of(spec, cause) for cause in spec.causes]
    (plan,) = plan_reads(hypotheses, Window(population.start, population.end))
    log = behaviour_log(spec, population, batches, plan)
    return [_effect(cause, hypothesis, log) for cause, hypothesis in zip(spec.causes, hypotheses, strict=True)]


def behaviour_log(spec: WorldSpec, population: Population, batches: Iterable[Batch], plan: ReadPlan) -> EventLog:
    """The engine's log of a world: unit i is the population's unit i."""
    first_names = {name for match in plan.firsts.values() if match for name in match.events}
    first_paths = {one.property for match in plan.firsts.values() if match for one in match.where}
    paths = {*plan.columns, *plan.carrying, *first_paths}
    everything = plan.every_event or any(match is None or match.any_event for match in plan.firsts.values()) or bool(plan.carrying)
    mine = [batch for batch in batches if not (spec.seats and batch.before_entry)]  # a visitor belongs to no account yet
    wanted = [batch for batch in mine if everything or batch.name in plan.names | first_names]
    names = sorted({batch.name for batch in wanted}) or [spec.entry]
    person = _joined([batch.person for batch in wanted], np.int32)
    rows = Rows(
        units=[f"{index:08}" for index in range(population.units)],
        names=names,
        unit=population.unit_of[person] if len(person) else person,
        name=_joined([np.full(len(batch), names.index(batch.name), np.int32) for batch in wanted], np.int32),
        at=_joined([batch.at for batch in wanted], np.int64),
        persons=person,
        columns={path: _column(path, wanted) for path in paths},
    )
    return assemble(rows, plan, spec.types)


def _joined(parts: Sequence[np.ndarray], kind: type[np.generic]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _column(path: Path, batches: Sequence[Batch]) -> Column:
    """One property over several batches; a value that is null is not carried."""
    values: list[Json] = []
    codes = []
    for batch in batches:
        column = batch.columns.get(path[0])
        if column is None:
            codes.append(np.full(len(batch), -1, np.int32))
            continue
        inner = [dig(value, path[1:]) for value in column.values]
        place = np.array([-1 if value is None else len(values) + index for index, value in enumerate(inner)] + [-1], np.int32)
        values += inner
        codes.append(place[column.codes])
    return Column(_joined(codes, np.int32), values)


def _effect(cause: Cause, hypothesis: Hypothesis, log: EventLog) -> Effects:
    truth = held(hypothesis, log)
    intervals = truth.intervals.where(truth.fires & (truth.intervals.start < log.window.end))  # absences are known to end later
    until = (np.minimum(intervals.stop, log.window.end) if cause.while_holding else intervals.start) + cause.lasts
    if cause.ended is not None:
        until = np.minimum(until, log.window.end - cause.ended)
    first = np.full(len(log.units), FOREVER)
    np.minimum.at(first, intervals.unit, intervals.start)
    return Effects(cause, hypothesis, first, covered(intervals.unit, intervals.start, until))


@dataclass(frozen=True)
class Segments:
    """Stretches of constant multiplier, sorted by (unit, start); `mass` is what the hazard adds up to in each, for λ = 1."""

    unit: Codes
    start: Ints
    stop: Ints
    multiplier: np.ndarray
    mass: np.ndarray


def draw_outcomes(spec: WorldSpec, population: Population, effects: Sequence[Effects], streams: Streams, *, null: bool) -> tuple[Ints, float]:
    """The outcome of each unit (`FOREVER` without one), and λ. In a null world neither causes nor traits nor age matter."""
    calendar = Calendar.between(population.start, population.end, spec.hazard.weekend, spec.hazard.growth)
    segments = _segments(spec, population, [] if null else effects, calendar, null=null)
    whole = np.bincount(segments.unit, segments.mass, population.units)
    rate = _rate(whole[population.enters], spec.hazard.share)
    chance = streams["outcomes"].exponential(1.0, population.units) / rate
    return _inverted(segments, calendar, np.where(population.enters, chance, np.inf), population.units), rate


def _segments(spec: WorldSpec, population: Population, effects: Sequence[Effects], calendar: Calendar, *, null: bool) -> Segments:
    everyone = np.arange(population.units, dtype=np.int32)
    level = np.zeros(population.units) if null else np.log(population.of_levels(spec, "hazard"))
    steps = [(everyone, population.entered, level)]
    before = 0.0
    ages = {} if null else {int(Duration.parse(text)) if text != "0" else 0: float(np.log(factor)) for text, factor in spec.hazard.age.items()}
    for age, factor in sorted(ages.items()):
        steps.append((everyone, population.entered + age, np.full(population.units, factor - before)))
        before = factor
    for effect in effects:
        size = np.full(len(effect.active), np.log(effect.cause.factor))
        steps += [(effect.active.unit, effect.active.start, size), (effect.active.unit, effect.active.stop, -size)]
    unit, at, step = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    seen = at < population.end
    unit, at, step = unit[seen], at[seen], step[seen]
    by = np.lexsort((at, unit))
    unit, at, step = unit[by], at[by], step[by]
    first = np.concatenate(([True], np.diff(unit) != 0))
    level = np.cumsum(step)
    level -= (level - step)[first][np.cumsum(first) - 1]
    stop = np.where(np.append(first[1:], True), population.end, np.append(at[1:], population.end))
    multiplier = np.exp(level)
    return Segments(unit, at, stop, multiplier, multiplier * (calendar.passed(stop) - calendar.passed(at)))


def _rate(whole: np.ndarray, share: float) -> float:
    """λ for which the mean of 1 - exp(-λ · whole) is the share; by halving, as the mean only grows."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if float(np.mean(-np.expm1(-middle * whole))) < share else (low, middle)
    return max(low, 1e-12)


def _inverted(segments: Segments, calendar: Calendar, target: np.ndarray, units: int) -> Ints:
    """The instant at which each unit's hazard has added up to its target."""
    reached = np.cumsum(segments.mass)
    first = np.searchsorted(segments.unit, np.arange(units))
    before = (reached - segments.mass)[first]
    last = np.append(first[1:], len(segments.unit)) - 1
    mine = np.flatnonzero(reached[last] - before > target)
    where = np.clip(np.searchsorted(reached, before[mine] + target[mine], "left"), first[mine], last[mine])
    left = target[mine] - (reached[where] - segments.mass[where] - before[mine])
    at = calendar.instant(calendar.passed(segments.start[where]) + left / segments.multiplier[where])
    outcome = np.full(units, FOREVER)
    outcome[mine] = np.clip(at, segments.start[where] + 1, segments.stop[where] - 1)
    return outcome


def told_outcomes(spec: WorldSpec, population: Population, batches: Iterable[Batch]) -> Ints:
    """The first outcome of each unit as the events tell it; the same as the drawn one, or the spec contradicts itself."""
    match = spec.outcome_match
    first = np.full(population.units, FOREVER)
    for batch in batches:
        if not match.any_event and batch.name not in match.events:
            continue
        fits = np.ones(len(batch), np.bool_)
        for one in match.where:
            fits &= _column(one.property, [batch]).test(one, spec.types, np.arange(len(batch)))
        np.minimum.at(first, population.unit_of[batch.person[fits]], batch.at[fits])
    return first


def happened(outcome: Ints) -> Flags:
    return (outcome > ALWAYS) & (outcome < FOREVER)

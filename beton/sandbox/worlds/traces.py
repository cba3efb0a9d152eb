"""What the outcome leaves in the log: the event itself, steps just before it, its twins, its consequences. None of it causes anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backtest.durations import DAY, HOUR, MINUTE
from backtest.intervals import FOREVER, Codes, Ints
from backtest.language import Goal
from beton.sandbox.worlds.behaviour import spread_evenly
from beton.sandbox.worlds.outcomes import happened
from beton.sandbox.worlds.people import Population, Streams
from beton.sandbox.worlds.properties import Batch, Coded, Wardrobe, constants
from beton.sandbox.worlds.spec import AfterOutcome, OwnPath, Progress, WorldSpec

TWIN_WITHIN = 400_000
"""Microseconds on either side: twins are less than a second apart."""


@dataclass(frozen=True)
class Traces:
    """Adds the traces of `outcome` (per unit, `FOREVER` without one) to what happened anyway."""

    spec: WorldSpec
    population: Population
    outcome: Ints
    streams: Streams

    def batches(self) -> list[Batch]:
        made = [*self._outcome(), *self._own_paths(), *self._twins(), *self._consequences(), *self._identification()]
        if self.spec.progress:
            made += self._progress(self.spec.progress)
        wardrobe = Wardrobe(self.spec, self.population, self.streams)
        seen = [batch.where((batch.at < self.population.end) & (batch.at >= self.population.start)) for batch in made]
        return [wardrobe.dressed(batch, f"trace {number}") for number, batch in enumerate(seen) if len(batch)]

    def thinned(self, batch: Batch) -> Batch:
        """Behaviour after the outcome, where customers who left do less."""
        stays = self.spec.activity_after_outcome
        if stays >= 1:
            return batch
        later = batch.at > self.outcome[self.population.unit_of[batch.person]]
        kept = self.streams[f"after outcome {batch.name}"].random(len(batch)) < stays
        return batch.where(~later | kept)

    def _converts(self) -> Codes:
        return np.flatnonzero(happened(self.outcome)).astype(np.int32)

    def _batch(self, name: str, unit: Codes, at: Ints, values: Mapping[str, Any] | None = None) -> Batch:
        """By the unit's owner, in the session of the outcome (numbered below any other)."""
        session = -2 - unit.astype(np.int64)
        return Batch(name, self.population.owner[unit], at, session, constants(values or {}, len(unit)))

    def _outcome(self) -> Iterator[Batch]:
        if self.spec.progress:
            return  # the last step is the outcome
        unit = self._converts()
        values: dict[str, Any] = {}
        for comparison in self.spec.outcome_match.where:
            values |= _carrying(comparison.property, comparison.value[0] if isinstance(comparison.value, tuple) else comparison.value)
        yield self._batch(self.spec.outcome_event, unit, self.outcome[unit], values)

    def _own_paths(self) -> Iterator[Batch]:
        for step in self.spec.own_path:
            rng = self.streams[f"own path {step.event}"]
            unit = self._some(rng, step.share)
            at = self.outcome[unit] - np.maximum(spread_evenly(rng, step.before, len(unit)), 1)
            entered = self.population.entered[unit]
            yield self._batch(step.event, unit, np.maximum(at, np.minimum(entered + 1, self.outcome[unit] - 1)))
            yield self._abandoned(step, rng)

    def _abandoned(self, step: OwnPath, rng: np.random.Generator) -> Batch:
        """At random moments of every unit's active life before its outcome, whatever else it does."""
        entered = self.population.entered
        until = np.minimum(self.outcome, self.population.leaves[self.population.owner])
        often = step.abandoned * (until - entered) / (30 * DAY) * self.population.enters
        unit = np.repeat(np.arange(self.population.units, dtype=np.int32), rng.poisson(np.maximum(often, 0)))
        at = entered[unit] + 1 + (rng.random(len(unit)) * np.maximum(until - entered - 1, 1)[unit]).astype(np.int64)
        return replace(self._batch(step.event, unit, at), session=np.full(len(unit), -1, np.int64))

    def _twins(self) -> Iterator[Batch]:
        for twin in self.spec.twins:
            rng = self.streams[f"twin {twin.event}"]
            unit = self._some(rng, twin.share)
            yield self._batch(twin.event, unit, self.outcome[unit] + rng.integers(-TWIN_WITHIN, TWIN_WITHIN + 1, len(unit)))

    def _consequences(self) -> Iterator[Batch]:
        for after in self.spec.after_outcome:
            rng = self.streams[f"after {after.event}"]
            unit = self._some(rng, after.share)
            once = self.outcome[unit] + np.maximum(spread_evenly(rng, after.after, len(unit)), 1)
            yield self._batch(after.event, unit, once)
            yield self._repeated(after, unit, once, rng)

    def _repeated(self, after: AfterOutcome, unit: Codes, once: Ints, rng: np.random.Generator) -> Batch:
        left = np.maximum(self.population.end - once, 0)
        times = rng.poisson(after.per_day * left / DAY)
        again, since = np.repeat(unit, times), np.repeat(once, times)
        at = since + (rng.random(len(again)) * np.repeat(left, times)).astype(np.int64)
        return replace(self._batch(after.event, again, at), session=np.full(len(again), -1, np.int64))

    def _progress(self, progress: Progress) -> Iterator[Batch]:
        """Steps 1 to n - 1 somewhere between entry and outcome, step n at it; others get stuck on the way."""
        rng = self.streams["progress"]
        unit = self._converts()
        whole = self.outcome[unit] - self.population.entered[unit]
        fraction = np.sort(rng.random((len(unit), progress.steps - 1)), axis=1)
        for number in range(progress.steps - 1):
            at = self.population.entered[unit] + 1 + (fraction[:, number] * np.maximum(whole - 2 * MINUTE, 1)).astype(np.int64)
            yield self._step(progress, unit, at, number + 1)
        yield self._step(progress, unit, self.outcome[unit], progress.steps)
        rest = np.flatnonzero((self.outcome == FOREVER) & self.population.enters).astype(np.int32)
        left = self.population.end - self.population.entered[rest]
        last = entered = self.population.entered[rest]
        for number in range(1, progress.steps - 1):
            on = rng.random(len(rest)) < progress.others
            rest, last, left, entered = rest[on], last[on], left[on], entered[on]
            last = last + HOUR + (rng.random(len(rest)) * 0.3 * left).astype(np.int64)
            yield self._step(progress, rest, last, number)

    def _step(self, progress: Progress, unit: Codes, at: Ints, number: int) -> Batch:
        return self._batch(progress.event, unit, at, {progress.property: number})

    def _identification(self) -> Iterator[Batch]:
        """`$identify` at entry, `$groupidentify`, and a `$set` that tells today's plan once the outcome is known."""
        spec, population = self.spec, self.population
        person = np.flatnonzero(population.joined < population.end).astype(np.int32)
        yield Batch("$identify", person, population.joined[person] + 1_000, person.astype(np.int64))
        if spec.seats:
            unit = np.arange(population.units, dtype=np.int32)
            group = {"$group_type": Coded(np.zeros(len(unit), np.int32), (spec.seats.group,))}
            yield Batch("$groupidentify", population.owner, population.entered + 2_000, population.owner.astype(np.int64), group)
        unit = self._converts()
        rng = self.streams["set"]
        at = self.outcome[unit] + spread_evenly(rng, (MINUTE, 2 * DAY), len(unit))
        yield self._batch("$set", unit, at, {"$set": {"plan": plans(spec)[1]}})

    def _some(self, rng: np.random.Generator, share: float) -> Codes:
        unit = self._converts()
        return unit[rng.random(len(unit)) < share]


def plans(spec: WorldSpec) -> tuple[str, str]:
    """The person property `plan` before and after the outcome."""
    return ("paid", "cancelled") if spec.outcome.goal is Goal.churns else ("free", "paid")


def _carrying(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path[1:]):
        value = {key: value}
    return {path[0]: value}

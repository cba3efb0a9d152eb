"""Who lives in a world: units that enter over time, their traits, and the persons of each account."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backtest.durations import DAY, HOUR
from backtest.intervals import Codes, Flags, Ints
from beton.sandbox.worlds.spec import Levels, WorldSpec

HOURS = np.array([1, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 10, 11, 12, 11, 10, 8, 6, 5, 5, 4, 3, 2], np.float64)
"""How busy the hours of a day are, UTC."""


class Streams:
    """Independent random streams of one seed, by what they are for: a change in one part of a world leaves the others as they were."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __getitem__(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32(purpose.encode())])


@dataclass(frozen=True)
class Calendar:
    """Time that runs faster in busy hours: `flow[i]` is what has passed at the start of hour i, in average days."""

    start: int
    flow: np.ndarray

    @classmethod
    def between(cls, start: int, end: int, weekend: float, growth: float) -> Calendar:
        hours = np.arange(-(-(end - start) // HOUR))
        at = start // HOUR + hours
        weekday = (at // 24 + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
        pace = HOURS[at % 24] * np.where(weekday >= 5, weekend, 1.0) * (1 + (growth - 1) * hours / max(len(hours) - 1, 1))
        return cls(start, np.concatenate(([0.0], np.cumsum(pace / pace.mean() / 24))))

    def passed(self, at: Ints) -> np.ndarray:
        return np.interp((at - self.start) / HOUR, np.arange(len(self.flow)), self.flow)

    def instant(self, passed: np.ndarray) -> Ints:
        return self.start + np.rint(np.interp(passed, self.flow, np.arange(len(self.flow))) * HOUR).astype(np.int64)

    def draw(self, rng: np.random.Generator, since: Ints, until: Ints) -> Ints:
        """One instant in each `[since, until)`, more likely in busy hours."""
        low, high = self.passed(since), self.passed(until)
        return np.clip(self.instant(low + rng.random(len(since)) * (high - low)), since, np.maximum(until - 1, since))


@dataclass(frozen=True)
class Population:
    """Units in order of entry, persons in order of their unit; the first person of a unit is its owner. `leaves`: last use, per person."""

    start: int
    end: int
    entered: Ints
    enters: Flags
    traits: Mapping[str, Codes]
    internal: Flags
    unit_of: Codes
    joined: Ints
    leaves: Ints
    owner: Codes
    seats: Codes

    @property
    def units(self) -> int:
        return len(self.entered)

    def factor(self, spec: WorldSpec, levels: Levels) -> np.ndarray:
        """Per unit: what its traits multiply with; 1 for levels that are not named."""
        factor = np.ones(self.units)
        for trait, by_level in levels.items():
            factor *= np.array([by_level.get(level, 1.0) for level in spec.traits[trait]])[self.traits[trait]]
        return factor

    def of_levels(self, spec: WorldSpec, field: str) -> np.ndarray:
        """Per unit: the product of one field (`hazard`, `activity`, `seats`) over its traits."""
        return self.factor(spec, {name: {level: getattr(one, field) for level, one in levels.items()} for name, levels in spec.traits.items()})


def populate(spec: WorldSpec, streams: Streams, start: int, end: int, scale: float) -> Population:
    rng = streams["arrivals"]
    units = max(10, round(spec.units * scale))
    calendar = Calendar.between(start, end, spec.arrivals.weekend, spec.arrivals.growth)
    entered = np.sort(calendar.draw(rng, np.full(units, start), np.full(units, end)))
    traits = {name: _levels(streams[f"trait {name}"], [one.share for one in levels.values()], units) for name, levels in spec.traits.items()}
    enters = np.ones(units, np.bool_)
    if spec.entrants:
        enters = traits[spec.entrants.trait] == list(spec.traits[spec.entrants.trait]).index(spec.entrants.level)
    internal = streams["internal"].random(units) < spec.internal
    nobody, nowhere = np.empty(0, np.int32), np.empty(0, np.int64)
    alone = Population(start, end, entered, enters, traits, internal, nobody, nowhere, nowhere, nobody, nobody)
    return _with_persons(spec, streams, alone)


def _levels(rng: np.random.Generator, shares: list[float], count: int) -> Codes:
    return rng.choice(len(shares), count, p=np.array(shares) / sum(shares)).astype(np.int32)


def _with_persons(spec: WorldSpec, streams: Streams, alone: Population) -> Population:
    rng = streams["persons"]
    entered, end = alone.entered, alone.end
    mates = np.zeros(alone.units, np.int64)
    if spec.seats:
        mates = rng.poisson(spec.seats.mean * alone.of_levels(spec, "seats"))
    unit_of = np.repeat(np.arange(alone.units, dtype=np.int32), 1 + mates)
    owner = np.concatenate(([0], np.cumsum(1 + mates)[:-1]))
    joined = entered[unit_of].copy()
    later = np.ones(len(unit_of), np.bool_)
    later[owner] = False
    joined[later] += (rng.exponential(0.4, int(later.sum())) * (spec.seats.within if spec.seats else 0)).astype(np.int64) + HOUR
    seen = joined < end  # who joins after the as-of instant is not known yet
    unit_of, joined, later = unit_of[seen], joined[seen], later[seen]
    stays = rng.exponential(max(spec.sessions.stays, DAY), len(unit_of)).astype(np.int64)
    owner = np.flatnonzero(~later).astype(np.int32)
    seats = np.bincount(unit_of, minlength=alone.units).astype(np.int32)
    return Population(
        alone.start, end, entered, alone.enters, alone.traits, alone.internal, unit_of, joined, np.minimum(joined + stays, end), owner, seats
    )

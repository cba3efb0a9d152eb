"""What people do before any outcome: sessions, what fills them, bursts of a feature, and events that follow others.

Nothing here knows of causes or outcomes: whatever is planted later is computed from this behaviour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from backtest.durations import DAY, HOUR, MINUTE, SECOND
from backtest.intervals import Codes, Ints
from beton.sandbox.worlds.people import Calendar, Population, Streams
from beton.sandbox.worlds.properties import Batch, Wardrobe
from beton.sandbox.worlds.spec import Between, Burst, Feature, Phase, WorldSpec

GAP = 45 * SECOND
"""Mean time between two events of a session."""

INTERNAL_ACTIVITY = 5.0
"""The maker's own people and test accounts use the product that much more."""


@dataclass(frozen=True)
class SessionList:
    person: Codes
    start: Ints
    length: Ints

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True)
class Behaviour:
    """All events before outcomes are known, and how many sessions they happened in."""

    batches: tuple[Batch, ...]
    sessions: int


def behave(spec: WorldSpec, population: Population, streams: Streams) -> Behaviour:
    sessions, background = _background(spec, _sessions(spec, population, streams), streams)
    wardrobe = Wardrobe(spec, population, streams)
    batches = [*_entries(spec, population), *background]
    batches += _visits(spec, population, streams)
    used = len(sessions)
    for feature in spec.features:
        known = [batch for batch in batches if feature.follows and batch.name == feature.follows.event]
        made = [*_in_sessions(spec, population, feature, sessions, streams), *_following(feature, known, streams)]
        for number, burst in enumerate(feature.bursts):
            batch = _burst(spec, population, feature.name, burst, streams[f"burst {feature.name} {number}"])
            made.append(replace(batch, session=used + np.arange(len(batch))))
            used += len(batch)
        batches += [_in_its_time(feature, batch, population.end) for batch in made]
    alive = [batch.where(batch.at < population.end) for batch in batches]
    by_name: dict[str, int] = {}
    dressed = []
    for batch in alive:
        by_name[batch.name] = by_name.get(batch.name, 0) + 1
        if len(batch):
            dressed.append(wardrobe.dressed(batch, str(by_name[batch.name])))
    return Behaviour(tuple(dressed), used)


def spread_evenly(rng: np.random.Generator, ends: Between, count: int) -> Ints:
    low, high = ends
    return (low + rng.random(count) * (high - low)).astype(np.int64)


def _entries(spec: WorldSpec, population: Population) -> Iterator[Batch]:
    """The entry event of each unit that has one; what the others, and later persons of an account, announce themselves with."""
    owner = np.zeros(len(population.unit_of), np.bool_)
    owner[population.owner] = True
    enters = population.enters[population.unit_of]
    names = [(spec.entry, owner & enters)]
    names += [(spec.seats.joined, ~owner)] if spec.seats else []
    names += [(spec.entrants.others, owner & ~enters)] if spec.entrants else []
    for name, chosen in names:
        person = np.flatnonzero(chosen).astype(np.int32)
        # A person's first session has the person's own number.
        yield Batch(name, person, population.joined[person], person.astype(np.int64))


def _sessions(spec: WorldSpec, population: Population, streams: Streams) -> SessionList:
    """One at the moment of joining, then a Poisson process until the person leaves."""
    rng, told = streams["sessions"], spec.sessions
    calendar = Calendar.between(population.start, population.end, told.weekend, 1.0)
    people = len(population.unit_of)
    unit_factor = population.of_levels(spec, "activity") * np.where(population.internal, INTERNAL_ACTIVITY, 1.0)
    shape = 1 / told.spread**2 if told.spread else np.inf
    own = rng.gamma(shape, 1 / shape, people) if told.spread else np.ones(people)
    most = max((phase.factor for phase in told.phases), default=1.0)
    busy = max(most, 1.0)
    exposure = calendar.passed(population.leaves) - calendar.passed(population.joined)
    person = np.repeat(np.arange(people, dtype=np.int32), rng.poisson(told.per_day * busy * own * unit_factor[population.unit_of] * exposure))
    start = calendar.draw(rng, population.joined[person], population.leaves[person])
    pace = np.ones(len(start))
    for number, phase in enumerate(told.phases):
        since, until = _phase(spec, population, phase, streams[f"phase {number}"])
        unit = population.unit_of[person]
        inside = (start >= since[unit]) & (start < until[unit])
        pace = np.where(inside, pace * phase.factor, pace)
    keep = rng.random(len(start)) < pace / busy
    person = np.concatenate((np.arange(people, dtype=np.int32), person[keep]))
    start = np.concatenate((population.joined, start[keep]))
    return SessionList(person, start, np.full(len(start), MINUTE))


def _phase(spec: WorldSpec, population: Population, phase: Phase, rng: np.random.Generator) -> tuple[Ints, Ints]:
    chosen = rng.random(population.units) < phase.share * population.factor(spec, phase.traits)
    since = population.entered + spread_evenly(rng, phase.starts, population.units)
    until = since + spread_evenly(rng, phase.lasts, population.units)
    return since, np.where(chosen, until, since)


def _background(spec: WorldSpec, sessions: SessionList, streams: Streams) -> tuple[SessionList, list[Batch]]:
    """What fills each session, by name, and the sessions with the length that follows from it."""
    rng = streams["background"]
    counts = 1 + rng.poisson(max(spec.sessions.events - 1, 0), len(sessions))
    which = np.repeat(np.arange(len(sessions)), counts)
    gaps = 1 + (rng.exponential(1.0, len(which)) * GAP).astype(np.int64)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    passed = np.cumsum(gaps)
    at = sessions.start[which] + passed - np.repeat(passed[first] - gaps[first], counts)
    length = np.maximum(at[np.cumsum(counts) - 1] - sessions.start, MINUTE)
    ranks = np.arange(1, len(spec.background.names) + 1) ** -spec.background.exponent
    name = rng.choice(len(ranks), len(which), p=ranks / ranks.sum())
    batches = []
    for code, label in enumerate(spec.background.names):
        mine = name == code
        batches.append(Batch(label, sessions.person[which[mine]], at[mine], which[mine]))
    return replace(sessions, length=length), batches


def _visits(spec: WorldSpec, population: Population, streams: Streams) -> Iterator[Batch]:
    """Page views of visitors in the minutes before they sign up."""
    rng = streams["visits"]
    chosen = np.flatnonzero(rng.random(len(population.owner)) < spec.visits_before_entry)
    person = np.repeat(population.owner[chosen], rng.integers(1, 4, len(chosen)))
    at = population.joined[person] - SECOND - (rng.exponential(0.3, len(person)) * HOUR).astype(np.int64)
    visits = Batch("$pageview", person, at, person.astype(np.int64), before_entry=True)
    yield visits.where(at >= population.start)


def _in_sessions(spec: WorldSpec, population: Population, feature: Feature, sessions: SessionList, streams: Streams) -> Iterator[Batch]:
    if not feature.per_session:
        return
    rng = streams[f"feature {feature.name}"]
    users = rng.random(len(population.unit_of)) < feature.users
    rate = feature.per_session * users * population.factor(spec, feature.traits)[population.unit_of]
    which = np.repeat(np.arange(len(sessions)), rng.poisson(rate[sessions.person]))
    at = sessions.start[which] + 1 + (rng.random(len(which)) * sessions.length[which]).astype(np.int64)
    yield Batch(feature.name, sessions.person[which], at, which)


def _following(feature: Feature, known: list[Batch], streams: Streams) -> Iterator[Batch]:
    if feature.follows is None:
        return
    rng = streams[f"follows {feature.name}"]
    for batch in known:
        keep = rng.random(len(batch)) < feature.follows.share
        after = np.maximum(spread_evenly(rng, feature.follows.after, int(keep.sum())), 1)
        yield Batch(feature.name, batch.person[keep], batch.at[keep] + after, batch.session[keep])


def _burst(spec: WorldSpec, population: Population, name: str, burst: Burst, rng: np.random.Generator) -> Batch:
    chance = burst.share * population.factor(spec, burst.traits)
    unit = np.flatnonzero(rng.random(population.units) < chance)
    counts = rng.integers(burst.count[0], burst.count[1] + 1, len(unit))
    begins = population.entered[unit] + MINUTE + spread_evenly(rng, burst.starts, len(unit))
    unit, begins = np.repeat(unit, counts), np.repeat(begins, counts)
    at = begins + (rng.random(len(unit)) * burst.within).astype(np.int64)
    person = population.owner[unit]
    if burst.everyone:
        turn = np.arange(len(unit)) - np.repeat(np.cumsum(counts) - counts, counts)
        mate = person + (turn % np.maximum(population.seats[unit], 1)).astype(np.int32)
        person = np.where(population.joined[mate] < at, mate, person)
    return Batch(name, person, at, np.zeros(len(at), np.int64))


def _in_its_time(feature: Feature, batch: Batch, end: int) -> Batch:
    since = end - feature.since if feature.since is not None else batch.at.min(initial=0)
    until = end - feature.until if feature.until is not None else end + DAY
    return batch.where((batch.at >= since) & (batch.at < until))

"""What became of the units that fired: read from PostHog, one query per connection and time, and only for those that wait for an answer.

Every signal is followed, sent or not: those held out, suppressed or left unsent tell as much about the hypothesis as the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from backtest import Hypothesis
from backtest.language import Lapse
from beton.posthog.outcomes import Asked, first_outcomes
from beton.store import hypotheses, outcomes
from beton.store.outcomes import LATE, Version, Waiting
from beton.store.records import Connection
from beton.store.store import Transaction
from beton.work.backtesting import default_as_of, group_index
from beton.work.workplace import Workplace, instant, microseconds, property_types

AT_ONCE = 2000
"""Signals that one query asks about: their units are named in it, and PostHog takes queries of limited length. The rest comes the next time."""


@dataclass(frozen=True)
class Followed:
    """What one reading of outcomes came to: signals that it began to follow, asked about, and learned the outcome of; `lost`: units that were
    erased, or turned out to be another one."""

    began: int = 0
    asked: int = 0
    came: int = 0
    lost: int = 0

    def to_json(self) -> dict[str, int]:
        """For run records and `--json`."""
        return asdict(self)


async def read_outcomes(place: Workplace, connection: Connection) -> Followed:
    """Ask what became of signals that wait, write the instants down, and say how the signals count."""
    until = default_as_of(place.clock())
    with place.store.transaction() as tx:
        known = _meanings(tx, connection)
        began = sum(outcomes.expect(tx, version, _length(one.horizon)) for version, one in known.items())
        due = [one for one in outcomes.waiting(tx, connection.id, until, most=AT_ONCE) if one.version in known]
        lost = [one.id for one in due if one.unit_id is None]
        outcomes.lose(tx, lost)
        merged = outcomes.leave_out_merged(tx, connection.id)
    asked = [one for one in due if one.unit_id is not None]
    found = await _ask(place, connection, known, asked, until) if asked else {}
    with place.store.transaction() as tx:
        outcomes.learn(tx, {one.id: found.get(one.id) for one in asked}, until)
        for version in known:
            outcomes.judge(tx, version, until)
    return Followed(began, len(asked), len(found), len(lost) + merged)


def _meanings(tx: Transaction, connection: Connection) -> dict[Version, Hypothesis]:
    """Every version that has sent signals, as it read then."""
    fired = [one for one in hypotheses.every(tx, connection_id=connection.id) if one.fired_count]
    every = [version for one in fired for version in hypotheses.versions(tx, one.id)]
    return {(one.hypothesis_id, one.version): Hypothesis.model_validate(one.definition) for one in every}


async def _ask(
    place: Workplace, connection: Connection, known: Mapping[Version, Hypothesis], asked: Sequence[Waiting], until: datetime
) -> dict[str, datetime]:
    """Signal id → first outcome. Whoever is asked about for the first time is asked about all of history; the others since the last time."""
    taxonomy = place.taxonomy(connection)
    groups: dict[str, list[Waiting]] = {}
    for one in asked:
        groups.setdefault(_kind(known[one.version], one), []).append(one)
    questions = [_question(known[some[0].version], some, taxonomy) for some in groups.values()]
    async with place.client(connection) as client:
        answers = await first_outcomes(client, questions, microseconds(until), property_types(taxonomy))
    pairs = zip(groups.values(), answers, strict=True)
    return {one.id: instant(answer[one.unit_id]) for some, answer in pairs for one in some if one.unit_id in answer}


def _kind(meaning: Hypothesis, one: Waiting) -> str:
    """What signals share that one part of the query can ask for: unit kind, outcome (for a lapse the entry too), and whether it is the first time."""
    outcome = meaning.outcome.model_dump(mode="json", exclude={"horizon", "goal"})
    entry = meaning.entry.model_dump(mode="json") if isinstance(meaning.outcome, Lapse) and meaning.entry else None
    unit = meaning.unit if meaning.unit == "person" else meaning.unit.group
    told: Any = [unit, meaning.unit == "person", outcome, entry, one.known_until is None]
    return json.dumps(told, sort_keys=True)


def _question(meaning: Hypothesis, some: Sequence[Waiting], taxonomy: Any) -> Asked:
    last = [one.known_until for one in some if one.known_until is not None]
    since = microseconds(min(last) - LATE) if last else 0
    units = tuple(sorted({one.unit_id for one in some if one.unit_id is not None}))
    return Asked(meaning.unit, group_index(taxonomy, meaning.unit), meaning.outcome, meaning.entry, units, since)


def _length(horizon: int) -> timedelta:
    return timedelta(microseconds=int(horizon))

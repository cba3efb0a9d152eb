"""The small project that `beton bench crash` works on: a history to approve on, and then a few fires in every step of simulated time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

from pydantic import SecretStr

from backtest import Hypothesis
from beton.lifecycle import Action
from beton.sandbox.run import Running
from beton.signals import DeliveryStatus
from beton.store import backtests, deliveries, inbound_events, runs, signals
from beton.store.records import Connection, RunStatus
from beton.work import connecting, deciding, observing, ways_out
from beton.work.backtesting import backtest_hypotheses, window_of
from beton.work.keeping import keep_tested
from beton.work.sweeping import sweep
from beton.work.workplace import Workplace

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""When the hypotheses are approved."""

STEP = timedelta(minutes=5)
"""Simulated time between two kills: the usual interval of sweeps, and longer than the lease of a delivery."""

HISTORY_DAYS = 30
HISTORY_UNITS = 150
INVITERS, VIEWERS = 2, 2
"""Units that fire in each step, per hypothesis."""

AGAIN = timedelta(hours=2, minutes=20)
"""After which some units fire a second time."""

OUTCOME = {"kind": "event", "match": "paid", "horizon": "7d"}
MEANINGS = [
    {"entry": "signed_up", "clauses": [{"kind": "did", "match": "invited", "span": {"first": "7d"}}], "outcome": OUTCOME},
    {
        "entry": "signed_up",
        "clauses": [{"kind": "did", "match": "viewed", "span": {"last": "1h"}}],
        "outcome": OUTCOME,
        "fires_again_after": "2h",
    },
]
CONNECTION = "crash"
Fire = tuple[int, str, int, datetime]
"""Which of `MEANINGS`, unit, occurrence and instant."""


@dataclass(frozen=True)
class Prepared:
    """A database in which both hypotheses are approved: the ids that the steps need."""

    connection: Connection
    hypothesis_ids: tuple[str, ...]
    digests: list[tuple[str, str]]
    """Of the results that they were approved on, by hypothesis."""

    def fire(self, hypothesis_id: str, unit: str, occurrence: int, at: str) -> Fire:
        """The same in every database: ids differ, the places of the hypotheses do not."""
        return self.hypothesis_ids.index(hypothesis_id), unit, occurrence, datetime.fromisoformat(at).astimezone(UTC)


def write_world(path: Path, steps: int, seed: int) -> None:
    """All events, those still to come too: a reader that stops at its own present does not see them."""
    rows = sorted(_rows(steps, Random(seed)), key=lambda row: row["timestamp"])  # noqa: S311 - nothing here is secret
    path.write_text("\n".join(map(json.dumps, rows)))


def end_of(steps: int) -> datetime:
    """When all that the steps hold has happened."""
    return START + steps * STEP + AGAIN + STEP


def _rows(steps: int, dice: Random) -> Iterator[dict[str, str]]:
    def row(unit: str, event: str, at: datetime) -> dict[str, str]:
        told = at.isoformat()
        number = UUID(int=dice.getrandbits(128), version=4)
        return {"person_id": unit, "event": event, "timestamp": told, "created_at": told, "uuid": str(number)}

    for number in range(HISTORY_UNITS):
        unit, joined = f"old{number:04}", START - timedelta(days=dice.uniform(7, HISTORY_DAYS - 1))
        yield row(unit, "signed_up", joined)
        active = dice.random() < 0.5
        if active:
            yield row(unit, "invited", joined + timedelta(days=dice.uniform(0.1, 3)))
            yield row(unit, "viewed", joined + timedelta(days=dice.uniform(0.1, 3)))
        if dice.random() < (0.6 if active else 0.1):
            yield row(unit, "paid", joined + timedelta(days=dice.uniform(3, 6.9)))
    for step in range(steps):
        for number in range(INVITERS + VIEWERS):
            unit, name = f"new{step:04}-{number}", "invited" if number < INVITERS else "viewed"
            at = START + step * STEP + dice.uniform(0.05, 0.95) * STEP
            yield row(unit, "signed_up", at - timedelta(days=dice.uniform(0.5, 5)))
            yield row(unit, name, at)
            if name == "viewed":
                yield row(unit, name, at + AGAIN)


def prepare(place: Workplace, posthog: Running, *, receiver: str, secret: str) -> Prepared:
    """Connect, test, approve, and route everything to the receiver. The workplace's clock stands at `START`."""
    return asyncio.run(_prepare(place, posthog, receiver, secret))


async def _prepare(place: Workplace, posthog: Running, receiver: str, secret: str) -> Prepared:
    connection = await connecting.connect(
        place,
        name=CONNECTION,
        host=posthog.url,
        project_id=str(posthog.project_id),
        api_key=SecretStr(posthog.api_key),
        share=1.0,
        actor="bench",
    )
    await observing.observe(place, connection, sample_values=False)
    meanings = [Hypothesis.model_validate(one) for one in MEANINGS]
    tested = await backtest_hypotheses(place, connection, meanings, window_of(START, HISTORY_DAYS))
    kept = keep_tested(place, connection, tested, actor="bench")
    for one in kept:
        deciding.decide(place, one.id, Action.APPROVE, actor="bench", override_reason="a rehearsal of crashes")
    ways_out.add_route(place, name="receiver", url=receiver, secret=secret, actor="bench")
    with place.store.reading() as tx:
        found = backtests.latest(tx, [one.id for one in kept])
    return Prepared(connection, tuple(one.id for one in kept), sorted((one, found[one].digest) for one in found))


def swept_once(place: Workplace, connection: Connection) -> None:
    """A sweep of this process, as nobody interrupts it."""
    asyncio.run(sweep(place, connection))


def fires(place: Workplace, prepared: Prepared) -> list[Fire]:
    """Every signal of the database, each row once."""
    found: list[Fire] = []
    after = None
    with place.store.reading() as tx:
        while True:
            page = signals.listing(tx, limit=200, after=after)
            found += [prepared.fire(one.hypothesis_id, str(one.unit_id), one.occurrence, one.fired_at.isoformat()) for one in page.data]
            after = page.next_after
            if after is None:
                return found


def waiting(place: Workplace) -> int:
    """Deliveries that have not arrived, and backtests that are not over, counted as far as a page."""
    with place.store.reading() as tx:
        open_runs = runs.listing(tx, statuses=(RunStatus.QUEUED, RunStatus.RUNNING)).data
        return len(open_runs) + sum(deliveries.count(tx, one) for one in (DeliveryStatus.PENDING, DeliveryStatus.FAILED))


def received(place: Workplace) -> list[str]:
    """The ids of the events that came in by webhook, each row once."""
    found: list[str] = []
    after = None
    with place.store.reading() as tx:
        while True:
            page = inbound_events.listing(tx, limit=200, after=after)
            found += [one.event_uuid for one in page.data]
            after = page.next_after
            if after is None:
                return found

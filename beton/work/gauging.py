"""How an installation stands, in figures: for whoever watches it, not for its teams, and nothing in it tells one team from another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from beton.signals import DeliveryStatus
from beton.store import connections, deliveries, hypotheses, hypothesis_lists, runs, workspaces
from beton.store.records import RunStatus
from beton.store.store import Transaction
from beton.work.workplace import Workplace

COUNTED = 10_000
"""What may be very many is counted up to here in each workspace."""

OPEN = tuple(one for one in DeliveryStatus if one is not DeliveryStatus.DELIVERED)
WAITING_RUNS = (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass
class Gauges:
    """Sums over all workspaces. Ages are in seconds; `None` where nothing waits."""

    workspaces: int = 0
    connections: Counter[str] = field(default_factory=Counter)
    hypotheses: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    signals: int = 0
    outbox_oldest: float | None = None
    run_oldest: float | None = None

    @property
    def queue_age(self) -> float | None:
        """How long the oldest thing waits that a worker should have taken up."""
        return max((one for one in (self.outbox_oldest, self.run_oldest) if one is not None), default=None)


def gauge(place: Workplace) -> Gauges:
    """Everything."""
    found, now = Gauges(), place.clock()
    for one in workspaces.every(place.store):
        found.workspaces += 1
        with place.store.of(one.id).reading() as tx:
            _ages(tx, found, now)
            _counts(tx, found)
    return found


def queue_age(place: Workplace) -> float | None:
    """How long the oldest thing waits that a worker should have taken up; `None` where nothing does."""
    found, now = Gauges(), place.clock()
    for one in workspaces.every(place.store):
        with place.store.of(one.id).reading() as tx:
            _ages(tx, found, now)
    return found.queue_age


def _ages(tx: Transaction, found: Gauges, now: datetime) -> None:
    found.outbox_oldest = _older(found.outbox_oldest, deliveries.waiting_since(tx), now)
    queued = runs.listing(tx, statuses=(RunStatus.QUEUED,), limit=200).data
    found.run_oldest = _older(found.run_oldest, min((one.created_at for one in queued), default=None), now)


def _counts(tx: Transaction, found: Gauges) -> None:
    found.connections.update(one.status for one in connections.every(tx))
    by_status = hypothesis_lists.count_by_status(tx)
    found.hypotheses.update({str(status): number for status, number in by_status.items()})
    found.deliveries.update({str(one): deliveries.count(tx, one, most=COUNTED) for one in OPEN})
    found.runs.update(str(one.status) for one in runs.listing(tx, statuses=WAITING_RUNS, limit=200).data)
    found.signals += hypotheses.fired(tx)


def _older(present: float | None, since: datetime | None, now: datetime) -> float | None:
    if since is None:
        return present
    return max(present or 0.0, (now - since).total_seconds())

"""Going through events that came in, in the order in which they came: each is mapped, and matched if its source is active.

Nothing is asked of an event that a crash could not answer again: an event waits until its line in the log says what became of it, and whoever matches
it makes the same signals of it a second time, that is, none.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from beton.errors import BetonError
from beton.store import connections, inbound, inbound_events
from beton.store.erasure import DEVICE, erased_keys
from beton.store.inbound_records import InboundSource, Looked, Waiting
from beton.store.records import Connection
from beton.store.store import Transaction
from beton.work.arrived import Arrived
from beton.work.mapping import Unmapped, arrived_of, compiled
from beton.work.workplace import Workplace

AT_ONCE = 200
"""Events that are matched together."""

MOST = 1000
"""Events that are gone through in one go."""

HOLDS_FOR = timedelta(minutes=2)
"""For so long one worker has a source for itself, from each batch on."""

TESTING = ("source.testing", "Its source is being tried out: what comes in is shown and leads to nothing.")
ERASED = ("source.erased", "It is about somebody who has been erased.")
_LOG = logging.getLogger(__name__)


class Became(Protocol):
    """What became of an event that was matched."""

    @property
    def status(self) -> str:
        """matched, fired or ignored."""
        ...

    @property
    def code(self) -> str | None:
        """Why it did not fire, if it did not."""
        ...

    @property
    def why(self) -> str | None:
        """The same in a sentence."""
        ...

    @property
    def signal_ids(self) -> Sequence[str]:
        """The signals that it led to."""
        ...


class Receive(Protocol):
    """Makes matches and signals of events of one connection; the answers in the order of the events."""

    def __call__(self, place: Workplace, connection: Connection, arrived: Sequence[Arrived], /) -> Awaitable[Sequence[Became]]:
        """Raises `BetonError` when it cannot now; then nothing is lost by asking again."""
        ...


@dataclass(frozen=True)
class Mapped:
    """An event that could be read, and the hashes by which it is found when somebody is erased."""

    waiting: Waiting
    arrived: Arrived
    unit_keys: tuple[str, ...]


async def go_through(place: Workplace, receive: Receive, worker: str, *, most: int = MOST) -> Counter[str]:
    """Go through all events of the workspace that wait, but not more than `most`. How many came to each end."""
    found: Counter[str] = Counter()
    with place.store.reading() as tx:
        sources = [one for one in inbound.every(tx) if one.status != "off" and inbound_events.any_waiting(tx, one.id)]
    for source in sources:
        with place.store.transaction() as tx:
            free = inbound.take(tx, source.id, worker, tx.now + HOLDS_FOR)
        if free:
            found += await _of_source(place, receive, worker, source, most - found.total())
    return found


async def _of_source(place: Workplace, receive: Receive, worker: str, source: InboundSource, most: int) -> Counter[str]:
    found: Counter[str] = Counter()
    with place.store.reading() as tx:
        connection = connections.get(tx, source.connection_id)
    try:
        while found.total() < most and (looked := await _batch(place, receive, connection, source)):
            with place.store.transaction() as tx:
                inbound_events.settle(tx, looked)
                going_on = inbound.take(tx, source.id, worker, tx.now + HOLDS_FOR)
            found.update(one.status for one in looked)
            if not going_on:
                return found  # it was held for too long, and another has it now
    except BetonError as error:
        _LOG.warning("events of source %s wait: %s: %s", source.id, error.code, error.message)
    with place.store.transaction() as tx:
        inbound.leave(tx, source.id, worker)
    return found


async def _batch(place: Workplace, receive: Receive, connection: Connection, source: InboundSource) -> list[Looked]:
    """The next events, as far as they came."""
    with place.store.reading() as tx:
        waiting = inbound_events.waiting(tx, source.id, AT_ONCE)
        looked, mapped = _mapped(tx, source, waiting)
    if source.status == "testing":
        return looked + [_line(one, "mapped", *TESTING) for one in mapped]
    became = await receive(place, connection, [one.arrived for one in mapped]) if mapped else ()
    return looked + [_became(one, what) for one, what in zip(mapped, became, strict=True)]


def _mapped(tx: Transaction, source: InboundSource, waiting: Sequence[Waiting]) -> tuple[list[Looked], list[Mapped]]:
    """Those that go no further, and those that do."""
    paths, erased = compiled(source.mapping), erased_keys(tx, source.connection_id)
    looked, mapped = [], []
    for one in waiting:
        arrived = arrived_of(paths, json.loads(one.body), one.event_uuid, one.received_at)
        if isinstance(arrived, Unmapped):
            looked.append(Looked(one.id, "failed", arrived.code, arrived.why))
            continue
        keys = unit_keys(tx, source.connection_id, arrived)
        if erased and not erased.isdisjoint(keys):
            looked.append(Looked(one.id, "ignored", *ERASED, name=arrived.name, at=arrived.at, keep_body=False))
        else:
            mapped.append(Mapped(one, arrived, keys))
    return looked, mapped


def unit_keys(tx: Transaction, connection_id: str, arrived: Arrived) -> tuple[str, ...]:
    """Keyed hashes of everybody whom an event tells of."""
    accounts = {*arrived.groups.values(), *arrived.group_keys.values()}
    people = [tx.unit_key(connection_id, "person", arrived.person_id)] if arrived.person_id else []
    device = tx.unit_key(connection_id, DEVICE, arrived.distinct_id)
    return (*people, device, *(tx.unit_key(connection_id, "account", one) for one in sorted(accounts)))


def _became(one: Mapped, what: Became) -> Looked:
    status = "fired" if what.status == "fired" else "matched" if what.status == "matched" else "ignored"
    return _line(one, status, what.code, what.why, tuple(what.signal_ids))


def _line(one: Mapped, status: str, code: str | None, why: str | None, signal_ids: tuple[str, ...] = ()) -> Looked:
    known = {"name": one.arrived.name, "at": one.arrived.at, "unit_keys": " ".join(one.unit_keys), "signal_ids": signal_ids}
    return Looked(one.waiting.id, status, code, why, **known)  # ty: ignore[invalid-argument-type]

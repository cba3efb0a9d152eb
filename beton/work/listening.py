"""Sources as people handle them: make one, try it out, map it, let it make signals, and see in the log what became of each event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from beton.errors import BadInput, Conflict, Fault
from beton.routing.signing import new_secret, standard_key
from beton.settings import Settings
from beton.store import audit, connections, inbound, inbound_events
from beton.store.inbound_records import EventStatus, InboundAddress, InboundEvent, InboundHour, InboundSource, SourceStatus
from beton.store.records import Connection, Page
from beton.store.store import Transaction
from beton.work.mapping import DEFAULT, Unmapped, arrived_of, compiled, paths_in, read_mapping
from beton.work.workplace import Workplace

GRACE = timedelta(hours=24)
"""For so long a replaced address is answered, unless said otherwise."""

LONGEST_GRACE = timedelta(days=30)
LONGEST_NAME = 80
RECENT = timedelta(hours=24)
SHOWN = 60
"""Characters of a value that are shown when somebody asks for it."""


@dataclass(frozen=True)
class Heard:
    """A source and how it does. `recent` counts events of the last day by what became of them."""

    source: InboundSource
    connection: Connection
    addresses: tuple[InboundAddress, ...]
    last_arrival: datetime | None
    recent: Mapping[str, int]
    hours: tuple[InboundHour, ...]

    @property
    def repeated(self) -> int:
        """Events of the last day that had come before."""
        return sum(one.repeated for one in self.hours)

    @property
    def refused(self) -> int:
        """Requests of the last day that were no events."""
        return sum(one.refused for one in self.hours)

    @property
    def refusal(self) -> str | None:
        """Why the last of them was refused."""
        return next((one.refusal for one in reversed(self.hours) if one.refusal), None)


@dataclass(frozen=True)
class Part:
    """One part of an event: where it is looked for, and what kind of value stands there; the value only for who may see it."""

    name: str
    path: str
    found: str
    value: str | None


@dataclass(frozen=True)
class Sample:
    """The newest event whose body is still there, read by a mapping. `paths` are all places in it, to choose from."""

    event_id: str
    received_at: datetime
    parts: tuple[Part, ...]
    problem: str | None
    paths: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shown:
    """One event of the log with its source; the body only where it was asked for."""

    event: InboundEvent
    source: InboundSource
    body: Any = None


def address_of(settings: Settings, token: str) -> str:
    """Where PostHog has to send to."""
    return f"{settings.address}/in/{token}"


def add_source(
    place: Workplace,
    *,
    name: str,
    connection: str,
    actor: str,
    signed: bool = False,
    secret: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> tuple[InboundSource, str, str | None]:
    """A source, being tried out; its address and its secret, if it has one, both shown this once. Without a mapping: PostHog's default body."""
    kept = read_mapping(DEFAULT if mapping is None else mapping)
    secret = _secret(signed=signed, secret=secret)
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or "/" in name:
        raise BadInput("A source needs a name.", [Fault("name", "is empty, too long, or has a slash")])
    with place.store.transaction() as tx:
        of = connections.get(tx, connection)
        source, token = inbound.add(tx, name=name, connection_id=of.id, mapping=kept, secret=secret, actor=actor)
    return source, address_of(place.settings, token), secret


def rotate(place: Workplace, source: str, *, grace: timedelta = GRACE, actor: str) -> tuple[InboundSource, str]:
    """A new address, shown this once; the former ones end after the grace."""
    if not timedelta() <= grace <= LONGEST_GRACE:
        raise BadInput("The grace is between nothing and 30 days.", [Fault("grace_hours", "is not between 0 and 720")])
    with place.store.transaction() as tx:
        found, token = inbound.rotate(tx, source, grace=grace, actor=actor)
    return found, address_of(place.settings, token)


def sign(place: Workplace, source: str, *, signed: bool, secret: str | None = None, actor: str) -> tuple[InboundSource, str | None]:
    """Ask for a signature from now on, or for none; the secret, shown this once."""
    secret = _secret(signed=signed, secret=secret)
    with place.store.transaction() as tx:
        return inbound.sign(tx, source, secret, actor=actor), secret


def remap(place: Workplace, source: str, mapping: Mapping[str, str], *, actor: str) -> InboundSource:
    """Another mapping. What came within the last day and led to nothing is read once more."""
    kept = read_mapping(mapping)
    with place.store.transaction() as tx:
        found = inbound.remap(tx, source, kept, actor=actor)
        if found.status == "testing":
            inbound_events.again(tx, found.id, since=tx.now - RECENT)
        return found


def switch(place: Workplace, source: str, status: SourceStatus, *, actor: str) -> InboundSource:
    """Try it out, let it make signals, or take nothing. `Conflict` for one whose events cannot be read, or of which none has come."""
    with place.store.transaction() as tx:
        found = inbound.get(tx, source)
        if status == "active":
            newest = _sample(tx, found, found.mapping, values=False)
            if newest is None:
                raise Conflict("No event has come yet.", code="source.untested", fix="Send a test event from PostHog's destination first.")
            if newest.problem is not None:
                raise Conflict(f"The newest event cannot be read: {newest.problem}", code="source.unmapped", fix="Change the mapping first.")
        return inbound.switch(tx, found.id, status, actor=actor)


def remove(place: Workplace, source: str, *, actor: str) -> InboundSource:
    """Remove a source with its addresses and its log."""
    with place.store.transaction() as tx:
        return inbound.remove(tx, source, actor=actor)


def sample(place: Workplace, source: str, mapping: Mapping[str, str] | None = None, *, values_for: str | None = None) -> Sample | None:
    """The newest event, read by the source's mapping or by another; `None` where none is there. Values are shown to `values_for`, who is written
    down in the audit log for it."""
    with place.store.transaction() if values_for else place.store.reading() as tx:
        found = inbound.get(tx, source)
        kept = found.mapping if mapping is None else read_mapping(mapping)
        newest = _sample(tx, found, kept, values=values_for is not None)
        if newest is not None and values_for:
            audit.write(tx, values_for, "event.reveal", "inbound_event", newest.event_id, after={"source": found.name})
        return newest


def heard(place: Workplace, source: str) -> Heard:
    """One source and how it does."""
    with place.store.reading() as tx:
        return _heard(tx, inbound.get(tx, source))


def all_heard(place: Workplace, connection_id: str | None = None) -> list[Heard]:
    """All sources, by name."""
    with place.store.reading() as tx:
        return [_heard(tx, one) for one in inbound.every(tx, connection_id=connection_id)]


def log(
    place: Workplace, *, source: str | None = None, status: EventStatus | None = None, limit: int = 50, after: str | None = None
) -> Page[InboundEvent]:
    """The event log, newest first."""
    with place.store.reading() as tx:
        source_id = None if source is None else inbound.get(tx, source).id
        return inbound_events.listing(tx, source_id=source_id, status=status, limit=limit, after=after)


def event(place: Workplace, event_id: str) -> Shown:
    """One event without its body."""
    with place.store.reading() as tx:
        found = inbound_events.get(tx, event_id)
        return Shown(found, inbound.get(tx, found.source_id))


def reveal(place: Workplace, event_id: str, *, actor: str) -> Shown:
    """One event with its body, which the audit log says; `Conflict` where it is gone."""
    with place.store.transaction() as tx:
        found = inbound_events.get(tx, event_id)
        body = inbound_events.body(tx, event_id)
        if body is None:
            raise Conflict("What was sent is not kept any more.", code="source.body_gone", fix="Bodies are kept for at most seven days.")
        source = inbound.get(tx, found.source_id)
        audit.write(tx, actor, "event.reveal", "inbound_event", event_id, after={"source": source.name})
        return Shown(found, source, json.loads(body))


def _secret(*, signed: bool, secret: str | None) -> str | None:
    if secret is not None:
        standard_key(secret)
        return secret
    return new_secret() if signed else None


def _heard(tx: Transaction, source: InboundSource) -> Heard:
    return Heard(
        source=source,
        connection=connections.get(tx, source.connection_id),
        addresses=tuple(inbound.addresses(tx, source.id)),
        last_arrival=inbound_events.last_arrival(tx, source.id),
        recent=inbound_events.counts(tx, source.id, since=tx.now - RECENT),
        hours=tuple(inbound_events.hours(tx, source.id, since=tx.now - RECENT)),
    )


def _sample(tx: Transaction, source: InboundSource, mapping: Mapping[str, str], *, values: bool) -> Sample | None:
    newest = inbound_events.newest_body(tx, source.id)
    if newest is None:
        return None
    one, body = inbound_events.get(tx, newest[0]), json.loads(newest[1])
    paths = compiled(mapping)
    read = arrived_of(paths, body, one.event_uuid, one.received_at)
    return Sample(
        event_id=one.id,
        received_at=one.received_at,
        parts=tuple(_part(name, mapping.get(name, ""), paths.part(body, name), values=values) for name in DEFAULT),
        problem=read.why if isinstance(read, Unmapped) else None,
        paths=tuple(paths_in(body)),
    )


def _part(name: str, path: str, value: Any, *, values: bool) -> Part:
    kinds = {str: "text", bool: "yes or no", int: "number", float: "number", list: "list", dict: "object"}
    found = "nothing" if value is None else kinds.get(type(value), "nothing")
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Part(name, path, found, None if not values or value is None else told[:SHOWN])

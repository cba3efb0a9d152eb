"""`beton sources`: where PostHog sends events to, the moment they happen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import actor, opened
from beton.cli.options import FLAG, AsJson, pairs
from beton.cli.printing import print_json, say, table, write

if TYPE_CHECKING:
    from beton.store.inbound_records import InboundEvent
    from beton.work.listening import Heard, Sample
    from beton.work.workplace import Workplace

SourceName = Annotated[str, Parameter(help="The source, by name or id.")]
LOOK_EVERY = 0.5
"""Seconds."""


def add(
    name: Annotated[str, Parameter(help="What the source is to be called.")],
    /,
    connection: Annotated[str, Parameter(help="The connection whose events it brings, by name or id.")],
    *,
    signed: Annotated[bool, FLAG, Parameter(help="Take only what is signed by Standard Webhooks; the secret is made here.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an address for the events of a connection. It is shown this once, and so is its signing secret."""
    with opened() as place:
        from beton.work import listening

        made, address, secret = listening.add_source(place, name=name, connection=connection, signed=signed, actor=actor())
    if as_json:
        print_json({"source_id": made.id, "name": made.name, "status": made.status, "address": address, "secret": secret})
        return
    write(f"{made.name} is being tried out: events that come are shown and lead to nothing yet.")
    say(f"Address, shown only now: {address}")
    if secret:
        say(f"Signing secret, shown only now: {secret}")
    say("In PostHog: Data pipelines, Destinations, Webhook; paste the address, leave the body as it is, and send a test event.")
    say(f"Next: beton sources test {made.name} --wait 300")


def show(*, as_json: AsJson = False) -> None:
    """List the sources and how they do."""
    with opened() as place:
        from beton.work import listening

        found = listening.all_heard(place)
    if as_json:
        for one in found:
            print_json(_json(one))
        return
    table(("name", "connection", "status", "signed", "last event", "in 24 h", "refused", "problem"), [_line(one) for one in found])


def try_out(
    name: SourceName,
    /,
    *,
    wait: Annotated[float, Parameter(help="Seconds to wait for an event that comes from now on. 0: look at the newest that is there.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Wait for an event, and show which of its parts are found. Ends with 1 where none came or it cannot be read."""
    with opened() as place:
        found = _sample(place, name, wait)
    if found is None:
        say("No event has come. Send a test event from PostHog's destination.")
        return 1
    if as_json:
        parts = {one.name: {"path": one.path, "found": one.found} for one in found.parts}
        print_json({"event_id": found.event_id, "received_at": found.received_at.isoformat(), "parts": parts, "problem": found.problem})
    else:
        table(("part", "path", "what stands there"), [(one.name, one.path, one.found) for one in found.parts])
        say(f"It cannot be read: {found.problem}" if found.problem else f"It can be read. Next: beton sources activate {name}")
    return 1 if found.problem else 0


def remap(
    name: SourceName,
    /,
    parts: Annotated[Sequence[str], Parameter(help="A part and its path, such as name=event.event; the others stay. An empty path forgets one.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say where in the body the parts of an event stand."""
    with opened() as place:
        from beton.work import listening

        former = listening.heard(place, name).source.mapping
        forgotten = {one.removesuffix("=") for one in parts if one.endswith("=")}
        told = pairs("part", [one for one in parts if not one.endswith("=")])
        kept = {part: path for part, path in (former | told).items() if part not in forgotten}
        found = listening.remap(place, name, kept, actor=actor())
    if as_json:
        print_json({"source_id": found.id, "mapping": found.mapping})
        return
    table(("part", "path"), list(found.mapping.items()))
    say(f"Next: beton sources test {name}")


def activate(name: SourceName, /, *, as_json: AsJson = False) -> None:
    """Let a source make signals from now on. Needs an event that came and can be read."""
    _switch(name, "active", "Events of {} make signals from now on.", as_json=as_json)


def disable(name: SourceName, /, *, as_json: AsJson = False) -> None:
    """Take nothing at a source any more; PostHog is told that its address is gone."""
    _switch(name, "off", "{} takes nothing any more.", as_json=as_json)


def rotate(
    name: SourceName,
    /,
    *,
    grace_hours: Annotated[float, Parameter(name="--grace-hours", help="How long the former address is still answered.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Give a source another address, shown this once."""
    with opened() as place:
        from beton.work import listening

        found, address = listening.rotate(place, name, grace=timedelta(hours=grace_hours), actor=actor())
    if as_json:
        print_json({"source_id": found.id, "name": found.name, "address": address, "grace_hours": grace_hours})
        return
    write(f"{found.name} has another address; the former one is answered for {grace_hours:g} more hours.")
    say(f"Address, shown only now: {address}")


def log(
    name: Annotated[str | None, Parameter(help="Of this source only.")] = None,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most events.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what came in, the newest first, and what became of it."""
    with opened() as place:
        from beton.work import listening

        found = listening.log(place, source=name, limit=limit).data
    if as_json:
        for one in found:
            print_json(one.model_dump(mode="json"))
        return
    table(("received", "event", "status", "why", "uuid"), [_event(one) for one in found])


def remove(name: SourceName, /, *, as_json: AsJson = False) -> None:
    """Remove a source with its addresses and its log. Its signals stay."""
    with opened() as place:
        from beton.work import listening

        found = listening.remove(place, name, actor=actor())
    if as_json:
        print_json({"source_id": found.id, "name": found.name})
        return
    write(f"{found.name} is removed.")


def _switch(name: str, status: Any, told: str, *, as_json: bool) -> None:
    with opened() as place:
        from beton.work import listening

        found = listening.switch(place, name, status, actor=actor())
    if as_json:
        print_json({"source_id": found.id, "name": found.name, "status": found.status})
        return
    write(told.format(found.name))


def _sample(place: Workplace, name: str, wait: float) -> Sample | None:
    from beton.work import listening

    began, until = place.clock(), time.monotonic() + wait
    while True:
        found = listening.sample(place, name)
        if wait <= 0 or (found is not None and found.received_at >= began):
            return found
        if time.monotonic() >= until:
            return None
        time.sleep(LOOK_EVERY)


def _json(one: Heard) -> dict[str, Any]:
    told = one.source.model_dump(mode="json", include={"name", "connection_id", "status", "signed", "mapping", "problem"})
    last = None if one.last_arrival is None else one.last_arrival.isoformat()
    addresses = [{"begins": each.shown, "ends_at": each.ends_at and each.ends_at.isoformat()} for each in one.addresses]
    more = {"last_arrival_at": last, "addresses": addresses, "events": dict(one.recent), "repeated": one.repeated, "refused": one.refused}
    return {"source_id": one.source.id, **told, **more}


def _line(one: Heard) -> tuple[str, ...]:
    signed = "yes" if one.source.signed else ""
    counts = (f"{sum(one.recent.values()):,}", f"{one.refused:,}")
    return (one.source.name, one.connection.name, one.source.status, signed, _when(one.last_arrival), *counts, one.source.problem or "")


def _event(one: InboundEvent) -> tuple[str, ...]:
    return (_when(one.received_at), one.name or "", one.status, one.why or "", one.event_uuid)


def _when(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")

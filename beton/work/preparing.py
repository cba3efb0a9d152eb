"""Before a route's first signal: what its receiver has to have, and what sending would change there."""

from __future__ import annotations

import asyncio

from beton.errors import BadInput, NotFound
from beton.routing.channels import Channel
from beton.routing.crm import Difference
from beton.routing.deliver import ClientFactory
from beton.routing.destinations import ChannelSettings
from beton.routing.webhook import open_client
from beton.store import audit, routes, signals
from beton.store.records import Route
from beton.work.delivering import opened
from beton.work.telling import signal_message
from beton.work.workplace import Workplace


def set_up(place: Workplace, name_or_id: str, *, actor: str, client_factory: ClientFactory = open_client) -> list[str]:
    """Make what is missing at a route's receiver, such as Beton's own fields in a CRM; what was made, by name. Nothing that is there is changed.

    Raises the `DestinationError` that it met, `BadInput` for a kind of route that needs no preparation. To be called where no event loop runs.
    """
    route, channel, settings = _way(place, name_or_id)
    prepare = channel.set_up
    if prepare is None:
        raise BadInput(f"There is nothing to set up for a route of kind {route.kind}.", code="route.no_set_up", fix="Send a test along it.")

    async def once() -> list[str]:
        async with client_factory() as client:
            return await prepare(settings, client=client, clock=place.clock)

    made = asyncio.run(once())
    with place.store.transaction() as tx:
        audit.write(tx, actor, "route.set_up", "route", route.id, after={"made": made})
    return made


def difference(place: Workplace, name_or_id: str, signal_id: str | None = None, *, client_factory: ClientFactory = open_client) -> Difference:
    """What sending a signal (the newest one unless named) along a route would change at its receiver, which is read and not written.

    Raises the `DestinationError` that it met, `BadInput` for a kind of route that changes nothing that could be compared. To be called where no
    event loop runs.
    """
    route, channel, settings = _way(place, name_or_id)
    compare = channel.dry_run
    if compare is None:
        raise BadInput(f"A route of kind {route.kind} changes no record.", code="route.no_difference", fix="Send a test along it.")
    with place.store.reading() as tx:
        newest = signals.listing(tx, limit=1).data if signal_id is None else []
        if signal_id is None and not newest:
            raise NotFound("There is no signal yet.")
        signal = newest[0] if signal_id is None else signals.get(tx, signal_id)
        if signal.unit_id is None:
            raise BadInput("The unit of this signal was erased.", fix="Choose another signal.")
        message = signal_message(place, tx, signal, f"dry_{signal.id}")

    async def once() -> Difference:
        async with client_factory() as client:
            return await compare(settings, message, client=client, clock=place.clock)

    return asyncio.run(once())


def _way(place: Workplace, name_or_id: str) -> tuple[Route, Channel, ChannelSettings]:
    with place.store.reading() as tx:
        route = routes.get(tx, name_or_id)
        return route, *opened(place, tx, route.id)

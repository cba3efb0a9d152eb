"""Signals on their way: what routing needs of the store."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

from beton.routing.channels import Channel, channel
from beton.routing.deliver import LEASE, DeliveryReport, Parcel, deliver_due
from beton.routing.destinations import ChannelSettings
from beton.signals import AttemptOutcome, Claim
from beton.store import deliveries, routes, send_limits
from beton.store.store import Transaction
from beton.work.telling import message_of
from beton.work.this_process import winding_down
from beton.work.workplace import Workplace

UNSUBSCRIBE = "/unsubscribe"
"""The path under which `<workspace>.<route>.<token>` of a mail ends its route: one part, so that no log shows a token."""


class StoredOutbox:
    """The outbox in the store: each call is one transaction."""

    def __init__(self, place: Workplace) -> None:
        self.place = place

    def due_routes(self) -> Sequence[str]:
        with self.place.store.reading() as tx:
            return deliveries.due_routes(tx)

    def claim(self, route_id: str, requests: int) -> Sequence[Parcel]:
        if winding_down():
            return ()
        with self.place.store.transaction() as tx:
            route = routes.get(tx, route_id)
            kind, destination = opened(self.place, tx, route_id)
            if kind.effect == "uncertain":
                deliveries.doubt_overdue(tx, route_id)
            cutoff = destination.cutoff(tx.now)
            if cutoff is not None:
                deliveries.postpone(tx, route_id, after=cutoff, until=destination.cutoff(tx.now + DAY) or tx.now)
            waits = _slots(tx, kind, destination, requests)
            claims = deliveries.claim(tx, limit=len(waits) * destination.batch, lease=LEASE, route_id=route_id) if waits else []
            return [
                Parcel(claim, kind, destination, message_of(self.place, tx, claim, route, kind), waits[number // destination.batch])
                for number, claim in enumerate(claims)
            ]

    def settle(self, claim: Claim, outcome: AttemptOutcome) -> None:
        with self.place.store.transaction() as tx:
            deliveries.settle(tx, claim.delivery.id, claim.lease, outcome)

    def give_back(self, claim: Claim) -> None:
        with self.place.store.transaction() as tx:
            deliveries.release_lease(tx, claim.delivery.id, claim.lease)

    def disable(self, route_id: str, reason: str) -> None:
        with self.place.store.transaction() as tx:
            routes.switch(tx, route_id, enabled=False, actor="beton", problem=reason)

    def rest(self, route_id: str, seconds: float) -> None:
        with self.place.store.transaction() as tx:
            routes.rest(tx, route_id, tx.now + timedelta(seconds=seconds))


DAY = timedelta(days=1)


def opened(place: Workplace, tx: Transaction, route_id: str) -> tuple[Channel, ChannelSettings]:
    """The channel of a route, and where it leads, with its secrets."""
    sealed = routes.destination(tx, route_id)
    kind = channel(sealed.kind)
    return kind, settings_of(place, kind, sealed.settings, f"{tx.workspace_id}.{route_id}")


def settings_of(place: Workplace, kind: Channel, stored: dict[str, object], route: str = "") -> ChannelSettings:
    """Settings as they are used: with the operator's word about where calls may go. `route` is the part of addresses that names the route."""
    here: dict[str, object] = {"allow_insecure": place.settings.allow_insecure_hosts, "allow_local": place.settings.only_here}
    if "unsubscribe_at" in kind.settings.model_fields:
        here["unsubscribe_at"] = f"{place.settings.address}{UNSUBSCRIBE}/{route}" if route else None
    return kind.settings.model_validate(stored | here)


def _slots(tx: Transaction, kind: Channel, destination: ChannelSettings, requests: int) -> list[timedelta]:
    """How long each of the next requests has to be kept; fewer than asked for where the destination's limit is reached."""
    if kind.per_second is None:
        return [timedelta(0)] * requests
    return send_limits.reserve(tx, destination.limit_key, kind.per_second, requests)


async def deliver_signals(place: Workplace, rng: random.Random) -> DeliveryReport:
    """Send everything that is due once; what fails is tried again by a later call."""
    return await deliver_due(StoredOutbox(place), clock=place.clock, rng=rng)

"""Signals on their way: what routing needs of the store, and the message that a signal becomes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from backtest import Hypothesis
from beton.errors import Conflict
from beton.routing.addresses import check_url
from beton.routing.deliver import LEASE, DeliveryReport, Parcel, deliver_due
from beton.routing.outcomes import Destination
from beton.routing.payloads import body_bytes, signal_payload, status_payload
from beton.routing.signing import new_secret, standard_key
from beton.routing.webhook import deliver, open_client
from beton.signals import AttemptOutcome, Claim, Notice
from beton.store import backtests, deliveries, hypotheses, routes
from beton.store.records import Destination as SealedDestination
from beton.store.records import Route
from beton.store.store import Transaction
from beton.work.workplace import Workplace, microseconds


class StoredOutbox:
    """The outbox in the store: each call is one transaction."""

    def __init__(self, place: Workplace) -> None:
        self.place = place

    def due_routes(self) -> Sequence[str]:
        with self.place.store.reading() as tx:
            return deliveries.due_routes(tx)

    def claim(self, route_id: str, limit: int) -> Sequence[Parcel]:
        with self.place.store.transaction() as tx:
            destination = destination_of(self.place, tx, route_id)
            claims = deliveries.claim(tx, limit=limit, lease=LEASE, route_id=route_id)
            return [Parcel(claim, destination, message(tx, claim)) for claim in claims]

    def settle(self, claim: Claim, outcome: AttemptOutcome) -> None:
        with self.place.store.transaction() as tx:
            deliveries.settle(tx, claim.delivery.id, claim.lease, outcome)

    def disable(self, route_id: str, reason: str) -> None:
        with self.place.store.transaction() as tx:
            routes.switch(tx, route_id, enabled=False, actor="beton", problem=reason)


def destination_of(place: Workplace, tx: Transaction, route_id: str) -> Destination:
    """Where a route leads, with its secret."""
    sealed = routes.destination(tx, route_id)
    return Destination(sealed.url, sealed.secret, allow_insecure=place.settings.allow_insecure_hosts, allow_local=place.settings.only_here)


def message(tx: Transaction, claim: Claim) -> bytes | None:
    """The same bytes at every attempt: the sentence and the promise are those of the version that was approved."""
    signal = claim.about
    if isinstance(signal, Notice):
        return body_bytes(status_payload(signal))
    if signal.unit_id is None:
        return None
    said = hypotheses.version(tx, signal.hypothesis_id, signal.hypothesis_version)
    promised = backtests.get(tx, said.backtest_id).result if said.backtest_id else None
    kinds = {clause.kind for clause in Hypothesis.model_validate(said.definition).clauses}
    return body_bytes(signal_payload(signal, sentence=said.sentence, clause_kinds=kinds, backtest=promised))


async def deliver_signals(place: Workplace, rng: random.Random) -> DeliveryReport:
    """Send everything that is due once; what fails is tried again by a later call."""
    return await deliver_due(StoredOutbox(place), clock=place.clock, rng=rng)


def add_route(place: Workplace, *, name: str, url: str, actor: str, secret: str | None = None, notices: bool = False) -> tuple[Route, str]:
    """A webhook for all signals, with `notices` for every change of status too; and its secret (a fresh one unless given), shown this once."""
    secret = secret or new_secret()
    check_url(url, allow_insecure=place.settings.allow_insecure_hosts, allow_local=place.settings.only_here)
    standard_key(secret)
    with place.store.transaction() as tx:
        return routes.add(tx, name=name, destination=SealedDestination(url=url, secret=secret), actor=actor, notices=notices), secret


async def try_route(place: Workplace, name_or_id: str) -> int:
    """Send a message that is no signal, and give the receiver's status; raises the `DestinationError` that it met."""
    with place.store.reading() as tx:
        route = routes.get(tx, name_or_id)
        destination = destination_of(place, tx, route.id)
    now = place.clock()
    body = body_bytes({"type": "route.test", "route": route.name, "sent_at": now.isoformat()})
    async with open_client() as client:
        outcome = await deliver(destination, f"test_{route.id}_{microseconds(now)}", body, client=client, clock=place.clock)
    if outcome.failure is not None:
        raise outcome.failure
    if outcome.status_code is None:
        raise Conflict("The receiver gave no status.", fix="Try again.")
    return outcome.status_code

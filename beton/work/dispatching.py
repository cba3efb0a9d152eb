"""Routes and what became of the signals that went along them, as pages show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from beton.errors import BadInput, Fault
from beton.routing.channels import channel
from beton.signals import Delivery, DeliveryStatus, Signal
from beton.store import deliveries, hypotheses, notices, reach, routes, signals
from beton.store.records import DeliveryAttempt, Route
from beton.store.store import Transaction
from beton.work.workplace import Workplace

COUNTED = 1000
"""Deliveries in one state are counted up to here."""

AGAIN_WITHIN = timedelta(days=30)
OPEN = (DeliveryStatus.PENDING, DeliveryStatus.FAILED)
TROUBLED = (DeliveryStatus.DEAD, DeliveryStatus.IN_DOUBT)


@dataclass(frozen=True)
class Line:
    """A route and how it does."""

    route: Route
    waiting: int
    troubled: int


@dataclass(frozen=True)
class Logged:
    """A delivery as it stands in the log."""

    delivery: Delivery
    route: Route | None
    signal: Signal | None
    """Whom it is about, where that may be seen."""
    last: DeliveryAttempt | None


@dataclass(frozen=True)
class Dispatch:
    """All routes, and some of the deliveries, newest first."""

    routes: tuple[Line, ...]
    log: tuple[Logged, ...]
    next_after: str | None
    counts: Mapping[DeliveryStatus, int]
    """How many deliveries are in each state that asks for attention or waits, up to `COUNTED`."""
    given_up: int
    """How many would be sent again by `retry_all` of the last thirty days."""
    any: bool


@dataclass(frozen=True)
class Parcel:
    """One delivery with every attempt, what it is about, and the sentence that it carries."""

    logged: Logged
    attempts: Sequence[DeliveryAttempt]
    sentence: str


def dispatch(
    place: Workplace, *, route: str | None = None, status: DeliveryStatus | None = None, units: bool, limit: int = 50, after: str | None = None
) -> Dispatch:
    """Routes and the log, narrowed by a route (name or id) and a state."""
    with place.store.reading() as tx:
        every = routes.every(tx)
        route_id = None if route is None else routes.get(tx, route).id
        found = deliveries.listing(tx, route_id=route_id, status=status, limit=limit, after=after)
        ids = [one.id for one in found.data]
        last, known = deliveries.last_attempts(tx, ids), {one.id: one for one in every}
        about = {one.id: one for one in signals.some(tx, [each.signal_id for each in found.data if each.signal_id])} if units else {}
        count = {one: deliveries.count(tx, one, route_id=route_id, most=COUNTED) for one in DeliveryStatus if one is not DeliveryStatus.DELIVERED}
        return Dispatch(
            routes=tuple(
                Line(
                    one,
                    sum(deliveries.count(tx, each, route_id=one.id, most=COUNTED) for each in OPEN),
                    sum(deliveries.count(tx, each, route_id=one.id, most=COUNTED) for each in TROUBLED),
                )
                for one in every
            ),
            log=tuple(Logged(one, known.get(one.route_id), about.get(one.signal_id or ""), last.get(one.id)) for one in found.data),
            next_after=found.next_after,
            counts=count,
            given_up=deliveries.given_up(tx, since=tx.now - AGAIN_WITHIN, route_id=route_id) if count[TROUBLED[0]] or count[TROUBLED[1]] else 0,
            any=bool(found.data) or bool(deliveries.listing(tx, limit=1).data),
        )


def parcel(place: Workplace, delivery_id: str, *, units: bool) -> Parcel:
    """One delivery."""
    with place.store.reading() as tx:
        one = deliveries.get(tx, delivery_id)
        signal, sentence = _content(tx, one)
        made = deliveries.attempts(tx, delivery_id)
        return Parcel(Logged(one, routes.get(tx, one.route_id), signal if units else None, made[-1] if made else None), made, sentence)


def _content(tx: Transaction, one: Delivery) -> tuple[Signal | None, str]:
    """The signal, where it is one, and what the message says."""
    if one.signal_id is None:
        told = notices.get(tx, str(one.notice_id))
        return None, f"{told.sentence} It went from {told.was} to {told.became} by {told.actor}."
    signal = signals.get(tx, one.signal_id)
    return signal, hypotheses.version(tx, signal.hypothesis_id, signal.hypothesis_version).sentence


def switch(place: Workplace, route: str, *, enabled: bool, actor: str) -> Route:
    """Let a route take signals, or not."""
    with place.store.transaction() as tx:
        return routes.switch(tx, route, enabled=enabled, actor=actor)


def subscribe(place: Workplace, route: str, *, notices: bool, actor: str) -> Route:
    """Let a route get changes of status, or not."""
    with place.store.transaction() as tx:
        return routes.subscribe(tx, route, notices=notices, actor=actor)


def retry(place: Workplace, delivery_id: str, *, actor: str) -> Delivery:
    """Send one again; one that has arrived only where the receiver knows a repetition by its id."""
    with place.store.transaction() as tx:
        found = routes.get(tx, deliveries.get(tx, delivery_id).route_id)
        return deliveries.retry(tx, delivery_id, actor=actor, arrived_too=channel(found.kind).effect == "idempotent")


def resolve(place: Workplace, delivery_id: str, *, arrived: bool, actor: str) -> Delivery:
    """Say of one in doubt whether it arrived; where it did not, it is sent again."""
    with place.store.transaction() as tx:
        return deliveries.resolve(tx, delivery_id, arrived=arrived, actor=actor)


def retry_all(place: Workplace, *, since: datetime, route: str | None, actor: str, arrived_too: bool = False) -> int:
    """Send everything again that was given up since an instant, with `arrived_too` also what has arrived. How many there were."""
    with place.store.transaction() as tx:
        found = None if route is None else routes.get(tx, route)
        if arrived_too:
            _only_idempotent(found)
        return deliveries.retry_all(tx, since=since, route_id=None if found is None else found.id, actor=actor, arrived_too=arrived_too)


def stop(place: Workplace, *, actor: str, reason: str | None = None) -> reach.Stopped:
    """Send nothing of this workspace until somebody starts it again."""
    with place.store.transaction() as tx:
        return reach.stop(tx, actor=actor, reason=reason)


def start(place: Workplace, *, actor: str, drop: bool = False) -> int:
    """Send again. What has waited goes, or with `drop` is given up; how many of these there were."""
    with place.store.transaction() as tx:
        was = reach.start(tx, actor=actor)
        return deliveries.drop_waiting(tx, actor=actor) if was and drop else 0


def _only_idempotent(route: Route | None) -> None:
    """Refuse to repeat to people what has arrived: they would read it twice."""
    if route is None or channel(route.kind).effect != "idempotent":
        raise BadInput(
            "What has arrived is sent again only along one route whose receiver knows a repetition.",
            [Fault("route", "has to be of such a kind")],
            fix="Name a webhook or a CRM route.",
        )

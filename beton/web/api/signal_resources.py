"""What the API sends of signals, routes and deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from beton.signals import Delivery, DeliveryStatus, Feedback, HeldBecause, RouteKind, Signal, SignalType, UnitKind
from beton.store.following import GivenFeedback
from beton.store.records import DeliveryAttempt, Route
from beton.web.api.resources import Listing, Sent
from beton.web.api.rule_resources import RulesRead


class UnitRead(Sent):
    """Who fired; the id is null once the unit has been erased."""

    kind: UnitKind
    id: str | None


class EventReceipt(Sent):
    """An event that made the hypothesis fire, to be found in PostHog by its id."""

    name: str
    id: str | None
    at: datetime


class FeedbackRead(Sent):
    """What became of a signal, as somebody says who followed it up."""

    verdict: Feedback
    actor: str
    at: datetime

    @classmethod
    def of(cls, one: GivenFeedback | None) -> FeedbackRead | None:
        return None if one is None else cls(verdict=one.verdict, actor=one.actor, at=one.at)


class SignalRead(Sent):
    """A hypothesis fired for a unit."""

    signal_id: str
    connection_id: str
    hypothesis_id: str
    hypothesis_version: int
    goal: str = Field(description="What the hypothesis predicts: converts, expands, churns, returns, custom.")
    unit: UnitRead
    occurrence: int
    fired_at: datetime
    detected_at: datetime
    confidence: float | None = Field(description="The precision promised at approval; null where it could not be told.")
    events: list[EventReceipt]
    owner_id: str | None = Field(description="The member or key that has claimed it.")
    taken_back_at: datetime | None = Field(description="Since when it counts as a mistake.")
    revised_at: datetime | None = Field(description="Since when later evidence would have prevented it.")
    merged_into: str | None = Field(description="The signal that counts, of two about people who turned out to be one.")
    signal_type: SignalType = Field(description="What sales calls it.")
    held_because: HeldBecause | None = Field(description="Why it was written down and not sent; null where it went along its routes.")
    assigned_id: str | None = Field(description="The member whose turn it was.")
    assigned_at: datetime | None
    passed_over: dict[str, str] | None = Field(description="Id of a route → why it did not go along: `filter`, or what of the route's cooldown.")
    feedback: FeedbackRead | None

    @classmethod
    def of(cls, one: Signal, given: GivenFeedback | None) -> SignalRead:
        kept = one.model_dump(exclude={"id", "workspace_id", "type", "unit_kind", "unit_id", "receipts"})
        events = [EventReceipt(name=receipt.event, id=receipt.event_id, at=receipt.at) for receipt in one.receipts]
        unit = UnitRead(kind=one.unit_kind, id=one.unit_id)
        return cls(signal_id=one.id, goal=one.type, unit=unit, events=events, feedback=FeedbackRead.of(given), **kept)


class SignalPage(Listing):
    data: list[SignalRead]


class SignalTakenBack(SignalRead):
    """A signal that has just been taken back; `stopped` of its deliveries had not left, and will not."""

    stopped: int


class SignalFeed(Listing):
    """Signals in the order of their detection. `next_cursor` is worth keeping: it leads to what comes later; null while there is nothing."""

    data: list[SignalRead]


class RouteRead(Sent):
    """Where signals go. `address` is scheme, host and port; the whole URL and the secret are never sent."""

    route_id: str
    name: str
    kind: RouteKind
    address: str
    enabled: bool
    notices: bool = Field(description="Whether it also gets every change of a hypothesis's status.")
    problem: str | None
    rules: RulesRead
    failing_since: datetime | None = Field(description="Since when nothing has arrived, where the last attempts failed.")
    failures: int = Field(description="Attempts that failed since something arrived.")
    resting_until: datetime | None = Field(description="Until when the receiver has asked to be left alone.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, one: Route) -> RouteRead:
        return cls(**_fields(one))


class NewRouteRead(RouteRead):
    """A route that has just been made, with a webhook's signing secret, which is shown this once."""

    secret: str | None = Field(description="Null for other kinds: their secrets were given, and are never sent.")

    @classmethod
    def with_secret(cls, one: Route, secret: str | None) -> NewRouteRead:
        return cls(**_fields(one), secret=secret)


class RoutePage(Listing):
    data: list[RouteRead]


class RouteTried(Sent):
    """The receiver took a test message."""

    route_id: str
    status_code: int | None = Field(description="What it answered; null where its kind answers with none.")


class DeliveryRead(Sent):
    """One signal, or one change of a hypothesis's status, along one route."""

    delivery_id: str
    signal_id: str | None = Field(description="Null for a change of status.")
    notice_id: str | None = Field(description="The change of status; null for a signal.")
    route_id: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    message_id: str
    created_at: datetime
    delivered_at: datetime | None
    attempts_before: int = Field(description="Attempts of earlier rounds: what a person sends again gets all of them anew.")
    step: int = Field(description="0 for the message itself, 1 for the one that says that nobody has claimed it.")

    @classmethod
    def of(cls, one: Delivery) -> DeliveryRead:
        return cls(delivery_id=one.id, **one.model_dump(exclude={"id"}))


class AttemptRead(Sent):
    """One attempt to deliver."""

    at: datetime
    status: str
    status_code: int | None
    latency_ms: int | None
    response_head: str | None
    error: str | None


class DeliveryDetail(DeliveryRead):
    """A delivery with its attempts, the first first; those older than thirty days are gone."""

    attempts_made: list[AttemptRead]

    @classmethod
    def with_attempts(cls, one: Delivery, made: Sequence[DeliveryAttempt]) -> DeliveryDetail:
        told = [AttemptRead(**attempt.model_dump()) for attempt in made]
        return cls(delivery_id=one.id, attempts_made=told, **one.model_dump(exclude={"id"}))


class DeliveryPage(Listing):
    data: list[DeliveryRead]


class SentAgain(Sent):
    """How many deliveries will be sent again."""

    deliveries: int


# --- everything else -------------------------------------------------------------------------------------------------


def _fields(one: Route) -> Mapping[str, Any]:
    return one.model_dump(exclude={"id", "rules"}) | {"route_id": one.id, "rules": RulesRead.of(one.rules)}


SENT_OF_SIGNALS: tuple[type[BaseModel], ...] = (
    SignalRead, SignalPage, SignalFeed, SignalTakenBack, RouteRead, NewRouteRead, RoutePage, RouteTried, DeliveryRead, DeliveryPage, DeliveryDetail,
    SentAgain,
)  # fmt: skip
"""Every body about them."""

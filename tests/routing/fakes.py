"""What stands in for the world in the tests of this room: an outbox in memory, signals, and a death in the middle of it all."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from beton.errors import Conflict
from beton.routing.channels import CHANNELS, Channel
from beton.routing.deliver import LEASE, Parcel
from beton.routing.destinations import ChannelSettings, WebhookSettings
from beton.routing.messages import Message
from beton.routing.outcomes import Destination
from beton.routing.payloads import body_bytes, signal_payload
from beton.signals import AttemptOutcome, Claim, Delivery, DeliveryStatus, Receipt, Signal

SECRET = "whsec_" + "c2VjcmV0LXRoYXQtaXMtb25seS11c2VkLWluLXRlc3Rz"
START = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
RESULT = {
    "window_days": 90,
    "precision": 0.71,
    "precision_low": 0.68,
    "precision_high": 0.73,
    "recall": 0.42,
    "lift_vs_baseline": 4.3,
    "sample_size": 1284,
    "population": 13150,
}
SENTENCE = "People who invited a teammate within 7 days of signing up convert within 30 days."


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Killed(BaseException):
    """The process is gone: nothing after this line runs."""


def a_signal(number: int = 1, **changes: object) -> Signal:
    fields = {
        "id": f"sig_{number}",
        "workspace_id": "wsp_default",
        "connection_id": "con_1",
        "hypothesis_id": "hyp_1",
        "hypothesis_version": 2,
        "type": "converts",
        "signal_type": "pql",
        "unit_kind": "person",
        "unit_id": f"person-{number}",
        "occurrence": 1,
        "fired_at": START - timedelta(minutes=4),
        "detected_at": START,
        "confidence": 0.71,
        "receipts": (Receipt(event="teammate_invited", at=START - timedelta(minutes=4), event_id=f"e-{number}"),),
    }
    return Signal.model_validate(fields | changes)


def a_destination(url: str, secret: str = SECRET) -> Destination:
    return Destination(url, secret)


def a_message(signal: Signal, message_id: str) -> Message | None:
    """As a route would tell of it; none of an erased unit."""
    if signal.unit_id is None:
        return None
    payload = body_bytes(signal_payload(signal, sentence=SENTENCE, backtest=RESULT))
    return Message(
        message_id=message_id, kind="signal", workspace="Default", title="A signal", sentence=SENTENCE, unit=signal.unit_id, payload=payload
    )


@dataclass
class FakeOutbox:
    """The promises of `Outbox`, kept in a dictionary. `die_before_settling` kills the process that many times between sending and settling."""

    clock: Clock
    destinations: dict[str, ChannelSettings] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    signals: dict[str, Signal] = field(default_factory=dict)
    attempts: list[tuple[str, AttemptOutcome]] = field(default_factory=list)
    disabled: dict[str, str] = field(default_factory=dict)
    resting: dict[str, datetime] = field(default_factory=dict)
    channel: Channel = CHANNELS["webhook"]
    wait: timedelta = timedelta(0)
    die_before_settling: int = 0
    _leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _claims: int = 0

    def add_route(self, route_id: str, url: str, signals: Iterable[Signal]) -> None:
        self.destinations[route_id] = WebhookSettings(url=url, secret=SECRET)
        for signal in signals:
            self.signals[signal.id] = signal
            self.deliveries[f"{route_id}/{signal.id}"] = Delivery(
                id=f"{route_id}/{signal.id}",
                signal_id=signal.id,
                route_id=route_id,
                status=DeliveryStatus.PENDING,
                attempts=0,
                next_attempt_at=self.clock(),
                last_error=None,
                message_id=f"msg_{route_id}_{signal.id}",
                created_at=self.clock(),
                delivered_at=None,
            )

    def of(self, route_id: str) -> list[Delivery]:
        return [one for one in self.deliveries.values() if one.route_id == route_id]

    def due_routes(self) -> list[str]:
        return list(dict.fromkeys(one.route_id for one in self._due()))

    def claim(self, route_id: str, requests: int) -> list[Parcel]:
        parcels, destination = [], self.destinations[route_id]
        for delivery in [one for one in self._due() if one.route_id == route_id][: requests * destination.batch]:
            self._claims += 1
            lease, until = f"lse_{self._claims}", self.clock() + LEASE
            self._leases[delivery.id] = (lease, until)
            signal = self.signals[delivery.signal_id or ""]
            claim = Claim(delivery=delivery, about=signal, lease=lease, leased_until=until)
            parcels.append(Parcel(claim, self.channel, destination, a_message(signal, delivery.message_id), self.wait))
        return parcels

    def settle(self, claim: Claim, outcome: AttemptOutcome) -> None:
        if self.die_before_settling:
            self.die_before_settling -= 1
            raise Killed
        if self._leases.get(claim.delivery.id, ("", self.clock()))[0] != claim.lease:
            raise Conflict("taken over", code="conflict.lease_lost")
        del self._leases[claim.delivery.id]
        self.attempts.append((claim.delivery.id, outcome))
        present = self.deliveries[claim.delivery.id]
        self.deliveries[claim.delivery.id] = present.model_copy(
            update={
                "status": outcome.status,
                "attempts": present.attempts + 1,
                "next_attempt_at": outcome.next_attempt_at,
                "last_error": outcome.error,
                "delivered_at": self.clock() if outcome.status is DeliveryStatus.DELIVERED else None,
            }
        )

    def give_back(self, claim: Claim) -> None:
        del self._leases[claim.delivery.id]

    def disable(self, route_id: str, reason: str) -> None:
        self.disabled[route_id] = reason

    def rest(self, route_id: str, seconds: float) -> None:
        self.resting[route_id] = self.clock() + timedelta(seconds=seconds)

    def _due(self) -> list[Delivery]:
        waiting = (DeliveryStatus.PENDING, DeliveryStatus.FAILED)
        free = (one for one in self.deliveries.values() if self._leases.get(one.id, ("", self.clock()))[1] <= self.clock())
        due = [one for one in free if one.status in waiting and one.next_attempt_at is not None and one.next_attempt_at <= self.clock()]
        due = [one for one in due if self.resting.get(one.route_id, self.clock()) <= self.clock()]
        return sorted((one for one in due if one.route_id not in self.disabled), key=lambda one: (one.next_attempt_at or START, one.id))

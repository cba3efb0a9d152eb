"""A desk at which something happens: an approved hypothesis with signals, routes and deliveries that went well and badly."""

from dataclasses import dataclass
from datetime import timedelta

from beton.lifecycle import Action
from beton.signals import AttemptOutcome, DeliveryStatus, Finding, Receipt, Signal
from beton.store import deliveries, live, questions, routes, signals
from beton.store.records import Connection, Hypothesis, Route
from beton.store.store import Store
from beton.work.deciding import decide
from beton.work.workplace import Workplace
from tests.store.steps import a_webhook

FORMULA = "=HYPERLINK(evil)"


@dataclass
class Desk:
    hypothesis: Hypothesis
    routes: list[Route]
    signals: list[Signal]
    """The first detected first."""
    dead: str
    """The id of the delivery that was given up."""


def fire(store: Store, place: Workplace, connection: Connection, proposed: list[Hypothesis]) -> Desk:
    """Approve the best, then let seven units fire: the first delivered twice, the second given up by one receiver, the others waiting."""
    decide(place, proposed[0].id, Action.APPROVE, actor="ada")
    with store.transaction() as tx:
        made = [
            routes.add(tx, name=name, destination=a_webhook(url=f"https://{host}/canaryPATH", secret="whsec_canaryCANARY"), actor="ada")
            for name, host in (("crm", "crm.example.com"), ("slack", "hooks.example.net"))
        ]
        units = ["grace@hopper.example", FORMULA, "<b>bold</b>@acme.example", *(f"person-{n}@acme.example" for n in range(4))]
        receipts = [
            Receipt(event=name, at=tx.now - timedelta(hours=5 - n), event_id=f"0190-{n}")
            for n, name in enumerate(["user_signed_up"] + ["invited_teammate"] * 4)
        ]
        found = [
            Finding(unit_kind="person", unit_id=unit, fired_at=tx.now - timedelta(minutes=40 - n), confidence=0.31, receipts=tuple(receipts))
            for n, unit in enumerate(units)
        ]
        for one in found:
            signals.record(tx, proposed[0].id, 1, [one])
        live.advance(tx, connection.id, "test", tx.now - timedelta(minutes=2))
        written = sorted(signals.listing(tx).data, key=lambda one: units.index(one.unit_id or ""))
        questions.add_fact(tx, connection.id, "The 12th of May was an outage.", actor="ada")
        dead = ""
        claimed = deliveries.claim(tx, limit=50, lease=timedelta(minutes=1))
        for one in claimed:
            at = [each.id for each in written].index(one.delivery.signal_id or "")
            if at == 0 or (at == 1 and one.delivery.route_id == made[0].id):
                outcome = AttemptOutcome(status=DeliveryStatus.DELIVERED, status_code=204, latency_ms=87, response_head="ok")
            elif at == 1:
                dead = one.delivery.id
                outcome = AttemptOutcome(
                    status=DeliveryStatus.DEAD,
                    status_code=422,
                    latency_ms=140,
                    response_head="<i>no such contact</i>",
                    error="The receiver answered 422.",
                )
            else:
                soon = tx.now + timedelta(minutes=5)
                outcome = AttemptOutcome(
                    status=DeliveryStatus.FAILED, status_code=503, latency_ms=30, error="The receiver answered 503.", next_attempt_at=soon
                )
            deliveries.settle(tx, one.delivery.id, one.lease, outcome)
    return Desk(proposed[0], made, written, dead)

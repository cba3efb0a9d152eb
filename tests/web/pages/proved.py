"""A desk months later: signals have matured, some were held out, one hypothesis has drifted, and a name broke."""

from datetime import timedelta

from backtest.breakage import Break
from beton.signals import AttemptOutcome, DeliveryStatus, Feedback, Finding
from beton.store import alarms, deliveries, following, holdouts, hypotheses, outcomes, signals
from beton.store.alarms import DriftAlarm
from beton.store.store import Store
from tests.conftest import Clock
from tests.web.pages.live import Desk

HORIZON = timedelta(days=14)


def prove(store: Store, clock: Clock, desk: Desk, units: int = 160) -> DriftAlarm:
    """A fifth of new units is held out; every fourth converts; the last ones are young."""
    one = desk.hypothesis
    with store.transaction() as tx:
        holdouts.choose(tx, one.id, 0.2, actor="ada")
        start = tx.now
    for week in range(8):
        clock.advance(timedelta(days=7))
        with store.transaction() as tx:
            found = [
                Finding(unit_kind="person", unit_id=f"w{week}-{n}@acme.example", fired_at=tx.now - timedelta(hours=n), confidence=0.31)
                for n in range(units // 8)
            ]
            made = signals.record(tx, one.id, 1, found)
            for number, signal in enumerate(made):
                if number % 9 == 0:
                    following.say(tx, signal.id, Feedback.NOT_A_FIT if number % 2 else Feedback.WORKED, actor="ada")
            for claim in deliveries.claim(tx, limit=200, lease=timedelta(minutes=1)):
                done = AttemptOutcome(status=DeliveryStatus.DELIVERED, status_code=204, latency_ms=40)
                deliveries.settle(tx, claim.delivery.id, claim.lease, done)
    with store.transaction() as tx:
        version = (one.id, 1)
        outcomes.expect(tx, version, HORIZON)
        every = outcomes.waiting(tx, one.connection_id, tx.now, most=5000)
        came = {
            each.id: each.fired_at + timedelta(days=3) if number % 4 == 0 and each.fired_at > start else None for number, each in enumerate(every)
        }
        outcomes.learn(tx, {one: at if at is not None and at < tx.now else None for one, at in came.items()}, tx.now)
        outcomes.judge(tx, version, tx.now)
        row = hypotheses.get(tx, one.id)
        alarms.note_breaks(tx, row, [Break("event_silent", "invited_teammate", instead="teammate_invited")])
        return alarms.raise_alarm(tx, row, "ask", basis="holdout", floor=0.27, fires=60, hits=4, log_e=5.1, last_fired_at=tx.now - timedelta(days=20))

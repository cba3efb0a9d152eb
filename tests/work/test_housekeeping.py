"""What may be kept no longer goes; the rest stays."""

from datetime import timedelta
from pathlib import Path

import pytest

from beton.lifecycle import Action
from beton.settings import Settings
from beton.signals import AttemptOutcome, DeliveryStatus
from beton.store import connections, deliveries, live, routes, signals, taxonomies
from beton.store.columns import microseconds
from beton.store.records import Connection, Hypothesis, LiveFired, LiveMatch
from beton.store.sealing import Sealer
from beton.store.store import Store
from beton.store.tables import RequestLedgerRow
from beton.work.housekeeping import tidy
from beton.work.sweeping import scopes_of
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.store.steps import a_webhook, approved, decide, finding

NOTHING = {
    "delivery_attempts": 0, "sampled_values": 0, "requests": 0, "live_state": 0, "sessions": 0, "kept_answers": 0,
    "snoozes": 0, "send_limits": 0,
    "inbound_bodies": 0, "inbound_events": 0, "audit_entries": 0, "resealed": 0,
}  # fmt: skip


@pytest.fixture
def place(store: Store, tmp_path: Path, clock: Clock) -> Workplace:
    return Workplace(Settings(data_dir=tmp_path), store, clock)


@pytest.fixture
def connection(store: Store) -> Connection:
    with store.transaction() as tx:
        return connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")


def attempt(store: Store) -> str:
    """One failed attempt at the one delivery there is; its id."""
    with store.transaction() as tx:
        (claim,) = deliveries.claim(tx, limit=1, lease=timedelta(minutes=1))
        failed = AttemptOutcome(status=DeliveryStatus.FAILED, response_head="no", next_attempt_at=tx.now)
        deliveries.settle(tx, claim.delivery.id, claim.lease, failed)
    return claim.delivery.id


def remember(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    with store.transaction() as tx:
        for scope in scopes_of(hypothesis):
            live.remember(tx, hypothesis.connection_id, scope, "person", [LiveMatch("a", "p1", microseconds(clock.now))])
            live.advance(tx, hypothesis.connection_id, scope, clock.now)
        live.mark_fired(tx, hypothesis, "person", [LiveFired("p2", microseconds(clock.now))])


def test_nothing_goes_before_its_time(place: Workplace, store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    remember(store, hypothesis, clock)
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, {}, {"plan": ["free"]})
    assert tidy(place) == NOTHING
    decide(store, hypothesis, Action.PAUSE)
    clock.advance(timedelta(days=29))
    assert tidy(place) == NOTHING


def test_attempts_go_after_thirty_days_and_the_delivery_keeps_their_number(
    place: Workplace, store: Store, connection: Connection, clock: Clock
) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        routes.add(tx, name="crm", destination=a_webhook(url="https://x.example/1", secret="whsec_x"), actor="ada")
        signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
    attempt(store)
    clock.advance(timedelta(days=20))
    delivery_id = attempt(store)
    clock.advance(timedelta(days=20))
    assert tidy(place) == NOTHING | {"delivery_attempts": 1}
    with store.reading() as tx:
        assert len(deliveries.attempts(tx, delivery_id)) == 1
        assert deliveries.get(tx, delivery_id).attempts == 2


def test_sampled_values_go_after_thirty_days_and_requests_after_one(place: Workplace, store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, {}, {"plan": ["free"]})
        tx.session.add(RequestLedgerRow(workspace_id=tx.workspace_id, connection_id=connection.id, surface="query", at=tx.now, requests=1, read=1))
    clock.advance(timedelta(days=30))
    assert tidy(place) == NOTHING | {"sampled_values": 1, "requests": 1}


def test_the_live_state_goes_with_the_life_of_its_hypothesis(place: Workplace, store: Store, connection: Connection, clock: Clock) -> None:
    ended, living = approved(store, connection, "f1"), approved(store, connection, "f2")
    for hypothesis in (ended, living):
        remember(store, hypothesis, clock)
    decide(store, ended, Action.RETIRE)
    assert tidy(place) == NOTHING | {"live_state": 3}
    with store.reading() as tx:
        assert [live.read_until(tx, connection.id, scope) for scope in scopes_of(ended)] == [None, None]
        assert [len(live.matches(tx, connection.id, scope)) for scope in scopes_of(living)] == [1, 1]
        assert set(live.fired(tx, living.id, 1)) == {"p2"}


def test_a_former_sealing_key_is_not_needed_the_day_after(place: Workplace, store: Store, connection: Connection, clock: Clock) -> None:
    old, new = bytes(range(32)), bytes(range(32, 64))
    both = Workplace(place.settings, Store(store.engine, Sealer({"k2": new, "k1": old}), clock), clock)
    assert tidy(both)["resealed"] == 2  # the connection's key, and the workspace's
    with Store(store.engine, Sealer({"k2": new}), clock).reading() as tx:
        assert connections.api_key(tx, "shop") == "phx_x"

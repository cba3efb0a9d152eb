import threading
from datetime import timedelta

import pytest

from beton.errors import Conflict
from beton.lifecycle import Action
from beton.signals import DeliveryStatus, Signal
from beton.store import deliveries, hypotheses, live, routes, signals
from beton.store.records import Connection, Route
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import a_webhook, approved, decide, finding, proposed


def test_a_fire_becomes_one_signal_with_one_delivery_per_route(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        (signal,) = signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
        assert signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)]) == []
    with store.reading() as tx:
        assert signals.get(tx, signal.id) == signal
        (delivery,) = deliveries.listing(tx, signal_id=signal.id).data
        assert (delivery.route_id, delivery.status, delivery.attempts) == (route.id, DeliveryStatus.PENDING, 0)
        assert hypotheses.get(tx, hypothesis.id).fired_count == 1
        assert set(live.fired(tx, hypothesis.id, 1)) == {"p1"}
    assert (signal.type, signal.unit_id, signal.receipts[0].event) == ("converts", "p1", "invited")


def test_a_unit_fires_again_only_as_another_occurrence(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
        again = signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now, occurrence=1), finding("p1", clock.now, occurrence=2)])
    assert [signal.occurrence for signal in again] == [2]


def test_only_an_approved_version_sends(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = proposed(store, connection)
    with pytest.raises(Conflict) as refused, store.transaction() as tx:
        signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
    assert refused.value.code == "conflict.not_live"
    live_one = decide(store, hypothesis, Action.APPROVE, clears=True)
    with pytest.raises(Conflict), store.transaction() as tx:
        signals.record(tx, live_one.id, 2, [finding("p1", clock.now)])


def test_sweeps_that_run_at_once_write_every_fire_once(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    findings = [finding(f"p{number}", clock.now) for number in range(40)]
    written: list[Signal] = []
    together = threading.Barrier(4)

    def sweep() -> None:
        together.wait()
        with store.transaction() as tx:
            written.extend(signals.record(tx, hypothesis.id, 1, findings))

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(signal.unit_id or "" for signal in written) == sorted(found.unit_id for found in findings)
    with store.reading() as tx:
        assert len(deliveries.listing(tx, limit=500).data) == 40
        assert hypotheses.get(tx, hypothesis.id).fired_count == 40


def test_a_tick_that_fails_leaves_nothing(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)

    def tick() -> None:
        with store.transaction() as tx:
            signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
            live.advance(tx, connection.id, "hyp_1 v1", clock.now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tick()
    with store.reading() as tx:
        assert signals.listing(tx).data == ()
        assert deliveries.listing(tx).data == ()
        assert live.read_until(tx, connection.id, "hyp_1 v1") is None


def test_a_message_id_is_made_of_the_content(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        for name in ("crm", "chat"):
            routes.add(tx, name=name, destination=a_webhook(url="https://x.example/1", secret="whsec_x"), actor="ada")
        signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now), finding("p2", clock.now)])
        ids = {delivery.message_id for delivery in deliveries.listing(tx).data}
    assert len(ids) == 4
    with store.reading() as tx:
        unit = tx.unit_key(connection.id, "person", "p1")
        value = {"hypothesis_id": hypothesis.id, "hypothesis_version": 1, "unit_key": unit, "occurrence": 1}
        assert signals.message_id("f1", value, routes.get(tx, "crm").id) in ids


def test_a_switched_off_route_gets_no_new_delivery(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        routes.switch(tx, route.id, enabled=False, actor="ada")
        signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
        assert deliveries.listing(tx).data == ()


def test_signals_are_listed_by_hypothesis_connection_time_and_unit(store: Store, connection: Connection, clock: Clock) -> None:
    one, two = approved(store, connection, "f1"), approved(store, connection, "f2")
    with store.transaction() as tx:
        signals.record(tx, one.id, 1, [finding("p1", clock.now)])
    clock.advance(timedelta(hours=1))
    with store.transaction() as tx:
        signals.record(tx, two.id, 1, [finding("p1", clock.now), finding("p2", clock.now)])
        assert len(signals.listing(tx, hypothesis_id=two.id).data) == 2
        assert len(signals.listing(tx, connection_id=connection.id).data) == 3
        assert len(signals.listing(tx, since=clock.now).data) == 2
        assert [signal.hypothesis_id for signal in signals.of_unit(tx, connection.id, "person", "p1")] == [one.id, two.id]

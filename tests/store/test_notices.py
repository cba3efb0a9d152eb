"""A change of status is told to the routes that ask for it, in the transaction that makes it, and to nobody else."""

from datetime import timedelta

import pytest

from beton.errors import BadInput, StaleVersion
from beton.lifecycle import Action
from beton.signals import AttemptOutcome, DeliveryStatus, Notice
from beton.store import connections, deliveries, hypotheses, notices, routes, signals, workspaces
from beton.store.records import Connection, Route
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import a_webhook, decide, finding, new_hypothesis, proposed

LEASE = timedelta(minutes=1)
TO = a_webhook(url="https://hooks.example.com/a", secret="a-secret-of-its-own")


@pytest.fixture
def told(store: Store) -> Route:
    with store.transaction() as tx:
        return routes.add(tx, name="told", destination=TO, actor="ada", notices=True)


def due(store: Store) -> list[Notice]:
    with store.transaction() as tx:
        about = [one.about for one in deliveries.claim(tx, limit=100, lease=LEASE)]
    return sorted((one for one in about if isinstance(one, Notice)), key=lambda one: one.row_version)


def test_every_step_is_told_once_with_what_it_was_and_became(store: Store, connection: Connection, told: Route):
    one = proposed(store, connection)
    assert due(store) == []
    live = decide(store, one, Action.APPROVE, override_reason="we know them")
    retired = decide(store, decide(store, live, Action.PAUSE), Action.RETIRE)
    found = due(store)
    assert [(each.was, each.became, each.action) for each in found] == [
        ("proposed", "approved", "approve"),
        ("approved", "paused", "pause"),
        ("paused", "retired", "retire"),
    ]
    first = found[0]
    assert (first.hypothesis_id, first.hypothesis_version, first.sentence) == (one.id, 1, one.sentence)
    assert (first.actor, first.reason) == ("ada", "we know them")
    assert found[-1].row_version == retired.row_version


def test_routes_that_did_not_ask_or_are_switched_off_are_not_told(store: Store, connection: Connection, route: Route, told: Route):
    with store.transaction() as tx:
        off = routes.add(tx, name="off", destination=TO, actor="ada", notices=True)
        routes.switch(tx, off.id, enabled=False, actor="ada")
    decide(store, proposed(store, connection), Action.APPROVE, clears=True)
    with store.reading() as tx:
        assert [one.route_id for one in deliveries.listing(tx).data] == [told.id]
    with store.transaction() as tx:
        routes.subscribe(tx, told.id, notices=False, actor="ada")
    decide(store, proposed(store, connection, "f2"), Action.APPROVE, clears=True)
    with store.reading() as tx:
        assert len(deliveries.listing(tx).data) == 1


def test_a_step_that_is_rolled_back_is_not_told(store: Store, connection: Connection, told: Route):
    one, two = proposed(store, connection), proposed(store, connection, "f2")

    def both() -> None:
        with store.transaction() as tx:
            hypotheses.decide(tx, one.id, Action.APPROVE, expected_row_version=1, actor="ada", clears=True)
            hypotheses.decide(tx, two.id, Action.REJECT, expected_row_version=1, actor="ada")

    with pytest.raises(BadInput):
        both()
    with pytest.raises(StaleVersion):
        decide(store, one.model_copy(update={"row_version": 7}), Action.APPROVE, clears=True)
    assert due(store) == []


def test_a_revision_is_told_only_where_it_loses_an_approval(store: Store, connection: Connection, told: Route):
    one = proposed(store, connection)

    def revised(fingerprint: str, row_version: int):
        with store.transaction() as tx:
            return hypotheses.revise(
                tx, one.id, definition={}, fingerprint=fingerprint, sentence="Now.", expected_row_version=row_version, actor="ada"
            )

    again = revised("g1", one.row_version)
    assert due(store) == []
    paused = decide(store, decide(store, again, Action.APPROVE, clears=True), Action.PAUSE)
    revised("g2", paused.row_version)
    lost = due(store)[-1]
    assert (lost.was, lost.action, lost.became, lost.hypothesis_version, lost.sentence) == ("paused", "revise", "proposed", 3, "Now.")


def test_a_snooze_that_is_over_is_told_by_itself(store: Store, connection: Connection, told: Route, clock: Clock):
    decide(store, proposed(store, connection), Action.SNOOZE, snoozed_until=clock.now + timedelta(days=1))
    clock.advance(timedelta(days=2))
    with store.transaction() as tx:
        hypotheses.wake_due(tx)
    assert [(one.became, one.actor) for one in due(store)] == [("snoozed", "ada"), ("proposed", "beton")]


def test_a_notice_is_sent_though_its_hypothesis_was_retired_and_sent_again_when_asked(
    store: Store, connection: Connection, told: Route, clock: Clock
):
    live = decide(store, proposed(store, connection), Action.APPROVE, clears=True)
    decide(store, live, Action.RETIRE)
    with store.transaction() as tx:
        claimed = deliveries.claim(tx, limit=1, lease=LEASE)[0]
        deliveries.settle(tx, claimed.delivery.id, claimed.lease, AttemptOutcome(status=DeliveryStatus.DEAD, error="410"))
        assert deliveries.given_up(tx, since=clock.now - LEASE) == 1
        assert deliveries.retry_all(tx, since=clock.now - LEASE, route_id=None, actor="ada") == 1
        again = deliveries.get(tx, claimed.delivery.id)
        assert (again.status, again.message_id, again.signal_id) == (DeliveryStatus.PENDING, claimed.delivery.message_id, None)
        assert notices.get(tx, str(again.notice_id)) == claimed.about


def test_another_workspace_is_never_told(store: Store, connection: Connection, told: Route):
    other = store.of(workspaces.add(store, "Other", actor="ada").id)
    with other.transaction() as tx:
        mine = connections.add(tx, name="theirs", host="https://eu.posthog.com", project_id="2", api_key="phx_x", actor="eve")
        theirs = routes.add(tx, name="theirs", destination=TO, actor="eve", notices=True)
    decide(store, proposed(store, connection), Action.APPROVE, clears=True)
    with other.reading() as tx:
        assert deliveries.listing(tx).data == ()
        assert deliveries.due_routes(tx) == []
    decide(other, proposed(other, mine), Action.APPROVE, clears=True)
    with other.reading() as tx:
        assert [one.route_id for one in deliveries.listing(tx).data] == [theirs.id]
    with store.reading() as tx:
        assert [one.route_id for one in deliveries.listing(tx).data] == [told.id]


def test_notices_go_with_their_connection(store: Store, connection: Connection, told: Route, clock: Clock):
    live = decide(store, proposed(store, connection), Action.APPROVE, clears=True)
    with store.transaction() as tx:
        signals.record(tx, live.id, 1, [finding("p1", clock.now)])
        hypotheses.add(tx, new_hypothesis(connection, "f9"), actor="search")
        connections.remove(tx, connection.id, actor="ada", force=True)
    with store.reading() as tx:
        assert deliveries.listing(tx).data == ()

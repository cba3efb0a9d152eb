from datetime import timedelta

import pytest

from beton.errors import Conflict, NotFound
from beton.store import connections, inbound, inbound_events, workspaces
from beton.store.inbound_records import InboundSource, Looked, Taken
from beton.store.records import Connection
from beton.store.rotation import reseal_all
from beton.store.sealing import Sealer
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import every_text

MAPPING = {"name": "event.event", "distinct_id": "event.distinct_id", "at": "event.timestamp"}
SECRET = "whsec_Y2FuYXJ5Q0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5Q0E="


def add(store: Store, connection: Connection, name: str = "posthog", secret: str | None = None) -> tuple[InboundSource, str]:
    with store.transaction() as tx:
        return inbound.add(tx, name=name, connection_id=connection.id, mapping=MAPPING, secret=secret, actor="ada")


def take(store: Store, source: InboundSource, *uuids: str, body: str = '{"note": "canary@example.com"}') -> int:
    taken = [Taken(store.workspace_id, source.id, source.connection_id, one, store.clock(), body) for one in uuids]
    with store.transaction() as tx:
        return inbound_events.keep(tx, [inbound_events.sealed_row(store.sealer, one) for one in taken])


def test_a_source_is_found_by_its_address_alone(store: Store, connection: Connection):
    source, token = add(store, connection, secret=SECRET)
    found = inbound.listener(store, token)
    assert found is not None
    assert (found.source_id, found.workspace_id, found.secret, found.ends_at) == (source.id, store.workspace_id, SECRET, None)
    assert "canary" not in repr(found)
    for other in (token[:-1], token + "x", source.id, "", token.upper()):
        assert inbound.listener(store, other) is None


def test_an_address_carries_256_bits_and_lies_nowhere(store: Store, connection: Connection):
    _, token = add(store, connection, secret=SECRET)
    assert len(token) >= 43
    assert token not in every_text(store)
    assert SECRET not in every_text(store)


def test_a_rotated_address_is_answered_for_its_grace_and_known_to_be_gone_after_it(store: Store, connection: Connection, clock: Clock):
    source, former = add(store, connection)
    with store.transaction() as tx:
        _, token = inbound.rotate(tx, "posthog", grace=timedelta(hours=1), actor="ada")
        shown = inbound.addresses(tx, source.id)
    old, new = inbound.listener(store, former), inbound.listener(store, token)
    assert old is not None
    assert new is not None
    assert (old.ends_at, new.ends_at) == (clock.now + timedelta(hours=1), None)
    assert {one.shown for one in shown} == {former[:6], token[:6]}
    with store.transaction() as tx:
        inbound.rotate(tx, "posthog", grace=timedelta(days=9), actor="ada")
    again = inbound.listener(store, former)
    assert again is not None
    assert again.ends_at == clock.now + timedelta(hours=1)


def test_two_sources_of_one_name_are_refused(store: Store, connection: Connection):
    add(store, connection)
    with pytest.raises(Conflict):
        add(store, connection)


def test_the_same_event_is_taken_once(store: Store, connection: Connection):
    source, _ = add(store, connection)
    assert take(store, source, "a", "b", "a") == 2
    assert take(store, source, "b", "c") == 1
    other, _ = add(store, connection, "other")
    assert take(store, other, "a") == 1
    with store.reading() as tx:
        assert len(inbound_events.listing(tx, source_id=source.id).data) == 3


def test_an_hour_adds_up_what_it_has_seen(store: Store, connection: Connection, clock: Clock):
    source, _ = add(store, connection)
    with store.transaction() as tx:
        inbound_events.count(tx, source.id, tx.now, arrived=3)
        inbound_events.count(tx, source.id, tx.now, arrived=1, repeated=2, refused=1, refusal="No JSON.")
        inbound_events.count(tx, source.id, tx.now + timedelta(hours=1), refused=1)
        first, second = inbound_events.hours(tx, source.id, since=tx.now - timedelta(hours=2))
    assert (first.hour, first.arrived, first.repeated, first.refused, first.refusal) == (
        clock.now.replace(minute=0, second=0, microsecond=0),
        4,
        2,
        1,
        "No JSON.",
    )
    assert (second.arrived, second.refused, second.refusal) == (0, 1, None)


def test_events_of_a_source_that_is_gone_are_refused(store: Store, connection: Connection):
    source, _ = add(store, connection)
    with store.transaction() as tx:
        inbound.remove(tx, source.id, actor="ada")
    with pytest.raises(inbound_events.SourceGone):
        take(store, source, "a")


def test_events_wait_in_the_order_in_which_they_arrived(store: Store, connection: Connection, clock: Clock):
    source, _ = add(store, connection)
    for number in (3, 1, 2):
        clock.advance(timedelta(milliseconds=1))
        take(store, source, f"e{number}", body=f'{{"n":{number}}}')
    with store.transaction() as tx:
        waiting = inbound_events.waiting(tx, source.id, 2)
        assert [(one.event_uuid, one.body) for one in waiting] == [("e3", '{"n":3}'), ("e1", '{"n":1}')]
        assert inbound_events.any_waiting(tx, source.id)
        assert not inbound_events.any_waiting(tx, "src_other")
        looked = [
            Looked(waiting[0].id, "fired", name="invited", at=tx.now, unit_keys="k1 k2", signal_ids=("sig_1",)),
            Looked(waiting[1].id, "failed", "source.no_name", "No name.", keep_body=False),
        ]
        inbound_events.settle(tx, looked)
    with store.reading() as tx:
        assert [one.event_uuid for one in inbound_events.waiting(tx, source.id, 9)] == ["e2"]
        fired, failed = (inbound_events.get(tx, one.id) for one in waiting)
        assert (fired.status, fired.name, fired.signal_ids, fired.has_body) == ("fired", "invited", ("sig_1",), True)
        assert (failed.status, failed.why_code, failed.has_body) == ("failed", "source.no_name", False)
        assert inbound_events.names(tx, source.id, since=tx.now - timedelta(days=1)) == ["invited"]


def test_a_body_is_sealed_and_gone_after_seven_days(store: Store, connection: Connection, clock: Clock):
    source, _ = add(store, connection)
    take(store, source, "a")
    assert "canary" not in every_text(store).replace("canaryCANARY", "")
    with store.transaction() as tx:
        (one,) = inbound_events.waiting(tx, source.id, 9)
        inbound_events.settle(tx, [Looked(one.id, "mapped", unit_keys="k1")])
    clock.advance(timedelta(days=7, seconds=-1))
    with store.transaction() as tx:
        assert inbound_events.drop_bodies(tx, 7) == 0
        assert inbound_events.body(tx, one.id) == '{"note": "canary@example.com"}'
    clock.advance(timedelta(seconds=2))
    with store.transaction() as tx:
        assert inbound_events.drop_bodies(tx, 7) == 1
        assert inbound_events.body(tx, one.id) is None
        assert inbound_events.drop_old(tx) == 0
    clock.advance(timedelta(days=90))
    with store.transaction() as tx:
        assert inbound_events.drop_old(tx) == 1


def test_whoever_is_erased_leaves_no_body(store: Store, connection: Connection):
    source, _ = add(store, connection)
    take(store, source, "a", "b")
    with store.transaction() as tx:
        one, two = inbound_events.waiting(tx, source.id, 9)
        inbound_events.settle(tx, [Looked(one.id, "mapped", unit_keys="kay ell"), Looked(two.id, "mapped", unit_keys="emm")])
    with store.transaction() as tx:
        assert inbound_events.erase(tx, connection.id, ["ell", "zed"]) == 1
        assert inbound_events.body(tx, one.id) is None
        assert inbound_events.body(tx, two.id) is not None


def test_one_worker_at_a_time_goes_through_a_source(store: Store, connection: Connection, clock: Clock):
    source, _ = add(store, connection)
    until = clock.now + timedelta(minutes=1)
    with store.transaction() as tx:
        assert inbound.take(tx, source.id, "one", until)
        assert inbound.take(tx, source.id, "one", until)
        assert not inbound.take(tx, source.id, "two", until)
    clock.advance(timedelta(minutes=2))
    with store.transaction() as tx:
        assert inbound.take(tx, source.id, "two", clock.now + timedelta(minutes=1))
        inbound.leave(tx, source.id, "one")
        assert not inbound.take(tx, source.id, "one", until)
        inbound.leave(tx, source.id, "two")
        assert inbound.take(tx, source.id, "one", clock.now)


def test_sources_and_events_belong_to_their_workspace(store: Store, connection: Connection):
    source, token = add(store, connection)
    take(store, source, "a")
    other = store.of(workspaces.add(store, "Second", actor="set-up").id)
    with other.transaction() as tx:
        assert inbound.every(tx) == []
        assert inbound_events.listing(tx).data == ()
        assert inbound_events.waiting(tx, source.id, 9) == []
        with pytest.raises(NotFound):
            inbound.rotate(tx, source.id, grace=timedelta(), actor="eve")
    found = inbound.listener(other, token)
    assert found is not None
    assert found.workspace_id == store.workspace_id


def test_a_connection_takes_its_sources_with_it(store: Store, connection: Connection):
    source, token = add(store, connection)
    take(store, source, "a")
    with store.transaction() as tx:
        connections.remove(tx, connection.id, actor="ada")
    assert inbound.listener(store, token) is None


def test_removing_a_source_removes_its_events(store: Store, connection: Connection):
    source, token = add(store, connection)
    take(store, source, "a")
    with store.transaction() as tx:
        inbound.remove(tx, "posthog", actor="ada")
        assert inbound_events.listing(tx).data == ()
    assert inbound.listener(store, token) is None


def test_bodies_go_along_when_the_sealing_key_changes(store: Store, connection: Connection):
    source, token = add(store, connection, secret=SECRET)
    take(store, source, "a")
    fresh = Store(store.engine, Sealer({"k2": bytes(range(1, 33)), "k1": bytes(range(32))}), store.clock)
    assert reseal_all(fresh) >= 3
    only = Store(store.engine, Sealer({"k2": bytes(range(1, 33))}), store.clock)
    found = inbound.listener(only, token)
    assert found is not None
    assert found.secret == SECRET
    with only.reading() as tx:
        assert inbound_events.waiting(tx, source.id, 1)[0].body.startswith("{")

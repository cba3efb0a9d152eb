import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InternalError

from beton.errors import Conflict, NotFound, StoreError
from beton.lifecycle import Action
from beton.roles import Permission
from beton.signals import AttemptOutcome, DeliveryStatus
from beton.store import (
    api_keys,
    audit,
    backtests,
    connections,
    deliveries,
    hypotheses,
    live,
    questions,
    routes,
    runs,
    search_records,
    signals,
    taxonomies,
)
from beton.store.engines import open_engine
from beton.store.erasure import erase_unit
from beton.store.records import Connection, LiveFired, LiveMatch, NewBacktest, Route
from beton.store.rotation import SEALED_COLUMNS, reseal_all
from beton.store.sealing import Sealer
from beton.store.search_records import Confirmation
from beton.store.store import Store
from beton.store.tables import RequestLedgerRow, RequestPlaceRow, Row
from tests.conftest import Clock
from tests.store.steps import approved, finding, proposed


def test_a_connection_is_found_by_name_and_by_id_and_gives_its_key_only_when_asked(store: Store, connection: Connection) -> None:
    with store.reading() as tx:
        assert connections.get(tx, "shop") == connections.get(tx, connection.id) == connection
        assert connections.api_key(tx, "shop") == "phx_canaryCANARYcanary"
        assert "canary" not in repr(connections.every(tx))
        with pytest.raises(NotFound):
            connections.get(tx, "elsewhere")


def test_a_name_is_taken_once(store: Store, connection: Connection) -> None:
    with pytest.raises(Conflict, match="shop"), store.transaction() as tx:
        connections.add(tx, name="shop", host="https://x", project_id="1", api_key="k", actor="ada")


def test_a_check_and_a_new_key_are_written_down(store: Store, connection: Connection) -> None:
    with store.transaction() as tx:
        assert connections.checked(tx, "shop", "working", timezone="Europe/Berlin").timezone == "Europe/Berlin"
        connections.replace_key(tx, "shop", "phx_second", actor="ada")
        changed = connections.configure(tx, "shop", actor="ada", share=0.25)
    assert (changed.status, changed.share) == ("unchecked", 0.25)
    with store.reading() as tx:
        assert connections.api_key(tx, "shop") == "phx_second"
        assert [entry.action for entry in audit.entries(tx)] == ["connection.configure", "connection.replace_key", "connection.add"]


def test_a_route_shows_its_host_and_seals_the_rest(store: Store, route: Route) -> None:
    assert route.address == "https://hooks.example.com"
    with store.transaction() as tx:
        assert routes.destination(tx, "crm").settings["url"].endswith("/T0/canaryPATH")
        assert not routes.switch(tx, "crm", enabled=False, actor="ada").enabled
        with pytest.raises(Conflict):
            routes.add(tx, name="crm", destination=routes.destination(tx, "crm"), actor="ada")


def test_an_operator_s_token_lets_in_until_it_is_revoked(store: Store) -> None:
    with store.transaction() as tx:
        key, token = api_keys.issue(tx, "laptop", [Permission.READ], actor="ada")
    assert api_keys.holder(store, token) == (store.workspace_id, key)
    assert api_keys.holder(store, token + "x") is None
    with store.transaction() as tx:
        api_keys.revoke(tx, key.id, actor="ada")
    assert api_keys.holder(store, token) is None
    with store.reading() as tx:
        assert [known.id for known in api_keys.every(tx)] == [key.id]


def test_sampled_values_are_kept_for_thirty_days(store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, {"events": {"old": 1}})
    clock.advance(timedelta(hours=1))
    with store.transaction() as tx:
        saved = taxonomies.save(tx, connection.id, {"events": {"invited": 12}}, {"plan": ["canaryVALUE"]})
    with store.reading() as tx:
        assert taxonomies.latest(tx, connection.id) == saved
        assert taxonomies.samples(tx, connection.id) == {"plan": ["canaryVALUE"]}
    clock.advance(timedelta(days=30))
    with store.transaction() as tx:
        assert taxonomies.samples(tx, connection.id) is None
        taxonomies.drop_expired_samples(tx)
        assert taxonomies.latest(tx, connection.id) == saved


def test_after_rotation_the_former_key_is_not_needed(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, {}, {"plan": ["free"]})
        key_before = tx.unit_key(connection.id, "person", "p1")
        signals.record(tx, hypothesis.id, 1, [finding(f"p{number}", clock.now) for number in range(5)])
    old, new = bytes(range(32)), bytes(range(32, 64))
    both = Store(store.engine, Sealer({"k2": new, "k1": old}), clock)
    assert reseal_all(both, at_once=2) == 9
    assert reseal_all(both) == 0
    alone = Store(store.engine, Sealer({"k2": new}), clock)
    with alone.reading() as tx:
        assert connections.api_key(tx, "shop") == "phx_canaryCANARYcanary"
        assert tx.unit_key(connection.id, "person", "p1") == key_before
        assert [signal.unit_id for signal in signals.of_unit(tx, connection.id, "person", "p3")] == ["p3"]
    with pytest.raises(StoreError), store.reading() as tx:
        connections.api_key(tx, "shop")


def test_a_connection_with_hypotheses_is_removed_only_by_force_and_then_without_trace_but_in_the_audit_log(
    store: Store, connection: Connection, route: Route, clock: Clock
) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, {})
        run = runs.queue(tx, "backtest", connection_id=connection.id)
        runs.save_bucket(tx, run.id, 0, {})
        told = {"hypothesis_id": hypothesis.id, "hypothesis_version": 1, "run_id": run.id, "fingerprint": "f1", "result": {}, "clears": None}
        questions.confirm(tx, connection.id, {}, window_days=90, actor="ada")
        questions.add_fact(tx, connection.id, "It rains.", actor="ada")
        search_records.keep(tx, run.id, connection.id, {})
        search_records.spend(tx, run.id, calls=1, tokens=2, money=0.1)
        look: dict[str, Any] = {
            "run_id": run.id,
            "fingerprint": "f1",
            "connection_id": connection.id,
            "hypothesis_id": hypothesis.id,
            "hypothesis_version": 1,
        }
        search_records.log_confirmations(tx, [Confirmation(confirmed_from=tx.now, confirmed_until=tx.now, **look)])
        (result,) = backtests.record(tx, [NewBacktest(as_of=tx.now, window_days=90, **told)])
        hypotheses.decide(tx, hypothesis.id, Action.PAUSE, expected_row_version=2, actor="ada")
        hypotheses.decide(tx, hypothesis.id, Action.RETIRE, expected_row_version=3, actor="ada")
        hypotheses.decide(tx, hypothesis.id, Action.REOPEN, expected_row_version=4, actor="ada")
        hypotheses.decide(tx, hypothesis.id, Action.APPROVE, expected_row_version=5, actor="ada", clears=True, backtest_id=result.id)
        signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
        live.remember(tx, connection.id, "s", "person", [LiveMatch("a", "p1", 1)])
        live.mark_fired(tx, hypothesis, "person", [LiveFired("p2", 1)])
        live.advance(tx, connection.id, "s", clock.now)
        erase_unit(tx, connection.id, "person", "p9", actor="ada")
        (claim,) = deliveries.claim(tx, limit=1, lease=timedelta(minutes=1))
        deliveries.settle(tx, claim.delivery.id, claim.lease, AttemptOutcome(status=DeliveryStatus.DELIVERED, status_code=200))
        tx.session.add(RequestLedgerRow(workspace_id=tx.workspace_id, connection_id=connection.id, surface="query", at=tx.now, requests=1, read=1))
        tx.session.add(RequestPlaceRow(workspace_id=tx.workspace_id, connection_id=connection.id, surface="query", holder="h", until=tx.now))
    with pytest.raises(Conflict, match="1 hypotheses"), store.transaction() as tx:
        connections.remove(tx, "shop", actor="ada")
    with store.transaction() as tx:
        connections.remove(tx, "shop", actor="ada", force=True)
    with store.reading() as tx:
        left = {name for name, table in Row.metadata.tables.items() if tx.session.execute(sa.select(sa.func.count()).select_from(table)).scalar()}
        newest = audit.entries(tx, object_id=connection.id)[0]
    assert left == {"workspace", "route", "audit_entry"}
    assert (newest.action, newest.before) == ("connection.remove", {"name": "shop", "host": "https://eu.posthog.com", "project_id": "17"})
    assert newest.after is not None
    assert newest.after["signal"] == newest.after["delivery_attempt"] == 1


def test_a_connection_without_hypotheses_is_removed_and_its_name_is_free(store: Store, connection: Connection) -> None:
    other = connect(store, "other")
    kept = proposed(store, other)
    with store.transaction() as tx:
        connections.remove(tx, "shop", actor="ada")
    with store.reading() as tx:
        assert connections.every(tx) == [other]
        assert hypotheses.get(tx, kept.id) == kept
    assert connect(store, "shop").id != connection.id


def connect(store: Store, name: str) -> Connection:
    with store.transaction() as tx:
        return connections.add(tx, name=name, host="https://x", project_id="1", api_key="k", actor="ada")


def test_rotation_knows_every_sealed_column() -> None:
    sealed = {(name, column.name) for name, table in Row.metadata.tables.items() for column in table.columns if column.name.endswith("_sealed")}
    assert sealed == {(row_type.__tablename__, column) for row_type, column in SEALED_COLUMNS.items()}


def test_a_new_database_may_be_opened_by_several_at_once(database_url: str, clock: Clock) -> None:
    stores = [Store(open_engine(database_url), Sealer({"k1": bytes(range(32))}), clock) for _ in range(4)]
    keys: set[str] = set()

    def first_use(opened: Store) -> None:
        with opened.reading() as tx:
            keys.add(tx.unit_key("con_1", "person", "p1"))

    threads = [threading.Thread(target=first_use, args=(opened,)) for opened in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 1
    for opened in stores:
        opened.close()


def test_postgresql_refuses_writes_in_a_reading_transaction(postgres_url: str, clock: Clock) -> None:
    opened = Store(open_engine(postgres_url), Sealer({"k1": bytes(range(32))}), clock)
    with pytest.raises(InternalError, match="read-only"), opened.reading() as tx:
        api_keys.issue(tx, "laptop", [Permission.READ], actor="ada")
    opened.close()

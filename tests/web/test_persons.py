"""Erasing a person leaves no byte of them, and who asks gets all that is known: over HTTP, on both databases, in files, logs and backups."""

import gzip
import json
import logging
from collections.abc import Generator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from litestar.testing import TestClient
from psycopg.sql import SQL, Identifier

from beton.app import create_app
from beton.logs import JsonLines
from beton.roles import Permission
from beton.settings import Settings
from beton.signals import AttemptOutcome, DeliveryStatus, Finding, Receipt
from beton.store import api_keys, connections, deliveries, fires, holdouts, inbound, inbound_events, live, reach, routes, runs, signals
from beton.store.backup import write_backup
from beton.store.columns import microseconds
from beton.store.engines import open_engine
from beton.store.erasure import DEVICE
from beton.store.inbound_records import Looked, Taken
from beton.store.proof_tables import HoldoutUnitRow
from beton.store.records import BacktestFire, Connection, LiveFired, LiveMatch
from beton.store.sealing import Sealer
from beton.store.store import Store
from beton.web.observed import Observed
from beton.work.sweeping import scopes_of
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.store.steps import a_webhook, approved
from tests.web.conftest import URL, FakeJobs

WHO = "kanarienvogel-4711"
OTHER = "spatz-0815"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def store(url: str, clock: Clock) -> Generator[Store]:
    opened = Store(open_engine(url), Sealer({"k1": bytes(range(32))}), clock)
    yield opened
    opened.close()


@pytest.fixture
def connection(store: Store, clock: Clock) -> Connection:
    """Everything that Beton may write down of somebody, of two persons."""
    with store.transaction() as tx:
        made = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")
        routes.add(tx, name="crm", destination=a_webhook("https://hooks.example.com/", "whsec_canaryCANARY"), actor="ada")
        source, _ = inbound.add(tx, name="posthog", connection_id=made.id, mapping={}, secret=None, actor="ada")
    hypothesis = approved(store, made)
    with store.transaction() as tx:
        holdouts.choose(tx, hypothesis.id, 1e-9, actor="ada")  # both are drawn, and sent
    at = clock.now
    for who, account in ((WHO, "acme"), (OTHER, "globex")):
        with store.transaction() as tx:
            receipt = Receipt(event="invited", at=at, event_id=f"event-of-{who}")
            finding = Finding(unit_kind="person", unit_id=who, fired_at=at, occurrence=1, confidence=0.4, receipts=(receipt,))
            signals.record(tx, hypothesis.id, hypothesis.version, [finding])
            (claim,) = deliveries.claim(tx, limit=1, lease=timedelta(minutes=1))
            failed = AttemptOutcome(status=DeliveryStatus.FAILED, response_head=f"no {who}", error=f"refused {who}", next_attempt_at=at)
            deliveries.settle(tx, claim.delivery.id, claim.lease, failed)
            scope, _ = scopes_of(hypothesis)
            live.remember(tx, made.id, scope, "person", [LiveMatch("a", who, microseconds(at))])
            live.remember(tx, made.id, scope, "account", [LiveMatch("b", account, microseconds(at), who)])
            live.mark_fired(tx, hypothesis, "person", [LiveFired(f"{who}", microseconds(at), 2)])
            run = runs.queue(tx, "backtest", connection_id=made.id)
            fires.keep(tx, made.id, run.id, hypothesis.id, [BacktestFire(unit_kind="person", unit_id=who, fired_at=at, outcome_at=None)])
            reach.suppress(tx, "internal", [reach.Entry("id", who)], actor="ada")
            said = json.dumps({"distinct_id": who, "email": f"{who}@example.com"})
            taken = Taken(store.workspace_id, source.id, made.id, f"uuid-of-{account}", at, said)
            inbound_events.keep(tx, [inbound_events.sealed_row(store.sealer, taken)])
            keys = " ".join(tx.unit_key(made.id, kind, who) for kind in ("person", DEVICE))
            row_id = inbound_events.event_id(source.id, taken.event_uuid)
            inbound_events.settle(tx, [Looked(row_id, "fired", name="invited", at=at, unit_keys=keys)])
    return made


@pytest.fixture
def log() -> Generator[StringIO]:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.addHandler(handler)
    former = logging.getLogger("beton").level
    logging.getLogger("beton").setLevel(logging.DEBUG)
    yield stream
    logging.getLogger("beton").setLevel(former)
    root.removeHandler(handler)


@pytest.fixture
def admin(store: Store, connection: Connection, clock: Clock, tmp_path: Path, log: StringIO) -> Generator[TestClient]:
    place = Workplace(Settings(data_dir=tmp_path), store, clock)
    with store.transaction() as tx:
        _, token = api_keys.issue(tx, "Ada", list(Permission), actor="set-up")
    with TestClient(Observed(create_app(place, jobs=FakeJobs(place))), base_url=URL, raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def everywhere(store: Store, url: str, log: StringIO, folder: Path, clock: Clock) -> dict[str, bytes]:
    """All bytes that there are: of the database (PostgreSQL's as it tells them), its log, a backup, and what the process said."""
    saved = folder / f"{clock.now:%H%M%S%f}.backup"
    write_backup(store.engine, saved, clock.now)
    found = {"backup": gzip.decompress(saved.read_bytes()), "log": log.getvalue().encode()}
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        return found | {one.name: one.read_bytes() for one in file.parent.iterdir()}
    with psycopg.connect(url, autocommit=True) as raw:
        tables = [name for (name,) in raw.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return found | {name: repr(raw.execute(SQL("SELECT * FROM {}").format(Identifier(name))).fetchall()).encode() for name in tables}


def holding(found: dict[str, bytes], who: str) -> set[str]:
    return {name for name, content in found.items() if who.encode() in content}


def ask(admin: TestClient, what: str, who: str, **more: Any) -> Any:
    answer = admin.post(f"/api/v1/persons/{what}", json={"unit_id": who, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_erasing_a_person_leaves_no_byte_of_them(admin: TestClient, store: Store, url: str, log: StringIO, tmp_path: Path, clock: Clock) -> None:
    before = everywhere(store, url, log, tmp_path, clock)
    assert holding(before, WHO) - {"log"}, "there is something to erase"
    clock.advance(timedelta(seconds=1))
    (told,) = ask(admin, "erase", WHO)["data"]
    assert {name: number for name, number in told["removed"].items() if number} == {
        "signals": 1, "live_matches": 2, "live_fired": 2, "inbound_bodies": 1,
    }  # fmt: skip
    after = everywhere(store, url, log, tmp_path, clock)
    assert holding(after, WHO) == set()
    assert "backup" in holding(after, OTHER), "and the other one is still there"


def test_who_was_erased_is_not_written_down_again(admin: TestClient, store: Store, connection: Connection, clock: Clock) -> None:
    ask(admin, "erase", WHO)
    hypothesis = approved(store, connection, "f2")
    with store.transaction() as tx:
        found = [Finding(unit_kind="person", unit_id=who, fired_at=clock.now, occurrence=1, confidence=0.4, receipts=()) for who in (WHO, OTHER)]
        assert [one.unit_id for one in signals.record(tx, hypothesis.id, hypothesis.version, found)] == [OTHER]


def test_who_asks_gets_all_that_is_known_of_one_person(admin: TestClient, connection: Connection) -> None:
    found = ask(admin, "export", WHO, connection="shop")
    about = found["connections"]["shop"]
    assert {name: len(rows) for name, rows in about.items() if rows} == {
        "signals": 1, "fires_of_backtests": 1, "live_matches": 2, "live_fired": 2, "received_events": 1, "lists": 1,
    }  # fmt: skip
    (signal,) = about["signals"]
    assert signal["unit_id"] == WHO
    assert signal["receipts"][0]["event_id"] == f"event-of-{WHO}"
    assert signal["deliveries"][0]["tried"][0]["response_head"] == f"no {WHO}"
    assert OTHER not in json.dumps(found)
    ask(admin, "erase", WHO)
    (received,) = about["received_events"]
    assert WHO in json.dumps(received)
    left = ask(admin, "export", WHO)["connections"]["shop"]
    assert {name for name, rows in left.items() if rows} == {"erased"}
    assert connection.id


def test_the_draw_of_a_holdout_leads_to_nobody_any_more(admin: TestClient, store: Store, connection: Connection) -> None:
    def drawn() -> dict[str, bool]:
        with store.reading() as tx:
            return {row.drawn_key: row.held for row in tx.session.execute(sa.select(HoldoutUnitRow)).scalars()}

    with store.reading() as tx:
        who, other = (tx.unit_key(connection.id, "person", one) for one in (WHO, OTHER))
    before = drawn()
    assert before.keys() == {who, other}
    ask(admin, "erase", WHO)
    after = drawn()
    assert who not in after
    assert sorted(after.values()) == sorted(before.values()), "the arms are as large as before"
    assert after[other] == before[other]


def test_the_audit_log_says_what_was_done_and_not_to_whom(admin: TestClient) -> None:
    ask(admin, "export", WHO)
    ask(admin, "erase", WHO)
    entries = admin.get("/api/v1/audit").json()["data"]
    assert [one["action"] for one in entries[:2]] == ["unit.erase", "unit.export"]
    assert all(one["actor"].startswith("Ada") for one in entries[:2])
    assert WHO not in json.dumps(entries)


def test_it_takes_an_admin(admin: TestClient, store: Store) -> None:
    with store.transaction() as tx:
        _, token = api_keys.issue(tx, "Eve", [one for one in Permission if one is not Permission.MANAGE_SETTINGS], actor="set-up")
    for what in ("erase", "export"):
        answer = admin.post(f"/api/v1/persons/{what}", json={"unit_id": WHO}, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403

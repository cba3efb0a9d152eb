"""Sources and the event log over the API."""

import json
import logging
from datetime import timedelta

import pytest
from litestar.testing import TestClient

from beton.roles import Permission, Role
from beton.store import inbound, inbound_events
from beton.store.audit import entries
from beton.store.inbound_records import Looked, Taken
from beton.store.records import Connection
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import every_text
from tests.web.access.people import member, program
from tests.web.contract import Contract

BODY = {
    "event": {"uuid": "0190a0e0-0000-7000-8000-000000000001", "event": "invited", "distinct_id": "canary@example.com",
              "properties": {"note": "kanarienvogel"}, "timestamp": "2026-03-02T09:00:00Z"},
}  # fmt: skip


def came(store: Store, name: str = "posthog", body: object = BODY, uuid: str = "e1") -> str:
    """One event that came in; its id."""
    with store.transaction() as tx:
        source = inbound.get(tx, name)
        row = inbound_events.sealed_row(store.sealer, Taken(store.workspace_id, source.id, source.connection_id, uuid, tx.now, json.dumps(body)))
        inbound_events.keep(tx, [row])
    return row["id"]


def added(api: Contract, **more: object) -> dict:
    answer = api.post("sources", {"name": "posthog", "connection": "shop"} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_source_shows_its_address_once(api: Contract, store: Store, connection: Connection):
    made = added(api, signed=True)
    token = made["address"].rpartition("/in/")[2]
    assert made["status"] == "testing"
    assert made["secret"].startswith("whsec_")
    listener = inbound.listener(store, token)
    assert listener is not None
    assert (listener.source_id, listener.secret) == (made["source_id"], made["secret"])
    read = api.get("sources/posthog")
    assert read.json()["addresses"][0]["begins"] == token[:6]
    for answer in (read, api.get("sources"), api.get("events")):
        assert token not in answer.text
        assert made["secret"] not in answer.text
    assert token not in every_text(store)
    assert api.post("sources", {"name": "posthog", "connection": "shop"}).status_code == 409
    assert api.post("sources", {"name": "other", "connection": "nowhere"}).status_code == 404
    for wrong in ({"name": "a/b"}, {"mapping": {"name": "a"}}, {"mapping": {"nmae": "a"}}, {"secret": "short"}):
        assert api.post("sources", {"name": "other", "connection": "shop"} | wrong).status_code == 422


def test_try_it_out_map_it_and_only_then_let_it_make_signals(api: Contract, store: Store, connection: Connection):
    added(api)
    assert api.get("sources/posthog/sample").status_code == 404
    assert api.ask("PATCH", "sources/posthog", json={"status": "active"}).json()["code"] == "source.untested"
    came(store, body={"kind": "order", "who": "canary", "when": "2026-03-02T09:00:00Z"})
    sample = api.get("sources/posthog/sample")
    assert sample.json()["problem"]
    assert sample.json()["paths"] == {"kind": "text", "who": "text", "when": "text"}
    assert "canary" not in sample.text
    assert api.ask("PATCH", "sources/posthog", json={"status": "active"}).json()["code"] == "source.unmapped"
    mapped = api.ask("PATCH", "sources/posthog", json={"mapping": {"name": "kind", "distinct_id": "who", "at": "when"}})
    assert (mapped.status_code, mapped.json()["status"]) == (200, "testing")
    assert api.get("sources/posthog/sample").json()["problem"] is None
    assert api.ask("PATCH", "sources/posthog", json={"status": "active"}).json()["status"] == "active"
    assert api.ask("PATCH", "sources/posthog", json={"status": "off"}).json()["status"] == "off"


def test_a_rotated_address_is_answered_for_its_grace(api: Contract, store: Store, connection: Connection, clock: Clock):
    former = added(api)["address"].rpartition("/")[2]
    turned = api.post("sources/posthog/rotate", {"grace_hours": 2}).json()
    listener = inbound.listener(store, former)
    assert listener is not None
    assert listener.ends_at == clock.now + timedelta(hours=2)
    assert inbound.listener(store, turned["address"].rpartition("/")[2]) is not None
    assert [one["ends_at"] is None for one in turned["addresses"]].count(True) == 1
    assert api.post("sources/posthog/rotate", {"grace_hours": 721}).status_code == 422


def test_a_signature_is_asked_for_or_not(api: Contract, store: Store, connection: Connection):
    added(api)
    signed = api.post("sources/posthog/signature", {"signed": True}).json()
    assert signed["signed"]
    assert signed["secret"].startswith("whsec_")
    plain = api.post("sources/posthog/signature", {"signed": False}).json()
    assert (plain["signed"], plain["secret"]) == (False, None)


def test_the_log_tells_what_became_of_each_event_and_hides_what_was_sent(api: Contract, store: Store, connection: Connection):
    made = added(api)
    event_id = came(store)
    with store.transaction() as tx:
        inbound_events.settle(tx, [Looked(event_id, "ignored", "inbound.no_hypothesis", "No live hypothesis looks at it.", "invited", tx.now)])
    (line,) = api.get("events").json()["data"]
    assert (line["event_id"], line["status"], line["why"]) == (event_id, "ignored", "No live hypothesis looks at it.")
    assert api.get("events?source=posthog&status=ignored").json()["data"] == [line]
    assert api.get("events?status=fired").json()["data"] == []
    assert api.get("events?source=nothing").status_code == 404
    one = api.get(f"events/{event_id}")
    assert "kanarienvogel" not in one.text
    assert api.get("sources/posthog").json()["events"] == {"ignored": 1}
    shown = api.post(f"events/{event_id}/reveal")
    assert shown.json()["body"] == BODY
    with store.reading() as tx:
        (audited,) = [one for one in entries(tx, object_id=event_id) if one.action == "event.reveal"]
        assert audited.actor.startswith("Ada")
    assert made["source_id"] == line["source_id"]


def test_a_body_that_is_gone_cannot_be_revealed(api: Contract, store: Store, connection: Connection, clock: Clock):
    added(api)
    event_id = came(store)
    with store.transaction() as tx:
        inbound_events.settle(tx, [Looked(event_id, "ignored")])
    clock.advance(timedelta(days=8))
    with store.transaction() as tx:
        inbound_events.drop_bodies(tx, 7)
    assert api.post(f"events/{event_id}/reveal").json()["code"] == "source.body_gone"
    assert not api.get(f"events/{event_id}").json()["has_body"]


def test_who_may_only_read_neither_changes_a_source_nor_sees_a_body(api: Contract, store: Store, connection: Connection, stranger: TestClient):
    added(api)
    event_id = came(store)
    reader, reviewer = program(stranger, store, Permission.READ), member(stranger, store, Role.REVIEWER)
    for somebody in (reader, reviewer):
        assert somebody.ask("GET", "/api/v1/sources/posthog").status_code == 200
        assert somebody.ask("POST", f"/api/v1/events/{event_id}/reveal").status_code == 403
        assert somebody.ask("PATCH", "/api/v1/sources/posthog", json={"status": "off"}).status_code == 403
        assert somebody.ask("POST", "/api/v1/sources/posthog/rotate", json={}).status_code == 403
        assert somebody.ask("DELETE", "/api/v1/sources/posthog").status_code == 403


def test_a_removed_source_is_gone(api: Contract, store: Store, connection: Connection):
    token = added(api)["address"].rpartition("/")[2]
    came(store)
    assert api.ask("DELETE", "sources/posthog").json()["name"] == "posthog"
    assert api.get("sources").json()["data"] == []
    assert inbound.listener(store, token) is None


def test_nothing_of_a_source_s_secrets_or_bodies_is_logged(api: Contract, store: Store, connection: Connection, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    made = added(api, signed=True)
    event_id = came(store)
    api.post(f"events/{event_id}/reveal")
    for secret in (made["secret"], made["address"].rpartition("/")[2], "kanarienvogel", "canary@example.com"):
        assert secret not in caplog.text

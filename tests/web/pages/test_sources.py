"""Sources on the desk: the address once, the mapping on a real event, the log with its reasons, the body only for who may see it."""

import json
import re

import pytest

from beton.store import inbound, inbound_events
from beton.store.inbound_records import Looked, Taken
from tests.web.pages.browser import THEMES, WIDTHS, Eyes, keep_screenshot, violations
from tests.web.pages.conftest import EVIL, read

BODY = {
    "event": {"uuid": "0190a0e0-0000-7000-8000-000000000001", "event": EVIL, "distinct_id": "canary@example.com",
              "properties": {"note": "kanarienvogel"}, "timestamp": "2026-03-02T09:00:00Z"},
}  # fmt: skip


@pytest.fixture
def source(store, connection):
    with store.transaction() as tx:
        return inbound.add(tx, name="product", connection_id=connection.id, mapping=MAPPING, secret=None, actor="ada")[0]


MAPPING = {"name": "event.event", "distinct_id": "event.distinct_id", "at": "event.timestamp"}


def came(store, source, body=BODY, uuid="e1", **looked) -> str:
    with store.transaction() as tx:
        row = inbound_events.sealed_row(store.sealer, Taken(store.workspace_id, source.id, source.connection_id, uuid, tx.now, json.dumps(body)))
        inbound_events.keep(tx, [row])
        if looked:
            inbound_events.settle(tx, [Looked(row["id"], **looked)])
    return row["id"]


def test_a_source_is_added_and_its_address_shown_once(ada, store, connection):
    assert "No source yet" in read(ada.get("/sources")).text
    answer = ada.post("/sources", {"name": "product", "connection": connection.id, "signed": "yes"})
    token = re.search(r"/in/([A-Za-z0-9_-]{43})<", answer.text)
    assert token
    assert "whsec_" in answer.text
    assert inbound.listener(store, token[1]) is not None
    for path in ("/sources", "/sources/product"):
        assert token[1] not in ada.get(path).text
        assert "whsec_" not in ada.get(path).text
    assert ada.post("/sources", {"name": "product", "connection": connection.id}).status_code == 409
    refused = ada.post("/sources", {"name": "", "connection": connection.id})
    assert (refused.status_code, "A source needs a name." in refused.text) == (422, True)


def test_the_newest_event_is_read_by_the_mapping_and_changed_until_it_fits(ada, store, source):
    came(store, source, {"kind": "order", "who": "canary", "when": "2026-03-02T09:00:00Z"})
    page = ada.get("/sources/product")
    assert "cannot be read" in read(page).text
    assert [one["value"] for one in read(page).all("option") if one.get("value") in ("kind", "who", "when")] == ["kind", "who", "when"]
    assert "canary" not in page.text
    assert ada.post("/sources/product/switch", {"status": "active"}).status_code == 409
    assert ada.post("/sources/product/map", {"name": "kind..", "distinct_id": "who", "at": "when"}).status_code == 422
    assert ada.post("/sources/product/map", {"name": "kind", "distinct_id": "who", "at": "when"}).status_code == 303
    assert "can be read" in read(ada.get("/sources/product")).text
    assert ada.post("/sources/product/switch", {"status": "active"}).status_code == 303
    assert "Active" in read(ada.get("/sources/product")).text
    assert ada.post("/sources/product/switch", {"status": "lively"}).status_code == 422
    assert ada.post("/sources/product/map", {"then": "default"}).status_code == 303
    assert read(ada.get("/sources/product")).all("input", name="name", value="event.event | event.name")


def test_the_log_says_why_and_escapes_what_strangers_call_things(ada, store, source):
    event_id = came(store, source, status="ignored", code="inbound.no_hypothesis", why="No live hypothesis looks at it.", name=EVIL)
    came(store, source, uuid="e2", status="fired", name="paid", signal_ids=("sig_one",))
    for path in ("/sources", "/sources/product", f"/received/{event_id}"):
        page = ada.get(path)
        assert "<script>alert" not in page.text
        assert EVIL in read(page).text
        assert "No live hypothesis looks at it." in read(page).text
    assert read(ada.get("/sources")).all("a", href="/signals/sig_one")
    assert "None is like that." in read(ada.get("/sources?status=failed")).text
    assert "paid" not in read(ada.get("/sources/product?status=ignored")).text


def test_what_was_sent_is_shown_to_who_may_manage_connections_and_asks(ada, viewer, store, source):
    event_id = came(store, source)
    for who in (ada, viewer):
        assert "kanarienvogel" not in who.get(f"/received/{event_id}").text
    assert viewer.post(f"/received/{event_id}/reveal").status_code == 403
    shown = ada.post(f"/received/{event_id}/reveal")
    assert "kanarienvogel" in shown.text
    assert "<script>alert" not in shown.text


def test_who_may_only_look_is_offered_no_change(viewer, store, source):
    came(store, source)
    page = read(viewer.get("/sources/product"))
    assert not [one for one in page.all("form", method="post") if "/sources" in one.get("action", "")]
    for path, told in (("map", {}), ("switch", {"status": "off"}), ("rotate", {}), ("sign", {}), ("remove", {"sure": "yes"})):
        assert viewer.post(f"/sources/product/{path}", told).status_code == 403
    assert viewer.post("/sources", {"name": "x", "connection": source.connection_id}).status_code == 403


def test_address_and_signature_change_and_a_source_is_removed(ada, store, source):
    turned = ada.post("/sources/product/rotate", {"grace_hours": "1"})
    assert re.search(r"/in/[A-Za-z0-9_-]{43}<", turned.text)
    assert "until" in read(turned).text
    assert "whsec_" in ada.post("/sources/product/sign", {"signed": "yes"}).text
    assert ada.post("/sources/product/sign", {"signed": "no"}).status_code == 303
    assert ada.post("/sources/product/remove").status_code == 422
    assert ada.post("/sources/product/remove", {"sure": "yes"}).status_code == 303
    assert ada.get("/sources/product").status_code == 404


def test_a_silence_is_told_where_it_can_be_seen(viewer, store, source):
    with store.transaction() as tx:
        inbound.listened(tx, source.id, "PostHog has seen 40 such events and has sent none.")
    for path in ("/sources", "/sources/product"):
        assert "PostHog has seen 40 such events" in read(viewer.get(path)).text


@pytest.mark.parametrize("theme", THEMES)
def test_the_screens_are_accessible(eyes_on_nothing: Eyes, store, source, theme: str):
    event_id = came(store, source, status="ignored", code="inbound.no_hypothesis", why="No live hypothesis looks at it.", name="invited")
    came(store, source, uuid="e2", status="failed", code="source.no_name", why="Where the name of the event should stand is no text.")
    screens = {"sources": "/sources", "source": "/sources/product?done=mapped", "event": f"/received/{event_id}"}
    for width in WIDTHS:
        with eyes_on_nothing.page(width=width, theme=theme) as window:
            for name, path in screens.items():
                window.goto(path)
                keep_screenshot(window, f"{name}-{theme}-{width}")
                assert violations(window) == [], f"{name}, {theme}, {width}"
                assert window.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"

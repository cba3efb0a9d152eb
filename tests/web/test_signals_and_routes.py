"""Signals, routes and deliveries over HTTP."""

import json
from datetime import timedelta

from beton.signals import AttemptOutcome, DeliveryStatus
from beton.store import deliveries, routes
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.delivering import StoredOutbox
from beton.work.workplace import Workplace
from tests.web.conftest import FakeReceiver
from tests.web.contract import Contract
from tests.web.steps import fired, kept


def test_signals_are_listed_with_their_receipts(api: Contract, store: Store, connection: Connection):
    row = fired(store, connection)
    page = api.get("signals", params={"hypothesis_id": row.id, "limit": 2}).json()
    assert page["has_more"]
    rest = api.get("signals", params={"hypothesis_id": row.id, "limit": 2, "cursor": page["next_cursor"]}).json()
    assert {one["unit"]["id"] for one in (*page["data"], *rest["data"])} == {"p0", "p1", "p2"}
    one = api.get(f"signals/{page['data'][0]['signal_id']}").json()
    assert one == page["data"][0]
    assert one["events"] == [{"name": "invited_teammate", "id": "e-1", "at": "2026-03-02T09:30:00.123456Z"}]
    assert (one["goal"], one["confidence"]) == ("converts", 0.31)
    assert api.get("signals", params={"hypothesis_id": "hyp_a"}).json()["data"] == []
    assert api.get("signals/sig_a").status_code == 404


def test_signals_are_listed_since_an_instant(api: Contract, store: Store, connection: Connection, clock):
    fired(store, connection)
    for since, count in (("2026-03-02T09:30:00.123456Z", 3), ("2026-03-02T10:30:00.123456+01:00", 3), ("2026-03-02T09:30:00.123457Z", 0)):
        assert len(api.get("signals", params={"since": since}).json()["data"]) == count, since
    for wrong in ("2026-03-02T09:30:00", "yesterday", "0001-01-01T00:00:00+10:00", "2026-13-01T00:00:00Z"):
        assert api.get("signals", params={"since": wrong}).status_code == 422, wrong


def test_a_route_shows_its_secret_once_and_its_url_never(api: Contract, store: Store):
    made = api.post("routes", {"name": "crm", "url": "https://hooks.example.com/T0/canaryPATH?token=canary"})
    assert made.status_code == 201
    told = made.json()
    assert told["secret"].startswith("whsec_")
    assert told["address"] == "https://hooks.example.com"
    listed = api.get("routes")
    assert listed.json()["data"] == [{key: value for key, value in told.items() if key != "secret"}]
    assert "canary" not in made.text + listed.text
    with store.reading() as tx:
        assert routes.destination(tx, "crm").settings["secret"] == told["secret"]
    again = api.post("routes", {"name": "crm", "url": "https://hooks.example.com/"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict.name_taken")


def test_a_secret_of_ones_own_is_kept_unless_it_is_weak(api: Contract):
    url = "https://hooks.example.com/"
    assert api.post("routes", {"name": "own", "url": url, "secret": "correct-horse-battery"}).json()["secret"] == "correct-horse-battery"
    weak = api.post("routes", {"name": "weak", "url": url, "secret": "whsec_short"})
    assert (weak.status_code, weak.json()["code"]) == (422, "route.secret_invalid")
    assert weak.json()["errors"][0]["pointer"] == "/secret"
    assert "short" not in weak.text.replace("too short", "")


def test_addresses_that_may_not_be_called_are_refused(api: Contract):
    for url in (
        "http://example.com/",
        "ftp://example.com",
        "https://10.0.0.1/",
        "https://user:canary@example.com/",
        "https://0x7f000001/",
        "x",
        "a b",
    ):
        response = api.post("routes", {"name": "crm", "url": url})
        assert response.status_code == 422, url
        assert response.json()["code"].startswith("route.url")
        assert "canary" not in response.text
    for name in ("", "x" * 201, "two\nlines", "nul\x00"):
        assert api.post("routes", {"name": name, "url": "https://example.com/"}).status_code == 422
    assert api.get("routes").json()["data"] == []


def test_a_route_is_tried_and_its_receiver_quoted(api: Contract, receiver: FakeReceiver):
    route = api.post("routes", {"name": "crm", "url": "https://hooks.example.com/"}).json()
    for known_as in ("crm", route["route_id"]):
        assert api.post(f"routes/{known_as}/test").json() == {"route_id": route["route_id"], "status_code": 204}
    receiver.status = None
    silent = api.post("routes/crm/test")
    assert (silent.status_code, silent.json()["code"]) == (504, "destination.timeout")
    assert api.post("routes/unknown/test").status_code == 404


def test_deliveries_are_listed_and_sent_again(api: Contract, store: Store, connection: Connection, clock):
    fired(store, connection)
    pending = api.get("deliveries", params={"status": "pending", "route": "crm", "limit": 2}).json()
    assert (len(pending["data"]), pending["has_more"]) == (2, True)
    one = pending["data"][0]
    refused = api.post(f"deliveries/{one['delivery_id']}/retry")
    assert refused.status_code == 409
    with store.transaction() as tx:
        for claim in deliveries.claim(tx, limit=3, lease=timedelta(minutes=1)):
            deliveries.settle(tx, claim.delivery.id, claim.lease, AttemptOutcome(status=DeliveryStatus.DEAD, status_code=400, error="No."))
    dead = api.get("deliveries", params={"signal_id": one["signal_id"]}).json()["data"]
    assert [(each["status"], each["attempts"], each["last_error"]) for each in dead] == [("dead", 1, "No.")]
    again = api.post(f"deliveries/{one['delivery_id']}/retry").json()
    assert (again["status"], again["message_id"]) == ("pending", one["message_id"])
    assert api.post("deliveries/dlv_a/retry").status_code == 404
    assert api.get("deliveries", params={"route": "unknown"}).status_code == 404
    assert api.get("deliveries", params={"status": "lost"}).status_code == 422


def test_a_route_that_asks_for_it_is_told_of_a_change_of_status(api: Contract, store: Store, place: Workplace, connection: Connection):
    one = kept(store, connection)
    route = api.post("routes", {"name": "ops", "url": "https://hooks.example.com/", "notices": True}).json()
    assert route["notices"]
    api.post(f"hypotheses/{one.id}/reject", {"reason": "we know that"})
    (delivery,) = api.get("deliveries").json()["data"]
    assert (delivery["signal_id"], delivery["route_id"]) == (None, route["route_id"])
    assert api.get(f"deliveries/{delivery['delivery_id']}").json()["notice_id"] == delivery["notice_id"]
    (parcel,) = StoredOutbox(place).claim(route["route_id"], 5)
    assert parcel.message is not None
    told = json.loads(parcel.message.payload or b"")
    assert (told["type"], told["hypothesis_id"], told["from"], told["to"]) == ("hypothesis.status_changed", one.id, "proposed", "rejected")
    assert (told["hypothesis"], told["reason"], told["version"]) == (one.sentence, "we know that", 1)
    changed = api.ask("PATCH", f"routes/{route['name']}", json={"notices": False})
    assert (changed.status_code, changed.json()["notices"]) == (200, False)
    api.post(f"hypotheses/{one.id}/reopen")
    assert len(api.get("deliveries").json()["data"]) == 1

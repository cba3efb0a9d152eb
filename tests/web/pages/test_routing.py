"""Routing: routes with their secret shown once, the log of deliveries, tests and sending again."""

import re

from beton.signals import DeliveryStatus
from beton.store import audit, deliveries, routes
from tests.web.pages.conftest import read


def status_of(store, delivery) -> DeliveryStatus:
    with store.reading() as tx:
        return deliveries.get(tx, delivery.id).status


def dead_one(store):
    with store.reading() as tx:
        return deliveries.listing(tx, status=DeliveryStatus.DEAD).data[0]


def test_routes_and_deliveries_are_told_with_what_went_wrong(viewer, desk):
    page = read(viewer.get("/routing"))
    for told in (
        "crm",
        "https://hooks.example.net",
        "On",
        "Given up 1",
        "Trying again 10",
        "422 The receiver answered 422.",
        "140 ms",
        "in 5 minutes",
        "grace@hopper.example",
    ):
        assert told in page.text, told
    assert "canary" not in viewer.get("/routing").text
    assert not [one for one in page.all("form", method="post") if "/routing" in one["action"]]


def test_a_webhook_is_added_and_its_secret_shown_once(ada, store):
    assert "No route yet" in read(ada.get("/routing")).text
    made = ada.post("/routing", {"name": "crm", "url": "https://hooks.example.com/canaryPATH"})
    secret = re.search(r"whsec_[\w+/=]+", made.text)
    assert secret
    with store.reading() as tx:
        assert routes.destination(tx, "crm").settings["secret"] == secret[0]
    assert secret[0] not in ada.get("/routing").text
    assert "canaryPATH" not in made.text + ada.get("/routing").text
    again = ada.post("/routing", {"name": "crm", "url": "https://hooks.example.com/"})
    assert again.status_code == 409
    assert "There is already a route called crm." in read(again).text
    inside = ada.post("/routing", {"name": "inside", "url": "https://10.0.0.1/x"})
    assert inside.status_code == 422
    assert read(inside).all("input", name="url", value="https://10.0.0.1/x")
    assert ada.post("/routing", {"name": "", "url": "https://hooks.example.com/"}).status_code == 422


def test_a_test_says_what_the_receiver_answered(ada, desk, receiver):
    one = desk.routes[0]
    assert "The test to crm arrived: the receiver answered 204." in read(ada.post(f"/routing/{one.id}/test")).text
    receiver.status = None
    assert "The test to crm did not arrive: The receiver did not answer within 15 s." in read(ada.post(f"/routing/{one.id}/test")).text
    assert ada.post("/routing/rte_nobody/test").status_code == 404


def test_a_route_is_switched_off_and_on(ada, store, desk):
    for value, wanted in (("no", False), ("yes", True)):
        assert ada.post(f"/routing/{desk.routes[0].id}/switch", {"enabled": value}).status_code == 303
        with store.reading() as tx:
            assert routes.get(tx, "crm").enabled is wanted
    assert "Off" in read(ada.post(f"/routing/{desk.routes[0].id}/switch", {"enabled": "no"}) and ada.get("/routing")).text


def test_a_route_gets_decisions_if_it_is_asked_to(ada, store, desk):
    assert ada.post(f"/routing/{desk.routes[0].id}/notices", {"notices": "yes"}).status_code == 303
    assert "signals and decisions" in read(ada.get("/routing")).text
    ada.post(f"/routing/{desk.routes[0].id}/notices", {"notices": "no"})
    ada.post("/routing", {"name": "third", "url": "https://hooks.example.com/", "notices": "yes"})
    with store.reading() as tx:
        assert {one.name for one in routes.every(tx) if one.notices} == {"third"}


def test_one_delivery_is_shown_with_its_attempts_and_sent_again(ada, viewer, store, desk):
    one = dead_one(store)
    page = viewer.get(f"/routing/deliveries/{one.id}")
    for told in (one.message_id, "422", "140 ms", "&lt;i&gt;no such contact&lt;/i&gt;"):
        assert told in page.text, told
    assert viewer.post(f"/routing/deliveries/{one.id}/retry").status_code == 403
    assert ada.post(f"/routing/deliveries/{one.id}/retry").status_code == 303
    assert status_of(store, one) is DeliveryStatus.PENDING
    assert viewer.get("/routing/deliveries/dlv_nobody").status_code == 404


def test_all_that_was_given_up_is_sent_again_at_once(ada, store, desk):
    assert "1 delivery was given up or is in doubt." in read(ada.get("/routing")).text
    answer = ada.post("/routing/retry", {"since": "day"})
    assert answer.headers["location"] == "/routing?again=1"
    assert "1 delivery will be sent again" in read(ada.get(answer.headers["location"])).text
    with store.reading() as tx:
        assert deliveries.count(tx, DeliveryStatus.DEAD) == 0
        assert audit.entries(tx, limit=1)[0].action == "delivery.retry_all"


def test_the_log_is_narrowed_by_route_and_state(viewer, desk):
    dead = read(viewer.get("/routing?status=dead"))
    assert len([one for one in dead.all("tr") if "data-item" in one]) == 2 + 1
    assert len([one for one in read(viewer.get(f"/routing?route={desk.routes[0].id}")).all("tr") if "data-item" in one]) == 2 + 7
    assert viewer.get("/routing?route=unknown").status_code == 404
    assert viewer.get("/routing?status=lost").status_code == 200

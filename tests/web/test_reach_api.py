"""Whom signals reach, over the API: rules of routes, dry runs, doubts, the stop, lists, snoozes."""

from datetime import timedelta

import pytest

from beton.roles import Permission
from beton.signals import AttemptOutcome, DeliveryStatus, Finding
from beton.store import api_keys, deliveries, signals
from beton.store.records import Connection
from beton.store.store import Store
from tests.conftest import Clock
from tests.web.contract import Contract
from tests.web.steps import fired

RULES = {
    "passes": {"types": ["pql"], "min_confidence": 0.3},
    "cooldown": {"unit_days": 7},
    "template": "{{unit}}: {{hypothesis}}",
}


def put(api: Contract, path: str, body: dict) -> dict:
    answer = api.ask("PUT", path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_route_gets_rules_and_tells_them(api: Contract, store: Store, connection: Connection) -> None:
    fired(store, connection)
    made = api.post("routes", {"name": "sure", "url": "https://hooks.example.com/", "rules": RULES}).json()
    assert made["rules"]["passes"]["min_confidence"] == 0.3
    assert made["rules"]["owners"] == {"rule": "nobody", "turns": [], "escalate_after_hours": None, "escalate_to": None}
    changed = put(api, "routes/sure/rules", {"cooldown": {"per_day": 5}})
    assert (changed["rules"]["passes"]["types"], changed["rules"]["cooldown"]["per_day"], changed["rules"]["template"]) == ([], 5, None)


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"template": "no blanks"}, "route.template_invalid"),
        ({"template": "{{unit}} {{hypothesis}} {{secret}}"}, "route.template_invalid"),
        ({"passes": {"hypotheses": ["hyp_unknown"]}}, "route.rules_invalid"),
        ({"owners": {"rule": "round_robin"}}, "route.rules_invalid"),
        ({"owners": {"rule": "round_robin", "turns": [{"member": "mbr_unknown"}]}}, "route.rules_invalid"),
        ({"owners": {"rule": "nobody", "escalate_after_hours": 4, "escalate_to": "mbr_x"}}, "route.rules_invalid"),
        ({"passes": {"cohort": "all"}}, "input.refused"),
        ({"cooldown": {"unit_days": -1}}, "input.refused"),
    ],
)
def test_rules_that_could_never_work_are_refused(api: Contract, store: Store, connection: Connection, rules: dict, code: str) -> None:
    fired(store, connection)
    answer = api.ask("PUT", "routes/crm/rules", json=rules)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_other_kinds_of_routes_are_made_by_their_settings_which_are_never_sent(api: Contract) -> None:
    settings = {"webhook_url": "https://hooks.slack.com/services/T0/B0/canarySLACK"}
    answer = api.post("routes", {"name": "chat", "kind": "slack", "settings": settings})
    assert (answer.json()["kind"], answer.json()["secret"]) == ("slack", None)
    assert "canarySLACK" not in answer.text + api.get("routes").text
    refused = api.ask("POST", "routes", json={"name": "bad", "kind": "slack", "settings": {"nonsense": 1}})
    assert (refused.status_code, refused.json()["code"]) == (422, "route.settings_invalid")
    refused = api.ask("POST", "routes", json={"name": "bad", "kind": "slack", "url": "https://x.example.com/"})
    assert (refused.status_code, refused.json()["code"]) == (422, "route.settings_invalid")
    assert api.ask("POST", "routes", json={"name": "bad"}).status_code == 422, "a webhook needs an address"


def test_a_destination_is_changed_without_entering_its_secrets_again(api: Contract) -> None:
    api.post("routes", {"name": "chat", "kind": "slack", "settings": {"token": "xoxb-1-2-canary", "channel": "C0123456789"}})
    changed = put(api, "routes/chat/destination", {"settings": {"channel": "C0000000001"}})
    assert "C0000000001" in changed["address"]
    assert api.ask("PUT", "routes/chat/destination", json={"settings": {"channel": None}}).status_code == 422


def test_a_route_without_a_past_is_removed_and_one_with_a_past_is_not(api: Contract, store: Store, connection: Connection) -> None:
    fired(store, connection)
    api.post("routes", {"name": "unused", "url": "https://hooks.example.com/"})
    assert api.ask("DELETE", "routes/unused").json()["name"] == "unused"
    refused = api.ask("DELETE", "routes/crm")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict.route_used")


def test_a_dry_run_says_what_would_have_gone_and_sends_nothing(api: Contract, store: Store, connection: Connection) -> None:
    fired(store, connection)
    before = len(api.get("deliveries").json()["data"])
    told = api.post("routes/preview", {"rules": RULES | {"passes": {"min_confidence": 0.9}}}).json()
    assert (told["would_send"], told["why_not"]) == (0, {"filter": 3})
    told = api.post("routes/preview", {"route": "crm", "rules": RULES}).json()
    assert (told["would_send"], {one["unit"] for one in told["latest"]}) == (3, {"p0", "p1", "p2"})
    assert all(one["text"].startswith(f"{one['unit']}: ") for one in told["latest"])
    assert len(api.get("deliveries").json()["data"]) == before


def test_a_dry_run_names_nobody_to_who_may_not_read_signals(api: Contract, store: Store, connection: Connection) -> None:
    fired(store, connection)
    with store.transaction() as tx:
        _, token = api_keys.issue(tx, "router", [Permission.MANAGE_ROUTES], actor="ada")
    answer = api.ask("POST", "routes/preview", json={"rules": RULES}, headers={"Authorization": f"Bearer {token}"})
    assert {(one["unit"], one["text"]) for one in answer.json()["latest"]} == {(None, None)}


def test_a_doubt_is_resolved_by_who_has_looked(api: Contract, store: Store, connection: Connection) -> None:
    fired(store, connection)
    with store.transaction() as tx:
        one, two, _ = deliveries.claim(tx, limit=3, lease=timedelta(minutes=1))
        for claimed in (one, two):
            deliveries.settle(tx, claimed.delivery.id, claimed.lease, AttemptOutcome(status=DeliveryStatus.IN_DOUBT))
    assert api.post(f"deliveries/{one.delivery.id}/resolve", {"arrived": True}).json()["status"] == "delivered"
    assert api.post(f"deliveries/{two.delivery.id}/resolve", {"arrived": False}).json()["status"] == "pending"
    assert api.ask("POST", f"deliveries/{two.delivery.id}/resolve", json={"arrived": True}).status_code == 409


def test_what_has_arrived_is_repeated_only_to_who_knows_a_repetition(api: Contract, store: Store, connection: Connection, clock: Clock) -> None:
    fired(store, connection)
    since = (clock.now - timedelta(days=1)).isoformat()
    assert api.ask("POST", "deliveries/retry", json={"since": since, "arrived_too": True}).status_code == 422, "to all routes at once"
    assert api.post("deliveries/retry", {"since": since, "arrived_too": True, "route": "crm"}).json() == {"deliveries": 0}
    api.post("routes", {"name": "chat", "kind": "slack", "settings": {"token": "xoxb-1-2-canary", "channel": "C0123456789"}})
    assert api.ask("POST", "deliveries/retry", json={"since": since, "arrived_too": True, "route": "chat"}).status_code == 422


def test_a_stop_is_told_and_ended(api: Contract, store: Store, connection: Connection) -> None:
    fired(store, connection)
    assert api.get("sending").json()["stopped"] is None
    told = api.post("sending/stop", {"reason": "wrong list"}).json()
    assert told["stopped"]["reason"] == "wrong list"
    with store.reading() as tx:
        assert deliveries.due_routes(tx) == []
    assert api.post("sending/start", {"drop": True}).json() == {"dropped": 3}
    assert api.post("sending/start", {}).json() == {"dropped": 0}
    assert {one["status"] for one in api.get("deliveries").json()["data"]} == {"dead"}


def test_cooldowns_lists_and_snoozes_hold_signals_back(api: Contract, store: Store, connection: Connection, clock: Clock) -> None:
    row = fired(store, connection, units=1)
    assert put(api, "sending/cooldown", {"unit_days": 7})["cooldown"]["unit_days"] == 7
    added = api.post("suppressions", {"list": "customers", "entries": ["acme.com", "https://www.acme.com/about", "p8"]}).json()
    assert added == {"named": 2, "added": 2}
    assert api.post("suppressions", {"list": "customers", "entries": ["acme.com"]}).json() == {"named": 1, "added": 0}
    until = (clock.now + timedelta(days=3)).isoformat()
    snoozed = api.post("snoozes", {"who": "p9", "until": until, "reason": "holidays"}).json()
    with store.transaction() as tx:
        found = [Finding(unit_kind="person", unit_id=unit, fired_at=clock.now, occurrence=2) for unit in ("p0", "p8", "p9", "p10")]
        signals.record(tx, row.id, row.version, found)
    held = {one["unit"]["id"]: one["held_because"] for one in api.get("signals").json()["data"] if one["occurrence"] == 2}
    assert held == {"p0": "unit_cooldown", "p8": "customers", "p9": "snoozed", "p10": None}
    lines = api.get("suppressions", params={"list": "customers"}).json()["data"]
    assert {(one["named"], one["label"]) for one in lines} == {("domain", "acme.com"), ("id", "p8")}
    assert api.ask("DELETE", f"suppressions/{lines[0]['suppression_id']}").status_code == 200
    assert api.post("suppressions/clear", {"list": "customers"}).json() == {"removed": 1}
    assert [one["snooze_id"] for one in api.get("snoozes").json()["data"]] == [snoozed["snooze_id"]]
    assert api.ask("DELETE", f"snoozes/{snoozed['snooze_id']}").json()["label"] == "p9"
    assert api.get("snoozes").json()["data"] == []


def test_a_signal_s_unit_is_snoozed_and_its_account_where_that_is_known(api: Contract, store: Store, connection: Connection, clock: Clock) -> None:
    fired(store, connection, units=1)
    signal = api.get("signals").json()["data"][0]["signal_id"]
    until = (clock.now + timedelta(days=3)).isoformat()
    assert [one["label"] for one in api.post(f"signals/{signal}/snooze", {"until": until}).json()["data"]] == ["p0"]
    assert api.ask("POST", f"signals/{signal}/snooze", json={"until": until, "whom": "account"}).status_code == 409
    past = (clock.now - timedelta(days=1)).isoformat()
    assert api.ask("POST", f"signals/{signal}/snooze", json={"until": past}).status_code == 422


def test_how_accounts_are_told_is_set_for_each_connection(api: Contract, connection: Connection) -> None:
    del connection
    assert api.get("connections/shop/accounts").json()["email"] is None
    told = put(api, "connections/shop/accounts", {"email": "work_email", "group_type": ""})
    assert (told["email"], told["group_type"], told["owner"]) == ("work_email", "", None)
    assert api.get("connections/shop/accounts").json() == told

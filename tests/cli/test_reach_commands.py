"""Rules, dry runs, the stop, lists, snoozes and doubts from the command line."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from beton.cli.opening import opened
from beton.signals import AttemptOutcome, DeliveryStatus
from beton.store import connections, deliveries
from tests.cli.conftest import Beton
from tests.web.steps import fired


@pytest.fixture
def filled(beton: Beton) -> Beton:
    """A Beton with a route called crm and three signals on their way."""
    with opened(create=True) as place:
        with place.store.transaction() as tx:
            connection = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")
        fired(place.store, connection)
    return beton


def test_rules_are_set_from_a_file_and_tried_before(filled: Beton, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"passes": {"min_confidence": 0.9}, "template": "{{unit}}: {{hypothesis}}"}))
    tried = filled("routes", "preview", "crm", "--rules", file, "--json").lines
    assert [one["why_not"] for one in tried] == ["filter"] * 3
    assert filled("routes", "rules", "crm", "--set", file, "--json").json["passes"]["min_confidence"] == 0.9
    assert "3 filter" in filled("routes", "preview", "crm").out
    file.write_text('{"passes": {"min_confidence": 9}}')
    assert filled("routes", "rules", "crm", "--set", file, "--json").json["code"] == "route.rules_invalid"
    file.write_text("no json")
    assert filled("routes", "rules", "crm", "--set", file, "--json").code == 2


def test_everything_is_stopped_and_started(filled: Beton) -> None:
    assert filled("sending", "stop", "--reason", "wrong list", "--json").json["reason"] == "wrong list"
    assert filled("sending", "show", "--json").json["stopped"]["reason"] == "wrong list"
    assert "stopped" in filled("sending", "show").out
    assert filled("sending", "start", "--drop", "--json").json == {"dropped": 3}
    assert filled("sending", "cooldown", "--unit-days", "7", "--json").json["unit_days"] == 7
    assert filled("sending", "cooldown", "--unit-days", "-1", "--json").code == 2


def test_a_list_is_read_from_a_file(filled: Beton, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text("Company,Website\nAcme Ltd,https://www.acme.com\nBolt,bolt.io\nNobody,\n\n")
    assert filled("suppressions", "add", "customers", file, "--json").json == {"list": "customers", "named": 3, "added": 3}
    lines = filled("suppressions", "list", "--json").lines
    assert {(one["named"], one["label"]) for one in lines} == {("domain", "acme.com"), ("domain", "bolt.io"), ("id", "Nobody")}
    file.write_text("ann@acme.com\n")
    assert filled("suppressions", "add", "customers", file, "--replace", "--json").json["added"] == 1
    (left,) = filled("suppressions", "list", "customers", "--json").lines
    assert filled("suppressions", "remove", left["id"], "--json").json["label"] == "ann@acme.com"
    assert filled("suppressions", "add", "customers", tmp_path / "missing", "--json").code == 2


def test_somebody_is_snoozed_and_woken(filled: Beton) -> None:
    made = filled("snoozes", "add", "acme.com", "--until", "2099-01-01T00:00:00Z", "--reason", "holidays", "--json").json
    assert (made["named"], filled("snoozes", "list", "--json").json["id"]) == ("domain", made["id"])
    assert filled("snoozes", "end", made["id"], "--json").json["label"] == "acme.com"
    assert filled("snoozes", "add", "acme.com", "--until", "2001-01-01T00:00:00Z", "--json").code == 2


def test_doubts_are_resolved_and_what_was_given_up_is_sent_again(filled: Beton) -> None:
    with opened() as place, place.store.transaction() as tx:
        one, two, _ = deliveries.claim(tx, limit=3, lease=timedelta(minutes=1))
        deliveries.settle(tx, one.delivery.id, one.lease, AttemptOutcome(status=DeliveryStatus.IN_DOUBT))
        deliveries.settle(tx, two.delivery.id, two.lease, AttemptOutcome(status=DeliveryStatus.DEAD))
    assert filled("deliveries", "list", "--status", "in_doubt", "--json").json["id"] == one.delivery.id
    assert filled("deliveries", "resolve", one.delivery.id, "--arrived", "--json").json["status"] == "delivered"
    assert filled("deliveries", "replay", "--since", "2020-01-01T00:00:00Z", "--json").json == {"deliveries": 1}
    assert filled("deliveries", "retry", one.delivery.id, "--json").json["status"] == "pending", "a webhook knows a repetition"

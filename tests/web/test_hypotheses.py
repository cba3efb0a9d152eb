"""Hypotheses over HTTP: the published fields, listings, and what may be written down."""

from datetime import UTC, datetime, timedelta

from backtest.taxonomy import EventDefinition, PropertyDefinition, Taxonomy
from beton.lifecycle import Status
from beton.store import connections, taxonomies
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.deciding import resource
from beton.work.workplace import Workplace
from tests.web.contract import Contract
from tests.web.steps import definition, keep_result, kept, result


def test_a_hypothesis_has_the_published_fields(api: Contract, place: Workplace, store: Store, connection: Connection):
    row = kept(store, connection, tested=result())
    response = api.get(f"hypotheses/{row.id}")
    told = response.json()
    assert list(told)[:4] == ["hypothesis_id", "hypothesis", "backtest", "status"]
    assert told["hypothesis_id"].startswith("hyp_")
    assert told["hypothesis"] == row.sentence
    assert {"window_days", "precision", "recall", "lift_vs_baseline", "sample_size"} <= told["backtest"].keys()
    assert told["backtest"] == result() | {"as_of": "2026-03-02T09:30:00.123456Z"}
    assert told == resource(place, row.id).to_json()
    assert response.headers["etag"] == f'"{row.row_version}"'


def test_what_cannot_be_told_is_null_with_its_reason(api: Contract, store: Store, connection: Connection):
    untested, unclear = kept(store, connection, days=1), kept(store, connection, days=2, tested=result(insufficient=True))
    assert api.get(f"hypotheses/{untested.id}").json()["backtest"] is None
    told = api.get(f"hypotheses/{unclear.id}").json()
    assert told["backtest"]["precision"] is None
    assert told["backtest"]["insufficient"]["reason"] == "fires: has 3, needs 20"
    assert told["verdict"]["verdict"] == "cannot_tell"


def test_a_listing_goes_on_from_its_cursor_and_ends(api: Contract, store: Store, connection: Connection):
    expected = [kept(store, connection, days=days).id for days in range(1, 8)]
    seen, cursor = [], None
    for _ in range(4):
        page = api.get("hypotheses", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [one["hypothesis_id"] for one in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
    assert cursor is None
    assert sorted(seen) == sorted(expected)
    assert len(set(seen)) == 7


def test_a_listing_is_filtered_by_statuses_and_connection(api: Contract, store: Store, connection: Connection):
    for days, status in enumerate(Status, 1):
        kept(store, connection, days=days, status=status)
    with store.transaction() as tx:
        connections.add(tx, name="empty", host="https://eu.posthog.com", project_id="18", api_key="phx_canaryCANARYcanary", actor="ada")
    both = api.get("hypotheses", params={"status": ["approved", "paused"]}).json()["data"]
    assert sorted(one["status"] for one in both) == ["approved", "paused"]
    assert len(api.get("hypotheses", params={"connection": "shop"}).json()["data"]) == len(Status)
    assert len(api.get("hypotheses", params={"connection": connection.id, "status": "draft"}).json()["data"]) == 1
    assert api.get("hypotheses", params={"connection": "empty"}).json()["data"] == []
    assert api.get("hypotheses", params={"connection": "unknown"}).status_code == 404


def test_parameters_are_refused_by_name(api: Contract):
    for name, value in (("limit", "0"), ("limit", "501"), ("limit", "x"), ("status", "sleeping"), ("cursor", "hyp_aaaa"), ("cursor", "")):
        response = api.get("hypotheses", params={name: value})
        assert response.status_code == 422, (name, value)
        (fault,) = response.json()["errors"]
        assert (fault["pointer"], fault["field"]) == (None, name)


def test_a_hypothesis_is_written_down_once(api: Contract, connection: Connection):
    first = api.post("hypotheses", {"connection": "shop", "definition": definition()})
    assert first.status_code == 201
    told = first.json()
    assert first.headers["location"] == f"/api/v1/hypotheses/{told['hypothesis_id']}"
    assert (told["status"], told["source"], told["backtest"]) == ("proposed", "person", None)
    turned = definition() | {"clauses": list(reversed(definition()["clauses"])), "name": "Another name"}
    second = api.post("hypotheses", {"connection": connection.id, "definition": turned})
    assert (second.status_code, second.json()) == (200, told)
    entries = api.get(f"hypotheses/{told['hypothesis_id']}/history").json()
    assert [one["action"] for one in entries["data"]] == ["hypothesis.add"]
    assert entries["data"][0]["actor"].startswith("Ada (key_")


def test_every_fault_of_a_definition_is_told_with_its_place(api: Contract, connection: Connection):
    wrong = definition()
    wrong["outcom"] = 1
    wrong["clauses"][0]["span"] = {"frist": "7d"}
    wrong["clauses"][1]["match"] = ""
    response = api.post("hypotheses", {"connection": "shop", "definition": wrong})
    assert response.status_code == 422
    pointers = {one["pointer"] for one in response.json()["errors"]}
    assert {"/definition/clauses/0/span", "/definition/outcom"} <= pointers
    assert any(one["nearest"] == ["{first: 7d}"] for one in response.json()["errors"])
    empty = api.post("hypotheses", {"connection": "shop", "definition": {}})
    assert {one["pointer"] for one in empty.json()["errors"]} == {"/definition/clauses", "/definition/outcome"}


def test_names_that_the_project_does_not_know_are_refused(api: Contract, store: Store, connection: Connection):
    names = ("invited_teammate", "opened", "paid")
    with store.transaction() as tx:
        content = Taxonomy(events=tuple(EventDefinition(name=one) for one in names), taken_at=tx.now, window_days=90)
        taxonomies.save(tx, connection.id, content.model_dump(mode="json"))
    assert api.post("hypotheses", {"connection": "shop", "definition": definition()}).status_code == 201
    response = api.post("hypotheses", {"connection": "shop", "definition": definition("invited_team")})
    (fault,) = response.json()["errors"]
    assert (fault["pointer"], fault["nearest"]) == ("/definition/clauses/0/match/events", ["invited_teammate"])


def test_the_body_itself_is_checked_by_place(api: Contract, connection: Connection):
    for body, at in (
        ({"definition": {}}, "/connection"),
        ({"connection": "shop"}, "/definition"),
        ({"connection": "shop", "definition": []}, "/definition"),
        ({"connection": "shop", "definition": {}, "a/b~c": 1}, "/a~1b~0c"),
        ({"connection": "shop", "definition": {}, "selected": "perhaps"}, "/selected"),
    ):
        response = api.post("hypotheses", body)
        assert response.status_code == 422
        assert at in [one["pointer"] for one in response.json()["errors"]], body


def test_the_newest_numbers_are_shown(api: Contract, store: Store, connection: Connection, clock):
    row = kept(store, connection, tested=result())
    clock.advance(timedelta(hours=1))
    keep_result(store, row, result() | {"precision": 0.5})
    assert api.get(f"hypotheses/{row.id}").json()["backtest"]["precision"] == 0.5


def test_a_taxonomy_is_told_without_sampled_values(api: Contract, store: Store, connection: Connection):
    missing = api.get("connections/shop/taxonomy")
    assert (missing.status_code, missing.json()["code"]) == (404, "taxonomy.missing")
    prop = PropertyDefinition(name="plan", type="string", values=("canary",), events=("paid",))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    with store.transaction() as tx:
        content = Taxonomy(events=(EventDefinition(name="paid", volume=3, units=2),), properties=(prop,), taken_at=at, window_days=90)
        taxonomies.save(tx, connection.id, content.model_dump(mode="json"))
    response = api.get(f"connections/{connection.id}/taxonomy")
    assert response.json()["events"][0] | {"name": "paid", "volume": 3} == response.json()["events"][0]
    assert response.json()["properties"][0]["events"] == ["paid"]
    assert "canary" not in response.text


def test_connections_are_listed_without_their_keys(api: Contract, connection: Connection):
    response = api.get("connections")
    (told,) = response.json()["data"]
    assert (told["connection_id"], told["name"], told["project_id"]) == (connection.id, "shop", "17")
    assert "canary" not in response.text

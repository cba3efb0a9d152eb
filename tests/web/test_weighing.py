"""Over HTTP what the pages can do: see what an approval would set going, compare, try a draft, revise, undo."""

from datetime import timedelta

from litestar.testing import TestClient

from beton.lifecycle import Status
from beton.roles import Permission
from beton.store import api_keys, backtests, fires, routes, taxonomies
from beton.store.records import BacktestFire, Connection
from beton.store.store import Store
from tests.store.steps import a_webhook
from tests.web.conftest import NAMES
from tests.web.contract import Contract
from tests.web.steps import definition, kept, result

YAML = """\
entry: user_signed_up
clauses:
  - {kind: did, match: invited_teammate, at_least: 3, span: {first: 7d}}
outcome: {kind: event, match: subscription_started, horizon: 14d}
"""


def may_only(client: TestClient, store: Store, *permissions: Permission) -> Contract:
    with store.transaction() as tx:
        _, token = api_keys.issue(tx, "narrow", list(permissions), actor="set-up")
    return Contract(client, {"Authorization": f"Bearer {token}"})


def test_an_outlook_tells_where_signals_would_go_how_many_and_who_fired(
    api: Contract, stranger: TestClient, store: Store, connection: Connection, clock
):
    row = kept(store, connection, tested=result())
    with store.transaction() as tx:
        routes.add(tx, name="crm", destination=a_webhook(url="https://hooks.example.com/x", secret="a-secret-of-its-own"), actor="ada")
        (newest,) = backtests.history(tx, row.id)
        old, new = (
            BacktestFire(unit_kind="person", unit_id=unit, fired_at=clock.now - timedelta(days=days), outcome_at=None)
            for unit, days in (("p-old", 40), ("p-new", 2))
        )
        fires.keep(tx, connection.id, newest.run_id, row.id, [old, new])
    told = api.get(f"hypotheses/{row.id}/outlook").json()
    assert (told["verdict"], told["row_version"], told["version"]) == ("clears", row.row_version, 1)
    assert [(one["name"], one["address"]) for one in told["routes"]] == [("crm", "https://hooks.example.com")]
    assert told["weekly"]["low"] < told["weekly"]["value"] < told["weekly"]["high"]
    assert [(one["id"], one["open"]) for one in told["fires"]] == [("p-new", True), ("p-old", False)]
    blind = may_only(stranger, store, Permission.READ).get(f"hypotheses/{row.id}/outlook")
    assert (blind.json()["fires"], "p-new" in blind.text) == (None, False)
    untested = api.get(f"hypotheses/{kept(store, connection, days=3).id}/outlook").json()
    assert (untested["verdict"], untested["weekly"], untested["fires"]) == ("untested", None, [])
    assert api.get("hypotheses/hyp_a/outlook").status_code == 404


def test_two_are_compared_number_by_number(api: Contract, store: Store, connection: Connection):
    one = kept(store, connection, tested=result() | {"precision": 0.5, "precision_low": 0.45, "precision_high": 0.55})
    two, untested = kept(store, connection, days=3, tested=result()), kept(store, connection, days=4)
    told = api.get("hypotheses/compare", params={"a": one.id, "b": two.id}).json()
    assert (told["a"]["hypothesis_id"], told["b"]["hypothesis_id"]) == (one.id, two.id)
    by_name = {each["name"]: each for each in told["differences"]}
    assert by_name["precision"]["a"] == {"value": 0.5, "low": 0.45, "high": 0.55}
    assert (by_name["precision"]["apart"], by_name["recall"]["apart"]) == (True, False)
    bare = api.get("hypotheses/compare", params={"a": one.id, "b": untested.id}).json()["differences"]
    assert {each["apart"] for each in bare} == {None}
    assert api.get("hypotheses/compare", params={"a": one.id, "b": "hyp_a"}).status_code == 404
    assert api.get("hypotheses/compare", params={"a": one.id}).status_code == 422


def test_a_draft_says_its_sentence_or_every_fault_and_is_not_kept(api: Contract, store: Store, connection: Connection):
    good = api.post("hypotheses/preview", {"definition": YAML}).json()
    assert good["errors"] == []
    assert good["hypothesis"].startswith("People who did invited_teammate at least 3 times"), good["hypothesis"]
    again = api.post("hypotheses/preview", {"definition": good["definition"], "connection": "shop"}).json()
    assert (again["hypothesis"], again["hypothesis_id"]) == (good["hypothesis"], None)
    row = kept(store, connection)
    assert api.post("hypotheses/preview", {"definition": row.definition, "connection": connection.id}).json()["hypothesis_id"] == row.id
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, NAMES, None)
    for written, line, pointer in (
        (YAML.replace("invited_teammate", "invited_teamate"), 3, None),
        (None, None, "/definition/clauses/0/match/events"),
    ):
        wrong = good["definition"] | {"clauses": [good["definition"]["clauses"][0] | {"match": "invited_teamate"}]}
        told = api.post("hypotheses/preview", {"definition": written or wrong, "connection": "shop"}).json()
        assert (told["hypothesis"], told["definition"]) == (None, None)
        (fault,) = told["errors"]
        assert (fault["line"], fault["pointer"], fault["nearest"]) == (line, pointer, ["invited_teammate"]), fault
    for broken in ("", "{", "a: [", {}, {"clauses": 3}, {"²": 1}, "²: 1", "\u2028- 1"):
        told = api.post("hypotheses/preview", {"definition": broken})
        assert (told.status_code, told.json()["hypothesis"]) == (200, None), broken
    assert len(api.get("hypotheses").json()["data"]) == 1
    assert api.post("hypotheses/preview", {"definition": YAML, "connection": "nowhere"}).status_code == 404


def test_a_revision_is_the_next_version_and_starts_over(api: Contract, store: Store, connection: Connection):
    row = kept(store, connection, tested=result())
    changed = api.ask("PATCH", f"hypotheses/{row.id}", json={"definition": definition(days=5)}, headers={"If-Match": f'"{row.row_version}"'})
    told = changed.json()
    assert (changed.status_code, changed.headers["etag"]) == (200, f'"{row.row_version + 1}"')
    assert (told["version"], told["status"], told["backtest"]) == (2, "proposed", None)
    assert "5 days" in told["hypothesis"]
    stale = api.ask("PATCH", f"hypotheses/{row.id}", json={"definition": definition(days=6), "row_version": row.row_version})
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict.stale_version")
    same = api.ask("PATCH", f"hypotheses/{row.id}", json={"definition": definition(days=5)})
    assert same.status_code == 422
    twin = api.ask("PATCH", f"hypotheses/{kept(store, connection, days=9).id}", json={"definition": definition(days=5)})
    assert (twin.status_code, twin.json()["code"]) == (409, "conflict.same_hypothesis")
    live = kept(store, connection, days=11, status=Status.APPROVED)
    refused = api.ask("PATCH", f"hypotheses/{live.id}", json={"definition": definition(days=12)})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict.transition")
    wrong = api.ask("PATCH", f"hypotheses/{row.id}", json={"definition": {"clauses": 3}}).json()["errors"]
    assert all(one["pointer"].startswith("/definition") for one in wrong)
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, NAMES, None)
    unknown = api.ask("PATCH", f"hypotheses/{row.id}", json={"definition": definition(days=8)})
    assert unknown.status_code == 422
    assert "/definition/clauses/1/match/events" in {one["pointer"] for one in unknown.json()["errors"]}


def test_ones_own_last_decision_is_taken_back_and_nobody_elses(api: Contract, stranger: TestClient, store: Store, connection: Connection, clock):
    row = kept(store, connection, tested=result())
    api.post(f"hypotheses/{row.id}/approve")
    other = may_only(stranger, store, Permission.DECIDE)
    assert other.post(f"hypotheses/{row.id}/undo").json()["code"] == "conflict.undo_too_late"
    undone = api.post(f"hypotheses/{row.id}/undo")
    assert (undone.status_code, undone.json()["status"], undone.json()["signals"]) == (200, "proposed", 0)
    assert undone.headers["etag"] == f'"{undone.json()["row_version"]}"'
    assert api.post(f"hypotheses/{row.id}/undo").status_code == 409
    api.post(f"hypotheses/{row.id}/reject", {"reason": "known"})
    stale = api.post(f"hypotheses/{row.id}/undo", {"row_version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict.stale_version")
    clock.advance(timedelta(minutes=11))
    assert api.post(f"hypotheses/{row.id}/undo").json()["code"] == "conflict.undo_too_late"

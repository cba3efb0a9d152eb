"""The scoreboard, alarms and holdouts over the API."""

from beton.store import alarms, hypotheses
from beton.store.records import Connection
from beton.store.store import Store
from tests.web.contract import Contract
from tests.web.steps import fired


def alarmed(store: Store, connection: Connection) -> tuple[str, str]:
    """A live hypothesis with a signal and an alarm: their ids."""
    row = fired(store, connection)
    with store.transaction() as tx:
        one = hypotheses.get(tx, row.id)
        found = alarms.raise_alarm(tx, one, "ask", basis="all", floor=0.3, fires=40, hits=2, log_e=6.0, last_fired_at=tx.now)
    return row.id, found.id


def test_the_scoreboard_tells_counts_promise_and_why_something_cannot_be_told(api: Contract, store: Store, connection: Connection):
    hypothesis_id, alarm_id = alarmed(store, connection)
    told = api.get("/api/v1/scoreboard").json()
    (one,) = told["hypotheses"]
    assert (one["hypothesis_id"], one["signals"], one["sent"], one["verdict"]) == (hypothesis_id, 3, 0, "cannot_tell")
    assert one["realised"]["precision"] is None
    assert one["incremental"]["reason"].startswith("Nobody is held out")
    assert one["alarm"]["alarm_id"] == alarm_id
    assert [route["name"] for route in told["routes"]] == ["crm"]
    assert api.get(f"/api/v1/hypotheses/{hypothesis_id}/score").json() == one


def test_a_share_is_chosen_and_too_large_a_one_refused(api: Contract, store: Store, connection: Connection):
    hypothesis_id, _ = alarmed(store, connection)
    told = api.ask("PUT", f"/api/v1/hypotheses/{hypothesis_id}/holdout", json={"share": 0.1}).json()
    assert told["incremental"]["share_held_out"] == 0.1
    assert told["incremental"]["reason"] == "No account that was held out has matured yet."
    assert api.ask("PUT", f"/api/v1/hypotheses/{hypothesis_id}/holdout", json={"share": 0.3}).status_code == 422
    assert api.ask("PUT", "/api/v1/hypotheses/hyp_no/holdout", json={"share": 0.1}).status_code == 404


def test_an_alarm_is_listed_and_answered_once(api: Contract, store: Store, connection: Connection):
    hypothesis_id, alarm_id = alarmed(store, connection)
    (one,) = api.get("/api/v1/alarms", params={"unanswered": "true"}).json()["data"]
    assert (one["alarm_id"], one["hits"], one["answer"]) == (alarm_id, 2, None)
    answered = api.post(f"/api/v1/alarms/{alarm_id}/answer", {"answer": "paused", "comment": "look into it"}).json()
    assert (answered["answer"], answered["comment"]) == ("paused", "look into it")
    assert api.get(f"/api/v1/hypotheses/{hypothesis_id}").json()["status"] == "paused"
    assert api.post(f"/api/v1/alarms/{alarm_id}/answer", {"answer": "kept"}).status_code == 409
    assert api.get("/api/v1/alarms", params={"unanswered": "true"}).json()["data"] == []
    assert len(api.get("/api/v1/alarms", params={"hypothesis_id": hypothesis_id}).json()["data"]) == 1


def test_what_to_do_about_drift_is_chosen(api: Contract):
    assert api.get("/api/v1/drift-action").json() == {"action": "ask"}
    assert api.ask("PUT", "/api/v1/drift-action", json={"action": "pause"}).json() == {"action": "pause"}
    assert api.get("/api/v1/drift-action").json() == {"action": "pause"}
    assert api.ask("PUT", "/api/v1/drift-action", json={"action": "shrug"}).status_code == 422

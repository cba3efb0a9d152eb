"""Long work over HTTP: asked for, answered with a run, read again."""

from backtest.language import Group
from backtest.matching import EventMatch
from beton.lifecycle import Status
from beton.store import connections, runs
from beton.store.records import Connection, RunStatus
from beton.store.store import Store
from beton.work.schedules import question_from
from tests.web.conftest import FakeJobs
from tests.web.contract import Contract
from tests.web.steps import kept

OUTCOME = {"kind": "event", "match": "paid", "horizon": "14d"}


def test_a_backtest_is_queued_and_its_run_can_be_read(api: Contract, jobs: FakeJobs, store: Store, connection: Connection):
    row = kept(store, connection)
    response = api.post("backtests", {"connection": "shop", "hypothesis_ids": [row.id, row.id], "window_days": 28})
    told = response.json()
    assert (response.status_code, told["kind"], told["status"]) == (202, "backtest", "queued")
    assert jobs.asked == [{"hypothesis_ids": [row.id], "as_of": "2026-03-02T09:29:00.123456+00:00", "window_days": 28.0}]
    assert api.get(response.headers["location"]).json() == told


def test_without_ids_all_that_wait_or_live_are_tested(api: Contract, jobs: FakeJobs, store: Store, connection: Connection):
    nothing = api.post("backtests", {"connection": "shop"})
    assert nothing.status_code == 422
    rows = {status: kept(store, connection, days=days, status=status) for days, status in enumerate(Status, 1)}
    assert api.post("backtests", {"connection": "shop"}).status_code == 202
    left_out = {rows[Status.REJECTED].id, rows[Status.RETIRED].id}
    assert set(jobs.asked[0]["hypothesis_ids"]) == {row.id for row in rows.values()} - left_out


def test_hypotheses_of_another_connection_are_refused(api: Contract, jobs: FakeJobs, store: Store, connection: Connection):
    with store.transaction() as tx:
        other = connections.add(tx, name="other", host="https://eu.posthog.com", project_id="18", api_key="phx_canaryCANARYcanary", actor="ada")
    mine, theirs = kept(store, connection), kept(store, other)
    response = api.post("backtests", {"connection": "shop", "hypothesis_ids": [mine.id, theirs.id]})
    assert [one["pointer"] for one in response.json()["errors"]] == ["/hypothesis_ids/1"]
    assert api.post("backtests", {"connection": "shop", "hypothesis_ids": ["hyp_a"]}).status_code == 404
    assert api.post("backtests", {"connection": "unknown"}).status_code == 404
    assert jobs.asked == []


def test_a_search_is_asked_for_in_the_language(api: Contract, jobs: FakeJobs, connection: Connection):
    asked = {"connection": "shop", "outcome": OUTCOME, "entry": "signed_up", "unit": {"group": "company"}}
    assert api.post("proposals", asked).status_code == 202
    question = question_from(jobs.asked[0]["question"])
    assert question.unit == Group(group="company")
    assert question.entry == EventMatch(events=("signed_up",))
    assert question.outcome.horizon == 14 * 86_400_000_000
    assert api.post("proposals", {"connection": "shop", "outcome": OUTCOME}).status_code == 202
    assert question_from(jobs.asked[1]["question"]).entry is None


def test_a_question_that_cannot_be_read_is_told_by_its_places(api: Contract, jobs: FakeJobs, connection: Connection):
    for body, at in (
        ({"outcome": OUTCOME | {"horizon": "soon"}}, "/outcome/horizon"),
        ({"outcome": {"kind": "evnt", "match": "paid", "horizon": "14d"}}, "/outcome/kind"),
        ({"outcome": OUTCOME, "unit": "account"}, "/unit"),
        ({"outcome": OUTCOME, "entry": {"any_evnt": True}}, "/entry/any_evnt"),
        ({"outcome": OUTCOME, "window_days": 14}, "/outcome/horizon"),
        ({"outcome": OUTCOME, "window_days": 0}, "/window_days"),
        ({"outcome": OUTCOME, "window_days": 1e9}, "/window_days"),
    ):
        response = api.post("proposals", {"connection": "shop"} | body)
        assert response.status_code == 422, body
        assert at in [one["pointer"] for one in response.json()["errors"]], response.json()
    assert jobs.asked == []


def test_runs_are_listed_by_kind_and_status(api: Contract, store: Store, connection: Connection):
    with store.transaction() as tx:
        first = runs.queue(tx, "backtest", connection_id=connection.id)
        runs.begin(tx, first.id)
        runs.finish(tx, first.id, RunStatus.FAILED, error={"code": "posthog.busy"}, counts={"requests": 3})
        runs.queue(tx, "sweep")
    assert [one["kind"] for one in api.get("runs", params={"status": "failed"}).json()["data"]] == ["backtest"]
    assert [one["status"] for one in api.get("runs", params={"kind": "sweep"}).json()["data"]] == ["queued"]
    assert len(api.get("runs", params={"connection": "shop"}).json()["data"]) == 1
    page = api.get("runs", params={"limit": 1}).json()
    assert api.get("runs", params={"limit": 1, "cursor": page["next_cursor"]}).json()["has_more"] is False
    assert api.get(f"runs/{first.id}").json()["error"] == {"code": "posthog.busy"}
    assert api.get("runs/run_a").status_code == 404

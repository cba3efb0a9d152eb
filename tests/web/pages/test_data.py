"""Data: connections, their budget and names, the question in one click, facts, and runs with what they cost."""

from datetime import timedelta

import pytest

from beton.errors import PostHogDenied
from beton.store import connections, questions, runs
from beton.store.records import RunStatus
from beton.store.tables import RequestLedgerRow
from beton.web.pages.data import size
from tests.web.conftest import FakeReach
from tests.web.pages.conftest import EVIL, read

KEY = "phx_canaryCANARYcanary"
FORM = {"name": "product", "region": "https://eu.posthog.com", "host": "", "project_id": "7", "api_key": KEY}


def test_a_project_is_connected_and_its_names_are_read(ada, store):
    assert "No project is connected." in read(ada.get("/data")).text
    answer = ada.post("/data", FORM)
    assert answer.status_code == 303
    page = ada.get(answer.headers["location"])
    for told in ("The project is connected.", "4 events", "subscription_started", "project 7 at eu.posthog.com", "Working"):
        assert told in read(page).text, told
    assert KEY not in page.text
    with store.reading() as tx:
        assert connections.api_key(tx, "product") == KEY


def test_a_project_that_refuses_is_not_kept_and_the_key_does_not_come_back(ada, store, reach: FakeReach):
    reach.problem = PostHogDenied("PostHog does not know this key.", fix="Make another one.")
    answer = ada.post("/data", FORM)
    assert answer.status_code == reach.problem.status
    assert "PostHog does not know this key. Make another one." in read(answer).text
    assert read(answer).all("input", name="name", value="product")
    assert KEY not in answer.text
    for wrong in ({"name": ""}, {"project_id": "seven"}, {"region": "", "host": ""}, {"api_key": ""}):
        assert ada.post("/data", FORM | wrong).status_code == 422
    with store.reading() as tx:
        assert connections.every(tx) == []


def test_the_budget_is_what_the_book_of_requests_says(viewer, store, connection):
    with store.transaction() as tx:
        for minutes, read_ in ((0.5, 2_000_000), (30, 40_000_000), (90, 7)):
            at = tx.now - timedelta(minutes=minutes)
            tx.session.add(
                RequestLedgerRow(workspace_id=tx.workspace_id, connection_id=connection.id, surface="query", at=at, requests=10, read=read_)
            )
    text = read(viewer.get(f"/data/{connection.name}")).text
    for told in ("Requests, this minute 10 of 120", "Requests, this hour 20 of 1,200", "42.0 MB this hour, 42.0 MB today"):
        assert told in text, told
    assert "20 of 1,200" in read(viewer.get("/data")).text


@pytest.mark.parametrize(("number", "told"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456_789, "123 MB"), (2e13, "20.0 TB")])
def test_bytes_are_told_in_the_unit_that_fits(number, told):
    assert size(number) == told


def test_the_suggested_question_is_confirmed_in_one_click_and_searched_for(reviewer, store, connection, reach, jobs):
    reach.read_names(jobs.place, connection)
    page = read(reviewer.get(f"/data/{connection.id}"))
    assert "what precedes 'subscription_started' within 14 days" in page.text
    assert reviewer.post(f"/data/{connection.id}/search").status_code == 422  # nothing is guessed
    assert reviewer.post(f"/data/{connection.id}/question", {"number": "99"}).status_code == 422
    assert reviewer.post(f"/data/{connection.id}/question", {"number": "1", "horizon_days": "21", "share_values": "yes"}).status_code == 303
    with store.reading() as tx:
        kept = questions.confirmed(tx, connection.id)
    assert kept is not None
    assert (kept.definition["outcome"]["horizon"], kept.share_values) == ("21d", True)
    text = read(reviewer.get(f"/data/{connection.id}")).text
    assert "For each person, from user_signed_up on: what precedes subscription_started within 21 days?" in text
    assert "Confirmed by Reviewer" in text
    answer = reviewer.post(f"/data/{connection.id}/search")
    assert answer.headers["location"].startswith("/runs/run_")
    assert jobs.asked[-1]["question"] == kept.definition


def test_names_are_searched_remarked_and_only_text(viewer, store, connection, proposed):
    page = viewer.get(f"/data/{connection.id}?q=ALERT")
    assert "<script>alert" not in page.text
    assert EVIL in read(page).text
    assert "paywall_shown" not in read(page).text.partition("Facts about")[0].partition("Search")[2]
    assert "No event has this in its name." in read(viewer.get(f"/data/{connection.id}?q=zzz")).text
    assert viewer.get(f"/data/{connection.id}?start=-4").status_code == 200
    assert viewer.get("/data/unknown").status_code == 404


def test_facts_are_written_changed_and_forgotten(reviewer, viewer, store, connection):
    assert reviewer.post(f"/data/{connection.id}/facts", {"text": "Trials last 14 days."}).status_code == 303
    with store.reading() as tx:
        (fact,) = questions.facts(tx, connection.id)
    reviewer.post(f"/facts/{fact.id}", {"text": "Trials last 30 days."})
    assert "Trials last 30 days." in read(viewer.get(f"/data/{connection.id}")).text
    assert viewer.post(f"/facts/{fact.id}", {"text": "x"}).status_code == 403
    reviewer.post(f"/facts/{fact.id}", {"text": "Trials last 30 days.", "then": "forget"})
    with store.reading() as tx:
        assert questions.facts(tx, connection.id) == []
    assert reviewer.post(f"/data/{connection.id}/facts", {"text": " "}).status_code == 422


def test_runs_tell_what_came_of_them_and_what_they_cost(viewer, store, connection):
    with store.transaction() as tx:
        done = runs.begin(tx, runs.queue(tx, "propose", connection_id=connection.id).id)
        counts = {"tried": 674, "proposed": 7, "queries": 12, "bytes_read": 45_000_000, "model": {"calls": 3, "tokens": 900, "money": 0.0123}}
        runs.finish(tx, done.id, RunStatus.DONE, counts=counts)
        failed = runs.begin(tx, runs.queue(tx, "backtest", connection_id=connection.id).id)
        runs.finish(tx, failed.id, RunStatus.FAILED, error={"detail": "PostHog was busy.", "fix": "", "code": "x"})
        going = runs.begin(tx, runs.queue(tx, "backtest", connection_id=connection.id).id)
        runs.progress(tx, going.id, done=3, total=16, message="Reading bucket 3 of 16")
    page = read(viewer.get("/data"))
    for told in ("674 tried, 7 proposed", "12 queries, 45.0 MB read, 3 model calls, 0.0123 of money", "PostHog was busy.", "Reading bucket 3 of 16"):
        assert told in page.text, told
    assert page.all("div", **{"data-progress": f"/runs/{going.id}/progress"})


def test_a_connection_is_checked_given_another_key_and_removed(ada, store, connection, proposed, reach):
    assert ada.post(f"/data/{connection.id}/check").headers["location"].endswith("done=well")
    reach.problem = PostHogDenied("PostHog does not know this key.")
    ada.post(f"/data/{connection.id}/check")
    assert "It fails: PostHog does not know this key." in read(ada.get(f"/data/{connection.id}")).text
    refused = ada.post(f"/data/{connection.id}/key", {"api_key": "phx_other"})
    assert refused.status_code == reach.problem.status
    assert "phx_other" not in refused.text
    reach.problem = None
    assert ada.post(f"/data/{connection.id}/key", {"api_key": "phx_other"}).status_code == 303
    assert ada.post(f"/data/{connection.id}/share", {"share": "20"}).status_code == 303
    assert ada.post(f"/data/{connection.id}/share", {"share": "0"}).status_code == 422
    assert ada.post(f"/data/{connection.id}/remove").status_code == 422
    assert ada.post(f"/data/{connection.id}/remove", {"sure": "yes"}).status_code == 409
    assert ada.post(f"/data/{connection.id}/remove", {"sure": "everything"}).status_code == 303
    with store.reading() as tx:
        assert connections.every(tx) == []


def test_who_may_only_read_sees_no_buttons(viewer, connection, proposed):
    page = read(viewer.get(f"/data/{connection.id}"))
    assert [one["action"] for one in page.all("form", method="post") if one["action"].startswith(("/data", "/facts"))] == []

"""The first run: from nothing to the first proposals, one step at a time."""

from datetime import timedelta

from beton.errors import PostHogDenied
from beton.store import connections, questions, runs
from beton.store.records import RunStatus
from tests.web.pages.conftest import propose, read
from tests.web.pages.test_data import FORM, KEY


def test_an_empty_workspace_begins_here(ada, viewer):
    assert ada.get("/").headers["location"] == "/start"
    page = read(ada.get("/start"))
    assert page.all("form", method="post", action="/start/connect")
    assert "beton demo" in page.text
    assert "you are not allowed to" in read(viewer.get("/start")).text


def test_step_by_step_to_the_first_proposals(ada, store, place, jobs, clock):
    assert ada.post("/start/connect", FORM).headers["location"] == "/start"
    page = read(ada.get("/start"))
    assert "What should be predicted?" in page.text
    assert "what precedes 'subscription_started' within 14 days" in page.text
    assert ada.post("/start/question", {"number": "1"}).headers["location"] == "/start"
    with store.reading() as tx:
        connection = connections.get(tx, "product")
        assert questions.confirmed(tx, connection.id) is not None
        (run,) = runs.listing(tx, kind="propose").data
    page = read(ada.get("/start"))
    assert "Searching product" in page.text
    assert page.all("div", **{"data-progress": f"/runs/{run.id}/progress"})
    with store.transaction() as tx:
        runs.begin(tx, run.id)
        seen = [{"sentence": "invited_teammate at least twice", "lift": 3.14}]
        runs.progress(tx, run.id, done=1, total=2, message="Trying pairs", counts={"so_far": seen})
    page = read(ada.get("/start"))
    assert "invited_teammate at least twice" in page.text
    assert "None of it is confirmed yet" in page.text
    clock.advance(timedelta(minutes=1))
    propose(store, place, connection)
    page = read(ada.get("/start"))
    assert "7 proposals wait for your decision" in page.text
    assert page.all("a", href="/review")
    assert ada.get("/").headers["location"] == "/review"
    assert jobs.asked


def test_a_refused_project_is_told_in_the_form(ada, reach):
    reach.problem = PostHogDenied("PostHog does not know this key.", fix="Make another one.")
    answer = ada.post("/start/connect", FORM)
    assert answer.status_code == reach.problem.status
    assert "PostHog does not know this key." in read(answer).text
    assert KEY not in answer.text


def test_names_that_could_not_be_read_are_read_again(ada, store, connection, reach):
    assert "shop is connected" in read(ada.get("/start")).text
    reach.problem = PostHogDenied("This key may not read definitions.")
    assert "This key may not read definitions." in read(ada.post("/start/names")).text
    reach.problem = None
    assert ada.post("/start/names").status_code == 303
    assert "What should be predicted?" in read(ada.get("/start")).text


def test_a_failed_or_empty_search_says_what_to_do(ada, store, connection, reach, place, clock):
    reach.read_names(place, connection)
    ada.post("/start/question", {"number": "1"})
    with store.transaction() as tx:
        (run,) = runs.listing(tx).data
        runs.begin(tx, run.id)
        runs.finish(tx, run.id, RunStatus.FAILED, error={"detail": "PostHog was busy.", "fix": "Try later."})
    assert "The search failed: PostHog was busy. Try later." in read(ada.get("/start")).text
    clock.advance(timedelta(minutes=1))
    ada.post("/start/search")
    with store.transaction() as tx:
        run = runs.listing(tx).data[0]
        runs.begin(tx, run.id)
        runs.finish(tx, run.id, RunStatus.DONE, counts={"tried": 214, "sentence": "Nothing clears the bar."})
    assert "The search found nothing worth your time Nothing clears the bar. 214 conditions were tried." in read(ada.get("/start")).text


def test_the_sample_project_is_one_click_where_it_is_installed(ada, store, reach, place):
    assert ada.post("/start/sample").status_code == 422
    made = []

    def sample(where, actor):
        with where.store.transaction() as tx:
            made.append(connections.add(tx, name="sample", host="http://127.0.0.1:9", project_id="1", api_key="phx_sandbox", actor=actor))
            return made[0]

    reach.sample = sample
    assert read(ada.get("/start")).all("form", action="/start/sample")
    assert ada.post("/start/sample").headers["location"] == "/start"
    assert "What should be predicted?" in read(ada.get("/start")).text

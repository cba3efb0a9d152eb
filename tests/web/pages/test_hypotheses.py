"""Hypotheses on pages: the list, one with everything around it, two side by side, written and changed by hand, tested while one watches."""

import json

from beton.lifecycle import Action, Status
from beton.store import hypotheses, runs
from beton.store.records import RunStatus
from beton.work.deciding import decide
from tests.web.pages.conftest import read
from tests.web.steps import fired, kept

GOOD = """\
entry: user_signed_up
clauses:
  - {kind: did, match: invited_teammate, at_least: 3, span: {first: 7d}}
outcome: {kind: event, match: paid, horizon: 14d}
"""


def rows(page) -> list[str]:
    return [one["id"] for one in page.all("tr") if "data-item" in one]


def test_the_list_has_a_tab_for_each_status_that_there_is(ada, proposed, place):
    decide(place, proposed[0].id, Action.APPROVE, actor="ada")
    page = read(ada.get("/hypotheses"))
    assert len(rows(page)) == 7
    assert "Proposed 6 Approved 1" in page.text
    assert "Retired" not in page.text
    assert rows(read(ada.get("/hypotheses?status=approved"))) == [proposed[0].id]
    assert len(rows(read(ada.get("/hypotheses?status=nonsense")))) == 7


def test_the_list_goes_on_by_key(ada, store, connection):
    kept_ids = {kept(store, connection, days=number).id for number in range(1, 31)}
    first = read(ada.get("/hypotheses"))
    second = read(ada.get(next(one["href"] for one in first.all("a", rel="next"))))
    assert (len(rows(first)), len(rows(second))) == (25, 5)
    assert {*rows(first), *rows(second)} == kept_ids
    assert ada.get("/hypotheses?after=hyp_unknown").status_code == 404


def test_a_hypothesis_shows_discovery_and_confirmation_side_by_side(ada, proposed):
    text = read(ada.get(f"/hypotheses/{proposed[0].id}")).text
    for told in ("Whole window Discovery Confirmed later", "Lift, against units of the same age (F)", "Lift, at a fixed time (L) 3.00× 2.40–3.80"):
        assert told in text, told
    for told in ("half later than 4.2 days", "Had fired 38 TP, 5.6% 66 FP, 9.6% 36.5%", "The search tried 674 conditions", "rests on the later data"):
        assert told in text, told


def test_its_history_tells_who_did_what_and_why(ada, reviewer, proposed):
    one = proposed[0]
    reviewer.post(f"/hypotheses/{one.id}/reject", {"reason": "spurious", "words": "Only our testers."})
    text = read(ada.get(f"/hypotheses/{one.id}")).text
    assert "reject proposed → rejected Reviewer" in text
    assert "Spurious: Only our testers." in text


def test_a_live_one_can_be_paused_and_has_its_signals(ada, store, connection):
    row = fired(store, connection)
    page = read(ada.get(f"/hypotheses/{row.id}"))
    assert "3 signals, live since" in page.text
    assert "p0" in page.text
    assert page.all("form", action=f"/hypotheses/{row.id}/pause")
    assert not page.all("a", href=f"/hypotheses/{row.id}/approve")
    answer = ada.post(f"/hypotheses/{row.id}/pause", {"row_version": row.row_version + 1})
    assert answer.status_code == 409
    assert ada.post(f"/hypotheses/{row.id}/pause").headers["location"] == f"/hypotheses/{row.id}"


def test_two_are_compared_number_by_number(ada, proposed, store, connection):
    page = read(ada.get(f"/hypotheses/compare?a={proposed[0].id}&b={proposed[-1].id}"))
    assert "Lift, against units of the same age 3.30× 2.40–4.00 1.60× 0.70–2.30 yes : the intervals do not meet" in page.text
    untested = kept(store, connection)
    assert "cannot tell" in read(ada.get(f"/hypotheses/compare?a={proposed[0].id}&b={untested.id}")).text
    assert ada.get(f"/hypotheses/compare?a={proposed[0].id}").status_code == 422
    assert ada.get(f"/hypotheses/compare?a={proposed[0].id}&b=hyp_unknown").status_code == 404


def test_a_draft_is_said_in_a_sentence_while_it_is_written(ada, proposed):
    told = read(ada.post("/hypotheses/preview", {"text": GOOD}, hx_request="true")).text
    assert "People who did invited_teammate at least 3 times within 7 days of user_signed_up convert (do paid ) within 14 days." in told


def test_a_draft_with_faults_names_all_of_them_with_line_and_nearest(ada, proposed):
    wrong = GOOD.replace("kind: did", "kind: dit").replace("horizon: 14d", "horizon: soon")
    told = read(ada.post("/hypotheses/preview", {"text": wrong}, hx_request="true")).text
    assert "2 things are not right yet" in told
    assert "line 3" in told
    assert "line 4" in told
    misspelt = read(ada.post("/hypotheses/preview", {"text": GOOD.replace("invited_teammate", "invited_teamate")}, hx_request="true")).text
    assert "no event is called 'invited_teamate'" in misspelt
    assert "Nearest: invited_teammate" in misspelt
    assert "is not right yet" in read(ada.post("/hypotheses/preview", {"text": "{{{"}, hx_request="true")).text


def test_a_draft_of_something_known_says_so(ada, proposed):
    known = GOOD.replace("at_least: 3", "at_least: 2")
    assert "This is known already" in read(ada.post("/hypotheses/preview", {"text": known}, hx_request="true")).text


def test_what_is_written_can_be_tested_at_once(ada, proposed, jobs, store):
    answer = ada.post("/hypotheses/new", {"text": GOOD, "then": "test"})
    run_id = answer.headers["location"].removeprefix("/runs/")
    (asked,) = jobs.asked
    with store.reading() as tx:
        assert runs.get(tx, run_id).status is RunStatus.QUEUED
        row = hypotheses.get(tx, asked["hypothesis_ids"][0])
    assert (row.source, row.status, row.selected) == ("person", Status.PROPOSED, False)
    page = read(ada.get(f"/runs/{run_id}"))
    assert "Waiting to begin" in page.text
    assert [one for one in page.all("div") if one.get("data-progress") == f"/runs/{run_id}/progress"]


def test_what_was_chosen_after_looking_is_confirmed_by_later_data_only(ada, proposed, store):
    answer = ada.post("/hypotheses/new", {"text": GOOD, "then": "keep", "looked": "yes"})
    with store.reading() as tx:
        assert hypotheses.get(tx, answer.headers["location"].removeprefix("/hypotheses/")).selected is True


def test_with_faults_the_form_comes_back_with_what_was_written(ada, proposed, jobs):
    answer = ada.post("/hypotheses/new", {"text": GOOD.replace("paid", "payd"), "then": "test"})
    assert answer.status_code == 422
    assert "payd" in answer.text
    assert "no event is called 'payd'" in read(answer).text
    assert jobs.asked == []


def test_a_change_is_the_next_version_and_untested(ada, proposed, store):
    one = proposed[0]
    assert "A change makes version 2" in read(ada.get(f"/hypotheses/{one.id}/edit")).text
    answer = ada.post(f"/hypotheses/{one.id}/edit", {"text": GOOD, "then": "keep", "row_version": one.row_version})
    assert answer.headers["location"] == f"/hypotheses/{one.id}"
    with store.reading() as tx:
        changed = hypotheses.get(tx, one.id)
    assert (changed.version, changed.verdict, changed.rank) == (2, None, 0)
    text = read(ada.get(f"/hypotheses/{one.id}")).text
    assert "Not tested" in text
    assert "Versions 2 2 Mar 2026" in text
    stale = ada.post(f"/hypotheses/{one.id}/edit", {"text": GOOD.replace("3,", "4,"), "row_version": one.row_version})
    assert stale.status_code == 409


def test_what_is_being_sent_is_not_edited(ada, proposed, place):
    decide(place, proposed[0].id, Action.APPROVE, actor="ada")
    page = read(ada.get(f"/hypotheses/{proposed[0].id}/edit"))
    assert "Pause it first" in page.text
    assert not page.all("textarea")
    assert ada.post(f"/hypotheses/{proposed[0].id}/edit", {"text": GOOD}).status_code == 409


def test_a_run_that_is_over_streams_its_end_and_shows_its_results(ada, proposed, store):
    with store.reading() as tx:
        run = runs.listing(tx, limit=1).data[0]
    text = ada.get(f"/runs/{run.id}/progress").text
    events = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert events == ["progress", "over"]
    assert json.loads(next(line for line in text.splitlines() if line.startswith("data: ")).removeprefix("data: "))["status"] == "done"
    assert "7 hypotheses" in read(ada.get(f"/runs/{run.id}")).text


def test_a_failed_run_says_why_and_what_to_do(ada, proposed, store):
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest")
        runs.begin(tx, run.id)
        runs.finish(tx, run.id, RunStatus.FAILED, error={"detail": "PostHog is <busy>.", "fix": "Wait.", "code": "posthog.busy"})
    text = read(ada.get(f"/runs/{run.id}")).text
    assert "It failed: PostHog is <busy>." in text
    assert "Wait." in text


def test_viewers_read_and_do_not_write(viewer, proposed):
    for path in ("/hypotheses", f"/hypotheses/{proposed[0].id}", f"/hypotheses/compare?a={proposed[0].id}&b={proposed[1].id}"):
        assert viewer.get(path).status_code == 200
    for path in ("/hypotheses/new", f"/hypotheses/{proposed[0].id}/edit"):
        assert viewer.get(path).status_code == 403
    assert viewer.post(f"/hypotheses/{proposed[0].id}/test").status_code == 403

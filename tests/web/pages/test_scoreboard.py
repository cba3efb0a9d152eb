"""The scoreboard and what stands on other pages of it: numbers with their intervals, reasons where there are none, and answers."""

import pytest

from beton.lifecycle import Status
from beton.store import alarms, audit, holdouts, hypotheses
from beton.store.alarms import DriftAlarm
from beton.store.store import Store
from tests.conftest import Clock
from tests.web.pages.browser import VIEWS, Eyes
from tests.web.pages.conftest import Person, read
from tests.web.pages.live import Desk
from tests.web.pages.proved import prove
from tests.web.pages.test_live_in_a_browser import look_at


@pytest.fixture
def alarm(store: Store, clock: Clock, desk: Desk) -> DriftAlarm:
    return prove(store, clock, desk)


def test_nothing_live_says_what_will_stand_here(ada: Person):
    page = read(ada.get("/scoreboard"))
    assert "Nothing has been live yet." in page.text


def test_a_young_desk_tells_what_is_too_early_and_why_nothing_can_be_said(ada: Person, desk: Desk):
    page = read(ada.get("/scoreboard"))
    assert desk.hypothesis.name in page.text
    assert "nothing has matured" in page.text
    assert "nobody is held out" in page.text


def test_what_became_of_signals_stands_beside_what_was_promised(alarm: DriftAlarm, ada: Person):
    page = read(ada.get("/scoreboard"))
    for told in (
        "held out",
        "any look",
        "Below its promise.",
        "invited_teammate has stopped coming. Perhaps it is called teammate_invited now.",
        "crm",
    ):
        assert told in page.text, told


def test_the_hypothesis_and_the_review_say_it_too(alarm: DriftAlarm, desk: Desk, ada: Person):
    page = read(ada.get(f"/hypotheses/{desk.hypothesis.id}"))
    assert "Since it is live" in page.text
    assert "4 of 60 accounts held out were followed by the outcome" in page.text
    review = read(ada.get("/review"))
    assert "1 live hypothesis asks for attention." in review.text
    assert "has stopped coming" in review.text


@pytest.mark.parametrize(("said", "status"), [("kept", Status.APPROVED), ("paused", Status.PAUSED), ("retired", Status.RETIRED)])
def test_an_alarm_is_answered_once(alarm: DriftAlarm, ada: Person, store: Store, said: str, status: Status):
    answered = ada.post(f"/alarms/{alarm.id}/answer", {"answer": said, "comment": "holiday", "from": "hypothesis"})
    assert (answered.status_code, answered.headers["location"]) == (303, f"/hypotheses/{alarm.hypothesis_id}")
    with store.reading() as tx:
        assert hypotheses.get(tx, alarm.hypothesis_id).status is status
        found = alarms.alarm(tx, alarm.id)
        assert (found.answer, found.comment) == (said, "holiday")
        assert "alarm.answer" in [one.action for one in audit.entries(tx, object_id=alarm.hypothesis_id)]
    assert ada.post(f"/alarms/{alarm.id}/answer", {"answer": "kept"}).status_code == 409
    assert "Below its promise." not in read(ada.get("/scoreboard")).text


def test_holding_out_and_what_to_do_are_chosen_here(ada: Person, store: Store, desk: Desk):
    assert ada.post(f"/hypotheses/{desk.hypothesis.id}/holdout", {"percent": "10"}).status_code == 303
    assert ada.post("/scoreboard/drift", {"action": "pause"}).status_code == 303
    with store.reading() as tx:
        assert holdouts.of(tx, desk.hypothesis.id).share == 0.1
    assert ada.post(f"/hypotheses/{desk.hypothesis.id}/holdout", {"percent": "25"}).status_code == 422
    assert ada.post("/scoreboard/drift", {"action": "nothing"}).status_code == 422
    page = read(ada.get("/scoreboard"))
    assert page.all("option", value="pause", selected="")


def test_who_may_not_decide_sees_no_buttons(alarm: DriftAlarm, viewer: Person):
    page = read(viewer.get("/scoreboard"))
    assert "Below its promise." in page.text
    assert not page.all("button", name="answer")
    assert viewer.post(f"/alarms/{alarm.id}/answer", {"answer": "kept"}).status_code == 403


@pytest.mark.parametrize(("theme", "width"), VIEWS)
def test_the_screens_are_accessible(alarm: DriftAlarm, eyes: Eyes, theme: str, width: int):
    screens = {"scoreboard": "/scoreboard", "hypothesis-live": f"/hypotheses/{alarm.hypothesis_id}", "review-attention": "/review"}
    look_at(eyes, screens, theme, width)


def test_an_alarm_can_be_answered_without_script(alarm: DriftAlarm, eyes: Eyes, store: Store):
    with eyes.page(scripts=False) as window:
        window.goto("/scoreboard")
        window.get_by_role("button", name="Pause").click()
        window.wait_for_url("**/scoreboard")
    with store.reading() as tx:
        assert hypotheses.get(tx, alarm.hypothesis_id).status is Status.PAUSED

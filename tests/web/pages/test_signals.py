"""Signals as sales see them: who, why, receipts, where they went, feedback, taking back, and the file."""

import csv
import io
from datetime import timedelta

from beton.signals import DeliveryStatus, Feedback
from beton.store import audit, deliveries, following, signals
from tests.web.pages.conftest import read
from tests.web.pages.live import FORMULA


def shown(page) -> list[str]:
    return [one["id"] for one in page.all("li") if "data-item" in one]


def test_a_signal_tells_who_why_what_it_rests_on_and_where_it_went(viewer, desk):
    page = read(viewer.get("/signals"))
    assert sorted(shown(page)) == sorted(one.id for one in desk.signals)
    for told in (
        "grace@hopper.example", "128 of 412", "27.0–36.0% converted", "crm Delivered 2 Mar 2026", "slack Given up", "Trying again",
        "invited_teammate 4×, last 2 Mar 2026 08:30 UTC", "40 minutes ago", "Events read until 2 Mar 2026",
    ):  # fmt: skip
        assert told in page.text, told
    assert not page.all("form", method="post", action=f"/signals/{desk.signals[0].id}/feedback")  # a viewer may not


def test_a_stranger_s_name_is_text(ada, desk):
    for path in ("/signals", f"/signals/{desk.signals[2].id}", f"/signals/{desk.signals[1].id}"):
        text = ada.get(path).text
        assert "<b>bold" not in text
        assert "<i>no such" not in text
        assert "canaryPATH" not in text


def test_feedback_is_one_click_and_can_be_withdrawn(sales, store, desk):
    one = desk.signals[0]
    answer = sales.post(f"/signals/{one.id}/feedback", {"feedback": "worked"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/signals/{one.id}")
    assert "Worked, says Sales" in read(sales.get(f"/signals/{one.id}")).text
    again = sales.post(f"/signals/{one.id}/feedback", {"feedback": "customer"}, hx_request="true")
    assert read(again).all("button", value="none", **{"aria-pressed": "true"})
    with store.reading() as tx:
        assert following.feedback(tx, [one.id])[one.id].verdict is Feedback.CUSTOMER
        assert [entry.after for entry in audit.entries(tx, object_id=one.id)] == [{"verdict": "customer"}, {"verdict": "worked"}]
        assert following.tally(tx, desk.hypothesis.id)[Feedback.CUSTOMER] == 1
    sales.post(f"/signals/{one.id}/feedback", {"feedback": "none"})
    with store.reading() as tx:
        assert following.feedback(tx, [one.id]) == {}
    assert sales.post(f"/signals/{one.id}/feedback", {"feedback": "lovely"}).status_code == 422


def test_who_claims_a_signal_finds_it_under_mine(sales, reviewer, desk):
    assert "You have claimed none" in read(sales.get("/signals?whose=mine")).text
    sales.post(f"/signals/{desk.signals[3].id}/claim")
    assert shown(read(sales.get("/signals?whose=mine"))) == [desk.signals[3].id]
    assert shown(read(reviewer.get("/signals?whose=mine"))) == []
    assert "with Sales" in read(reviewer.get("/signals")).text
    sales.post(f"/signals/{desk.signals[3].id}/release")
    assert shown(read(sales.get("/signals?whose=mine"))) == []


def test_what_is_taken_back_does_not_leave_and_is_not_sent_again(sales, ada, store, desk, clock):
    one = desk.signals[3]
    answer = sales.post(f"/signals/{one.id}/take-back")
    assert answer.headers["location"] == f"/signals/{one.id}?stopped=2"
    assert "2 deliveries had not left and will not." in read(sales.get(answer.headers["location"])).text
    clock.advance(timedelta(hours=1))
    with store.transaction() as tx:
        kept = deliveries.listing(tx, signal_id=one.id).data
        assert {each.status for each in kept} == {DeliveryStatus.DEAD}
        assert one.id not in {each.about.id for each in deliveries.claim(tx, limit=50, lease=timedelta(minutes=1))}
        assert deliveries.given_up(tx, since=clock.now - timedelta(days=1)) == 1  # the other one's
    assert ada.post(f"/routing/deliveries/{kept[0].id}/retry").status_code == 409
    sales.post(f"/signals/{one.id}/put-back")
    with store.reading() as tx:
        assert signals.get(tx, one.id).taken_back_at is None
    assert "taken back" in read(ada.get(f"/signals/{one.id}")).text or "take back" in read(ada.get(f"/signals/{one.id}")).text


def test_filters_narrow_and_pages_follow(viewer, store, desk, clock):
    assert len(shown(read(viewer.get(f"/signals?hypothesis={desk.hypothesis.id}&type=converts&since=day")))) == 7
    assert "No signal matches." in read(viewer.get("/signals?type=churns")).text
    clock.advance(timedelta(days=2))
    assert shown(read(viewer.get("/signals?since=day"))) == []
    clock.advance(timedelta(days=-2))
    assert len(shown(read(viewer.get("/signals?since=2026-03-02")))) == 7
    assert shown(read(viewer.get("/signals?since=2026-03-03"))) == []
    assert shown(read(viewer.get("/signals?hypothesis=hyp_unknown"))) == []


def test_an_account_is_found_without_naming_it(viewer, store, desk):
    one = desk.signals[0]
    with store.reading() as tx:
        key = signals.key_of(tx, one)
    page = read(viewer.get(f"/accounts/{key}"))
    assert "grace@hopper.example" in page.text
    assert "1 signal since 2 Mar 2026" in page.text
    assert viewer.get("/accounts/nobody").status_code == 404


def test_the_file_is_whole_has_no_formula_and_is_written_down(viewer, store, desk):
    for path in ("/signals.csv", "/api/v1/signals.csv"):
        answer = viewer.get(path)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="beton-signals-2026-03-02.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == 7
        assert {row["unit"] for row in rows} >= {"grace@hopper.example", f"'{FORMULA}"}
        assert {row["delivered_to"] for row in rows} == {"crm; slack", "crm", ""}
    with store.reading() as tx:
        assert [entry.action for entry in audit.entries(tx, limit=2)] == ["signal.export"] * 2


def test_without_signals_the_page_says_how_there_come_to_be_some(viewer, proposed):
    text = read(viewer.get("/signals")).text
    assert "Signals begin with an approval." in text
    assert "Export" not in text

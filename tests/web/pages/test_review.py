"""Review: the queue, what a decision will do, doing it, and taking it back."""

from datetime import timedelta

from beton.lifecycle import Action, Status
from beton.store import audit, hypotheses, hypothesis_lists, members, routes
from beton.work.deciding import decide
from beton.work.reviewing import rerank
from beton.work.undoing import WITHIN
from tests.store.steps import a_webhook
from tests.web.pages.conftest import read
from tests.web.steps import kept, result


def status_of(store, one) -> Status:
    with store.reading() as tx:
        return hypotheses.get(tx, one.id).status


def shown(page) -> list[str]:
    """The proposals on a page, in their order."""
    return [one["id"] for one in page.all("li") if "data-item" in one]


def test_what_clears_the_bar_comes_first_and_then_the_greater_lift(ada, proposed):
    page = read(ada.get("/review"))
    assert shown(page) == [one.id for one in proposed]
    assert "7 proposals wait, 4 clear the bar." in page.text
    verdicts = [one["aria-label"].partition(":")[0] for one in page.all("li") if "data-item" in one]
    assert verdicts == ["Clears the bar"] * 4 + ["Cannot tell", "Does not clear", "Does not clear"]


def test_each_proposal_has_its_numbers_with_intervals_and_says_why(ada, proposed):
    text = read(ada.get("/review")).text
    for told in ("31.0% 27.0–36.0", "42.0% 37.0–47.0", "3.30× 2.40–4.00", "412 of 430", "Too little data: needs at least 20 fires", "no lead"):
        assert told in text, told
    assert "33 30–37" in text  # fires a week, with the exact interval


def test_a_strangers_name_is_text_and_nothing_else(ada, proposed):
    for path in ("/review", "/hypotheses", *(f"/hypotheses/{one.id}" for one in proposed), *(f"/hypotheses/{one.id}/approve" for one in proposed)):
        response = ada.get(path)
        assert "<script>alert" not in response.text
        assert all(one.get("src") for one in read(response).all("script"))
    assert "&lt;script&gt;alert" in ada.get("/review").text


def test_nothing_is_written_into_a_page_that_the_policy_would_refuse(ada, proposed):
    for path in ("/review", f"/hypotheses/{proposed[0].id}", "/hypotheses/new", "/help/numbers"):
        response = ada.get(path)
        assert "'unsafe" not in response.headers["content-security-policy"]
        assert not [tag for tag, has in read(response).tags if tag == "style" or "style" in has or any(name.startswith("on") for name in has)]


def test_filters_narrow_the_queue_and_stay_in_the_address(ada, proposed):
    assert len(shown(read(ada.get("/review?verdict=clears")))) == 4
    assert len(shown(read(ada.get("/review?verdict=cannot_tell")))) == 1
    assert shown(read(ada.get("/review?q=PAYWALL_shown"))) == [one.id for one in proposed if "paywall_shown" in one.sentence]
    assert shown(read(ada.get("/review?q=%25"))) == []
    assert shown(read(ada.get("/review?source=person"))) == []
    assert "Nothing in the queue matches" in read(ada.get("/review?source=person")).text
    assert shown(read(ada.get("/review?verdict=nonsense&connection=shop"))) == [one.id for one in proposed]
    assert ada.get("/review?connection=nowhere").status_code == 404


def test_an_approval_says_beforehand_what_it_will_do(ada, proposed, store):
    with store.transaction() as tx:
        to = a_webhook(url="https://hooks.example.com/T0/canaryPATH", secret="whsec_canaryCANARY")
        routes.add(tx, name="crm", destination=to, actor="ada")
    text = read(ada.get(f"/hypotheses/{proposed[0].id}/approve")).text
    for told in (
        "about 33 signals a week 30–37",
        "from 430 fires",
        "about 31.0% convert within 14 days 27.0–36.0",
        "crm webhook, https://hooks.example.com",
    ):
        assert told in text, told
    assert "person-00@acme.example" in text
    assert "canary" not in text
    assert "✓ after 2.0 days" in text


def test_without_a_route_it_says_that_nobody_gets_anything(ada, proposed):
    assert "nobody yet: no route is on" in read(ada.get(f"/hypotheses/{proposed[0].id}/approve")).text


def test_a_sheet_is_a_page_and_for_htmx_a_part(ada, proposed):
    whole, part = ada.get(f"/hypotheses/{proposed[0].id}/reject"), ada.get(f"/hypotheses/{proposed[0].id}/reject", hx_request="true")
    assert "<html" in whole.text
    assert "<html" not in part.text
    assert part.text.strip().startswith("<form")


def test_a_decision_is_a_plain_form(ada, proposed, store):
    one = proposed[0]
    answer = ada.post(f"/hypotheses/{one.id}/approve", {"row_version": one.row_version})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/review?done={one.id}&how=approve")
    assert status_of(store, one) is Status.APPROVED
    page = read(ada.get(answer.headers["location"]))
    assert "Approved:" in page.text
    assert page.all("form", action=f"/hypotheses/{one.id}/undo")


def test_for_htmx_a_decision_leaves_its_line_with_the_way_back(ada, proposed, store):
    one = proposed[0]
    answer = ada.post(f"/hypotheses/{one.id}/reject", {"row_version": one.row_version, "reason": "spurious"}, hx_request="true")
    assert answer.status_code == 200
    assert f'id="{one.id}"' in answer.text
    assert "is-done" in answer.text
    assert "Spurious" in answer.text
    with store.reading() as tx:
        assert hypotheses.get(tx, one.id).rejected_reason == "Spurious"


def test_every_decision_can_be_taken_back_and_both_stay_in_the_history(ada, proposed, store):
    forms = {"approve": {}, "reject": {"reason": "other", "words": "Is our own test."}, "snooze": {"until": "week"}}
    for one, (action, form) in zip(proposed, forms.items(), strict=False):
        ada.post(f"/hypotheses/{one.id}/{action}", {"row_version": one.row_version, **form})
        assert status_of(store, one) is not Status.PROPOSED
        assert ada.post(f"/hypotheses/{one.id}/undo").status_code == 303
        assert status_of(store, one) is Status.PROPOSED
        with store.reading() as tx:
            assert f"hypothesis.{action}" in {entry.action for entry in audit.entries(tx, object_id=one.id)}


def test_only_ones_own_last_decision_is_taken_back_and_only_soon(ada, reviewer, proposed, store, clock):
    one = proposed[0]
    ada.post(f"/hypotheses/{one.id}/reject", {"reason": "known"})
    refused = reviewer.post(f"/hypotheses/{one.id}/undo")
    assert refused.status_code == 409
    assert "cannot be taken back any more" in read(refused).text
    clock.advance(WITHIN + timedelta(seconds=1))
    assert ada.post(f"/hypotheses/{one.id}/undo").status_code == 409
    assert status_of(store, one) is Status.REJECTED


def test_below_the_bar_an_approval_needs_a_reason(ada, proposed, store):
    weak = proposed[-1]
    assert "Approving it all the same needs a reason" in read(ada.get(f"/hypotheses/{weak.id}/approve")).text
    assert ada.post(f"/hypotheses/{weak.id}/approve", {"row_version": weak.row_version}).status_code == 409
    ada.post(f"/hypotheses/{weak.id}/approve", {"row_version": weak.row_version, "override": "trial", "override_words": "two weeks"})
    with store.reading() as tx:
        assert hypotheses.get(tx, weak.id).override_reason == "Worth a trial: two weeks"


def test_whoever_comes_second_is_told_and_overrules_nobody(ada, reviewer, proposed, store):
    one = proposed[0]
    reviewer.post(f"/hypotheses/{one.id}/reject", {"row_version": one.row_version, "reason": "known"})
    late = ada.post(f"/hypotheses/{one.id}/snooze", {"row_version": one.row_version, "until": "day"}, hx_request="true")
    assert late.status_code == 409
    assert late.headers["hx-retarget"] == "#problem"
    assert "changed by somebody else" in read(late).text
    assert status_of(store, one) is Status.REJECTED


def test_a_rejection_without_words_and_a_snooze_without_a_date_are_refused(ada, proposed):
    one = proposed[0]
    assert ada.post(f"/hypotheses/{one.id}/reject", {"reason": "other"}).status_code == 422
    assert ada.post(f"/hypotheses/{one.id}/reject", {}).status_code == 422
    assert ada.post(f"/hypotheses/{one.id}/snooze", {"until": "someday"}).status_code == 422
    assert ada.post(f"/hypotheses/{one.id}/snooze", {"until": "2020-01-01"}).status_code == 422
    assert ada.get(f"/hypotheses/{one.id}/explode").status_code == 404


def test_several_are_looked_at_before_anything_is_done(ada, proposed, store):
    chosen = [proposed[0].id, proposed[1].id, proposed[-1].id]
    page = read(ada.get("/review/several?action=approve&" + "&".join(f"ids={one}" for one in chosen)))
    assert "Approve 3 proposals?" in page.text
    assert "1 does not clear the bar" in page.text
    assert "about 100 signals a week together" in page.text
    assert all(status_of(store, one) is Status.PROPOSED for one in proposed)
    sent = [one["value"] for one in page.all("input", type="hidden", name="ids")]
    done = read(ada.post("/review/several", {"action": "approve", "ids": sent}))
    assert "Approved: 2" in done.text
    assert "1 was left as it is" in done.text
    assert [status_of(store, one) for one in (proposed[0], proposed[1], proposed[-1])] == [Status.APPROVED, Status.APPROVED, Status.PROPOSED]


def test_several_keep_to_what_was_looked_at(ada, reviewer, proposed, store):
    reviewer.post(f"/hypotheses/{proposed[0].id}/reject", {"reason": "known"})
    told = read(ada.post("/review/several", {"action": "snooze", "until": "week", "ids": [f"{one.id}@{one.row_version}" for one in proposed[:2]]}))
    assert "1 was left as it is" in told.text
    assert [status_of(store, one) for one in proposed[:2]] == [Status.REJECTED, Status.SNOOZED]
    assert ada.get("/review/several?action=approve").status_code == 422


def test_an_empty_queue_says_what_was_tried_and_what_stood_against_it(ada, proposed, place):
    for one in proposed:
        decide(place, one.id, Action.REJECT, actor="ada", reason="Known.")
    text = read(ada.get("/review")).text
    for told in ("Nothing waits for you.", "674 conditions tried", "7 proposed", "4 of them clear the bar", "The best of 454 random hypotheses"):
        assert told in text, told
    assert "the lower limit of the lift is too low : 1" in text


def test_an_empty_workspace_is_told_how_to_begin(ada):
    assert "Nothing has been searched yet." in read(ada.get("/review")).text


def test_who_may_only_look_finds_no_buttons_and_could_not_use_them(viewer, sales, proposed):
    one = proposed[0]
    for person in (viewer, sales):
        page = read(person.get("/review"))
        assert not [has for tag, has in page.tags if has.get("data-key") in ("a", "x", "h", "e", "u")]
        for action in ("approve", "reject", "snooze", "undo"):
            assert person.post(f"/hypotheses/{one.id}/{action}", {"reason": "known", "until": "day"}).status_code == 403


def test_pages_go_on_where_the_last_one_ended(ada, store, connection):
    rows = [kept(store, connection, days=number, tested=result(lift_low=2 + number / 50)) for number in range(1, 31)]
    first = read(ada.get("/review"))
    after = next(one["href"] for one in first.all("a", rel="next"))
    second = read(ada.get(after))
    assert len(shown(first)) == 25
    assert not set(shown(first)) & set(shown(second))
    assert set(shown(first)) | set(shown(second)) == {one.id for one in rows}


def test_another_bar_ranks_anew(ada, proposed, place):
    strict = place.settings.model_copy(update={"bar": place.settings.bar.model_copy(update={"min_lift_low": 2.15})})
    assert rerank(type(place)(strict, place.store, place.clock)) == 7
    with place.store.reading() as tx:
        assert hypothesis_lists.count_by_verdict(tx, hypothesis_lists.Wanted())["clears"] == 2


def test_a_decision_is_signed_with_the_member(ada, proposed, store):
    ada.post(f"/hypotheses/{proposed[0].id}/approve")
    with store.reading() as tx:
        assert hypotheses.get(tx, proposed[0].id).decided_by == f"Ada ({members.get(tx, 'ada@example.com').id})"

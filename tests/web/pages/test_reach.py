"""Rules of a route with their dry run, and who gets signals: the stop, cooldowns, lists, snoozes, doubts."""

from datetime import timedelta

from beton.signals import AttemptOutcome, DeliveryStatus
from beton.store import deliveries, holding, reach, routes
from tests.web.pages.conftest import read


def test_a_stop_stands_on_every_page_until_it_is_over(ada, viewer, store, desk):
    assert ada.post("/routing/sending", {"sending": "stop", "reason": "wrong list"}).status_code == 303
    for path in ("/review", "/signals", "/routing", "/hypotheses"):
        assert "All sending is stopped since" in read(viewer.get(path)).text, path
        assert "wrong list" in read(viewer.get(path)).text
    assert viewer.post("/routing/sending", {"sending": "start"}).status_code == 403
    assert ada.post("/routing/sending", {"sending": "start"}).status_code == 303
    assert "All sending is stopped" not in read(viewer.get("/review")).text


def test_what_waited_is_given_up_where_that_is_chosen(ada, store, desk):
    ada.post("/routing/sending", {"sending": "stop"})
    answer = ada.post("/routing/sending", {"sending": "start", "waiting": "drop"})
    assert "given up." in read(ada.get(answer.headers["location"])).text
    assert "nonsense" not in read(ada.get("/routing/reach?done=nonsense&number=5")).text
    with store.reading() as tx:
        assert deliveries.count(tx, DeliveryStatus.FAILED) == 0


def test_a_paused_route_is_told_on_every_page(viewer, store, desk):
    with store.transaction() as tx:
        routes.switch(tx, "crm", enabled=False, actor="beton", problem="Paused: nothing has arrived since 2026-01-01, in 12 attempts.")
    assert "1 route is off because of its receiver: crm" in read(viewer.get("/review")).text


def test_rules_are_tried_before_they_are_kept(ada, store, desk):
    path = f"/routing/routes/{desk.routes[0].id}"
    assert "Takes" in read(ada.get(path)).text
    form = {"min_confidence": "99.5", "type": ["pql", "trial"], "template": "{{unit}}: {{hypothesis}}", "unit_days": "7"}
    tried = read(ada.post(f"{path}/rules", form | {"do": "preview"}))
    assert "would have gone" in tried.text
    assert "not for this route" in tried.text
    with store.reading() as tx:
        assert routes.get(tx, "crm").rules.template is None
    assert ada.post(f"{path}/rules", form | {"do": "save"}).status_code == 303
    with store.reading() as tx:
        kept = routes.get(tx, "crm").rules
    assert (kept.passes.min_confidence, kept.passes.types, kept.cooldown.unit_days) == (0.995, ("pql", "trial"), 7)
    assert ada.post("/routing/routes/rte_nobody/rules", form).status_code == 404


def test_rules_that_are_refused_stand_in_the_form_still(ada, desk):
    path = f"/routing/routes/{desk.routes[0].id}/rules"
    refused = ada.post(path, {"template": "{{unit}} {{nonsense}}", "type": "trial", "do": "save"})
    assert refused.status_code == 422
    page = read(refused)
    assert "{{nonsense}} is no variable" in page.text
    assert "{{nonsense}}" in refused.text
    assert ada.post(path, {"min_confidence": "high", "do": "save"}).status_code == 422
    assert ada.post(path, {"owner_rule": "round_robin", "do": "save"}).status_code == 422


def test_a_list_is_pasted_read_and_shortened(ada, viewer, store, desk):
    pasted = {"list": "competitors", "entries": "Company,Website\nRival,https://www.rival.example.com\nbob@other.example.org\n"}
    assert ada.post("/routing/suppressions", pasted).status_code == 303
    assert "bob@other.example.org" in read(viewer.get("/routing/reach?list=competitors")).text
    assert ada.post("/routing/suppressions", {"list": "competitors", "entries": " "}).status_code == 422
    assert ada.post("/routing/suppressions", {"list": "friends", "entries": "x"}).status_code == 422
    with store.reading() as tx:
        line = reach.suppressed(tx).data[0]
    assert viewer.post(f"/routing/suppressions/{line.id}/remove").status_code == 403
    assert ada.post(f"/routing/suppressions/{line.id}/remove").status_code == 303
    assert ada.post(f"/routing/suppressions/{line.id}/remove").status_code == 404


def test_a_cooldown_is_set_for_all(ada, store, desk):
    assert ada.post("/routing/cooldown", {"unit_days": "7", "account_days": "1,5", "per_day": ""}).status_code == 303
    with store.reading() as tx:
        assert holding.cooldown(tx).model_dump() == {"unit_days": 7.0, "account_days": 1.5, "per_day": None}
    assert ada.post("/routing/cooldown", {"unit_days": "soon"}).status_code == 422


def test_somebody_is_snoozed_from_a_signal_and_by_name(ada, store, desk):
    with store.reading() as tx:
        delivery = deliveries.listing(tx, limit=1).data[0]
    assert "Send nothing more about" in read(ada.get(f"/signals/{delivery.signal_id}")).text
    assert ada.post(f"/signals/{delivery.signal_id}/snooze", {"days": "30"}).status_code == 303
    assert ada.post("/routing/snoozes", {"who": "acme.com", "days": "7", "reason": "holidays"}).status_code == 303
    assert ada.post("/routing/snoozes", {"who": " "}).status_code == 422
    page = read(ada.get("/routing/reach"))
    assert "acme.com" in page.text
    with store.reading() as tx:
        found = reach.snoozes(tx)
    assert [round((one.until - one.created_at).total_seconds() / 86400) for one in found] == [7, 30]
    assert ada.post(f"/routing/snoozes/{found[0].id}/end").status_code == 303


def test_one_in_doubt_asks_what_was_found(ada, store, desk):
    with store.transaction() as tx:
        (one, *_) = deliveries.claim(tx, limit=1, lease=timedelta(minutes=1)) or [None]
        if one is None:
            waiting = deliveries.listing(tx, status=DeliveryStatus.DEAD).data[0]
            deliveries.retry(tx, waiting.id, actor="ada")
            (one,) = deliveries.claim(tx, limit=1, lease=timedelta(minutes=1))
        deliveries.settle(tx, one.delivery.id, one.lease, AttemptOutcome(status=DeliveryStatus.IN_DOUBT))
    path = f"/routing/deliveries/{one.delivery.id}"
    assert "It may have arrived." in read(ada.get(path)).text
    assert ada.post(f"{path}/resolve", {"arrived": "yes"}).status_code == 303
    assert "It may have arrived." not in read(ada.get(path)).text
    assert ada.post(f"{path}/resolve", {"arrived": "no"}).status_code == 409

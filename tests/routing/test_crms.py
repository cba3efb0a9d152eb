"""HubSpot and Attio: a record is found before one is made, told twice it stays one, and nothing but Beton's own fields is ever written."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from beton.errors import BadInput, DestinationBadStatus, DestinationError, DestinationRefused
from beton.routing import attio, hubspot
from beton.routing.crm import FIELDS, KEY
from beton.routing.webhook import Patience, open_client
from beton.signals import Receipt
from tests.routing import fake_attio, fake_hubspot
from tests.routing.apis import Answered, a_message, listening
from tests.routing.fakes import START, Clock

QUICK = Patience(connect=0.5, status=2.0, head=0.5)


@dataclass
class Crm:
    """A CRM with its fake and its client."""

    api: Any
    url: str
    module: Any
    make: Any
    token: str

    def settings(self, **changes):
        return self.make.model_validate({"token": self.token, "base_url": self.url} | changes)

    def run(self, what, *arguments, **changes):
        async def once():
            async with open_client(QUICK) as client:
                return await getattr(self.module, what)(self.settings(**changes), *arguments, client=client, clock=Clock(), patience=QUICK)

        return asyncio.run(once())

    def send(self, message=None, **changes):
        return self.run("send", message or a_message(), **changes)

    def add(self, **values):
        return self.api.add(**({"domains": [values.pop("domain")]} if self.module is attio and "domain" in values else {}), **values)

    def field(self, record_id, name):
        held = self.api.held[record_id].get(name)
        return (held[0] if held else None) if isinstance(held, list) else held

    @property
    def by_key(self):
        return {self.field(record_id, KEY): record_id for record_id in self.api.held}


@pytest.fixture(params=["hubspot", "attio"])
def crm(request):
    kinds = {
        "hubspot": (fake_hubspot.FakeHubSpot, hubspot, hubspot.HubSpotSettings, fake_hubspot.TOKEN),
        "attio": (fake_attio.FakeAttio, attio, attio.AttioSettings, fake_attio.TOKEN),
    }
    fake, module, settings, token = kinds[request.param]
    api = fake()
    with listening(api) as url:
        made = Crm(api, url, module, settings, token)
        made.run("set_up")
        api.asked.clear()
        yield made


def test_setting_up_makes_beton_s_own_fields_and_again_makes_none(crm):
    assert crm.run("set_up") == []
    own = [name for name in (crm.api.properties if crm.module is hubspot else crm.api.attributes) if name.startswith("beton_")]
    assert sorted(own) == sorted(one.name for one in FIELDS)
    assert not crm.api.writes()


def test_a_field_of_ours_that_is_another_kind_is_refused_before_anything_is_written(crm):
    held = crm.api.properties if crm.module is hubspot else crm.api.attributes
    held[KEY] = held[KEY].model_copy(update={"hasUniqueValue": False} if crm.module is hubspot else {"is_unique": False})

    with pytest.raises(DestinationRefused) as refused:
        crm.run("set_up")
    assert refused.value.code == "destination.field_taken"
    assert crm.send(a_message(kind="test")).kind == "refused"


def test_a_test_reads_and_writes_nothing(crm):
    outcome = crm.send(a_message(kind="test"))

    assert (outcome.kind, outcome.failure) == ("delivered", None)
    assert not crm.api.writes()
    assert crm.api.held == {}


def test_a_signal_is_on_one_record_however_often_it_is_told(crm):
    outcomes = [crm.send() for _ in range(3)]

    assert [one.kind for one in outcomes] == ["delivered"] * 3
    (record_id,) = crm.api.held
    assert crm.field(record_id, KEY) == "domain:company1.com"
    assert crm.field(record_id, "beton_signal_id") == "sig_1"
    assert float(crm.field(record_id, "beton_confidence")) == 0.71
    assert "teammate_invited" in crm.field(record_id, "beton_events")


def test_lost_answers_make_no_second_record(crm):
    crm.api.lose = 1
    unread = crm.send()
    crm.api.lose_writes = 1
    unheard, told = crm.send(), crm.send()

    assert [one.kind for one in (unread, unheard, told)] == ["retry", "retry", "delivered"]
    assert len(crm.api.held) == 1


def test_a_record_that_people_made_is_found_by_its_domain_and_keeps_all_that_is_theirs(crm):
    record_id = crm.add(domain="company1.com", name="Company One")

    assert [crm.send().kind, crm.send(a_message(1, message_id="msg_2", fired_at=START + timedelta(days=1))).kind] == ["delivered"] * 2
    assert list(crm.api.held) == [record_id]
    assert crm.field(record_id, "name") == "Company One"
    assert crm.field(record_id, KEY) == "domain:company1.com"


def test_nothing_is_ever_written_but_beton_s_own_fields_and_nothing_deleted(crm):
    crm.add(domain="company1.com", name="Company One")
    for number in range(1, 4):
        crm.send(a_message(number))

    for asked in crm.api.writes():
        inputs = asked.content.get("inputs") or [asked.content.get("data", {})]
        written = {name for one in inputs for name in one.get("properties") or one.get("values") or {}}
        assert written
        assert all(name.startswith("beton_") for name in written)
    assert not [one for one in crm.api.asked if one.method == "DELETE" or "archive" in one.path]


def test_two_records_of_one_domain_are_left_to_people(crm):
    crm.add(domain="company1.com")
    crm.add(domain="company1.com")

    outcome = crm.send()

    assert (outcome.kind, outcome.failure.code) == ("refused", "destination.ambiguous")
    assert not crm.api.writes()


def test_a_route_that_makes_no_records_says_so(crm):
    outcome = crm.send(create=False)

    assert (outcome.kind, outcome.failure.code) == ("refused", "destination.no_record")
    assert crm.api.held == {}


def test_an_older_signal_never_takes_the_place_of_a_newer_one(crm):
    crm.send(a_message(1, signal_id="sig_new", fired_at=START + timedelta(hours=1)))
    late = crm.send(a_message(1, message_id="msg_late", signal_id="sig_old"))

    assert (late.kind, "newer" in late.response_head) == ("delivered", True)
    (record_id,) = crm.api.held
    assert crm.field(record_id, "beton_signal_id") == "sig_new"


def test_what_is_not_known_any_more_is_cleared(crm):
    crm.send()
    crm.send(a_message(1, message_id="msg_2", fired_at=START + timedelta(hours=1), owner=None, confidence=None, promise=None))

    (record_id,) = crm.api.held
    assert [crm.field(record_id, name) or None for name in ("beton_owner", "beton_confidence", "beton_promise")] == [None] * 3


def test_a_dry_run_tells_what_sending_would_do_and_writes_nothing(crm):
    created = crm.run("dry_run", a_message())
    assert (created.action, created.record_id, {one.before for one in created.changes}) == ("create", None, {None})
    assert crm.run("dry_run", a_message(), create=False).action == "nothing"

    record_id = crm.add(domain="company1.com", name="Company One")
    matched = crm.run("dry_run", a_message())
    assert (matched.action, matched.record_id, matched.found_by) == ("update", record_id, "match")
    assert not crm.api.writes()

    crm.send()
    crm.api.asked.clear()
    assert crm.run("dry_run", a_message()).action == "nothing"
    newer = crm.run("dry_run", a_message(1, owner="Grace"))
    assert [(one.name, one.before, one.after) for one in newer.changes] == [("beton_owner", "Ada", "Grace")]
    assert crm.run("dry_run", a_message(1, fired_at=START - timedelta(days=1))).why == "A newer signal is there already."
    assert not crm.api.writes()


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"kind": "notice"}, {}),
        ({"unit_kind": "person", "unit": "0190-x", "account_domain": None}, {}),
        ({}, {"records": "persons"}),
    ],
)
def test_what_has_no_record_of_this_kind_is_refused_without_asking(crm, changes, settings):
    records = {"persons": {"hubspot": "contacts", "attio": "people"}}.get(settings.get("records", ""), {}).get(crm.module.__name__.split(".")[-1])
    outcome = crm.send(a_message(**changes), **({"records": records} if records else {}))

    assert outcome.kind == "refused"
    assert crm.api.asked == []


@pytest.mark.parametrize("status", [401, 403, 404, 409, 423, 429, 500, 502, 503])
def test_a_no_is_told_with_the_crm_s_own_words_and_without_the_token(crm, status):
    words = {"message": f"not now {crm.token}", "status_code": status}
    crm.api.instead.append(Answered(status, words, {"Retry-After": "Mon, 02 Mar 2026 09:30:10 GMT"} if status == 429 else {}))

    outcome = crm.send()

    assert outcome.kind == ("retry" if status in (409, 423, 429) or status >= 500 else "refused")
    assert isinstance(outcome.failure, DestinationBadStatus)
    assert "not now" in outcome.failure.message
    assert crm.token not in outcome.failure.message + (outcome.response_head or "")
    assert outcome.retry_after == (pytest.approx(9.876544) if status == 429 else None)


@pytest.mark.parametrize(
    "content", ["<html>sign in</html>", [], {}, {"results": {}}, {"data": 1}, {"results": [1, {"id": 1}], "data": [1, {"id": 1}]}]
)
def test_an_answer_in_other_words_is_tried_again_and_never_believed(crm, content):
    crm.api.instead += [Answered(200, content)] * 4
    outcome = crm.send()

    assert outcome.kind == "retry"
    assert isinstance(outcome.failure, DestinationError)
    assert crm.api.held == {}


def test_texts_that_a_crm_would_choke_on_are_cut_and_cleaned(crm):
    long = "x\x00\r\n" * 4000
    nasty = a_message(sentence=long, promise=long, owner=long, receipts=(Receipt(event=long, at=START),) * 3, account_domain="d" * 300 + ".com")

    assert crm.send(nasty).kind == "delivered"
    (record_id,) = crm.api.held
    assert all(len(str(crm.field(record_id, one.name) or "")) <= 300 for one in FIELDS)
    assert crm.send(a_message(1, account_domain="d" * 301 + ".com")).kind == "delivered"
    assert len(crm.api.held) == 2, "two long names are two companies"


def test_settings_that_cannot_work_are_refused_where_they_are_given(crm):
    for changes in ({"token": ""}, {"token": "a b"}, {"token": "x\r\ny"}, {"base_url": "http://crm.example.com"}, {"base_url": "https://10.1.1.1"}):
        with pytest.raises(BadInput):
            crm.settings(**changes).check()
    crm.settings().check()
    assert crm.token not in repr(crm.settings())


# HubSpot alone takes several at once.


@pytest.fixture
def several():
    api = fake_hubspot.FakeHubSpot()
    with listening(api) as url:
        made = Crm(api, url, hubspot, hubspot.HubSpotSettings, fake_hubspot.TOKEN)
        made.run("set_up")
        api.asked.clear()
        yield made


def test_a_batch_is_a_few_requests_and_an_outcome_for_each(several):
    several.add(domain="company3.com", name="Three")
    messages = [a_message(number) for number in range(1, hubspot.BATCH + 1)]

    outcomes = several.run("send_many", messages)

    assert [one.kind for one in outcomes] == ["delivered"] * hubspot.BATCH
    assert len(several.api.held) == hubspot.BATCH
    assert len(several.api.asked) == 4, "read, search, update, upsert"


def test_a_part_that_fails_leaves_the_rest_done(several):
    several.api.spoil = {"domain:company2.com": "VALIDATION_ERROR", "domain:company4.com": "RATE_LIMITS"}

    outcomes = several.run("send_many", [a_message(number) for number in range(1, 6)])

    assert [one.kind for one in outcomes] == ["delivered", "refused", "delivered", "retry", "delivered"]
    assert "not this one" in outcomes[1].failure.message
    assert sorted(several.by_key) == ["domain:company1.com", "domain:company3.com", "domain:company5.com"]


def test_a_batch_that_is_refused_whole_is_sent_one_by_one(several):
    refusal = fake_hubspot.refused(400, "VALIDATION_ERROR", "one of them is wrong")
    answer, seen = several.api.answer, []

    def picky(asked):
        if asked.path.endswith("/batch/upsert") and any(one["id"] == "domain:company2.com" for one in asked.content["inputs"]):
            return refusal
        seen.append(asked)
        return answer(asked)

    several.api.answer = picky
    outcomes = several.run("send_many", [a_message(number) for number in range(1, 5)])

    assert [one.kind for one in outcomes] == ["delivered", "refused", "delivered", "delivered"]
    assert "one of them is wrong" in outcomes[1].failure.message


def test_two_signals_of_one_company_in_a_batch_write_the_later_one(several):
    later = a_message(1, message_id="msg_b", signal_id="sig_b", fired_at=START + timedelta(hours=1))

    outcomes = several.run("send_many", [a_message(1), later, a_message(2)])

    assert [one.kind for one in outcomes] == ["delivered"] * 3
    assert several.field(several.by_key["domain:company1.com"], "beton_signal_id") == "sig_b"
    assert len(several.api.held) == 2


def test_persons_are_contacts_found_by_their_address():
    api = fake_hubspot.FakeHubSpot("contacts")
    with listening(api) as url:
        crm = Crm(api, url, hubspot, hubspot.HubSpotSettings, fake_hubspot.TOKEN)
        crm.run("set_up", records="contacts")
        record_id = api.add(email="grace@example.com")
        outcome = crm.send(a_message(unit_kind="person", unit="Grace@example.com"), records="contacts")

    assert outcome.kind == "delivered"
    assert list(api.held) == [record_id]

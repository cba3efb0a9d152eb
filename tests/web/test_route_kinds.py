"""What kinds of routes there are, what their receivers need, what sending would change, and how reviewers hear of proposals."""

from datetime import timedelta

import pytest

from beton.lifecycle import Status
from beton.routing.channels import CHANNELS
from beton.store import audit, signals, workspaces
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.calling_reviewers import TOLD, call_reviewers, choose_route
from beton.work.ways_out import open_way
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.routing import fake_hubspot, mailbox
from tests.routing.apis import listening
from tests.web.contract import Contract
from tests.web.steps import fired, kept


def test_every_kind_tells_its_settings_and_shows_no_secret(api: Contract):
    kinds = {one["kind"]: one for one in api.get("route-kinds").json()["data"]}

    assert set(kinds) == set(CHANNELS)
    assert [one["name"] for one in kinds["slack"]["settings"]][:3] == ["webhook_url", "token", "channel"]
    assert {one["shape"] for one in kinds["slack"]["settings"] if one["name"] in ("token", "signing_secret")} == {"secret"}
    assert (kinds["email"]["effect"], kinds["hubspot"]["effect"]) == ("uncertain", "idempotent")
    assert [kind for kind, one in kinds.items() if one["has_difference"] and one["has_set_up"]] == ["hubspot", "attio"]


@pytest.fixture
def hubspot(place: Workplace):
    api = fake_hubspot.FakeHubSpot()
    with listening(api) as url:
        open_way(place, name="crm-sync", kind="hubspot", given={"token": fake_hubspot.TOKEN, "base_url": url}, actor="ada")
        yield api


def test_a_crm_is_set_up_once_and_the_difference_is_read_and_never_written(
    api: Contract, store: Store, connection: Connection, hubspot: fake_hubspot.FakeHubSpot
):
    fired(store, connection)
    with store.reading() as tx:
        signal_id = signals.listing(tx).data[0].id
    made = api.post("routes/crm-sync/set-up").json()["made"]
    again = api.post("routes/crm-sync/set-up").json()["made"]
    written = len(hubspot.writes())
    told = api.get("routes/crm-sync/difference", params={"signal_id": signal_id})

    assert ("beton_key" in made, again) == (True, [])
    assert (told.status_code, told.json()["code"]) == (502, "destination.no_record"), "nobody knows this person's company"
    assert len(hubspot.writes()) == written
    assert hubspot.held == {}
    with store.reading() as tx:
        assert [one.action for one in audit.entries(tx)].count("route.set_up") == 2


def test_what_needs_no_preparation_says_so(api: Contract, store: Store, connection: Connection):
    fired(store, connection)
    with store.reading() as tx:
        signal_id = signals.listing(tx).data[0].id

    refused = [api.post("routes/crm/set-up"), api.get("routes/crm/difference", params={"signal_id": signal_id})]

    assert [(one.status_code, one.json()["code"]) for one in refused] == [(422, "route.no_set_up"), (422, "route.no_difference")]
    assert api.post("routes/nobody/set-up").status_code == 404
    assert api.get("routes/crm/difference", params={"signal_id": "sig_nobody"}).status_code in (404, 422)


# Reviewers.


@pytest.fixture
def reviewers():
    box = mailbox.Mailbox()
    with mailbox.listening(box) as port:
        box.port = port
        yield box


@pytest.fixture
def told(place: Workplace, reviewers: mailbox.Mailbox) -> str:
    given = {"to": "ada@example.com", "sender": "beton@acme.example", "host": "127.0.0.1", "port": reviewers.port, "security": "none"}
    return open_way(place, name="reviewers", kind="email", given=given, actor="ada").id


def test_reviewers_are_told_nothing_until_somebody_chooses_where(
    place: Workplace, store: Store, connection: Connection, told: str, reviewers: mailbox.Mailbox
):
    kept(store, connection)
    assert call_reviewers(place) is None
    assert reviewers.mails == []


def test_reviewers_hear_of_new_proposals_once_a_day(
    place: Workplace, store: Store, connection: Connection, told: str, reviewers: mailbox.Mailbox, clock: Clock
):
    choose_route(place, "reviewers", actor="ada")
    assert call_reviewers(place) is None, "nothing waits"
    kept(store, connection, days=3)
    kept(store, connection, days=4, status=Status.APPROVED)

    outcomes = [call_reviewers(place) for _ in range(3)]
    clock.advance(timedelta(hours=12))
    kept(store, connection, days=5)
    outcomes.append(call_reviewers(place))
    clock.advance(timedelta(hours=13))
    outcomes.append(call_reviewers(place))
    clock.advance(timedelta(days=3))
    outcomes.append(call_reviewers(place))

    assert [one and one.kind for one in outcomes] == ["delivered", None, None, None, "delivered", None]
    first, second = reviewers.mails
    assert first["Subject"] == "1 proposal waits for review"
    assert second["Subject"] == "2 proposals wait for review"
    assert "Invites within 3 days" in first.get_content()
    assert "Invites within 5 days" in second.get_content()
    assert "Invites within 3 days" not in second.get_content(), "that is no news"
    assert f"{place.settings.address}/review" in first.get_content()
    assert first["List-Unsubscribe"]


def test_what_cannot_have_arrived_is_tried_again_and_what_may_have_is_not(
    place: Workplace, store: Store, connection: Connection, told: str, reviewers: mailbox.Mailbox
):
    choose_route(place, "reviewers", actor="ada")
    kept(store, connection)
    reviewers.refuse_data = "451 later"
    assert [outcome and outcome.kind for outcome in (call_reviewers(place), call_reviewers(place))] == ["retry", "retry"]
    reviewers.refuse_data = "550 never"
    assert [outcome and outcome.kind for outcome in (call_reviewers(place), call_reviewers(place))] == ["refused", None]
    with store.reading() as tx:
        assert workspaces.get(tx).settings[TOLD]


def test_where_reviewers_are_told_is_chosen_and_unchosen_over_the_api(api: Contract, store: Store, connection: Connection, told: str):
    fired(store, connection)
    assert api.get("reviewers").json() == {"route_id": None, "route": None}
    assert api.ask("PUT", "reviewers", json={"route": "reviewers"}).json() == {"route_id": told, "route": "reviewers"}
    assert api.get("reviewers").json()["route"] == "reviewers"
    assert api.ask("PUT", "reviewers", json={"route": "crm"}).status_code == 422, "a program reviews nothing"
    assert api.ask("PUT", "reviewers", json={"route": "nobody"}).status_code == 404
    assert api.ask("PUT", "reviewers", json={"route": None}).json()["route_id"] is None

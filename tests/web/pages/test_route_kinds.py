"""A new route of any kind from the page: the form asks for what the kind has, keeps what is written when refused, and shows no secret again."""

import pytest

from beton.routing.channels import CHANNELS
from beton.routing.forms import form_fields
from beton.store import routes
from beton.work.calling_reviewers import chosen_route
from tests.routing import fake_hubspot
from tests.routing.apis import listening
from tests.routing.fake_slack import TOKEN
from tests.web.pages.conftest import read


def test_every_kind_can_be_chosen_and_asks_for_all_its_settings(ada):
    page = read(ada.get("/routing/new"))
    for kind, channel in CHANNELS.items():
        assert channel.title in page.text
        form = read(ada.get(f"/routing/new/{kind}"))
        for field in form_fields(kind):
            assert field.title in form.text
            assert field.help in form.text
    assert ada.get("/routing/new/fax").status_code == 404
    assert "/routing/new" in ada.get("/routing").text


def test_a_channel_is_added_with_where_its_buttons_answer(ada, store):
    written = {"name": "sales", "token": TOKEN, "channel": "C0123456789", "signing_secret": "8f742231b10e8888abcd99yyyzzz85a5", "notices": "yes"}
    made = ada.post("/routing/new/slack", written)

    assert made.status_code == 200
    with store.reading() as tx:
        route = routes.get(tx, "sales")
        assert routes.destination(tx, "sales").settings["token"] == TOKEN
    assert (route.kind, route.notices) == ("slack", True)
    assert f"/slack/{store.workspace_id}/{route.id}" in made.text
    assert TOKEN not in made.text + ada.get("/routing").text


def test_reviewers_are_told_along_a_route_that_reaches_people(ada, reviewer, place):
    assert "Tell reviewers" not in ada.get("/routing").text
    ada.post("/routing/new/slack", {"name": "sales", "token": TOKEN, "channel": "C0123456789"})
    with place.store.reading() as tx:
        route = routes.get(tx, "sales")
    assert ada.post("/routing/reviewers", {"route": route.id}).status_code == 303
    assert chosen_route(place) == route
    assert "signals, proposals that wait" in read(ada.get("/routing")).text
    assert reviewer.post("/routing/reviewers", {"route": ""}).status_code == 403
    assert ada.post("/routing/reviewers", {"route": "rte_nobody"}).status_code == 404
    assert ada.post("/routing/reviewers", {"route": ""}).status_code == 303
    assert chosen_route(place) is None


def test_what_is_refused_stays_written_but_for_its_secrets(ada):
    refused = ada.post(
        "/routing/new/email", {"name": "ada", "to": "ada", "sender": "beton@acme.example", "host": "smtp.example.com", "password": "canary"}
    )

    page = read(refused)
    assert refused.status_code == 422
    assert page.all("input", name="to", value="ada")
    assert page.all("input", name="host", value="smtp.example.com")
    assert "This is not an e-mail address." in page.text
    assert "canary" not in refused.text
    assert ada.post("/routing/new/email", {"name": "ada"}).status_code == 422
    assert ada.post("/routing/new/webhook", {"name": "x", "url": "https://10.0.0.1/"}).status_code == 422


@pytest.mark.parametrize("person", ["viewer", "reviewer"])
def test_only_who_manages_routes_may(person, request):
    somebody = request.getfixturevalue(person)
    assert somebody.get("/routing/new").status_code == 403
    assert somebody.post("/routing/new/slack", {"name": "x"}).status_code == 403


def test_a_crm_is_set_up_from_the_page(ada, store):
    api = fake_hubspot.FakeHubSpot()
    with listening(api) as url:
        added = ada.post(
            "/routing/new/hubspot", {"name": "crm-sync", "token": fake_hubspot.TOKEN, "records": "companies", "base_url": url, "create": "yes"}
        )
        with store.reading() as tx:
            route = routes.get(tx, "crm-sync").id
        done, again = (read(ada.post(f"/routing/{route}/set-up")).text for _ in range(2))
        api.instead.append(fake_hubspot.refused(401, "INVALID_AUTHENTICATION", "no such token"))
        denied = ada.post(f"/routing/{route}/set-up")

    assert "Set up" in read(added).text
    assert "beton_key" in done
    assert "All that is needed is there." in again
    assert (denied.status_code, "no such token" in read(denied).text) == (502, True)

"""Connections over HTTP: kept if they answer, never shown with their key, checked, renewed and removed."""

from beton.errors import PostHogDenied
from beton.store import connections
from beton.store.records import Connection
from beton.store.store import Store
from tests.web.conftest import FakeReach
from tests.web.contract import Contract

NEW = {"name": "product", "host": "eu", "project_id": "7", "api_key": "phx_canaryCANARYcanary"}


def test_a_project_is_kept_if_it_passes_every_check(api: Contract, store: Store, reach: FakeReach):
    reach.problem = PostHogDenied("PostHog does not know this key.", fix="Make another one.")
    refused = api.post("connections", NEW)
    assert (refused.status_code, refused.json()["detail"]) == (reach.problem.status, "PostHog does not know this key.")
    reach.problem = None
    made = api.post("connections", NEW)
    assert (made.status_code, made.json()["status"], made.json()["share"]) == (201, "working", 0.5)
    assert "canary" not in made.text + refused.text + api.get("connections").text
    with store.reading() as tx:
        assert connections.api_key(tx, "product") == NEW["api_key"]
    assert api.post("connections", NEW).status_code == 409
    for wrong in ({"name": "a/b"}, {"project_id": "seven"}, {"share": 0}, {"api_key": ""}):
        answer = api.post("connections", NEW | wrong)
        assert answer.status_code == 422
        assert "canary" not in answer.text


def test_a_connection_is_checked_renewed_and_removed(api: Contract, connection: Connection, reach: FakeReach):
    assert api.post("connections/shop/taxonomy").json()["events"][1]["name"] == "user_signed_up"
    assert api.post("connections/shop/share", {"share": 0.2}).json()["share"] == 0.2
    assert api.post("connections/shop/key", {"api_key": "phx_other"}).json()["status"] == "unchecked"
    assert api.post("connections/shop/check").json()["status"] == "working"
    reach.problem = PostHogDenied("PostHog does not know this key.")
    assert api.post("connections/shop/check").json()["problem"] == "PostHog does not know this key."
    assert api.post("connections/unknown/check").status_code == 404
    assert api.client.request("DELETE", "/api/v1/connections/shop", headers=api.headers).json()["connection_id"] == connection.id
    assert api.get("connections").json()["data"] == []

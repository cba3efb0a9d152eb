"""Role by route, made from the routes themselves: whoever may not, may not, on every address there is."""

from collections import defaultdict

import pytest
from litestar import Litestar, get, post
from litestar.exceptions import ImproperlyConfiguredException
from litestar.testing import TestClient

from beton.roles import ROLES, Permission, Role
from beton.store.store import Store
from beton.web.access.policy import check_policies, needs
from tests.web.access.people import Address, addresses, member, program

STRANGERS = {
    "/healthz", "/readyz", "/metrics", "/openapi.json", "/sign-in", "/link/{token:str}", "/static/{digest:str}/{name:str}",
    "/unsubscribe/{token:str}", "/slack/{workspace:str}/{route:str}",
}  # fmt: skip
"""What is open to everyone. Whatever is added here needs a reason."""


class Ids(defaultdict[str, str]):
    """Some id for every parameter."""

    def __missing__(self, key: str) -> str:
        return f"{key}_nobodys"


def test_only_these_addresses_are_open(app: Litestar):
    assert {one.path for one in addresses(app) if one.needs is None} == STRANGERS


def test_a_stranger_gets_in_nowhere_else(app: Litestar, stranger: TestClient):
    stranger.follow_redirects = False
    closed = [one for one in addresses(app) if one.needs is not None]
    assert len(closed) > 40
    for one in closed:
        response = stranger.request(one.method, one.filled(Ids()))
        if one.path.startswith("/api/"):
            assert response.status_code == 401, one
            assert response.headers["content-type"] == "application/problem+json"
        else:
            assert (response.status_code, response.headers["location"].partition("?")[0]) == (303, "/sign-in"), one


@pytest.mark.parametrize("role", Role)
def test_a_member_may_do_what_their_role_says_and_nothing_else(app: Litestar, stranger: TestClient, store: Store, role: Role):
    for one in addresses(app):
        answer = member(stranger, store, role).ask(one.method, one.filled(Ids()))
        assert (answer.status_code == 403) is not may(ROLES[role], one), (one, answer.text)
        assert answer.status_code != 401 or one.needs is None, one


@pytest.mark.parametrize("scope", Permission)
def test_a_key_may_do_what_its_scope_says_and_nothing_else(app: Litestar, stranger: TestClient, store: Store, scope: Permission):
    holder = program(stranger, store, scope)
    for one in addresses(app):
        if one.path != "/sign-out/everywhere":  # which a key has no use for
            answer = holder.ask(one.method, one.filled(Ids()))
            assert (answer.status_code == 403) is not may({scope}, one), (one, answer.text)


def may(permissions: frozenset[Permission] | set[Permission], one: Address) -> bool:
    return one.needs is None or one.needs in permissions


def test_a_refusal_names_the_permission_that_is_missing(stranger: TestClient, store: Store):
    answer = member(stranger, store, Role.VIEWER).ask("POST", "/api/v1/routes")
    assert answer.json()["details"] == {"needs": "manage_routes"}
    assert answer.json()["code"] == "forbidden"


def test_roles_are_what_the_pages_say():
    assert ROLES[Role.VIEWER] < ROLES[Role.SALES] < ROLES[Role.REVIEWER] < ROLES[Role.ADMIN] == frozenset(Permission)
    assert ROLES[Role.SALES] - ROLES[Role.VIEWER] == {Permission.WORK_SIGNALS}


@get("/forgotten", sync_to_thread=False)
def forgotten() -> None:
    """Says nothing about who may."""


@post("/both", opt={"public": True, **needs(Permission.READ)}, sync_to_thread=False)
def both() -> None:
    """Says two things."""


@get("/misspelt", opt={"needs": "read"}, sync_to_thread=False)
def misspelt() -> None:
    """Names no permission."""


@pytest.mark.parametrize("handler", [forgotten, both, misspelt])
def test_an_application_with_a_handler_without_a_policy_does_not_start(handler):
    with pytest.raises(ImproperlyConfiguredException, match=str(next(iter(handler.paths)))):
        check_policies(Litestar([handler], openapi_config=None))

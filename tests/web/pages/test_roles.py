"""What each role sees is what it may do: no button and no link of a page leads to a refusal, and who may more sees more."""

import re

import pytest
from litestar import Litestar

from beton.roles import ROLES, Role
from beton.store import connections, following
from beton.store.signals import key_of
from beton.store.store import Store
from tests.web.access.people import Address, addresses
from tests.web.pages.conftest import read
from tests.web.pages.live import Desk

SCREENS = (
    "/review", "/hypotheses", "/hypotheses/{hypothesis}", "/hypotheses/{proposed}", "/signals", "/signals/{signal}",
    "/accounts/{unit}", "/routing", "/routing/deliveries/{delivery}", "/data", "/data/{connection}", "/start", "/settings", "/settings/people",
    "/settings/installation", "/help/numbers", "/scoreboard",
)  # fmt: skip


def address_of(app: Litestar, method: str, target: str) -> Address:
    """What answers there: words before parameters."""
    path = target.partition("?")[0].partition("#")[0]
    found = [one for one in addresses(app) if one.method == method and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", one.path), path)]
    assert found, f"{method} {target} leads nowhere"
    return min(found, key=lambda one: one.path.count("{"))


@pytest.mark.parametrize("role", Role)
def test_nothing_on_a_page_leads_to_a_refusal(app: Litestar, people, store: Store, desk: Desk, proposed, role: Role):
    with store.transaction() as tx:
        following.say(tx, desk.signals[0].id, None, actor="Ada")
        filled = {
            "hypothesis": desk.hypothesis.id,
            "proposed": proposed[1].id,
            "signal": desk.signals[0].id,
            "unit": str(key_of(tx, desk.signals[0])),
            "delivery": desk.dead,
            "connection": connections.every(tx)[0].id,
        }
    person = people(role)
    for screen in SCREENS:
        page = read(person.get(screen.format(**filled)))
        targets = {("POST" if one.get("method") == "post" else "GET", one.get("action", "")) for one in page.all("form")}
        targets |= {("GET", one["href"]) for one in page.all("a") if one.get("href", "").startswith("/")}
        for method, target in sorted(targets):
            if target:
                needed = address_of(app, method, target).needs
                assert needed is None or needed in ROLES[role], f"{role} sees {method} {target} on {screen}"


def test_who_may_more_sees_more(people, desk: Desk):
    def buttons(role: Role) -> int:
        person = people(role)
        return sum(len(read(person.get(path)).all("form", method="post")) for path in ("/signals", "/routing", "/data", "/settings/people"))

    seen = [buttons(role) for role in (Role.VIEWER, Role.SALES, Role.ADMIN)]
    assert seen == sorted(seen)
    assert len(set(seen)) == 3

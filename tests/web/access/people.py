"""Members with sessions, programs with keys, and requests as they make them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from beton.roles import Permission, Role
from beton.store import api_keys, members, sessions
from beton.store.store import Store
from beton.web.access.cookies import CSRF_HEADER, SESSION, csrf_for
from beton.web.access.policy import NEEDS, PUBLIC


@dataclass(frozen=True)
class Somebody:
    """Whoever sends these headers."""

    client: TestClient
    headers: dict[str, str]

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, of which no cookie is kept and whose redirection is not followed."""
        self.client.cookies.clear()
        headers = self.headers | more.pop("headers", {})
        return self.client.request(method, path, headers=headers, follow_redirects=False, **more)


def member(client: TestClient, store: Store, role: Role) -> Somebody:
    """A member of the store's workspace who has just signed in."""
    email = f"{role}@{store.workspace_id}.example"
    with store.transaction() as tx:
        found = members.find(tx, email) or members.add(tx, email, role, actor="set-up")
        token = sessions.begin(tx, found.id, lasts=timedelta(days=1), how="test", actor="set-up")
    return Somebody(client, {"Cookie": f"{SESSION}={token}", CSRF_HEADER: csrf_for(token)})


def program(client: TestClient, store: Store, *scopes: Permission) -> Somebody:
    """A key of the store's workspace."""
    with store.transaction() as tx:
        _, text = api_keys.issue(tx, "test", scopes, actor="set-up")
    return Somebody(client, {"Authorization": f"Bearer {text}"})


@dataclass(frozen=True)
class Address:
    """A handler's method and path, and what it asks for; `None` where it is public."""

    method: str
    path: str
    needs: Permission | None

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return [part.partition(":")[0].strip("{}") for part in self.path.split("/") if part.startswith("{")]

    def filled(self, values: dict[str, str]) -> str:
        """The path with its parameters filled in."""
        return "/".join(values[part.partition(":")[0].strip("{}")] if part.startswith("{") else part for part in self.path.split("/"))


def addresses(app: Litestar) -> Iterator[Address]:
    """All that the application answers to."""
    for route in sorted(app.routes, key=lambda one: one.path):
        assert isinstance(route, HTTPRoute)
        for handler in route.route_handlers:
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                yield Address(method, route.path, None if handler.opt.get(PUBLIC) else handler.opt[NEEDS])

"""A small PostHog: the routes Beton reads, real key, scope and window checks, faults on demand. It answers httpx directly, without a socket."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from beton.posthog.client import PostHogClient, RequestRecord
from beton.posthog.hosts import normalise_host
from beton.posthog.limits import Limits

KEY = "phx_canary4VerySecretKey0123456789"
ALL_SCOPES = frozenset({"project:read", "query:read", "event_definition:read", "property_definition:read", "group:read", "cohort:read", "user:read"})

Fault = httpx.Response | Exception


class SimulatedTime:
    """A clock that only sleepers move: sleeping is instant and takes exactly as long as it says."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.now += timedelta(seconds=seconds)


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """An error the way PostHog writes one."""
    kind = {401: "authentication_error", 403: "authentication_error", 404: "invalid_request", 429: "throttled_error", 400: "validation_error"}
    return httpx.Response(status, json={"type": kind.get(status, "server_error"), "code": code, "detail": detail, "attr": None}, headers=headers)


class FakePostHog:
    """One project, number 7. `faults` are served first, one for each request; `tables` answer queries by their name."""

    def __init__(self, time: SimulatedTime) -> None:
        self.time = time
        self.key: str | None = KEY
        self.scopes = set(ALL_SCOPES)
        self.faults: deque[Fault] = deque()
        self.requests: list[httpx.Request] = []
        self.events: list[dict[str, Any]] = []
        self.properties: dict[str, list[dict[str, Any]]] = {}
        self.group_types: list[dict[str, Any]] = []
        self.tables: dict[str, Callable[[dict[str, Any]], httpx.Response | list[list[Any]]]] = {}
        self.unknown_kinds: set[str] = set()
        self.count_cap: int | None = None
        self.query_headers: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.faults:
            fault = self.faults.popleft()
            if isinstance(fault, Exception):
                raise fault
            return fault
        return self._allowed(request) or self._route(request)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    def client(self, limits: Limits | None = None, **others: Any) -> PostHogClient:
        """A client of this PostHog on simulated time, with the whole budget to itself."""
        limits = limits or Limits.for_cloud(1.0, clock=self.time, sleep=self.time.sleep)
        return PostHogClient(
            normalise_host("us"), 7, SecretStr(KEY), limits, clock=self.time, transport=self.transport, sleep=self.time.sleep, **others
        )

    def _allowed(self, request: httpx.Request) -> httpx.Response | None:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return problem(401, "authentication_failed", "Personal API key found in request Authorization header is invalid.")
        found = re.fullmatch(r"/api/(users/@me/|projects/(\w+)/(\w*)/?)", request.url.path)
        if found is None:
            return problem(404, "not_found", "Endpoint not found.")
        if found[2] not in (None, "7"):
            return problem(404, "not_found", "Not found.")
        scope = {
            "": "project:read",
            "query": "query:read",
            "event_definitions": "event_definition:read",
            "property_definitions": "property_definition:read",
            "groups_types": "group:read",
            "cohorts": "cohort:read",
        }.get(found[3] or "", "user:read")
        if found[2] is None:
            scope = "user:read"
        if scope not in self.scopes:
            return problem(403, "permission_denied", f"API key missing required scope '{scope}'")
        return None

    def _route(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.strip("/").rsplit("/", 1)[-1]
        params = request.url.params
        if name == "query":
            return self._query(orjson.loads(request.content))
        if name == "event_definitions":
            return self._page(request, self.events)
        if name == "property_definitions":
            kind = params.get("type", "event")
            if kind in self.unknown_kinds:
                return problem(400, "invalid_input", f'"{kind}" is not a valid choice.')
            rows = self.properties.get(kind + params.get("group_type_index", ""), [])
            virtual = [row for row in rows if row.get("virtual")]
            return self._page(request, [row for row in rows if not row.get("virtual")], virtual)
        if name == "groups_types":
            return httpx.Response(200, json=self.group_types)
        if name == "cohorts":
            return self._page(request, [])
        if name == "@me":
            return httpx.Response(200, json={"email": "someone@example.com"})
        return httpx.Response(200, json={"id": 7, "name": "Shop", "timezone": "Europe/Berlin", "organization": "0190"})

    def _query(self, body: dict[str, Any]) -> httpx.Response:
        table = self.tables.get(body["name"], lambda values: [[1]])
        rows = table(body["query"].get("values", {}))
        if isinstance(rows, httpx.Response):
            return rows
        width = len(rows[0]) if rows else 1
        answer = {
            "results": rows,
            "columns": [f"c{i}" for i in range(width)],
            "types": [[f"c{i}", "String"] for i in range(width)],
            "is_cached": body["refresh"] == "blocking",
            "timezone": "Europe/Berlin",
        }
        return httpx.Response(200, json=answer, headers=self.query_headers)

    def _page(self, request: httpx.Request, rows: list[dict[str, Any]], appended: list[dict[str, Any]] | None = None) -> httpx.Response:
        """Limit and offset; `next` names the host that PostHog believes it has; appended rows make the last page longer, as PostHog's do."""
        limit, offset = int(request.url.params.get("limit", 100)), int(request.url.params.get("offset", 0))
        counted = len(rows) if self.count_cap is None else min(len(rows), self.count_cap)
        more = offset + limit < counted
        following = request.url.copy_with(scheme="http", host="posthog-web.internal", port=8000).copy_merge_params(
            {"offset": offset + limit, "limit": limit}
        )
        page = {"count": counted, "next": str(following) if more else None, "previous": None, "results": rows[offset : offset + limit]}
        if self.count_cap is not None:
            page["count_is_capped"] = len(rows) > self.count_cap
        if not more:
            page["results"] = page["results"] + (appended or [])
        return httpx.Response(200, json=page)


class Recorder:
    """What `on_request` told."""

    def __init__(self) -> None:
        self.records: list[RequestRecord] = []

    def __call__(self, record: RequestRecord) -> None:
        self.records.append(record)

"""The sandbox as a Litestar application: PostHog's addresses, this project's data."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from litestar import Litestar, Request, Response, Router, delete, get, post
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath, RawBody
from litestar.types import Scope

from beton.sandbox import listings
from beton.sandbox.access import allowed, authenticated, in_project, outside_projects
from beton.sandbox.clickhouse import ClickHouse
from beton.sandbox.control import control_router
from beton.sandbox.injected import TheDesk, TheSandbox
from beton.sandbox.listings import Page
from beton.sandbox.project import Sandbox
from beton.sandbox.queries import QueryDesk, Reply
from beton.sandbox.refusals import Refusal, not_found
from beton.sandbox.settings import ApiKey, Settings
from beton.sandbox.witness import Witness, record_of

_LOG = logging.getLogger("beton.sandbox")
Ask = Request[Any, Any, State]
Answered = Response[bytes]

_LISTS: dict[str, tuple[str, str, Callable[[Sandbox, Page], Any]]] = {
    "event_definitions": ("event_definition:read", "other", listings.event_definitions),
    "property_definitions": ("property_definition:read", "other", listings.property_definitions),
    "property_definitions/seen_together": ("property_definition:read", "other", listings.seen_together),
    "groups_types": ("group:read", "other", listings.group_types),
    "groups": ("group:read", "other", listings.groups),
    "groups/property_definitions": ("group:read", "other", listings.group_property_names),
    "persons": ("person:read", "other", listings.persons),
    "cohorts": ("cohort:read", "other", listings.cohorts),
    "events/values": ("query:read", "values", listings.event_values),
}


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answered:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def _replied(reply: Reply) -> Answered:
    return _json(reply.body, reply.status, reply.headers)


def _key(request: Ask, sandbox: Sandbox, body: bytes = b"") -> ApiKey:
    site = f"{request.url.scheme}://{request.url.netloc}"
    return authenticated(sandbox.settings, request.headers, _params(request), body, site)


def _params(request: Ask) -> dict[str, str]:
    return {name: str(value) for name, value in request.query_params.items()}


def _admitted(request: Ask, sandbox: Sandbox, project: str, scope: str, throttle: str, body: bytes = b"") -> ApiKey:
    """Key, project, scope, throttle: in PostHog's order."""
    key = _key(request, sandbox, body)
    in_project(sandbox.settings, key, project)
    allowed(key, scope)
    sandbox.throttles.admit(throttle, key.value)
    return key


@post("/query", sync_to_thread=True)
def ask_query(request: Ask, project: FromPath[str], sandbox: TheSandbox, desk: TheDesk, body: RawBody) -> Answered:
    """POST /query/."""
    _admitted(request, sandbox, project, "query:read", "query", body)
    record = record_of(request.scope)
    record.bytes_in = len(body)
    if len(body) > sandbox.settings.limits.max_body_bytes:
        raise Refusal(413, "invalid_request", "request_entity_too_large", "Request body is too large.")
    return _replied(desk.ask(body, record))


@get("/query/{number:str}", sync_to_thread=True)
def poll_query(request: Ask, project: FromPath[str], number: FromPath[str], sandbox: TheSandbox, desk: TheDesk) -> Answered:
    """GET /query/:id/."""
    _admitted(request, sandbox, project, "query:read", "other")
    return _replied(desk.poll(number, _params(request).get("show_progress") == "true"))


@delete("/query/{number:str}", status_code=200, sync_to_thread=True)
def cancel_query(request: Ask, project: FromPath[str], number: FromPath[str], sandbox: TheSandbox, desk: TheDesk) -> Answered:
    """DELETE /query/:id/."""
    _admitted(request, sandbox, project, "query:read", "other")
    return _replied(desk.cancel(number))


@get("/", sync_to_thread=True)
def show_project(request: Ask, project: FromPath[str], sandbox: TheSandbox) -> Answered:
    """The project or environment itself."""
    _admitted(request, sandbox, project, "project:read", "other")
    return _json(listings.project_info(sandbox))


@get("/{tail:path}", sync_to_thread=True)
def show_list(request: Ask, project: FromPath[str], tail: FromPath[Path], sandbox: TheSandbox) -> Answered:
    """Every list, by the end of its address."""
    found = _LISTS.get(str(tail).strip("/"))
    if found is None:
        raise not_found()
    scope, throttle, render = found
    _admitted(request, sandbox, project, scope, throttle)
    page = Page(f"{request.url.scheme}://{request.url.netloc}{request.url.path}", _params(request))
    return _json(render(sandbox, page))


@get("/api/users/@me", sync_to_thread=True)
def show_user(request: Ask, sandbox: TheSandbox) -> Answered:
    """The key's user."""
    key = _key(request, sandbox)
    allowed(key, "user:read")
    return _json(listings.user_info(sandbox, key))


@get("/api/personal_api_keys/@current", sync_to_thread=True)
def show_key(request: Ask, sandbox: TheSandbox) -> Answered:
    """The key itself."""
    key = _key(request, sandbox)
    return _json(listings.key_info(key, sandbox.now()))


@get("/api/projects", sync_to_thread=True)
def show_projects(request: Ask, sandbox: TheSandbox) -> Answered:
    """The projects a key sees."""
    key = _key(request, sandbox)
    outside_projects(key)
    allowed(key, "project:read")
    return _json({"count": 1, "next": None, "previous": None, "results": [listings.project_info(sandbox)]})


def _refused(request: Ask, refusal: Refusal) -> Answered:
    del request
    return _json(refusal.body(), refusal.status, refusal.headers)


def _framework_refused(request: Ask, error: HTTPException) -> Answered:
    """Litestar's own errors in PostHog's shape."""
    if error.status_code == 404:
        return _refused(request, not_found())
    if error.status_code == 405:
        detail = f'Method "{request.method}" not allowed.'
        return _refused(request, Refusal(405, "invalid_request", "method_not_allowed", detail))
    if error.status_code >= 500:
        return _refused(request, Refusal(500, "server_error", "error", "A server error occurred."))
    return _refused(request, Refusal(error.status_code, "invalid_request", "parse_error", error.detail))


def create_sandbox(settings: Settings, **clocks: Callable[..., Any]) -> Litestar:
    """The application. Its data is opened and loaded when it starts, and closed (removed, if temporary) when it stops.

    `clocks` may hold `seconds`, `sleep` and `wall` of Sandbox, for tests.
    """
    directory = settings.data_directory or Path(tempfile.mkdtemp(prefix="beton-sandbox-"))
    directory.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(settings, ClickHouse(directory / "clickhouse", settings.connections), directory, **_only_known(clocks))
    desk = QueryDesk(sandbox)
    if settings.events:
        sandbox.load(settings.events)

    @asynccontextmanager
    async def opened(app: Litestar) -> AsyncGenerator[None]:
        app.state.sandbox = sandbox
        yield
        desk.close()
        sandbox.clickhouse.close()
        if settings.data_directory is None:
            shutil.rmtree(directory, ignore_errors=True)

    def the_sandbox() -> Sandbox:
        return sandbox

    def the_desk() -> QueryDesk:
        return desk

    inside = [ask_query, poll_query, cancel_query, show_project, show_list]
    routers = [Router(path=f"/api/{kind}/{{project:str}}", route_handlers=list(inside)) for kind in ("projects", "environments")]
    return Litestar(
        path=settings.path_prefix,
        route_handlers=[*routers, show_user, show_key, show_projects, control_router()],
        dependencies={
            "sandbox": Provide(the_sandbox, sync_to_thread=False),
            "desk": Provide(the_desk, sync_to_thread=False),
        },
        middleware=[DefineMiddleware(Witness, sandbox=sandbox)],
        compression_config=CompressionConfig(backend="gzip", gzip_compress_level=1, minimum_size=500),
        exception_handlers={Refusal: _refused, HTTPException: _framework_refused, 500: _unexpected},
        after_exception=[_log_unexpected],
        request_max_body_size=settings.limits.max_body_bytes + 1024,
        lifespan=[opened],
        openapi_config=None,
    )


def _log_unexpected(error: Exception, scope: Scope) -> None:
    """A fault of the sandbox itself is said on standard error; refusals are answers, not faults."""
    if not isinstance(error, Refusal | HTTPException):
        _LOG.error("%s %s", scope["method"] if scope["type"] == "http" else "", scope["path"], exc_info=error)


def _unexpected(request: Ask, error: Exception) -> Answered:
    del error
    return _refused(request, Refusal(500, "server_error", "error", "A server error occurred."))


def _only_known(clocks: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    unknown = set(clocks) - {"seconds", "sleep", "wall"}
    if unknown:
        raise TypeError(f"unknown clocks: {', '.join(sorted(unknown))}")
    return dict(clocks)

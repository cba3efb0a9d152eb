"""The handlers of the REST API, under `/api/v1`."""

from collections import defaultdict

from litestar import Response, Router
from litestar.handlers import HTTPRouteHandler

from beton.web.api import (
    connections,
    decisions,
    hypotheses,
    people,
    persons,
    proof,
    reach,
    route_kinds,
    routes,
    runs,
    searching,
    signals,
    sources,
    weighing,
    workspace,
)
from beton.web.api.asking import as_described

PREFIX = "/api/v1"


def api_router() -> Router:
    """All of it."""
    data = (hypotheses, weighing, decisions, connections, runs, searching, signals, sources)
    rooms = (*data, routes, route_kinds, reach, people, persons, proof, workspace)
    handlers = [handler for room in rooms for handler in room.HANDLERS]
    methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for handler in handlers:
        for path in handler.paths:
            methods[path] |= {str(method) for method in handler.http_methods}
    return Router(path=PREFIX, route_handlers=[*(_telling(path, known) for path, known in methods.items()), *handlers], guards=[as_described])


def _telling(path: str, methods: set[str]) -> HTTPRouteHandler:
    """What an address can do. The framework's own answer knows only the handler that came first."""

    def allow() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(methods))})

    return HTTPRouteHandler(path, http_method=["OPTIONS"], status_code=204, include_in_schema=False, sync_to_thread=False)(allow)

"""The handlers of the REST API, under `/api/v1`."""

from litestar import Router

from beton.web.api import connections, decisions, hypotheses, people, routes, runs, searching, signals, workspace

PREFIX = "/api/v1"


def api_router() -> Router:
    """All of it."""
    rooms = (hypotheses, decisions, connections, runs, searching, signals, routes, people, workspace)
    handlers = [handler for room in rooms for handler in room.HANDLERS]
    return Router(path=PREFIX, route_handlers=handlers)

"""The handlers of the REST API, under `/api/v1`."""

from litestar import Router

from beton.web.api import connections, decisions, hypotheses, routes, runs, signals

PREFIX = "/api/v1"


def api_router() -> Router:
    """All of it."""
    handlers = [*hypotheses.HANDLERS, *decisions.HANDLERS, *connections.HANDLERS, *runs.HANDLERS, *signals.HANDLERS, *routes.HANDLERS]
    return Router(path=PREFIX, route_handlers=handlers)

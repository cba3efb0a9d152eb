"""The public addresses, which tell nothing about anybody's data."""

from __future__ import annotations

from litestar import MediaType, get
from litestar.handlers import HTTPRouteHandler

from beton.errors import StoreError
from beton.store.migrate import require_current
from beton.web.access import PUBLIC
from beton.web.api.asking import refusals
from beton.web.api.resources import Health, Readiness
from beton.web.injected import ThePlace

_HOME = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Beton</title></head>
<body>
<h1>Beton</h1>
<p>Finds the behaviour in a PostHog project that predicts who will buy, expand or leave; tests it, and routes it to sales.</p>
<p>This is its server. It speaks a REST API under <code>/api/v1</code>, described by <code>/openapi.json</code> and by
<code>docs/reference/api.md</code> in the source. Every call needs an operator key: <code>Authorization: Bearer btn_op_…</code></p>
<p><code>/healthz</code> tells whether the process lives, <code>/readyz</code> whether it can work.</p>
</body>
</html>
"""


@get("/", media_type=MediaType.HTML, sync_to_thread=False, opt={PUBLIC: True}, include_in_schema=False)
def home() -> str:
    """What this is."""
    return _HOME


@get("/healthz", sync_to_thread=False, opt={PUBLIC: True}, operation_id="health", tags=["probes"])
def healthz() -> Health:
    """The process lives."""
    return Health(status="ok")


@get("/readyz", sync_to_thread=True, opt={PUBLIC: True}, responses={503: refusals(503)[503]}, operation_id="readiness", tags=["probes"])
def readyz(place: ThePlace) -> Readiness:
    """The database answers and has the schema of this version; 503 otherwise. Why is in the log: this address is open to everyone."""
    try:
        require_current(place.store.engine)
    except StoreError as error:
        raise StoreError("The database is not ready.", code=error.code, status=503, fix="See the log of the server.") from error
    return Readiness(status="ready")


HANDLERS: list[HTTPRouteHandler] = [home, healthz, readyz]

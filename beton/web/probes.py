"""The public addresses, which tell nothing about anybody's data."""

from __future__ import annotations

from litestar import get
from litestar.handlers import HTTPRouteHandler

from beton.errors import StoreError
from beton.store.migrate import require_current
from beton.web.access.policy import OPEN
from beton.web.api.asking import refusals
from beton.web.api.resources import Health, Readiness
from beton.web.injected import ThePlace
from beton.web.metrics import metrics
from beton.work.gauging import queue_age


@get("/healthz", sync_to_thread=False, opt=OPEN, operation_id="health", tags=["probes"])
def healthz() -> Health:
    """The process lives."""
    return Health(status="ok")


@get("/readyz", sync_to_thread=True, opt=OPEN, responses={503: refusals(503)[503]}, operation_id="readiness", tags=["probes"])
def readyz(place: ThePlace) -> Readiness:
    """The database answers and has the schema of this version; 503 otherwise. Why is in the log: this address is open to everyone.

    `queue_age_seconds` says how long the oldest piece of work waits that a worker should have taken up. It never makes a server unready: pages and
    webhooks are answered without workers.
    """
    try:
        require_current(place.store.engine)
        waits = queue_age(place)
    except StoreError as error:
        raise StoreError("The database is not ready.", code=error.code, status=503, fix="See the log of the server.") from error
    return Readiness(status="ready", queue_age_seconds=None if waits is None else round(waits, 1))


HANDLERS: list[HTTPRouteHandler] = [healthz, readyz, metrics]

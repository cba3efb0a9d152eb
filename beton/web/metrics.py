"""`/metrics`, in the text form of Prometheus: how this process serves, and how the installation stands.

Who may read it: a process of this machine that calls directly, or whoever has `BETON_METRICS_KEY`. Nothing carries the name or id of a workspace,
a connection, a route or a unit: only how many there are. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from importlib.metadata import version

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from beton.errors import Unauthorized
from beton.settings import Settings
from beton.web.access.hosts import is_loopback
from beton.web.access.policy import OPEN
from beton.web.injected import Ask, ThePlace
from beton.work.gauging import Gauges, gauge

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PROCESS = CollectorRegistry(auto_describe=False)
"""What this process counts; there is one server in it."""

ASKED = Counter("beton_http_requests", "Requests answered, by method, kind of address and status.", ("method", "kind", "status"), registry=PROCESS)
TOOK = Histogram(
    "beton_http_request_seconds",
    "From a request's beginning to the end of its answer.",
    ("kind",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=PROCESS,
)
ProcessCollector(registry=PROCESS)

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_KINDS = (("/api/", "api"), ("/in/", "inbound"), ("/static/", "static"), ("/metrics", "probe"), ("/healthz", "probe"), ("/readyz", "probe"))
_FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"}


def note(method: str, path: str, status: int, seconds: float) -> None:
    """Count a request. What callers can choose freely is folded into few values."""
    kind = next((name for start, name in _KINDS if path.startswith(start)), "page")
    ASKED.labels(method if method in _METHODS else "other", kind, str(status)).inc()
    TOOK.labels(kind).observe(seconds)


@get("/metrics", opt=OPEN, sync_to_thread=True, include_in_schema=False, media_type=MEDIA_TYPE)
def metrics(request: Ask, place: ThePlace) -> Response[bytes]:
    """Figures for Prometheus. For a process of this machine, or with the metrics key as a bearer token."""
    check_reader(request, place.settings)
    standing = CollectorRegistry(auto_describe=False)
    standing.register(_Standing(gauge(place)))
    return Response(generate_latest(PROCESS) + generate_latest(standing), media_type=MEDIA_TYPE)


def check_reader(request: Ask, settings: Settings) -> None:
    """`Unauthorized` for whoever is neither at this machine nor has the key. A proxy at this machine speaks for others, and says so."""
    given = request.headers.get("authorization", "")
    key = settings.metrics_key
    if key is not None and hmac.compare_digest(given.encode(), f"Bearer {key.get_secret_value()}".encode()):
        return
    direct = request.client is not None and is_loopback(request.client.host)
    if direct and not given and not _FORWARDED & set(request.headers.keys()):
        return
    raise Unauthorized("Metrics are for this machine, or for whoever has their key.", fix="Set BETON_METRICS_KEY and send it as a bearer token.")


class _Standing(Collector):
    """The gauges of one answer."""

    def __init__(self, found: Gauges) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """One family each."""
        found = self._found
        yield _family("beton_info", "The release.", {version("beton"): 1}, "version")
        yield _family("beton_workspaces", "Workspaces.", found.workspaces)
        yield _family("beton_connections", "Connections by state.", found.connections, "status")
        yield _family("beton_hypotheses", "Hypotheses by state.", found.hypotheses, "status")
        yield _family("beton_signals", "Signals that were recorded.", found.signals)
        yield _family("beton_deliveries", "Deliveries that have not arrived, by state; up to 10000 each per workspace.", found.deliveries, "status")
        yield _family("beton_runs", "Runs that are not over, by state.", found.runs, "status")
        yield _family("beton_outbox_oldest_seconds", "How long the longest due delivery has been due.", found.outbox_oldest or 0)
        yield _family("beton_run_oldest_seconds", "How long the oldest queued run has waited.", found.run_oldest or 0)


def _family(name: str, said: str, value: float | dict[str, int], label: str = "") -> Metric:
    made = GaugeMetricFamily(name, said, labels=[label] if label else [])
    for one, number in value.items() if isinstance(value, dict) else [("", value)]:
        made.add_metric([one] if label else [], number)
    return made


HANDLERS: list[HTTPRouteHandler] = [metrics]

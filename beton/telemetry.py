"""Traces for an OpenTelemetry collector, where one is named: a span per request and per job. Nothing of it is imported otherwise.

Spans carry methods, kinds of jobs, durations and whether something failed; no addresses, no ids of units, no texts of errors.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from beton.errors import SettingsError

_TRACER: list[Any] = []


def start_telemetry(url: str) -> Callable[[], None]:
    """Send traces there from now on; what ends it, after sending the rest. Raises SettingsError where the extra is not installed."""
    if not url:
        return lambda: None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
        raise SettingsError(
            "BETON_TELEMETRY_URL is set, but OpenTelemetry is not installed.", fix='Install the extra: pip install "beton[telemetry]"'
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=5)
    return trace_with(BatchSpanProcessor(exporter), Resource.create({"service.name": "beton", "service.version": version("beton")}))


def trace_with(processor: Any, resource: Any = None) -> Callable[[], None]:
    """Hand spans to a processor of the OpenTelemetry SDK from now on; what ends it."""
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    _TRACER[:] = [provider.get_tracer("beton")]

    def end() -> None:
        _TRACER.clear()
        provider.shutdown()

    return end


@contextmanager
def span(name: str, **facts: str | int | float | bool) -> Generator[None]:
    """What is done inside is one span, with these facts; nothing where no collector is named."""
    if not _TRACER:
        yield
        return
    with _TRACER[0].start_as_current_span(name, record_exception=False, set_status_on_exception=False) as one:
        for key, value in facts.items():
            one.set_attribute(f"beton.{key}", value)
        done = False
        try:
            yield
            done = True
        finally:
            one.set_attribute("beton.done", done)

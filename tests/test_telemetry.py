"""Traces, where a collector is named: what is done is a span, and nothing of it tells whom it was about."""

import subprocess
import sys

import pytest

from beton.telemetry import span, start_telemetry, trace_with

export = pytest.importorskip("opentelemetry.sdk.trace.export", reason="an optional part of the installation")
in_memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")


def test_without_a_collector_nothing_is_imported() -> None:
    script = "import sys; from beton.telemetry import span, start_telemetry; start_telemetry('')()\nwith span('x'): pass\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith("opentelemetry")]


def test_what_is_done_is_a_span_and_a_failure_tells_no_text() -> None:
    kept = in_memory.InMemorySpanExporter()
    end = trace_with(export.SimpleSpanProcessor(kept))
    with span("sweep", signals=3):
        pass
    with pytest.raises(ValueError, match="kanarienvogel"), span("deliver"):
        raise ValueError("kanarienvogel")
    spans = kept.get_finished_spans()
    end()
    assert [(one.name, dict(one.attributes)) for one in spans] == [
        ("sweep", {"beton.signals": 3, "beton.done": True}),
        ("deliver", {"beton.done": False}),
    ]
    assert "kanarienvogel" not in "".join(one.to_json() for one in spans)
    assert start_telemetry("")() is None

"""`beton bench inbound`: does a real server take events as fast as PostHog sends them, lose none, and never look ill to PostHog's watcher?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from beton.bench.measured import MeasurementFailed
from beton.bench.served import Served, free_port, serving
from beton.bench.watcher import DEGRADED, lowest
from beton.settings import Settings, with_local_key
from beton.store import connections, inbound, inbound_events
from beton.store.store import Store, open_store
from beton.work.mapping import DEFAULT

P99_MS = 100
STEADY = 300
"""Events a second up to which the bound on p99 is meant."""

CONNECTIONS = 64
WARM_SECONDS = 2.0
IDLE_SECONDS = 4.0
PATIENCE = timedelta(seconds=60)
"""How long what has been acknowledged may take to be in the log."""

Tell = Callable[[str], None]


def run_inbound_bench(*, rate: float, seconds: float, clock: Callable[[], datetime], tell: Tell = lambda _line: None) -> dict[str, Any]:
    """Serve in one process, send from another, and count what has come. `holds` tells whether every bound does."""
    with TemporaryDirectory(prefix="beton-inbound-") as folder:
        settings = with_local_key(Settings(data_dir=Path(folder), port=free_port()))
        store = open_store(settings, clock)
        source_id, token = _source(store)
        try:
            with serving(settings) as served:
                _send(served, inbound_path(token), STEADY, WARM_SECONDS, Path(folder), first=2**40)
                warm = _taken(store, source_id)
                idle = _idle(served)
                tell(f"Sending {rate:g} events a second for {seconds:g} s")
                before, loop, load = served.cpu(), served.cpu_of_loop(), os.getloadavg()[0]
                came = _send(served, inbound_path(token), rate, seconds, Path(folder))
                acknowledging, loop = served.cpu() - before, served.cpu_of_loop() - loop
                good = sum(200 <= status < 300 for status in came["status"])
                tell("Counting what is in the log")
                there = _until_there(store, source_id, good + warm, clock) - warm
                looked = _looked(store, source_id)
                found = _report(came, there, rate, seconds)
                found |= {
                    "server_cpu_ms_per_event": round(acknowledging * 1000 / max(len(came["ms"]), 1), 3),
                    "answering_cpu_ms_per_event": round(loop * 1000 / max(len(came["ms"]), 1), 3),
                    "server_cpu_idle_ms_per_second": round(idle * 1000, 1),
                    "sender_cpu_ms_per_event": round(came["cpu_s"] * 1000 / max(len(came["ms"]), 1), 3),
                    "server_memory_mb": round(served.memory() / 1e6),
                    "looked_at_meanwhile": looked,
                    "load_average": round(load, 2),
                    "cpus": os.cpu_count(),
                }
        finally:
            store.close()
    return found


def _idle(served: Served) -> float:
    """Seconds of processor that the server uses in one in which nothing comes in: its schedules."""
    before = served.cpu()
    time.sleep(IDLE_SECONDS)
    return (served.cpu() - before) / IDLE_SECONDS


def inbound_path(token: str) -> str:
    """Where events are sent to."""
    return f"/in/{token}"


def _source(store: Store) -> tuple[str, str]:
    with store.transaction() as tx:
        key = "phx_nothingIsAskedOfPostHogHere"
        connection = connections.add(tx, name="bench", host="https://eu.posthog.com", project_id="1", api_key=key, actor="bench")
        source, token = inbound.add(tx, name="bench", connection_id=connection.id, mapping=DEFAULT, secret=None, actor="bench")
        inbound.switch(tx, source.id, "active", actor="bench")
    return source.id, token


def _send(served: Served, path: str, rate: float, seconds: float, folder: Path, *, first: int = 0) -> dict[str, Any]:
    told, out = urlsplit(served.url), folder / "came.json"
    asked = [str(told.hostname), str(told.port), path, f"{rate:g}", f"{seconds:g}", str(CONNECTIONS), str(out), str(first)]
    done = subprocess.run([sys.executable, "-m", "beton.bench.inbound_load", *asked], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise MeasurementFailed(f"The sender failed: {done.stderr[-500:]}")
    return json.loads(out.read_text(encoding="ascii"))


def _taken(store: Store, source_id: str) -> int:
    with store.reading() as tx:
        return sum(inbound_events.counts(tx, source_id, since=tx.now - timedelta(days=1)).values())


def _looked(store: Store, source_id: str) -> int:
    with store.reading() as tx:
        found = inbound_events.counts(tx, source_id, since=tx.now - timedelta(days=1))
    return sum(found.values()) - found.get("arrived", 0)


def _until_there(store: Store, source_id: str, wanted: int, clock: Callable[[], datetime]) -> int:
    until = clock() + PATIENCE
    while (there := _taken(store, source_id)) < wanted and clock() < until:
        time.sleep(0.2)
    return there


def _report(came: dict[str, Any], there: int, rate: float, seconds: float) -> dict[str, Any]:
    wanted = round(rate * seconds)
    statuses = Counter(came["status"])
    good = sum(count for status, count in statuses.items() if 200 <= status < 300)
    answers = [(due + ms / 1000, ms, status) for due, ms, status in zip(came["due"], came["ms"], came["status"], strict=True)]
    watched = lowest(answers)
    p50, p95, p99 = (round(_quantile(came["ms"], share), 1) for share in (0.5, 0.95, 0.99))
    kept = {
        "p99_ms": rate > STEADY or p99 < P99_MS,
        "nothing_lost": there == good,
        "all_answered": sum(statuses.values()) == wanted and not statuses[0],
        "no_5xx": not any(status >= 500 for status in statuses),
        "watcher": watched >= DEGRADED,
    }
    return {
        "rate": rate,
        "seconds": seconds,
        "sent": wanted,
        "answered": sum(statuses.values()),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "in_log": there,
        "lost": good - there,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": round(max(came["ms"], default=0.0), 1),
        "watcher_lowest": round(watched, 4),
        "bounds": {"p99_ms": f"< {P99_MS} up to {STEADY} a second", "lost": "0", "5xx": "0", "watcher_lowest": f">= {DEGRADED}"},
        "kept": kept,
        "holds": all(kept.values()),
    }


def rows(found: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """For a table: figure and value."""
    names = (
        "sent",
        "answered",
        "in_log",
        "lost",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "max_ms",
        "watcher_lowest",
        "server_cpu_ms_per_event",
        "answering_cpu_ms_per_event",
    )
    more = ("server_cpu_idle_ms_per_second", "sender_cpu_ms_per_event", "server_memory_mb", "looked_at_meanwhile", "load_average")
    for name in names + more:
        yield name.replace("_", " "), f"{found[name]:,}"
    yield "statuses", ", ".join(f"{count:,} × {status}" for status, count in found["statuses"].items())


def _quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)] if ordered else 0.0

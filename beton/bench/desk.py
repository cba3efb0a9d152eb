"""`beton bench desk`: is the review desk quick when a workspace is large? Lists, details and the API of a real server, asked at a fixed rate."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from beton.bench.desk_asked import Answered, Asked, Wire, at_rate, one_by_one
from beton.bench.desk_filled import Filled, fill
from beton.bench.measured import MeasurementFailed
from beton.bench.served import free_port, serving
from beton.settings import Settings, with_local_key
from beton.store.store import open_store

P99_MS = 300
LARGEST_BYTES = 500_000
DEPTH_RATIO = 1.5
DEPTH_ROUNDS = 40
WARM = 3
"""Requests of each kind before anything is measured: what a server reads and compiles once."""

Tell = Callable[[str], None]
PAGES, API = "page ", "api "


def run_desk_bench(
    *, signals: int, hypotheses: int, rate: float, seconds: float, seed: int, clock: Callable[[], datetime], tell: Tell = lambda _line: None
) -> dict[str, Any]:
    """Fill a database, serve it in a process of its own, and ask. `holds` tells whether every bound does."""
    with TemporaryDirectory(prefix="beton-desk-") as folder:
        settings = with_local_key(Settings(data_dir=Path(folder), port=free_port()))
        began = time.perf_counter()
        store = open_store(settings, clock)
        filled = fill(store, signals=signals, hypotheses=hypotheses, seed=seed, tell=tell)
        store.close()
        filling = time.perf_counter() - began
        size = sum(one.stat().st_size for one in Path(folder).iterdir() if one.is_file())
        before = _childrens_cpu()
        with serving(settings) as served:
            url = served.url
            cookie = _sign_in(url, filled.link)
            kinds = asked(filled, cookie)
            tell("Warming up")
            one_by_one(url, [one for several in kinds.values() for one in several[:WARM]])
            drawn = Random(seed)  # noqa: S311 - nothing here is secret
            tell(f"Asking {rate:g} times a second for {seconds:g} s")
            answers = at_rate(url, _shuffled(kinds, round(rate * seconds), drawn), rate)
            tell("Comparing first pages with pages at depth")
            depth = _depth(url, filled, cookie)
    wanted = {"signals": signals, "hypotheses": hypotheses, "rate": rate, "seconds": seconds, "seed": seed}
    found = _report(answers, depth) | {
        "filled_in_s": round(filling, 1),
        "database_mb": round(size / 1e6),
        "server_cpu_s": round(_childrens_cpu() - before, 1),
    }
    return wanted | found | {"load_average": round(os.getloadavg()[0], 2), "cpus": os.cpu_count()}


def asked(filled: Filled, cookie: str) -> dict[str, list[Asked]]:
    """Addresses by kind: what a person looks at, and what a program does."""
    as_person, as_program = {"Cookie": cookie}, {"Authorization": f"Bearer {filled.key}"}
    pages = {
        "review list": ["/review"],
        "review list deep": [f"/review?after={filled.middle_proposed}"],
        "hypotheses list": ["/hypotheses", "/hypotheses?status=approved"],
        "hypotheses list deep": [f"/hypotheses?after={filled.middle_hypothesis}"],
        "hypothesis detail": [f"/hypotheses/{one}" for one in _some(filled.hypotheses)],
        "signals list": ["/signals", "/signals?since=week", *(f"/signals?hypothesis={one}" for one in filled.sending[:20])],
        "signals list deep": [f"/signals?after={filled.middle_signal}"],
        "signal detail": [f"/signals/{one}" for one in _some(filled.signals)],
        "account detail": [f"/accounts/{one}" for one in _some(filled.units)],
        "routing list": ["/routing"],
    }
    api = {
        "hypotheses list": ["/hypotheses"],
        "hypotheses list deep": [f"/hypotheses?cursor={filled.middle_hypothesis}"],
        "hypothesis detail": [f"/hypotheses/{one}" for one in _some(filled.hypotheses)],
        "signals list": ["/signals", *(f"/signals?hypothesis_id={one}" for one in filled.sending[:20])],
        "signals list deep": [f"/signals?cursor={filled.middle_signal}"],
        "signal detail": [f"/signals/{one}" for one in _some(filled.signals)],
        "signals feed": ["/signals/feed"],
        "signals feed deep": [f"/signals/feed?cursor={filled.middle_signal}"],
        "deliveries list": ["/deliveries"],
    }
    told = {PAGES + kind: [Asked(PAGES + kind, path, as_person) for path in paths] for kind, paths in pages.items()}
    return told | {API + kind: [Asked(API + kind, f"/api/v1{path}", as_program) for path in paths] for kind, paths in api.items()}


def _sign_in(url: str, link: str) -> str:
    with closing(Wire(url)) as wire:
        status, _, headers = wire.ask(f"/link/{link}", {})
    cookie = (headers.get("Set-Cookie") or "").partition(";")[0]
    if status >= 400 or not cookie:
        raise MeasurementFailed(f"Signing in was answered with {status}.")
    return cookie


def _depth(url: str, filled: Filled, cookie: str) -> dict[str, dict[str, Any]]:
    """Each list at its beginning and in the middle, by turns on an otherwise idle server."""
    as_person, as_program = {"Cookie": cookie}, {"Authorization": f"Bearer {filled.key}"}
    pairs = {
        "page review": ("/review", f"?after={filled.middle_proposed}", as_person),
        "page hypotheses": ("/hypotheses", f"?after={filled.middle_hypothesis}", as_person),
        "page signals": ("/signals", f"?after={filled.middle_signal}", as_person),
        "api hypotheses": ("/api/v1/hypotheses", f"?cursor={filled.middle_hypothesis}", as_program),
        "api signals": ("/api/v1/signals", f"?cursor={filled.middle_signal}", as_program),
        "api signals feed": ("/api/v1/signals/feed", f"?cursor={filled.middle_signal}", as_program),
    }
    told = {}
    for name, (path, deep, headers) in pairs.items():
        turns = [Asked(name, path, headers), Asked(name, path + deep, headers)] * DEPTH_ROUNDS
        answers = one_by_one(url, turns)
        first, later = median(one.seconds for one in answers[::2]), median(one.seconds for one in answers[1::2])
        told[name] = {
            "first_ms": _ms(first), "deep_ms": _ms(later), "ratio": round(later / first, 2), "failed": sum(one.status != 200 for one in answers)
        }  # fmt: skip
    return told


def _report(answers: Sequence[Answered], depth: dict[str, dict[str, Any]]) -> dict[str, Any]:
    kinds = {kind: _figures([one for one in answers if one.kind == kind]) for kind in sorted({one.kind for one in answers})}
    largest = max(answers, key=lambda one: one.size)
    failed = [one for one in answers if one.status != 200]
    bounds = {
        "p99_ms": all(one["p99_ms"] < P99_MS for one in kinds.values()),
        "largest_bytes": largest.size <= LARGEST_BYTES,
        "depth_ratio": all(one["ratio"] <= DEPTH_RATIO for one in depth.values()),
        "answered": not failed and not any(one["failed"] for one in depth.values()),
    }
    return {
        "kinds": kinds,
        "all": _figures(answers),
        "asker_late_p99_ms": _ms(_quantile([one.late for one in answers], 0.99)),
        "failed": [f"{one.status} {one.path}" for one in failed[:5]],
        "largest": {"bytes": largest.size, "path": largest.path},
        "depth": depth,
        "bounds": {"p99_ms": f"< {P99_MS}", "largest_bytes": f"<= {LARGEST_BYTES}", "depth_ratio": f"<= {DEPTH_RATIO}"},
        "kept": bounds,
        "holds": all(bounds.values()),
    }


def rows(found: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """For a table: kind, requests, p50, p95, p99, largest answer."""
    for kind, one in (*found["kinds"].items(), ("all", found["all"])):
        yield kind, f"{one['requests']:,}", *(f"{one[name]:.0f}" for name in ("p50_ms", "p95_ms", "p99_ms")), f"{one['largest_bytes']:,}"


def _figures(answers: Sequence[Answered]) -> dict[str, Any]:
    seconds = [one.seconds for one in answers]
    told = {f"p{share}_ms": _ms(_quantile(seconds, share / 100)) for share in (50, 95, 99)}
    return {"requests": len(answers), **told, "largest_bytes": max(one.size for one in answers)}


def _quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def _shuffled(kinds: dict[str, list[Asked]], count: int, drawn: Random) -> list[Asked]:
    """Every kind equally often."""
    names = list(kinds)
    order = [names[number % len(names)] for number in range(count)]
    drawn.shuffle(order)
    return [drawn.choice(kinds[name]) for name in order]


def _some(ids: Sequence[str], most: int = 200) -> Sequence[str]:
    return ids[:: max(1, len(ids) // most)]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _childrens_cpu() -> float:
    """Seconds of processor that ended child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

"""`beton bench read`: the packed reader beside paging through raw rows, on one local PostHog, with equal logs as a condition.

Raw rows are paged the way that is right (by day; ordered by (timestamp, uuid); the last row's instant, to the microsecond, and id as the cursor; no
OFFSET), and carry only what the same log needs. Limits are switched off for both; what they would cost is told by the number of queries.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import orjson
from pydantic import SecretStr

from backtest import EventLog, Hypothesis, ReadPlan, Window, plan_reads
from backtest.assembly import Rows, assemble
from backtest.durations import DAY
from backtest.events import Column
from backtest.fires import first_matches
from backtest.matching import EventMatch, Json
from backtest.values import dig
from beton.bench.measured import in_own_process
from beton.local_backtest import window_before
from beton.posthog.client import PostHogClient, RequestRecord
from beton.posthog.events import EventReader
from beton.posthog.hosts import normalise_host
from beton.posthog.limits import Limits
from beton.sandbox.run import Running, running_sandbox
from beton.sandbox.settings import LimitSettings
from beton.sandbox.worlds import generate

WORLD = "freemium"
EVENTS_AT_SCALE_1 = 260_000
MICROSECONDS = "dateDiff('microsecond', toDateTime64('1970-01-01 00:00:00.000000', 6, 'UTC'), timestamp)"
PAGE = 50_000
"""The most rows that PostHog gives for one query."""

Tell = Callable[[str], None]
Told = dict[str, Any]


def run_read_bench(events: int = 1_000_000, seed: int = 7, *, tell: Tell = lambda _line: None) -> Told:
    """Read one world of about `events` events twice. `equal_logs`: units, entries, outcomes, and every fire of every hypothesis are the same."""
    with TemporaryDirectory(prefix="beton-bench-") as folder:
        tell(f"making up about {events:,} events")
        world = generate(WORLD, seed, scale=events / EVENTS_AT_SCALE_1)
        world.write(Path(folder))
        window = window_before(datetime.fromisoformat(world.truth["as_of"]), round(world.truth["window_days"]))
        at = world.events["timestamp"].to_physical()
        there = {"all": len(at), "in_window": int(((at >= window.start) & (at < window.end)).sum())}
        hypotheses = [one["hypothesis"] for one in world.truth["planted"]]
        hypotheses += [one for trap in world.truth["must_label"] for one in trap["hypotheses"]]
        limits = LimitSettings(throttling=False, budget_enforced=False, failure_breaker=False, max_execution_seconds=300)
        with running_sandbox(Path(folder) / "events.parquet", limits=limits) as sandbox:
            found = {}
            for name, measure in (("packed", packed), ("paged", paged)):
                tell(f"reading, {name}")
                _call(sandbox, "reset", {})
                measured = in_own_process(measure, sandbox, hypotheses, window, world.truth["property_types"])
                found[name] = _told(measured, _call(sandbox, "requests")["requests"], there)
    equal = found["packed"].pop("digest") == found["paged"].pop("digest")
    return {"seed": seed, "world": WORLD, "events": there, "hypotheses": len(hypotheses), **found, "equal_logs": equal, "holds": equal}


def _call(sandbox: Running, path: str, content: Any = None) -> Any:
    body = None if content is None else json.dumps(content).encode()
    request = Request(f"{sandbox.url}/sandbox/{path}", body, {"content-type": "application/json"})  # noqa: S310  our own server
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def _told(measured: Told, requests: Sequence[Told], there: dict[str, int]) -> Told:
    asked = [one for one in requests if one["query"] is not None]
    scanned, received = sum(one["rows_read"] for one in asked), sum(one["bytes_out"] for one in asked)
    return measured | {
        "queries": len(asked),
        "rows_scanned_per_row_in_window": scanned / there["in_window"],
        "json_bytes": measured["received"],
        "json_bytes_per_event": measured["received"] / there["in_window"],
        "wire_bytes": received,
        "client_microseconds_per_event": 1e6 * measured["client_seconds"] / there["in_window"],
    }


def packed(sandbox: Running, hypotheses: Sequence[Told], window: Window, types: dict[str, Any]) -> Told:
    """By the reader of the product."""

    async def read(client: PostHogClient, plan: ReadPlan) -> EventLog:
        return await EventReader(client, plan, types=types).read()

    return _measured(sandbox, hypotheses, window, read)


def paged(sandbox: Running, hypotheses: Sequence[Told], window: Window, types: dict[str, Any]) -> Told:
    """By raw rows, of the whole history: first-ever entries and outcomes have to be in it."""

    async def read(client: PostHogClient, plan: ReadPlan) -> EventLog:
        return assemble(await _raw_rows(client, plan), plan, types)

    return _measured(sandbox, hypotheses, window, read)


def _measured(sandbox: Running, asked: Sequence[Told], window: Window, read: Callable[[PostHogClient, ReadPlan], Awaitable[EventLog]]) -> Told:
    hypotheses = [Hypothesis.model_validate(one) for one in asked]
    (plan,) = plan_reads(hypotheses, window)
    requests: list[RequestRecord] = []
    now = lambda: datetime.now(UTC)  # noqa: E731

    async def talk() -> EventLog:
        host, limits = normalise_host(sandbox.url, allow_insecure=True), Limits.for_cloud(1.0, clock=now)
        async with PostHogClient(host, sandbox.project_id, SecretStr(sandbox.api_key), limits, clock=now, on_request=requests.append) as client:
            return await read(client, plan)

    started, cpu = time.perf_counter(), time.process_time()
    log = asyncio.run(talk())
    return {
        "seconds": time.perf_counter() - started,
        "client_seconds": time.process_time() - cpu,
        "received": sum(one.received for one in requests),
        "digest": digest(log, hypotheses),
    }


def digest(log: EventLog, hypotheses: Sequence[Hypothesis]) -> str:
    """Of everything that scores rest on, whatever the order in which units and events are kept."""
    found = hashlib.sha256()
    entered = log.entry(hypotheses[0])
    units = np.array(log.units)
    for hypothesis in hypotheses:
        fires = first_matches(hypothesis, log)
        told = sorted(zip(units[fires.unit].tolist(), fires.at.tolist(), strict=True))
        found.update(orjson.dumps(told))
    known = sorted(zip(units.tolist(), entered.tolist(), log.outcome(hypotheses[0]).tolist(), strict=True))
    found.update(orjson.dumps(known))
    return found.hexdigest()


# --- raw rows --------------------------------------------------------------------------------------------------------


async def _raw_rows(client: PostHogClient, plan: ReadPlan) -> Rows:
    """Every event before the as-of instant."""
    paths = sorted({*plan.columns, *plan.carrying, *(one.property for match in _firsts(plan) for one in match.where)})
    fields = f"toString(uuid), event, toString(person_id), {MICROSECONDS}" + (", properties" if paths else "")
    edges = await client.query(f"SELECT min({MICROSECONDS}) FROM events LIMIT 1", {}, name="the first event")
    start = int(edges.rows[0][0])
    found = _Gathered(paths)
    for low, high in _days(start, plan.window.end):
        cursor = "", low
        while True:
            page = await _page(client, fields, low, high, cursor)
            found.add(page)
            if len(page) < PAGE:
                break
            cursor = page[-1][0], page[-1][3]
    return found.rows()


def _firsts(plan: ReadPlan) -> Iterator[EventMatch]:
    return (match for match in plan.firsts.values() if match)


def _days(start: int, end: int) -> Iterator[tuple[int, int]]:
    for day in range(start - start % DAY, end, DAY):
        yield max(day, start), min(day + DAY, end)


async def _page(client: PostHogClient, fields: str, low: int, high: int, cursor: tuple[str, int]) -> list[list[Any]]:
    uuid, at = cursor
    after = ""
    if uuid:
        after = f" AND (timestamp > {_instant(at)} OR (timestamp = {_instant(at)} AND uuid > toUUID('{uuid}')))"
    text = (
        f"SELECT {fields} FROM events WHERE timestamp >= {_instant(low)} AND timestamp < {_instant(high)}{after} "
        f"ORDER BY timestamp, uuid LIMIT {PAGE}"
    )
    return orjson.loads(await client.query_bytes(text, {}, name="raw rows"))["results"]


def _instant(at: int) -> str:
    seconds, micro = divmod(at, 1_000_000)
    return f"toDateTime64('{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{micro:06d}', 6, 'UTC')"


class _Gathered:
    """Rows as they come, as codes; each event once."""

    def __init__(self, paths: Sequence[tuple[str, ...]]) -> None:
        self.paths = paths
        self.units: dict[str, int] = {}
        self.names: dict[str, int] = {}
        self.unit: list[int] = []
        self.name: list[int] = []
        self.at: list[int] = []
        self.codes: list[list[int]] = [[] for _ in paths]
        self.values: list[dict[str, int]] = [{} for _ in paths]
        self.told: list[list[Json]] = [[] for _ in paths]
        self.seen: set[str] = set()

    def add(self, page: Sequence[Sequence[Any]]) -> None:
        for uuid, event, person, at, *properties in page:
            if uuid in self.seen:
                continue
            self.seen.add(uuid)
            self.unit.append(self.units.setdefault(person, len(self.units)))
            self.name.append(self.names.setdefault(event, len(self.names)))
            self.at.append(at)
            if properties:
                self._properties(orjson.loads(properties[0] or b"{}"))

    def _properties(self, carried: Any) -> None:
        for place, path in enumerate(self.paths):
            value = dig(carried, path)
            if value is None:
                self.codes[place].append(-1)
                continue
            key = json.dumps(value, sort_keys=True)
            code = self.values[place].setdefault(key, len(self.told[place]))
            if code == len(self.told[place]):
                self.told[place].append(value)
            self.codes[place].append(code)

    def rows(self) -> Rows:
        """In ascending order of unit id, as the engine wants them."""
        ids = sorted(self.units)
        place = np.empty(len(ids), np.int32)
        place[[self.units[one] for one in ids]] = np.arange(len(ids))
        unit = place[np.array(self.unit, np.int32)]
        columns = {path: Column(np.array(codes, np.int32), told) for path, codes, told in zip(self.paths, self.codes, self.told, strict=True)}
        return Rows(ids, list(self.names), unit, np.array(self.name, np.int32), np.array(self.at, np.int64), unit, columns)

"""One log of many random units, served by a sandbox, and the same log as the rows that the plain assembly takes.

Persons and accounts share it: every event has a person, those of account logs have a company too.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import numpy as np
from pydantic import SecretStr

from backtest.assembly import Rows, assemble
from backtest.events import EventLog
from backtest.intervals import Flags
from backtest.language import Unit
from backtest.plan import ReadPlan
from beton.posthog.client import PostHogClient
from beton.posthog.events import EventReader
from beton.posthog.hosts import normalise_host
from beton.posthog.limits import Limits
from tests.backtest.engine_log import column_of
from tests.backtest.oracle import Row
from tests.backtest.random_logs import COHORT, PATHS, TYPES, random_log

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMPANY = "company"
T = TypeVar("T")


@dataclass(frozen=True)
class Happened:
    """One event as PostHog holds it; `company` is empty where the event belongs to none."""

    row: Row
    company: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the sandbox takes it."""
        at = EPOCH + timedelta(microseconds=self.row.at)
        told = {
            "person_id": self.row.person,
            "event": self.row.event,
            "timestamp": at.isoformat(),
            "properties": json.dumps(self.row.properties),
            COMPANY: self.company,
        }
        return told if self.row.uuid is None else told | {"uuid": self.row.uuid}


@dataclass(frozen=True)
class ServedLog:
    """All events, and who is in the one cohort there is (persons and companies alike)."""

    happened: tuple[Happened, ...]
    members: frozenset[str]
    _rows: dict[bool, Rows] = field(default_factory=dict, compare=False, repr=False)

    def rows(self, unit: Unit) -> Rows:
        """Every event of one unit kind, each delivered once."""
        if (accounts := unit != "person") not in self._rows:
            self._rows[accounts] = rows_of(self._of(accounts))
        return self._rows[accounts]

    def _of(self, accounts: bool) -> Iterable[Row]:
        seen: set[str] = set()
        for one in self.happened:
            if (accounts and not one.company) or (one.row.uuid is not None and one.row.uuid in seen):
                continue
            seen |= {one.row.uuid} if one.row.uuid is not None else set()
            yield replace(one.row, unit=one.company if accounts else one.row.person)

    def assembled(self, plan: ReadPlan) -> EventLog:
        """The log of a plan by the plain assembly."""
        rows = self.rows(plan.unit)
        members = np.array([unit in self.members for unit in rows.units], np.bool_)
        cohorts: Mapping[str, Flags] = dict.fromkeys(plan.cohorts, members)
        return assemble(rows.where(rows.at < plan.window.end), plan, TYPES, cohorts)


def rows_of(found: Iterable[Row]) -> Rows:
    """Oracle rows as arrays."""
    kept = list(found)
    units, names, persons = (sorted({getattr(row, field) for row in kept}) for field in ("unit", "event", "person"))
    places = [{text: index for index, text in enumerate(texts)} for texts in (units, names, persons)]
    unit, name, person = (
        np.array([place[getattr(row, field)] for row in kept], np.int32) for place, field in zip(places, ("unit", "event", "person"), strict=True)
    )
    columns = {tuple(path.split(".")): column_of(kept, tuple(path.split("."))) for path in PATHS}
    return Rows(units, names, unit, name, np.array([row.at for row in kept], np.int64), person, columns)


def random_served_log(first_seed: int, logs: int) -> ServedLog:
    """Many random logs side by side: each has its own units, all have the same event names."""
    happened: list[Happened] = []
    for seed in range(first_seed, first_seed + logs):
        log = random_log(Random(seed))
        for row in log.rows:
            uuid = None if row.uuid is None else f"{seed}/{row.uuid}"
            mine = replace(row, unit=f"{seed}-{row.unit}", person=f"{seed}-{row.person}", uuid=uuid)
            happened.append(Happened(mine, mine.unit if log.accounts else ""))
    everyone = sorted({one.row.person for one in happened} | {one.company for one in happened if one.company})
    return ServedLog(tuple(happened), frozenset(Random(first_seed).sample(everyone, len(everyone) // 2)))


@dataclass(frozen=True)
class Server:
    """A running sandbox."""

    url: str
    project_id: int
    api_key: str

    def ask(self, question: Callable[[PostHogClient], Awaitable[T]], transport: httpx.AsyncBaseTransport | None = None) -> T:
        """One conversation with a client of its own, which repeats nothing."""

        async def talk() -> T:
            now = lambda: datetime.now(UTC)  # noqa: E731
            host, limits = normalise_host(self.url, allow_insecure=True), Limits.for_cloud(1.0, clock=now)
            key = SecretStr(self.api_key)
            async with PostHogClient(host, self.project_id, key, limits, clock=now, attempts=1, transport=transport) as client:
                return await question(client)

        return asyncio.run(talk())

    def read(self, plan: ReadPlan, bucket: tuple[int, int] | None = None, transport: httpx.AsyncBaseTransport | None = None) -> EventLog:
        """The log of a plan by the reader."""
        return self.ask(lambda client: reader(client, plan).read(bucket=bucket), transport)

    def post(self, path: str, content: Any) -> Any:
        """Turn one of the sandbox's knobs."""
        answer = httpx.post(f"{self.url}/sandbox/{path}", json=content, timeout=30)
        return answer.raise_for_status().json()

    def queries(self) -> list[dict[str, Any]]:
        """Every query since the last reset: its text, name, status and how often it was asked."""
        records = httpx.get(f"{self.url}/sandbox/requests", timeout=30).json()["requests"]
        return [record for record in records if record["query"] is not None]


def reader(client: PostHogClient, plan: ReadPlan) -> EventReader:
    """A reader of the served log, whose only group type has index 0."""
    return EventReader(client, plan, types=TYPES, group_index=None if plan.unit == "person" else 0)


@contextmanager
def served(log: ServedLog, folder: Path) -> Generator[Server]:
    """A sandbox with this log, its limits switched off."""
    from beton.sandbox.run import running_sandbox
    from beton.sandbox.settings import LimitSettings

    path = folder / "events.jsonl"
    path.write_text("\n".join(json.dumps(one.to_json()) for one in log.happened))
    limits = LimitSettings(throttling=False, budget_enforced=False, failure_breaker=False)
    with running_sandbox(path, limits=limits, group_types=(COMPANY,)) as running:
        server = Server(running.url, running.project_id, running.api_key)
        for number in range(1, int(COHORT)):
            server.post("cohorts", {"name": f"empty {number}", "person_ids": []})
        server.post("cohorts", {"name": "half", "person_ids": sorted(log.members)})
        yield server

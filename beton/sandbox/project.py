"""Everything one running sandbox holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from beton.sandbox.clickhouse import ClickHouse
from beton.sandbox.faults import Faults
from beton.sandbox.hogql.scope import Project, Request, literal
from beton.sandbox.limits import FailureBreaker, ReadBudget, Slots, Throttles
from beton.sandbox.load import load_events
from beton.sandbox.recorder import Recorder
from beton.sandbox.settings import Settings
from beton.sandbox.taxonomy import Taxonomy, refresh_taxonomy


@dataclass(slots=True)
class Cohort:
    """One cohort; its members live in ClickHouse."""

    id: int
    name: str
    is_static: bool
    count: int
    created_at: datetime


@dataclass(slots=True)
class Sandbox:
    """One project: its ClickHouse, what was inferred from its events, its limits, faults and recorder.

    `seconds` and `sleep` drive the limits, `wall` dates and definitions: tests hand in their own.
    """

    settings: Settings
    clickhouse: ClickHouse
    directory: Path
    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    group_types: tuple[str, ...] = ()
    cohorts: dict[int, Cohort] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    recorder: Recorder = field(default_factory=Recorder)
    fixed_now: datetime | None = None
    limits_follow: bool = False
    """Whether the limits count by the fixed clock too, so that a day can pass in a minute."""
    test_account_filters: tuple[Mapping[str, Any], ...] = ()
    throttles: Throttles = field(init=False)
    slots: Slots = field(init=False)
    budget: ReadBudget = field(init=False)
    breaker: FailureBreaker = field(init=False)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _batches: int = 0

    def __post_init__(self) -> None:
        self.group_types = self.settings.group_types
        self.fixed_now = self.settings.fixed_now
        self.reset_limits()

    def reset_limits(self) -> None:
        """Forgets every counted request, failure and byte."""
        limits = self.settings.limits
        self.throttles = Throttles(limits, self._seconds)
        self.slots = Slots(limits.concurrency, limits.queue_seconds, self.sleep)
        self.budget = ReadBudget(limits, self._seconds)
        self.breaker = FailureBreaker(limits.failure_breaker, self._seconds)

    def _seconds(self) -> float:
        return self.fixed_now.timestamp() if self.limits_follow and self.fixed_now else self.seconds()

    def now(self) -> datetime:
        """The server's idea of now."""
        return self.fixed_now or self.wall()

    def load(self, paths: Sequence[Path]) -> int:
        """Adds event files and infers everything anew. Returns the number of rows added."""
        with self._writing:
            loaded = load_events(self.clickhouse, self.settings.project_id, paths, self.group_types, self.settings.seed + self._batches)
            self.group_types = loaded.group_types
            self._batches += 1
            self.taxonomy = refresh_taxonomy(self.clickhouse, self.settings.project_id, self.group_types)
            return loaded.rows

    def append(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Adds events given as JSON objects."""
        path = self.directory / f"appended-{self._batches}.jsonl"
        path.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
        try:
            return self.load([path])
        finally:
            path.unlink()

    def merge(self, old: str, new: str) -> None:
        """Two people turn out to be one: the events of `old` belong to `new`, and keep the person that they came in with."""
        with self._writing:
            was, now, team = literal(old), literal(new), self.settings.project_id
            whose = f"team_id = {team} AND person_id = {was}"
            for table in ("events", "person_distinct_ids"):
                self.clickhouse.execute(f"ALTER TABLE {table} UPDATE person_id = {now} WHERE {whose} SETTINGS mutations_sync = 2")
            self.clickhouse.execute(f"INSERT INTO cohort_people SELECT team_id, cohort_id, {now}, is_static FROM cohort_people WHERE {whose}")
            self.clickhouse.execute(f"ALTER TABLE cohort_people DELETE WHERE {whose} SETTINGS mutations_sync = 2")
            self.clickhouse.execute(f"ALTER TABLE persons DELETE WHERE team_id = {team} AND id = {was} SETTINGS mutations_sync = 2")

    def add_cohort(self, name: str, person_ids: Sequence[str], is_static: bool) -> Cohort:
        """A new cohort of these persons."""
        with self._writing:
            cohort = Cohort(len(self.cohorts) + 1, name, is_static, len(set(person_ids)), self.now())
            self.cohorts[cohort.id] = cohort
            if person_ids:
                team = self.settings.project_id
                ids = ", ".join("'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" for text in sorted(set(person_ids)))
                self.clickhouse.execute(
                    f"INSERT INTO cohort_people SELECT {team}, {cohort.id}, arrayJoin([{ids}]), {'true' if is_static else 'false'}"
                )
            return cohort

    def request(self, query: Mapping[str, Any]) -> Request:
        """What the translator needs for one HogQLQuery object."""
        project = Project(
            team_id=self.settings.project_id,
            timezone=self.settings.timezone,
            group_types={name: index for index, name in enumerate(self.group_types)},
            definitions=self.taxonomy.kinds(),
            cohorts={cohort.name: cohort.id for cohort in self.cohorts.values()},
            test_account_filters=self.test_account_filters,
        )
        modifiers = query.get("modifiers") or {}
        request = Request(
            project,
            values=query.get("values") or {},
            filters=query.get("filters"),
            convert_zone=modifiers.get("convertToProjectTimezone") is not False,
            fixed_now=self.fixed_now,
            now=self.now(),
        )
        variables = query.get("variables") or {}
        by_name = {item.get("code_name"): item.get("value") for item in variables.values()}
        return replace(request, values={**request.values, "variables": by_name}) if by_name else request

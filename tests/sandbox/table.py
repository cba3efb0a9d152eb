"""A small table of events in a real ClickHouse, asked in HogQL."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from beton.sandbox.clickhouse import Answer, ClickHouse
from beton.sandbox.encoding import encoded_rows
from beton.sandbox.hogql.scope import Project, Request
from beton.sandbox.hogql.translate import translate
from beton.sandbox.load import load_events
from beton.sandbox.taxonomy import Taxonomy, refresh_taxonomy

_NUMBERS = itertools.count()
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def row(person: str, event: str, timestamp: str, properties: Mapping[str, Any] | None = None, organization: str = "") -> dict[str, Any]:
    return {
        "person_id": person,
        "event": event,
        "timestamp": timestamp,
        "properties": json.dumps(properties or {}),
        "organization": organization,
    }


EVENTS = (
    row("ann", "signed_up", "2026-03-01T10:00:00Z", {"plan": "free", "$set": {"email": "ann@example.com", "age": 31}}, "acme"),
    row("ann", "page", "2026-03-01T23:30:00.123456Z", {"path": "/a", "n": 3, "ok": True, "odd key": "x", "nested": {"deep": [1, 2]}}, "acme"),
    row("ann", "paid", "2026-03-02T10:00:00Z", {"amount": 10.5, "at": "2026-03-02T09:00:00Z"}, "acme"),
    row("bob", "signed_up", "2026-03-01T11:00:00Z", {"plan": 'p"q'}, "acme"),
    row("bob", "page", "2026-03-03T11:00:00Z", {"path": "/b", "n": 7, "ok": False}),
    row("cid", "signed_up", "2026-03-04T12:00:00Z", {}, "zeta"),
    row("cid", "page", "2026-03-05T12:00:00Z", {"path": "/a", "n": 5, "$session_id": "s1"}, "zeta"),
    row("cid", "$groupidentify", "2026-03-05T12:00:01Z", {"$group_type": "organization", "$group_key": "zeta", "$group_set": {"name": "Zeta"}}),
)


@dataclass
class Table:
    """`ask` answers like the API: rows in PostHog's JSON."""

    clickhouse: ClickHouse
    taxonomy: Taxonomy
    group_types: tuple[str, ...]
    timezone: str = "UTC"
    cohorts: dict[str, int] = field(default_factory=dict)

    def request(self, values: Mapping[str, Any] | None = None, convert_zone: bool = True, **options: Any) -> Request:
        project = Project(
            1,
            options.pop("timezone", self.timezone),
            {name: index for index, name in enumerate(self.group_types)},
            self.taxonomy.kinds(),
            self.cohorts,
            options.pop("test_account_filters", ()),
        )
        return Request(project, values or {}, options.pop("filters", None), convert_zone, fixed_now=NOW, now=NOW)

    def answer(self, text: str, values: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        return self.clickhouse.query(translate(text, self.request(values, **options)).sql)

    def ask(self, text: str, values: Mapping[str, Any] | None = None, **options: Any) -> list[list[Any]]:
        answer = self.answer(text, values, **options)
        return orjson.loads(encoded_rows(answer.lines, answer.types)[0])

    def one(self, text: str, **options: Any) -> Any:
        """The only value of an expression over no table."""
        return self.ask(f"SELECT {text}", **options)[0][0]


def open_database(directory: Path) -> ClickHouse:
    """An empty database of its own; ClickHouse opens one folder per process, so all of a test run's share theirs."""
    return ClickHouse(directory, connections=1, database=f"test_{next(_NUMBERS)}")


def make_table(directory: Path, events: Sequence[Mapping[str, Any]] = EVENTS, group_types: Sequence[str] = ()) -> Table:
    clickhouse = open_database(directory)
    path = directory / f"events-{next(_NUMBERS)}.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(event) for event in events))
    loaded = load_events(clickhouse, 1, [path], group_types)
    return Table(clickhouse, refresh_taxonomy(clickhouse, 1, loaded.group_types), loaded.group_types)

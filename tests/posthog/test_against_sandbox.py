"""The client against a real server: PostHog's own parser, a real ClickHouse, real refusals."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from backtest.taxonomy import Taxonomy
from beton.errors import PostHogError
from beton.posthog.client import PostHogClient
from beton.posthog.connection import ConnectionReport, check_connection
from beton.posthog.hosts import normalise_host
from beton.posthog.limits import Limits
from beton.posthog.taxonomy import read_taxonomy

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

NOW = datetime(2026, 3, 2, tzinfo=UTC)
T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    url: str
    project_id: int
    api_key: str

    def ask(self, question: Callable[[PostHogClient], Awaitable[T]]) -> T:
        """One conversation with a client of its own."""

        async def talk() -> T:
            limits = Limits.for_cloud(1.0, clock=lambda: datetime.now(UTC))
            host, key = normalise_host(self.url), SecretStr(self.api_key)
            async with PostHogClient(host, self.project_id, key, limits, clock=lambda: datetime.now(UTC), attempts=1) as client:
                return await question(client)

        return asyncio.run(talk())

    def check(self, key: str, project: int) -> ConnectionReport:
        async def talk() -> ConnectionReport:
            clock = lambda: datetime.now(UTC)  # noqa: E731
            return await check_connection(normalise_host(self.url), project, SecretStr(key), Limits.for_cloud(clock=clock), clock=clock)

        return asyncio.run(talk())


def event(day: int, name: str, person: str, account: str, properties: dict[str, object]) -> dict[str, object]:
    at = NOW - timedelta(days=day, seconds=1, microseconds=7)
    return {
        "person_id": person,
        "event": name,
        "timestamp": at.isoformat(),
        "properties": json.dumps(properties),
        "account": account,
    }


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server of its own with 300 events of twenty persons in four accounts."""
    rows = [
        event(i % 5, "$pageview", f"p{i % 20}", f"a{i % 4}", {"$current_url": f"https://shop.example/{i}", "device": "phone"}) for i in range(200)
    ]
    rows += [event(i % 40, "signed_up", f"p{i % 20}", f"a{i % 4}", {"plan": ("free", "pro")[i // 40 % 2], "seats": i % 7}) for i in range(99)]
    rows.append(event(200, "long_ago", "p1", "a1", {"plan": "free"}))
    path: Path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    command = [sys.executable, "-m", "beton.sandbox", "--events", str(path), "--port", "0", "--json", "--leash", "--group", "account"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Server(ready["url"], ready["project_id"], ready["api_key"])
        process.stdin.close()


@pytest.fixture(scope="session")
def taxonomy(server: Server) -> Taxonomy:
    return server.ask(lambda client: read_taxonomy(client, NOW, sample_values=True))


def test_a_good_connection_passes_every_check(server: Server) -> None:
    report = server.check(server.api_key, server.project_id)
    assert [(check.name, check.ok, check.code) for check in report.checks if not check.ok] == []
    assert report.ok
    assert report.project is not None
    assert report.project.timezone == "UTC"


@pytest.mark.parametrize(("key", "project", "code"), [("phx_somebodyElse", 1, "posthog.key_invalid"), (None, 404, "posthog.project_not_found")])
def test_a_wrong_key_and_a_wrong_project_are_told(server: Server, key: str | None, project: int, code: str) -> None:
    assert [check.code for check in server.check(key or server.api_key, project).failures] == [code]


def test_the_taxonomy_holds_what_the_events_hold(taxonomy: Taxonomy) -> None:
    pageview, signed_up, long_ago = taxonomy.event("$pageview"), taxonomy.event("signed_up"), taxonomy.event("long_ago")
    assert pageview is not None
    assert signed_up is not None
    assert long_ago is not None
    assert (pageview.volume, pageview.units, pageview.internal) == (200, 20, True)
    assert (signed_up.volume, signed_up.units) == (99, 20)
    assert signed_up.last_seen == NOW - timedelta(seconds=1, microseconds=7)
    assert signed_up.first_seen == NOW - timedelta(days=39, seconds=1, microseconds=7)
    assert long_ago.volume == 0
    assert taxonomy.window_days == 90
    assert taxonomy.notes == ()


def test_properties_have_types_carriers_and_values(taxonomy: Taxonomy) -> None:
    plan, url = taxonomy.property("plan"), taxonomy.property("$current_url")
    assert plan is not None
    assert url is not None
    assert plan.type == "string"
    assert plan.events == ("signed_up",)
    assert (plan.cardinality, set(plan.values)) == (2, {"free", "pro"})
    assert taxonomy.property_type("seats") == "numeric"
    assert taxonomy.carries("$pageview", "plan") is False
    assert taxonomy.carries("signed_up", "plan") is True
    assert [(group.index, group.name) for group in taxonomy.group_types] == [(0, "account")]


@pytest.mark.parametrize(
    ("hogql", "code"),
    [
        ("SELECT nothing_like_this FROM events LIMIT 1", "posthog.query_refused"),
        ("SELECT noway(event) FROM events LIMIT 1", "posthog.query_refused"),
        ("SELECT FROM WHERE", "posthog.query_refused"),
        ("SELECT event FROM events LIMIT 1 OFFSET 1", "posthog.query_refused"),
    ],
)
def test_a_refused_query_says_why(server: Server, hogql: str, code: str) -> None:
    with pytest.raises(PostHogError) as failure:
        server.ask(lambda client: client.query(hogql, name="test"))
    assert failure.value.code == code
    assert len(failure.value.message) > len("PostHog refused the request: ")


def test_values_fill_a_query_and_a_full_table_is_noticed(server: Server) -> None:
    result = server.ask(
        lambda client: client.query("SELECT event, timestamp FROM events WHERE event = {name} LIMIT 5", {"name": "signed_up"}, name="test")
    )
    assert [row[0] for row in result.rows] == ["signed_up"] * 5
    assert result.columns == ("event", "timestamp")
    assert result.truncated
    assert server.ask(lambda client: client.query("SELECT event FROM events", name="test")).truncated

"""Canaries: what events carry, and no hypothesis names, is nowhere to be found after the whole loop; secrets are nowhere in the clear."""

import asyncio
import base64
import hashlib
import json
import logging
import random
import re
import sqlite3
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

from agent.search import Question
from backtest import Hypothesis
from beton.demo.receiver import Receiver
from beton.lifecycle import Action
from beton.sandbox.run import Running, running_sandbox
from beton.sandbox.settings import ApiKey, LimitSettings
from beton.settings import Settings
from beton.store import runs
from beton.store.records import RunStatus
from beton.store.store import open_store
from beton.work import connecting, deciding, delivering, observing, proposing, sweeping, ways_out
from beton.work.backtesting import backtest_hypotheses, window_of
from beton.work.keeping import keep_tested
from beton.work.schedules import start_jobs, stop_jobs
from beton.work.workplace import Workplace
from tests.cli.conftest import END, shop_events
from tests.conftest import Clock
from tests.work.workshop import Unlimited

POSTHOG_KEY = "phx_canaryKEYcanaryKEYcanaryKEYcanaryKEY"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"canary webhook secret, 32 bytes!").decode()
SEALING_KEY = base64.b64encode(hashlib.sha256(b"a test").digest()).decode()
CANARY = "kanarienvogel"
"""Every text that events carry beyond what hypotheses look at contains it."""
APPROVED = END - timedelta(days=7)
OUTCOME = {"kind": "event", "match": "paid", "horizon": "14d"}
INVITES = {"entry": "signed_up", "clauses": [{"kind": "did", "match": "invited", "span": {"first": "7d"}}], "outcome": OUTCOME}
SEATS = {
    "entry": "signed_up",
    "clauses": [{"kind": "total", "match": "viewed", "property": "seats", "measure": "latest", "at_least": 2, "span": {"last": "7d"}}],
    "outcome": OUTCOME,
}


def events() -> Iterator[dict[str, Any]]:
    """The little shop's, each with texts of its own in every place where an event can carry one."""
    for number, event in enumerate(shop_events()):
        carried = json.loads(event["properties"]) | {
            "note": f"{CANARY} note {number}",
            "$current_url": f"https://shop.example/{CANARY}/{number}",
            "nested": {"deep": [f"{CANARY} deep {number}"], "seats": number},
            "plan": f"{CANARY}-{number % 3}",  # few values: what a sample of values would show
            "$set": {"email": f"{CANARY}{number}@example.com", "name": f"{CANARY} {number}"},
            "$set_once": {"first": f"{CANARY} first {number}"},
        }
        yield event | {"properties": json.dumps(carried), "distinct_id": f"{CANARY}-device-{number}", "elements_chain": f"{CANARY} button"}


@pytest.fixture(scope="module")
def posthog(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    path = tmp_path_factory.mktemp("canaries") / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, events())))
    limits = LimitSettings(throttling=False, budget_enforced=False)
    with running_sandbox(path, keys=(ApiKey(POSTHOG_KEY),), limits=limits) as running:
        yield running


@dataclass(frozen=True)
class Home:
    """An installation: everything that it writes lies in `folder` or in its database."""

    settings: Settings
    folder: Path

    def databases(self) -> Iterator[tuple[str, str]]:
        """Every row of every table as text, with the table's name."""
        url = self.settings.effective_database_url
        if url.startswith("sqlite"):
            for file in self.folder.rglob("*.sqlite"):
                with sqlite3.connect(file) as connection:
                    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                        yield from ((table, repr(row)) for row in connection.execute(f'SELECT * FROM "{table}"'))
                connection.close()
            return
        with psycopg.connect(url) as connection:
            tables = connection.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%'").fetchall()
            for schema, table in tables:
                query = SQL("SELECT * FROM {}").format(Identifier(schema, table))
                yield from ((table, repr(row)) for row in connection.execute(query))

    def files(self) -> Iterator[tuple[str, str]]:
        """Every file, byte for byte: also pages that a database has given up, and its write-ahead log."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes().decode("latin-1")


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder = tmp_path / "home"
    (folder / "temporary").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "temporary"))
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    settings = Settings(data_dir=folder / "data", database_url=url, secret_key=SecretStr(SEALING_KEY), allow_insecure_hosts=True, hash_buckets=3)
    return Home(settings, folder)


async def loop(place: Workplace, clock: Clock, told: list[str]) -> None:
    """Everything but the durable run, which brings its own event loops."""
    shop = place.connection("shop")
    question = Hypothesis.model_validate(INVITES)
    await proposing.propose(place, shop, Question(question.unit, question.entry, question.outcome), window_of(APPROVED, 90))
    tested = await backtest_hypotheses(place, shop, [Hypothesis.model_validate(one) for one in (INVITES, SEATS)], window_of(APPROVED, 90))
    for row in keep_tested(place, shop, tested, actor="ada"):
        deciding.decide(place, row.id, Action.APPROVE, actor="ada", override_reason="to see what is kept")
    with Receiver(WEBHOOK_SECRET, clock=clock) as receiver:
        ways_out.add_route(place, name="sales", url=receiver.url, actor="ada", secret=WEBHOOK_SECRET)
        while clock.now <= END:
            await sweeping.sweep(place, shop)
            await delivering.deliver_signals(place, random.Random(0))
            clock.advance(timedelta(days=1))
        assert len(receiver.received) > 5
        told += [message.body.decode() for message in receiver.received]


def durable_run(place: Workplace, ids: list[str]) -> None:
    jobs = start_jobs(place)
    try:
        run = jobs.start_backtest(place.connection("shop"), ids, APPROVED, 90)
        deadline, status = time.monotonic() + 60, RunStatus.QUEUED
        while not status.over:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            with place.store.reading() as tx:
                status = runs.get(tx, run.id).status
        assert status is RunStatus.DONE
    finally:
        stop_jobs(jobs)


def test_nothing_raw_and_no_secret_is_left_behind(home: Home, posthog: Running, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    logging.getLogger("dbos").addHandler(caplog.handler)  # it keeps its lines from the root
    clock.now = APPROVED
    store = open_store(home.settings, clock)
    place = Workplace(home.settings, store, clock, ledger=Unlimited())
    where: dict[str, Any] = {"name": "shop", "host": posthog.url, "project_id": "1", "api_key": SecretStr(POSTHOG_KEY), "share": 1.0, "actor": "ada"}

    async def connect() -> list[str]:
        shop = await connecting.connect(place, **where)
        await observing.observe(place, shop, sample_values=True)
        first = await backtest_hypotheses(place, shop, [Hypothesis.model_validate(INVITES)], window_of(APPROVED, 60))
        return [row.id for row in keep_tested(place, shop, first, actor="ada")]

    bodies: list[str] = []
    ids = asyncio.run(connect())
    durable_run(place, ids)
    asyncio.run(loop(place, clock, bodies))
    rows, files = list(home.databases()), list(home.files())
    store.close()
    logging.getLogger("dbos").removeHandler(caplog.handler)
    everything = [*rows, *files, ("log", caplog.text), *(("sent", body) for body in bodies)]

    assert {"live_match", "signal", "delivery", "workflow_status", "operation_outputs", "taxonomy_snapshot"} <= {table for table, _ in rows}
    assert "HTTP Request" in caplog.text
    secrets = (CANARY, POSTHOG_KEY, POSTHOG_KEY[4:], WEBHOOK_SECRET, WEBHOOK_SECRET[6:], SEALING_KEY)
    assert [(place_, secret) for place_, text in everything for secret in (*secrets, *encoded(secrets)) if secret in text] == []
    assert [text for table, text in rows if table == "operation_outputs" and not is_small(text)] == []


def encoded(secrets: Iterable[str]) -> list[str]:
    """How a text would look inside base64, at each of its three offsets, and in hexadecimal."""
    found = []
    for secret in secrets:
        for offset in range(3):
            inner = base64.b64encode(b"\0" * offset + secret.encode())[4 if offset else 0 :]
            found.append(inner.decode().rstrip("=")[:-2])
        found.append(secret.encode().hex())
    return [text for text in found if len(text) >= 6]


def is_small(text: str) -> bool:
    """Whether a step's record is made of ids, counts and instants."""
    return len(text) < 700 and not re.search(r"@|seats|https?:", text)


def test_the_search_itself_would_find_a_canary() -> None:
    for wrapped in (f"xx{CANARY}yy", base64.b64encode(f"a{CANARY} note".encode()).decode(), CANARY.encode().hex()):
        assert any(text in wrapped for text in (CANARY, *encoded([CANARY])))
    assert any(CANARY in json.dumps(event) for event in events())

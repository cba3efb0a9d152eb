"""One event file, several workers: who reads what is theirs to settle, and no number shows it."""

import base64
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOSClient, DBOSPortableJSONSerializer

from beton.errors import BetonError, StoreError
from beton.event_files import SkippedRows, open_event_file
from beton.hypothesis_files import read_hypotheses
from beton.local_backtest import backtest_file
from beton.settings import Settings
from beton.store import runs
from beton.store.durable import enqueue
from beton.store.records import Run, RunStatus
from beton.store.store import Store, open_store
from beton.work.durable_backtests import BACKTESTS
from beton.work.file_backtests import FileRequest, open_file_backtest

SCRIPT = Path(__file__).with_name("worker.py")
ROOT = SCRIPT.parents[2]
KEY = base64.b64encode(bytes(range(100, 132))).decode()
AS_OF = datetime(2026, 6, 30, tzinfo=UTC)
BUCKETS = 12
HYPOTHESES = """
- entry: signed_up
  clauses: [{kind: did, match: invited, span: {first: 7d}}]
  outcome: {kind: event, match: paid, horizon: 14d}
- clauses: [{kind: did, match: viewed, at_least: 2, span: {last: 3d}}]
  entry: signed_up
  outcome: {kind: event, match: paid, horizon: 7d}
"""
BATCH = read_hypotheses(HYPOTHESES, name="h.yaml")


def shop_events(persons: int, seed: int = 11) -> list[dict[str, Any]]:
    """Persons over eighty days; those who invite pay more often. Some events come twice, some rows name nobody."""
    dice, rows = random.Random(seed), []
    for number in range(persons):
        joined = AS_OF - timedelta(days=dice.uniform(0, 80))
        happened = [("signed_up", 0.0), *(("viewed", dice.uniform(0, 20)) for _ in range(dice.randrange(5)))]
        inviter = dice.random() < 0.4
        happened += [("invited", dice.uniform(0.1, 6))] if inviter else []
        happened += [("paid", dice.uniform(6.5, 20))] if dice.random() < (0.6 if inviter else 0.1) else []
        for event, after in happened:
            at = (joined + timedelta(days=after)).isoformat()
            row = {"person_id": f"p{number:05}" if dice.random() < 0.99 else "", "event": event, "timestamp": at, "uuid": f"{number}-{after}"}
            rows += [row] * (1 + (dice.random() < 0.02))
    return rows


@pytest.fixture(scope="session")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shared") / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, shop_events(1500))))
    return path


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@dataclass
class Crew:
    """Workers on one database, killed at the end whatever happens."""

    settings: Settings
    store: Store
    folder: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def queue(self, request: FileRequest) -> str:
        with self.store.transaction() as tx:
            return runs.queue(tx, "backtest", request=request.to_json()).id

    def start(self, run_id: str) -> subprocess.Popen[str]:
        """A worker that works until the run is over, and has begun to listen."""
        told = {"DATABASE_URL": self.settings.database_url, "SECRET_KEY": KEY, "DATA_DIR": str(self.folder)}
        environment = os.environ | {f"BETON_{name}": value for name, value in told.items()} | {"PYTHONPATH": str(ROOT)}
        worker = subprocess.Popen([sys.executable, str(SCRIPT), "WAIT", run_id], stdout=subprocess.PIPE, text=True, env=environment)
        self.running.append(worker)
        return worker

    def ask(self, run_id: str) -> None:
        enqueue(self.settings, BACKTESTS, "backtest_run", run_id, run_id)

    def run(self, run_id: str) -> Run:
        with self.store.reading() as tx:
            return runs.get(tx, run_id)

    def finished(self, run_id: str) -> set[int]:
        with self.store.reading() as tx:
            return set(runs.finished_buckets(tx, run_id))

    def readers(self) -> dict[int, str | None]:
        """Bucket → the executor that read it (PostgreSQL)."""
        client = DBOSClient(
            system_database_url=self.settings.database_url.replace("postgresql:", "postgresql+psycopg:"), serializer=DBOSPortableJSONSerializer()
        )
        try:
            return {one.input["args"][1]: one.executor_id for one in client.list_workflows(name="bucket_run") if one.input}
        finally:
            client.destroy()


@pytest.fixture
def crew(database_url: str, tmp_path: Path) -> Generator[Crew]:
    settings = Settings(database_url=database_url, secret_key=KEY, data_dir=tmp_path)
    store = open_store(settings, lambda: datetime.now(UTC))
    made = Crew(settings, store, tmp_path)
    yield made
    for one in made.running:
        one.kill()
        one.wait()
    store.close()


def asked(events: Path, **more: Any) -> FileRequest:
    return FileRequest(events=str(events), hypotheses=[one.to_json() for one in BATCH], as_of=AS_OF, **more)


def waited_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, "the workers did not come that far"
        time.sleep(0.02)


def alone(events: Path, **more: Any) -> dict[str, Any]:
    """What one process tells without any database."""
    return json.loads(json.dumps(backtest_file(open_event_file(str(events)), BATCH, as_of=AS_OF, **more).as_json()))


def test_a_worker_that_is_killed_while_two_share_a_file_changes_no_number(crew: Crew, events: Path) -> None:
    """On SQLite, which takes one process, the next one goes on."""
    run_id = crew.queue(asked(events, buckets=BUCKETS))
    with pytest.raises(StoreError, match="No worker"):
        crew.ask(run_id)
    several = crew.settings.database_url.startswith("postgresql")
    first = crew.start(run_id)
    assert first.stdout is not None
    first.stdout.readline()
    others = [crew.start(run_id)] if several else []
    for other in others:
        assert other.stdout is not None
        other.stdout.readline()
    crew.ask(run_id)
    waited_until(lambda: len(crew.finished(run_id)) >= 4)
    first.kill()
    first.communicate()
    left = crew.finished(run_id)
    assert len(left) < BUCKETS
    others = others or [crew.start(run_id)]
    others[0].communicate(timeout=100)

    run = crew.run(run_id)
    assert (run.status, run.error) == (RunStatus.DONE, None)
    expected = alone(events)
    assert run.counts["results"] == [one["backtest"] for one in expected["hypotheses"]]
    assert run.counts["rows_read"] == expected["rows_read"]
    assert SkippedRows(**run.counts["skipped_rows"]["person"]).duplicates > 0
    assert run.counts["skipped_rows"] == expected["skipped_rows"]
    assert run.progress["done"] == run.progress["total"] == BUCKETS
    assert crew.finished(run_id) == set()
    if several:
        readers = crew.readers()
        assert set(readers) == set(range(BUCKETS))
        assert len(set(readers.values())) == 2, "both have read"


@pytest.mark.parametrize("buckets", [1, 7, pytest.param(64, marks=pytest.mark.long)])
def test_the_number_of_buckets_changes_no_number(events: Path, buckets: int) -> None:
    assert alone(events, buckets=buckets)["hypotheses"] == alone(events)["hypotheses"]


def test_who_finds_another_file_or_hashes_otherwise_does_not_join_in(events: Path, tmp_path: Path) -> None:
    began = open_file_backtest(asked(events)).facts()
    (tmp_path / "events.jsonl").write_text(events.read_text() + "\n" + json.dumps(shop_events(1)[0]))
    with pytest.raises(BetonError) as other_file:
        open_file_backtest(asked(tmp_path / "events.jsonl")).compare(began)
    assert other_file.value.code == "worker.file_differs"
    with pytest.raises(BetonError) as other_hash:
        open_file_backtest(asked(events)).compare(began | {"hash": "1/2/3"})
    assert other_hash.value.code == "worker.hash_differs"

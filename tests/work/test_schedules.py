"""A durable backtest: killed in the middle, it resumes where it stopped and comes to the same result."""

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backtest import Hypothesis, Window, published
from backtest.durations import DAY, Duration
from beton.settings import Settings
from beton.store import backtests, hypotheses, runs
from beton.store.records import Hypothesis as Kept
from beton.store.records import RunStatus
from beton.store.store import Store, open_store
from beton.work.backtesting import backtest_hypotheses
from beton.work.workplace import Workplace, instant
from tests.backtest.random_logs import FIRST_DAY
from tests.conftest import Clock
from tests.posthog.served_log import Server
from tests.work.workshop import Unlimited, Workshop, connected

SCRIPT = Path(__file__).with_name("worker.py")
ROOT = SCRIPT.parents[2]
WINDOW = Window(FIRST_DAY, FIRST_DAY + 20 * DAY)
BUCKETS = 6
SIZES = "events and units per day"
KEY = base64.b64encode(bytes(range(100, 132))).decode()
OUTCOME = {"kind": "event", "match": "paid", "horizon": "2d"}
BATCH = [
    Hypothesis.model_validate({"entry": "signed_up", "clauses": [{"kind": "did", "match": name, "span": {"last": "2d"}}], "outcome": OUTCOME})
    for name in ("viewed", "invited")
]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@dataclass(frozen=True)
class Durable:
    """A workshop on a database that worker processes share."""

    bench: Workshop
    environment: dict[str, str]

    def worker(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stdout=subprocess.PIPE, text=True, env=self.environment)

    def asked(self, name: str) -> int:
        """How often a query has been asked since the last reset."""
        return sum(query["name"] == name for query in self.bench.server.queries())

    def finished(self, run_id: str) -> set[int]:
        with self.bench.place.store.reading() as tx:
            return set(runs.finished_buckets(tx, run_id))


@pytest.fixture
def durable(database_url: str, server: Server, clock: Clock, tmp_path: Path) -> Generator[Durable]:
    clock.now = datetime.now(UTC)
    told = {"DATABASE_URL": database_url, "SECRET_KEY": KEY, "HASH_BUCKETS": str(BUCKETS), "ALLOW_INSECURE_HOSTS": "true", "DATA_DIR": str(tmp_path)}
    settings = Settings(database_url=database_url, secret_key=KEY, hash_buckets=BUCKETS, allow_insecure_hosts=True, data_dir=tmp_path)
    store: Store = open_store(settings, clock)
    place = Workplace(settings, store, clock, ledger=Unlimited())
    connection = asyncio.run(connected(place, server))
    environment = os.environ | {f"BETON_{name}": value for name, value in told.items()} | {"PYTHONPATH": str(ROOT)}
    yield Durable(Workshop(place, connection, clock, server), environment)
    store.close()


def test_a_killed_backtest_resumes_and_reads_no_finished_bucket_again(durable: Durable) -> None:
    bench, server = durable.bench, durable.bench.server
    rows = bench.test(BATCH, Window(FIRST_DAY, FIRST_DAY + 10 * DAY))
    server.post("reset", {})
    first = durable.worker("BEGIN", instant(WINDOW.end).isoformat(), "20", *(row.id for row in rows))
    assert first.stdout is not None
    run_id = first.stdout.readline().strip()
    waited_until(lambda: durable.asked(SIZES) >= 1 + 3)  # to count the buckets, and one per bucket: the third is being read
    first.kill()
    first.communicate()
    revise(bench, rows[0])
    finished = durable.finished(run_id)
    assert {0, 1} <= finished
    assert len(finished) < BUCKETS
    server.post("reset", {})

    second = durable.worker("WAIT", run_id)
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert durable.asked(SIZES) == BUCKETS - len(finished), "only the buckets that were not finished are read"
    assert durable.finished(run_id) == set()

    inline = asyncio.run(backtest_hypotheses(bench.place, bench.connection, BATCH, WINDOW))
    with bench.place.store.reading() as tx:
        run, results = runs.get(tx, run_id), {one.hypothesis_id: one.result for one in backtests.of_run(tx, run_id)}
    assert run.status is RunStatus.DONE
    assert [results[row.id] for row in rows] == [published(score, WINDOW) for score in inline.scores]


def revise(bench: Workshop, row: Kept) -> None:
    """Somebody changes a hypothesis while it is being tested: the result is still that of the version that was asked for."""
    other = BATCH[1].model_copy(update={"outcome": BATCH[1].outcome.model_copy(update={"horizon": Duration.parse("3d")})})
    with bench.place.store.transaction() as tx:
        hypotheses.revise(
            tx, row.id, definition=other.to_json(), fingerprint=other.fingerprint, sentence="Another.", expected_row_version=1, actor="ada"
        )  # fmt: skip


def waited_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, "the worker did not come that far"
        time.sleep(0.02)

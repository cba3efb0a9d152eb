"""Several workers, one project, one budget: what they send between them stays within the share."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from backtest import Window
from backtest.durations import DAY
from beton.sandbox.run import running_sandbox
from beton.sandbox.settings import LimitSettings
from beton.settings import Settings
from beton.store import connections, runs
from beton.store.durable import enqueue
from beton.store.store import open_store
from beton.work.durable_backtests import BACKTESTS
from beton.work.workplace import Workplace, instant
from tests.backtest.random_logs import FIRST_DAY
from tests.conftest import Clock
from tests.posthog.served_log import COMPANY, Server, random_served_log
from tests.work.test_schedules import BATCH
from tests.work.workshop import Unlimited, Workshop, connected

SCRIPT = Path(__file__).with_name("worker.py")
KEY = base64.b64encode(bytes(range(100, 132))).decode()
WINDOW = Window(FIRST_DAY, FIRST_DAY + 20 * DAY)
SHARE, ALLOWED = 0.05, 12
"""Of the 240 queries a minute of PostHog Cloud. The sandbox refuses the thirteenth."""

LIMITS = LimitSettings(query_burst_per_minute=ALLOWED, failure_breaker=False)


def test_two_workers_send_no_more_than_one_share_between_them(postgres_url: str, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("\n".join(json.dumps(one.to_json()) for one in random_served_log(first_seed=1000, logs=8).happened))
    clock.now = datetime.now(UTC)
    told = {"DATABASE_URL": postgres_url, "SECRET_KEY": KEY, "HASH_BUCKETS": "12", "ALLOW_INSECURE_HOSTS": "true", "DATA_DIR": str(tmp_path)}
    settings = Settings(database_url=postgres_url, secret_key=KEY, hash_buckets=1, allow_insecure_hosts=True, data_dir=tmp_path)
    environment = os.environ | {f"BETON_{name}": value for name, value in told.items()} | {"PYTHONPATH": str(SCRIPT.parents[2])}
    with running_sandbox(tmp_path / "events.jsonl", limits=LIMITS, group_types=(COMPANY,)) as running:
        server = Server(running.url, running.project_id, running.api_key)
        store = open_store(settings, clock)
        place = Workplace(settings, store, clock, ledger=Unlimited())
        connection = asyncio.run(connected(place, server))
        server.post("reset", {})
        rows = Workshop(place, connection, clock, server).test(BATCH, WINDOW)
        with store.transaction() as tx:
            connections.configure(tx, connection.id, actor="ada", share=SHARE, limits={"throttled_as": "cloud"})
            asked = {"hypothesis_ids": [row.id for row in rows], "versions": [1, 1], "as_of": instant(WINDOW.end).isoformat(), "window_days": 20}
            run_id = runs.queue(tx, "backtest", connection_id=connection.id, request=asked).id
        server.post("reset", {})
        command = [sys.executable, str(SCRIPT), "SHARE", run_id]
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
        try:
            for worker in workers:
                assert worker.stdout is not None
                worker.stdout.readline()
            enqueue(settings, BACKTESTS, "backtest_run", run_id, run_id)
            waited_for(server, ALLOWED)
            time.sleep(3)  # both would like to go on
            sent = asked_of(server)
            with store.reading() as tx:
                run = runs.get(tx, run_id)
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()
            store.close()
    assert len(sent) == ALLOWED
    assert {record["status"] for record in sent} == {200}
    assert not run.status.over
    assert run.progress["done"] < 12, "there was more to ask"


def asked_of(server: Server) -> list[dict]:
    return [one for one in httpx.get(f"{server.url}/sandbox/requests", timeout=30).json()["requests"] if one["query"] is not None]


def waited_for(server: Server, queries: int) -> None:
    deadline = time.monotonic() + 60
    while len(asked_of(server)) < queries:
        assert time.monotonic() < deadline, "the workers did not ask that much"
        time.sleep(0.05)

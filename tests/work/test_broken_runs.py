"""A workflow that ends by a fault of ours does not leave its run running for ever."""

import base64
import os
import subprocess
import sys
from pathlib import Path

from beton.settings import Settings
from beton.store import runs
from beton.store.records import RunStatus
from beton.store.store import open_store
from tests.conftest import Clock

SCRIPT = """
import sys
from datetime import UTC, datetime
from dbos import DBOS, SetWorkflowID
from beton.settings import load_settings
from beton.store.durable import running
from beton.store.store import open_store
from beton.work.broken_runs import end_broken_runs
from beton.work.this_process import open_for_work
from beton.work.workplace import Workplace

@DBOS.workflow()
def stumbles(run_id):
    raise KeyError("nobody foresaw this")

@DBOS.workflow()
def works(run_id):
    return None

settings = load_settings()
now = lambda: datetime.now(UTC)
open_for_work(Workplace(settings, open_store(settings, now), now))
with running(settings):
    for workflow, run_id in ((stumbles, sys.argv[1]), (works, sys.argv[2])):
        with SetWorkflowID(run_id):
            handle = DBOS.start_workflow(workflow, run_id)
        try:
            handle.get_result(polling_interval_sec=0.05)
        except KeyError:
            pass
    print(*end_broken_runs())
    print(*end_broken_runs())
"""


def test_a_run_whose_workflow_ended_badly_is_failed_once_and_others_stay(sqlite_url: str, clock: Clock, tmp_path: Path) -> None:
    key = base64.b64encode(bytes(range(100, 132))).decode()
    store = open_store(Settings(database_url=sqlite_url, secret_key=key, data_dir=tmp_path), clock)
    with store.transaction() as tx:
        broken, other = (runs.queue(tx, "backtest").id for _ in range(2))
        for run_id in (broken, other):
            runs.begin(tx, run_id, workflow_id=run_id)
    environment = os.environ | {"BETON_DATABASE_URL": sqlite_url, "BETON_SECRET_KEY": key, "BETON_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, broken, other], capture_output=True, text=True, cwd=Path(__file__).parents[2], env=environment, timeout=60
    )

    assert done.stdout.split() == [broken], done.stderr
    with store.reading() as tx:
        found, kept = runs.get(tx, broken), runs.get(tx, other)
    assert found.status is RunStatus.FAILED
    assert (found.error or {})["code"] == "beton.unexpected"
    assert broken in (found.error or {})["fix"]
    assert kept.status is RunStatus.RUNNING
    store.close()

import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from dbos import DBOS, SetWorkflowID

from beton.errors import StoreError
from beton.settings import Settings
from beton.store.durable import Durable, running, start_durable

SCRIPT = Path(__file__).with_name("executor.py")
ROOT = SCRIPT.parents[2]


@DBOS.workflow()
def echo(value: dict[str, int]) -> dict[str, int]:
    return value


@DBOS.workflow()
def wait_for_word() -> None:
    DBOS.recv(timeout_seconds=30)


def at_once(settings: Settings, executor_id: str | None = None) -> AbstractContextManager[Durable]:
    return running(settings, executor_id, grace=timedelta(0))


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url)


def test_a_workflow_runs_once_under_its_id_even_after_a_restart(settings: Settings) -> None:
    for _ in range(2):
        with at_once(settings) as durable:
            assert durable.left_behind() == []
            with SetWorkflowID("w1"):
                assert echo({"n": 7}) == {"n": 7}
            assert len(DBOS.list_workflows()) == 1


def test_one_executor_one_process_and_no_version_resumes_another_s_work(settings: Settings, database_dir: Path) -> None:
    with at_once(settings, "one") as durable:
        with pytest.raises(StoreError) as refused:
            start_durable(settings, "one")
        assert refused.value.code == "store.in_use"
        with SetWorkflowID("w1"):
            handle = DBOS.start_workflow(wait_for_word)
        assert durable.left_behind() == []
        assert replace(durable, application_version="another").left_behind() == ["w1"]
        DBOS.send("w1", "go")
        handle.get_result()
        assert replace(durable, application_version="another").left_behind() == []
        beside_ours = (database_dir / "beton-jobs.sqlite").exists()
        assert beside_ours == settings.effective_database_url.startswith("sqlite")


def test_an_unreachable_database_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refused:
        start_durable(Settings(database_url=f"postgresql://nobody@/nothing?host={tmp_path}"))
    assert refused.value.code == "store.unavailable"


def start(url: str, executor_id: str, journal: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), url, executor_id, str(journal), *more]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def wait_for(line: str, journal: Path) -> None:
    deadline = time.monotonic() + 30
    while not (journal.exists() and line in journal.read_text().splitlines()):
        assert time.monotonic() < deadline, "the process did not come that far"
        time.sleep(0.02)


def test_what_a_killed_process_had_begun_is_finished(database_url: str, tmp_path: Path) -> None:
    """On PostgreSQL by another process that is running already, on SQLite by the next one. Finished steps are not repeated."""
    journal = tmp_path / "journal"
    alone = database_url.startswith("sqlite")
    first = start(database_url, "" if alone else "first", journal, "begin")
    second = None if alone else start(database_url, "second", journal)
    wait_for(f"{'' if alone else 'first'} 2", journal)
    first.kill()
    first.communicate()
    second = second or start(database_url, "", journal)
    printed, _ = second.communicate(timeout=30)
    assert printed.strip() == "28"
    steps = [int(line.split()[-1]) for line in journal.read_text().splitlines()]
    assert sorted(set(steps)) == list(range(8))
    assert len(steps) <= 9, "only the step under way is repeated"

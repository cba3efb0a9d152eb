"""Starting and stopping: one line when ready, nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import orjson
import pytest

from beton.sandbox.run import SandboxFailed, running_sandbox
from tests.sandbox.table import EVENTS


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(event) for event in EVENTS))
    return path


def test_the_command_prints_one_line_when_ready_and_stops_with_its_input(events: Path) -> None:
    command = [sys.executable, "-m", "beton.sandbox", "--events", str(events), "--port", "0", "--json", "--leash", "--project", "42"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        reply = httpx.get(f"{ready['url']}/api/projects/42/", headers={"Authorization": f"Bearer {ready['api_key']}"})
        assert (ready["project_id"], reply.json()["id"]) == (42, 42)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_file_that_cannot_be_read_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SandboxFailed, match=r"missing\.parquet is not a Parquet"), running_sandbox(tmp_path / "missing.parquet"):
        pass


def test_nothing_is_left_behind(events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with running_sandbox(events) as running:
        assert list(tmp_path.glob("beton-sandbox-*"))
        assert running.url.startswith("http://127.0.0.1:")
    assert not list(tmp_path.glob("beton-sandbox-*"))

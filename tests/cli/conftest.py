"""A little shop: a file of its events, a sandbox that serves the same, and a Beton that is connected to it."""

import json
import random
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from beton.cli import main

END = datetime(2026, 6, 30, tzinfo=UTC)
HYPOTHESES = """
schema: {properties: {seats: numeric}}
hypotheses:
  - name: invites
    entry: signed_up
    clauses: [{kind: did, match: invited, span: {first: 7d}}]
    outcome: {kind: event, match: paid, horizon: 14d}
  - name: big
    entry: signed_up
    clauses: [{kind: did, match: {events: [viewed], where: [{property: seats, op: at_least, value: 3}]}, span: {last: 7d}}]
    outcome: {kind: event, match: paid, horizon: 14d}
"""


def shop_events() -> list[dict[str, Any]]:
    """300 persons over fifty days: those who invite pay nine times as often, viewing says nothing. Seats are numbers written as text."""
    dice, rows = random.Random(7), []
    for number in range(300):
        who, joined = f"p{number:03}", END - timedelta(days=dice.uniform(0, 50))
        inviter = dice.random() < 0.4
        happened = [("signed_up", 0.0)]
        happened += [("viewed", dice.uniform(0, 20)) for _ in range(dice.randrange(4))]
        happened += [("invited", dice.uniform(0.1, 6))] if inviter else []
        happened += [("paid", dice.uniform(6.5, 13))] if dice.random() < (0.7 if inviter else 0.08) else []
        rows += [
            {
                "person_id": who,
                "event": event,
                "timestamp": (joined + timedelta(days=after)).isoformat(),
                "properties": json.dumps({"seats": str(dice.randrange(6))} if event == "viewed" else {}),
            }
            for event, after in happened
            if joined + timedelta(days=after) < END
        ]
    return rows


@dataclass(frozen=True)
class Answer:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The only JSON value on standard output."""
        (value,) = self.lines
        return value

    @property
    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Beton = Callable[..., Answer]


@pytest.fixture
def beton(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Beton:
    """Runs a command in this process, with a data directory of the test's own."""
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return Answer(code, told.out, told.err)

    return run


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with events.jsonl and hypotheses.yaml."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, shop_events())))
    (folder / "hypotheses.yaml").write_text(HYPOTHESES)
    return folder


@dataclass(frozen=True)
class PostHog:
    """Where the sandbox is."""

    url: str
    key_file: Path


@pytest.fixture(scope="session")
def posthog(shop: Path) -> Generator[PostHog]:
    """One sandbox for all tests of the command line."""
    pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")
    from beton.sandbox.run import running_sandbox
    from beton.sandbox.settings import LimitSettings

    with running_sandbox(shop / "events.jsonl", limits=LimitSettings(throttling=False, budget_enforced=False)) as running:
        key_file = shop / "key"
        key_file.write_text(f"{running.api_key}\n")
        yield PostHog(running.url, key_file)


@pytest.fixture(scope="session")
def home(posthog: PostHog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a Beton that is connected to the sandbox and has read its taxonomy."""
    folder = tmp_path_factory.mktemp("home") / "data"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BETON_DATA_DIR", str(folder))
        where = ("--host", posthog.url, "--project", "1", "--share", "1", "--key-file", str(posthog.key_file))
        assert main(["connect", "shop", *where, "--json"]) == 0
        assert main(["taxonomy", "shop", "--as-of", END.isoformat(), "--json"]) == 0
    return folder


@pytest.fixture
def connected(beton: Beton, home: Path, tmp_path: Path) -> Beton:
    """Commands of a connected Beton; what they change is the test's own."""
    shutil.copytree(home, tmp_path / "data")
    return beton

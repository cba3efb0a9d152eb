"""Options of the whole run, and fixtures for tests that need a store: a migrated database each, copied from one that is migrated once.

`pytest --world DIR --seed N` holds `tests/test_given_world.py` against a world of one's own; without them it takes a built-in one.
"""

import shutil
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from psycopg.sql import SQL, Identifier

from beton.store.engines import open_engine
from beton.store.migrate import migrate
from beton.store.sealing import Sealer
from beton.store.store import Store
from tests.store.postgres import fast_directory, temporary_postgres

settings.register_profile("unhurried", deadline=None)  # no property claims how long it takes, and a busy machine refutes none
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--world", default="freemium", help="A world for tests/test_given_world.py: a built-in name, or a folder.")
    parser.addoption("--seed", type=int, default=None, help="Its seed; 1 unless the world brings its own events.")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_server() -> Generator[str]:
    """A server for the whole run; the URL of its maintenance database."""
    with temporary_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a migrated database that tests clone."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_beton")
    engine = open_engine(postgres_server.replace("/postgres?", "/template_beton?"))
    migrate(engine)
    engine.dispose()
    return "template_beton"


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Generator[str]:
    """A migrated database of one's own."""
    name = f"t{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(postgres_template)))
        yield postgres_server.replace("/postgres?", f"/{name}?")
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that tests copy."""
    path = tmp_path_factory.mktemp("template") / "beton.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
def database_dir() -> Generator[Path]:
    """Where this test's SQLite files lie: in memory if possible, since every commit waits for the disk."""
    with TemporaryDirectory(prefix="beton-", dir=fast_directory()) as name:
        yield Path(name)


@pytest.fixture
def sqlite_url(sqlite_template: Path, database_dir: Path) -> str:
    """A migrated file of one's own."""
    return f"sqlite:///{shutil.copy(sqlite_template, database_dir / 'beton.sqlite')}"


@pytest.fixture
def store(sqlite_url: str, clock: Clock) -> Generator[Store]:
    """A store on SQLite. In `tests/store` the same name means both databases."""
    opened = Store(open_engine(sqlite_url), Sealer({"k1": bytes(range(32))}), clock)
    yield opened
    opened.close()

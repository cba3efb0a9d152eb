"""One sandbox with a random log for all tests of the jobs that do not add events."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from beton.store.store import Store
from tests.conftest import Clock
from tests.posthog.served_log import ServedLog, Server, random_served_log, served
from tests.work.workshop import Workshop, set_up

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")


@pytest.fixture(scope="session")
def log() -> ServedLog:
    return random_served_log(first_seed=1000, logs=25)


@pytest.fixture(scope="session")
def server(log: ServedLog, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with served(log, tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def workshop(server: Server, store: Store, clock: Clock, tmp_path: Path) -> Callable[[int], Workshop]:
    """Opens the workshop as of an instant in microseconds."""
    return lambda now: set_up(server, store, clock, tmp_path, now)

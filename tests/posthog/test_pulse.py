"""Whether names still come: counted as the events say, in one query."""

from collections.abc import Generator

import pytest

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

from backtest.breakage import Use
from backtest.durations import DAY, HOUR
from beton.posthog.pulse import STRETCHES, WEEK, WEEKS, read_pulse
from tests.backtest.random_logs import FIRST_DAY, NAMES, PATHS
from tests.posthog.served_log import ServedLog, Server, random_served_log, served


@pytest.fixture(scope="module")
def log() -> ServedLog:
    return random_served_log(first_seed=500, logs=25)


@pytest.fixture(scope="module")
def server(log: ServedLog, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with served(log, tmp_path_factory.mktemp("served")) as running:
        yield running


def persons(log: ServedLog, use: Use, start: int, end: int) -> int:
    """By going through all events."""
    rows = (one.row for one in log.happened if start <= one.row.at < end and use.event in ("", one.row.event))
    return len({row.person for row in rows if not use.property or row.properties.get(use.property) is not None})


def test_it_counts_persons_of_the_last_hours_and_of_the_same_hours_of_the_weeks_before(log: ServedLog, server: Server):
    names = [*(Use(name) for name in NAMES), Use(NAMES[0], PATHS[0].split(".")[0]), Use("", PATHS[0].split(".")[0])]
    now = FIRST_DAY + 25 * DAY + 7 * HOUR
    server.post("reset", {})
    told = server.ask(lambda client: read_pulse(client, names, now))
    assert len(server.queries()) == 1
    for use in names:
        for length, beat in zip(STRETCHES, told[use], strict=True):
            ends = [now - week * WEEK for week in range(WEEKS + 1)]
            counts = [persons(log, use, end - length, end) for end in ends]
            assert [beat.last, *beat.before] == counts, use
    assert sum(beat.last + sum(beat.before) for beats in told.values() for beat in beats) > 40

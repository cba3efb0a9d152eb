"""Outcomes read for units that fired: those of the plain assembly, of any kind of outcome, in one query."""

from collections.abc import Generator
from random import Random

import pytest

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

from backtest import Hypothesis, Window, plan_reads
from backtest.durations import DAY, HOUR
from backtest.intervals import FOREVER
from backtest.language import Lapse
from beton.posthog.outcomes import Asked, first_outcomes
from tests.backtest.random_logs import FIRST_DAY, TYPES, Log, random_hypothesis
from tests.posthog.served_log import ServedLog, Server, random_served_log, served


@pytest.fixture(scope="module")
def log() -> ServedLog:
    return random_served_log(first_seed=300, logs=25)


@pytest.fixture(scope="module")
def server(log: ServedLog, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with served(log, tmp_path_factory.mktemp("served")) as running:
        yield running


def asked(one: Hypothesis, units: list[str], since: int = 0) -> Asked:
    return Asked(one.unit, None if one.unit == "person" else 0, one.outcome, one.entry, tuple(units), since)


def at_hand(one: Hypothesis, log: ServedLog, end: int) -> dict[str, int]:
    """First-ever outcomes by the plain assembly."""
    (plan,) = plan_reads([one], Window(end - DAY, end))
    whole = log.assembled(plan)
    return {unit: int(at) for unit, at in zip(whole.units, whole.outcome(one), strict=True) if at < FOREVER and unit}


def test_they_are_those_of_the_plain_assembly_in_one_query(log: ServedLog, server: Server):
    dice, end = Random(5), FIRST_DAY + 26 * DAY + 3 * HOUR
    drawn = [random_hypothesis(Random(seed), Log((), 0, 1, {}, seed % 3 == 0)) for seed in range(60)]
    kinds = {type(one.outcome).__name__ for one in drawn}
    assert kinds == {"Event", "PropertyOutcome", "Lapse"}
    everyone = {unit: sorted({one for one in log.rows(unit).units if one}) for unit in {one.unit for one in drawn}}
    some = [dice.sample(everyone[one.unit], 40) for one in drawn]
    server.post("reset", {})
    told = server.ask(lambda client: first_outcomes(client, [asked(*pair) for pair in zip(drawn, some, strict=True)], end, TYPES))
    assert len(server.queries()) == 1
    found = 0
    for one, units, answer in zip(drawn, some, told, strict=True):
        wanted = {unit: at for unit, at in at_hand(one, log, end).items() if unit in units}
        assert answer == wanted, one.outcome
        found += len(answer)
    assert found > 200


def test_what_lies_before_the_last_reading_is_not_read_again(log: ServedLog, server: Server):
    end, since = FIRST_DAY + 26 * DAY, FIRST_DAY + 12 * DAY
    one = next(one for one in (random_hypothesis(Random(seed), Log((), 0, 1, {}, False)) for seed in range(60)) if not isinstance(one.outcome, Lapse))
    units = sorted(at_hand(one, log, end))
    (told,) = server.ask(lambda client: first_outcomes(client, [asked(one, units, since)], end, TYPES))
    whole = at_hand(one, log, end)
    assert {unit: at for unit, at in whole.items() if at >= since}.items() <= told.items()
    assert all(since <= at < end for at in told.values())


def test_nobody_waiting_asks_nothing():
    import asyncio

    assert asyncio.run(first_outcomes(None, [], 0, {})) == []  # ty: ignore[invalid-argument-type]

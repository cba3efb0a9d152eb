"""A workplace on simulated time, connected to a sandbox, and the steps that tests of the jobs begin with."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from pydantic import SecretStr

from backtest import Backtest, Hypothesis, Window, plan_reads
from beton.lifecycle import Action
from beton.posthog.ledger import MemoryLedger, Surface
from beton.settings import Settings
from beton.store.records import Connection
from beton.store.records import Hypothesis as Kept
from beton.store.store import Store
from beton.work import connecting, deciding, observing
from beton.work.backtesting import backtest_hypotheses
from beton.work.keeping import keep_tested
from beton.work.sweeping import Swept, sweep
from beton.work.workplace import Workplace, instant, microseconds
from tests.backtest.random_logs import TYPES, Log, random_hypothesis
from tests.conftest import Clock
from tests.posthog.served_log import ServedLog, Server

Fired = tuple[str, int, int]


class Unlimited(MemoryLedger):
    """A book in which nothing is written, so that a year can pass in a second."""

    async def record(self, surface: Surface, at: Any, *, requests: int = 0, read: int = 0) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Workshop:
    """A place with one connection; `clock` is moved by the tests."""

    place: Workplace
    connection: Connection
    clock: Clock
    server: Server

    def test(self, hypotheses: Sequence[Hypothesis], window: Window) -> list[Kept]:
        """Backtest them and keep them as proposals."""
        tested = asyncio.run(backtest_hypotheses(self.place, self.connection, hypotheses, window))
        return keep_tested(self.place, self.connection, tested, actor="ada")

    def decide(self, kept: Kept, action: Action) -> None:
        """A person's decision."""
        deciding.decide(self.place, kept.id, action, actor="ada", override_reason="a test of the sweep", reason="no reason")

    def approve(self, hypotheses: Sequence[Hypothesis], window: Window) -> list[Kept]:
        """Tested on the window and approved."""
        rows = self.test(hypotheses, window)
        for row in rows:
            self.decide(row, Action.APPROVE)
        return rows

    def sweep(self, now: int) -> Swept:
        """One sweep as of an instant in microseconds."""
        self.clock.now = instant(now)
        return asyncio.run(sweep(self.place, self.connection))


def fires_of(swept: Iterable[Swept], kept: Kept) -> list[Fired]:
    """What sweeps have sent for one hypothesis: unit, instant, occurrence."""
    signals = [signal for one in swept for signal in one.signals if signal.hypothesis_id == kept.id]
    return sorted((str(signal.unit_id), microseconds(signal.fired_at), signal.occurrence) for signal in signals)


def set_up(server: Server, store: Store, clock: Clock, folder: Path, now: int) -> Workshop:
    """Connected, with the taxonomy read."""
    clock.now = instant(now)
    settings = Settings(data_dir=folder, allow_insecure_hosts=True)
    place = Workplace(settings, store, clock, declared=TYPES, ledger=Unlimited())  # ty: ignore[invalid-argument-type]
    connection = asyncio.run(connected(place, server))
    return Workshop(place, connection, clock, server)


async def connected(place: Workplace, server: Server) -> Connection:
    """A connection to the server, its taxonomy read."""
    connection = await connecting.connect(
        place, name="shop", host=server.url, project_id=str(server.project_id), api_key=SecretStr(server.api_key), share=1.0, actor="ada"
    )  # fmt: skip
    await observing.observe(place, connection, sample_values=False)
    return connection


# --- which hypotheses to replay --------------------------------------------------------------------------------------


def at_hand(batch: Sequence[Hypothesis], window: Window, log: ServedLog) -> Backtest:
    """Scores and fires by the plain assembly of the events."""
    whole = Backtest(batch, keep_fires=True)
    for plan in plan_reads(batch, window):
        whole.add(plan.unit, log.assembled(plan))
    return whole


def traits(hypothesis: Hypothesis) -> set[str]:
    """What makes it worth a replay: kinds of clauses with their spans, the unit, the cool-down."""
    found = {
        f"{clause.kind} {type(span).__name__ if not isinstance(span := getattr(clause, 'span', None), str) else span}"
        for clause in hypothesis.clauses
    }
    return found | {f"unit {hypothesis.unit == 'person'}", f"again {hypothesis.fires_again_after is not None}"}


def telling(log: ServedLog, window: Window, since: int, *, cohorts: bool = True) -> list[Hypothesis]:
    """Random hypotheses of every kind, each of which fires before and after `since`, as few as have all traits between them."""
    shapes = [Log((), 0, 1, {}, accounts) for accounts in (False, True)]
    drawn = [random_hypothesis(Random(seed), shapes[seed % 3 == 0]) for seed in range(400)]
    fires = at_hand(drawn, window, log).fires
    chosen: list[Hypothesis] = []
    missing = set().union(*(traits(one) for one in drawn))
    while True:
        useful = [
            one
            for index, one in enumerate(drawn)
            if sum(fire[1] >= since for fire in fires.get(index, ())) >= 3 and (cohorts or "cohort NoneType" not in traits(one))
        ]
        best = max(useful, key=lambda one: len(traits(one) & missing))
        if not traits(best) & missing:
            return chosen
        missing -= traits(best)
        chosen.append(best)


def spread(first: int, end: int, step: timedelta) -> list[int]:
    """Instants from `first` on, `step` apart, the last at `end`."""
    width = step // timedelta(microseconds=1)
    return [*range(first, end, width), end]

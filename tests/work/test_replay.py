"""A world whose events come late, twice and about people who turn out to be one, through store and sandbox: sweeps at several steps, with and without
pushes, tell what a backtest would that is run again at each of them on all that had arrived by then."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from backtest.durations import DAY, HOUR, MINUTE
from beton.store import signals
from beton.store.records import Hypothesis as Kept
from beton.store.store import Store
from beton.work.arrived import Arrived
from beton.work.receiving import receive
from beton.work.workplace import instant, microseconds
from tests.backtest.oracle import Row
from tests.backtest.replay_oracle import Arrival, Merge, ReplayOracle, World
from tests.conftest import Clock
from tests.posthog.served_log import Happened, ServedLog, random_served_log, served
from tests.work.test_sweeping import APPROVED, INVITES, TESTED, VIEWS, hypothesis
from tests.work.workshop import Workshop, set_up

SILENT = hypothesis({"kind": "did_not", "match": "invited", "span": {"last": "1d"}}, fires_again_after="2d")
BATCH = (VIEWS, INVITES, SILENT)
STEPS = ((APPROVED, 60 * MINUTE, 8), (APPROVED + 8 * HOUR, 5 * MINUTE, 4), (APPROVED + 9 * HOUR, MINUTE, 4), (APPROVED + 4 * DAY, DAY, 2))


@dataclass(frozen=True)
class Delivered(Happened):
    """As PostHog holds it, with the instant of its arrival."""

    arrived: int = 0

    def to_json(self) -> dict:
        return super().to_json() | {
            "uuid": str(uuid.UUID(bytes=uuid.UUID(str(self.row.uuid)).bytes)),
            "created_at": instant(self.arrived).isoformat(),
        }


def world_of(log: ServedLog, dice: Random) -> World:
    """Of the latest events most are late by up to 72 hours; every twentieth comes twice, and six people turn out to be others."""
    arrivals = []
    for one in log.happened:
        row = replace(one.row, unit=one.row.person, uuid=str(uuid.UUID(int=dice.getrandbits(128), version=4)))
        late = dice.randrange(72 * HOUR) if row.at > APPROVED - 2 * DAY and dice.random() < 0.6 else 0
        arrivals.append(Arrival(row, row.at + late))
        if dice.random() < 0.05:
            arrivals.append(Arrival(row, row.at + dice.randrange(72 * HOUR)))
    people = sorted({one.row.person for one in log.happened})
    dice.shuffle(people)
    merges = tuple(Merge(APPROVED + dice.randrange(7 * HOUR), old, new) for old, new in zip(people[:6], people[6:12], strict=True))
    for merge in merges:
        row = Row(merge.new, "$identify", merge.at, {}, merge.new, str(uuid.UUID(int=dice.getrandbits(128), version=4)))
        arrivals.append(Arrival(row, merge.at))
    return World(tuple(arrivals), merges, frozenset(), accounts=False)


def told(bench: Workshop, row: Kept) -> list[tuple]:
    """Signals as the store has them: whose they are by now, when they fired, and their marks."""
    with bench.place.store.reading() as tx:
        found = signals.listing(tx, hypothesis_id=row.id, limit=200).data
        into = {one.id: microseconds(one.fired_at) for one in found}
        return sorted((str(one.unit_id), microseconds(one.fired_at), one.revised_at is not None, into.get(one.merged_into or "")) for one in found)


def expected(oracle: ReplayOracle) -> list[tuple]:
    return sorted((one.unit, one.at, one.revised, one.merged_into.at if one.merged_into else None) for one in oracle.told)


def pushed(world: World, now: int, arrivals: Sequence[Arrival]) -> list[Arrived]:
    """The same deliveries as PostHog's webhook tells them."""
    rows = [world.seen(one.row, now) for one in arrivals]
    return [Arrived(str(row.uuid), row.event, row.person, row.person, {}, {}, instant(row.at), instant(now), row.properties) for row in rows]


@pytest.mark.parametrize("push", [pytest.param(False, marks=pytest.mark.long), True])
def test_late_twice_and_merged_events_are_told_as_a_backtest_in_order_of_arrival_would(
    push: bool, store: Store, clock: Clock, tmp_path: Path
) -> None:
    world = world_of(random_served_log(first_seed=3000, logs=5), Random(7))
    log = ServedLog(tuple(Delivered(one.row, arrived=one.at) for one in world.arrivals), frozenset())
    with served(log, tmp_path) as server:
        bench = set_up(server, store, clock, tmp_path, APPROVED)
        rows = bench.approve(BATCH, TESTED)
        oracles = [ReplayOracle(world, one, TESTED.start + one.look_back, APPROVED) for one in BATCH]
        instants = [first + number * step for first, step, times in STEPS for number in range(times)]
        pushes = [one.at + 1 for one in world.arrivals if push and APPROVED <= one.at < instants[-1] and one.at - one.row.at < 72 * HOUR]
        swept = APPROVED
        for now, is_sweep in sorted({*((at, True) for at in instants), *((at, False) for at in pushes)}):
            if is_sweep:
                for merge in world.merges:
                    if swept <= merge.at < now:
                        server.post("merge", {"old": merge.old, "new": merge.new})
                bench.sweep(now)
                swept = now
            else:
                arrivals = [one for one in world.arrivals if one.at + 1 == now]
                clock.now = instant(now)
                asyncio.run(receive(bench.place, bench.connection, pushed(world, now, arrivals)))
            for oracle in oracles:
                oracle.sweep(now) if is_sweep else oracle.push(now, arrivals)
        assert [told(bench, row) for row in rows] == [expected(oracle) for oracle in oracles]

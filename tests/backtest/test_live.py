"""The live memory tells what a backtest would that is run again at every sweep on all that has arrived by then."""

from dataclasses import replace
from random import Random

import pytest

from backtest.durations import DAY, HOUR, MINUTE
from backtest.events import Window
from backtest.fires import first_matches
from backtest.plan import plan_reads
from tests.backtest.random_logs import COHORT, Case, random_case
from tests.backtest.replay import Replay
from tests.backtest.replay_oracle import Arrival, Merge, ReplayOracle, Told, World, log_of


def long(first: int, last: int) -> list[object]:
    return [pytest.param(seed, marks=pytest.mark.long) for seed in range(first, last, 50)]


MORE = long(10_000, 14_000)


def world_of(case: Case, dice: Random, *, punctual: bool, duplicates: float = 0.05, merges: float = 0.02) -> World:
    """The case's events, each with an id, arriving at once or up to 72 hours late, some twice, and some people turning out to be one."""
    arrivals, log = [], case.log
    known: set[str] = set()
    for number, row in enumerate(log.rows):
        if row.uuid is not None and (punctual or row.uuid in known):
            continue
        known.add(str(row.uuid))
        row = replace(row, uuid=f"{number}")
        delay = 0 if punctual else dice.choice([0, 0, 1, MINUTE, 3 * HOUR, dice.randrange(72 * HOUR), 72 * HOUR - 1])
        arrivals.append(Arrival(row, row.at + delay))
        if not punctual and dice.random() < duplicates:
            skew = dice.choice([0, 0, 1_000, -MINUTE])
            arrivals.append(Arrival(replace(row, at=row.at + skew), row.at + dice.randrange(71 * HOUR)))
    people = sorted({row.person for row in log.rows})
    dice.shuffle(people)
    pairs = [] if punctual else [pair for pair in zip(people[::2], people[1::2], strict=False) if dice.random() < merges]
    moved = tuple(Merge(dice.randrange(log.start, log.end), old, new) for old, new in pairs)
    return World(tuple(arrivals), moved, frozenset(log.cohorts[COHORT]), log.accounts)


def sweeps(dice: Random, first: int, end: int, step: int) -> list[int]:
    """From the first on; the shortest steps only for a while, then longer ones."""
    found, at = [first], first
    while at < end:
        at = min(end, at + (step if len(found) < 60 else max(step, dice.randrange(HOUR, 3 * DAY))))
        found.append(at)
    return found


def shown(told: list[Told]) -> list[tuple]:
    """What is told, to whom, when, and what became of it."""
    return sorted((one.named, one.at, one.sent, one.revised, one.merged_into and (one.merged_into.named, one.merged_into.at)) for one in told)


def compared(seed: int, *, punctual: bool, pushed: bool, merges: float = 0.02) -> tuple[str | None, list[Told]]:
    """How the replay differs from the oracle, if it does, and what was told."""
    case, dice = random_case(seed), Random(seed)
    log = case.log
    live_from = log.start + case.hypothesis.look_back
    if not log.rows or live_from >= log.end:
        return None, []
    world = world_of(case, dice, punctual=punctual, merges=merges)
    approved = min(max(dice.choice([log.end - 5 * DAY, log.start + 7 * DAY, live_from]), live_from, log.start + 1), log.end - 1)
    first = min(log.end, approved + dice.choice([0, 0, HOUR, 2 * DAY]))
    end = log.end if punctual else log.end + 4 * DAY
    instants = sweeps(dice, first, end, dice.choice([MINUTE, 5 * MINUTE, HOUR, 7 * HOUR, DAY]))
    replay, oracle = Replay(world, case.hypothesis, live_from, approved), ReplayOracle(world, case.hypothesis, live_from, approved)
    if pushed:
        instants = instants[::4] + instants[-1:]
    events = sorted({one.at for one in world.arrivals if one.at >= first} if pushed else set())
    for now in sorted({*((at, 1) for at in instants), *((at + 1, 0) for at in events)}):
        for either in (replay, oracle):
            if now[1]:
                either.sweep(now[0])
            else:
                either.push(now[0], [one for one in world.arrivals if one.at + 1 == now[0]])
    sent, expected = shown(replay.order), shown(oracle.told)
    if punctual and not pushed:
        expected = backtested(case, world, live_from, approved)
        sent = [one[:2] for one in sent]
    if sent == expected:
        return None, replay.order
    return f"seed {seed}: {case.hypothesis.to_json()}\nmerges {world.merges}\nsent     {sent}\nexpected {expected}", replay.order


def backtested(case: Case, world: World, live_from: int, approved: int) -> list[tuple]:
    """The fires of one backtest over everything, from the approval on."""
    (plan,) = plan_reads([case.hypothesis], Window(case.log.start, case.log.end))
    log = log_of(world.visible(2**60), plan, world.members)
    found = first_matches(case.hypothesis, log)
    return sorted((log.units[unit], at) for unit, at in zip(found.unit.tolist(), found.at.tolist(), strict=True) if at >= approved)


@pytest.mark.parametrize("first_seed", [0, *long(50, 200), *MORE])
def test_punctual_events_give_exactly_the_signals_of_the_backtest(first_seed: int) -> None:
    assert [told for seed in range(first_seed, first_seed + 50) if (told := compared(seed, punctual=True, pushed=False)[0])] == []


@pytest.mark.parametrize("first_seed", [1000, *long(1050, 1200), *MORE])
def test_late_twice_and_merged_events_give_the_signals_of_a_backtest_in_order_of_arrival(first_seed: int) -> None:
    assert [told for seed in range(first_seed, first_seed + 50) if (told := compared(seed, punctual=False, pushed=False, merges=0.3)[0])] == []


@pytest.mark.parametrize("first_seed", [2000, *long(2050, 2100), *MORE])
def test_pushed_events_and_sweeps_together_give_the_signals_of_a_backtest_in_order_of_arrival(first_seed: int) -> None:
    assert [told for seed in range(first_seed, first_seed + 50) if (told := compared(seed, punctual=False, pushed=True, merges=0.1)[0])] == []


def test_these_worlds_have_signals_that_later_evidence_prevents_and_two_of_one_person() -> None:
    _, told = compared(1124, punctual=False, pushed=False, merges=0.3)
    assert any(one.revised for one in told)
    assert any(one.merged_into for one in told)

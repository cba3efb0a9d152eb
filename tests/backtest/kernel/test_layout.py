"""Rows in any order become the log that the plain way makes of them."""

from random import Random

import numpy as np
import pytest

from backtest.assembly import LONGEST_GAP, Rows, assemble
from backtest.durations import DAY
from backtest.events import Column, EventLog, Window, first_key
from backtest.kernel.layout import sorted_log
from backtest.kernel.prepared import Prepared
from backtest.matching import EventMatch
from backtest.plan import ReadPlan

WINDOW = Window(20_000 * DAY, 20_060 * DAY)
FIRSTS = {first_key(match): match for match in (None, EventMatch(events=("a",)), EventMatch(events=("b", "c")))}


def both(seed: int, *, widest: int = 0, in_order_of_time: bool = False) -> tuple[EventLog, Prepared]:
    rng = Random(seed)
    count, units, names = rng.randrange(0, 400), rng.randrange(1, 30), ["a", "b", "c", "d"]
    unit = np.array([rng.randrange(units) for _ in range(count)], np.int32)
    name = np.array([rng.choice([0, 0, 1, 3]) for _ in range(count)], np.int32)
    at = np.array([WINDOW.start + rng.randrange(0, 50) * rng.choice([DAY, 1]) for _ in range(count)], np.int64)
    at = np.sort(at) if in_order_of_time else at
    column = Column(np.array([rng.randrange(-1, 3) for _ in range(count)], np.int32), ["x", "y", "z"])
    ids = range(units + widest)
    plain = assemble(
        Rows(ids, names, unit, name, at, unit, {("plan",): column}),  # ty: ignore[invalid-argument-type]
        ReadPlan("person", WINDOW, firsts=FIRSTS),
        {},
    )
    fast = sorted_log(
        window=WINDOW,
        units=ids,  # ty: ignore[invalid-argument-type]
        names=names,
        unit=unit,
        name=name,
        at=at,
        persons=unit,
        columns={("plan",): column},
        firsts=FIRSTS,
    )
    return plain, fast


@pytest.mark.parametrize("in_order_of_time", [False, True])
@pytest.mark.parametrize("widest", [0, 2**21])
def test_rows_are_laid_out_as_the_plain_log_is(widest: int, in_order_of_time: bool) -> None:
    for seed in range(40 if not widest else 1):
        plain, fast = both(seed, widest=widest, in_order_of_time=in_order_of_time)

        assert fast.slices == plain.slices
        assert fast.unit.tolist() == plain.unit.tolist()
        assert fast.at.tolist() == plain.at.tolist()
        for part in ("unit", "first", "last"):
            assert getattr(fast.presence, part).tolist() == getattr(plain.presence, part).tolist()
        for key in FIRSTS:
            assert fast.firsts[key].tolist() == plain.firsts[key].tolist()


def test_what_rows_carry_stays_with_them() -> None:
    for seed in range(40):
        plain, fast = both(seed)

        def carried(log: EventLog) -> list[tuple[int, ...]]:
            assert log.persons is not None
            return sorted(zip(*(part.tolist() for part in (log.unit, log.at, log.persons, log.columns["plan",].codes)), strict=True))

        assert carried(fast) == carried(plain)


def test_all_rows_are_in_order_of_unit_and_instant() -> None:
    for seed in range(40):
        _, fast = both(seed)
        everything = fast.everything()

        assert list(zip(everything.unit.tolist(), everything.at.tolist(), strict=True)) == sorted(
            zip(fast.unit.tolist(), fast.at.tolist(), strict=True)
        )
        assert everything.rows is not None
        assert (fast.unit[everything.rows] == everything.unit).all()
        assert (fast.at[everything.rows] == everything.at).all()


def test_presence_is_split_where_a_unit_was_away_for_longer_than_the_longest_gap() -> None:
    days = np.array([0, 7, 14, 21], np.int64)
    at = WINDOW.start + days * LONGEST_GAP // 7 + np.array([0, 0, 0, 1])
    zeros = np.zeros(4, np.int32)
    log = sorted_log(window=WINDOW, units=["u"], names=["a"], unit=zeros, name=zeros, at=at, firsts={})

    assert log.presence.first.tolist() == [at[0], at[3]]

"""Workers killed at any moment: nothing is lost, nothing is doubled, and the bench would say so if it were."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from beton.bench.crash import WORKERS, run_crash_bench
from beton.bench.crash_round import Counted, tally

AT = datetime(2026, 3, 2, tzinfo=UTC)
FIRST, SECOND, THIRD = ((0, unit, 1, AT) for unit in ("ada", "ben", "cleo"))


def held(found: dict, kills: int) -> None:
    assert (found["kills"], found["lost"], found["duplicate_signals"], found["duplicate_effects"]) == (kills, 0, 0, 0)
    assert found["backtests_differing"] == 0
    assert found["duplicate_attempts"] <= kills
    assert set(found["databases"]) == set(WORKERS)
    assert found["signals"] == found["messages"] > kills
    assert found["work_interrupted"] > 0


def test_killing_workers_thirty_times_loses_and_doubles_nothing() -> None:
    pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")
    found = run_crash_bench(kills=30, seed=1)
    held(found, 30)
    assert found["restart_median_seconds"] <= 2


@pytest.mark.long
def test_killing_workers_ten_thousand_times_loses_and_doubles_nothing() -> None:
    pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")
    held(run_crash_bench(kills=10_000, seed=2), 10_000)


def counted(got: list, arrived: list) -> tuple[int, int, int]:
    found = Counted()
    tally(found, {FIRST, SECOND}, got, Counter(arrived))
    return found.lost, found.duplicate_signals, found.duplicate_effects


def test_what_was_not_found_or_did_not_arrive_is_lost() -> None:
    assert counted([FIRST, SECOND], [FIRST, SECOND]) == (0, 0, 0)
    assert counted([FIRST], [FIRST]) == (1, 0, 0)
    assert counted([FIRST, SECOND], [FIRST]) == (1, 0, 0)


def test_what_came_twice_or_was_not_to_come_is_doubled() -> None:
    assert counted([FIRST, FIRST, SECOND], [FIRST, SECOND]) == (0, 1, 0)
    assert counted([FIRST, SECOND, THIRD], [FIRST, SECOND, SECOND]) == (0, 1, 1)

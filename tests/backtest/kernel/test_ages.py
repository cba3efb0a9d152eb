"""The ladder of ages tells what the sorted tables tell, and its sums are those of `fsum`."""

import math
from random import Random

import numpy as np

from backtest import baseline
from backtest.baseline import AgeTable, Expected
from backtest.durations import DAY
from backtest.kernel import ages


def random_tables(rng: np.random.Generator, size: int, step: int) -> tuple[AgeTable, AgeTable]:
    """A table, and one of some of its units."""
    start = rng.integers(0, 90, size) * step + rng.integers(-1, 2, size)
    stop = start + rng.integers(1, 30, size) * step
    soonest = np.maximum(start, stop - rng.integers(1, 20, size) * step)
    hits = rng.random(size) < 0.3

    def of(some: np.ndarray) -> AgeTable:
        return AgeTable(np.sort(start[some]), np.sort(stop[some]), np.sort(soonest[some & hits]), np.sort(stop[some & hits]))

    return of(np.ones(size, np.bool_)), of(rng.random(size) < 0.1)


def test_the_ladder_agrees_with_the_sorted_tables() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        table, without = random_tables(rng, int(rng.integers(0, 300)), DAY // 4)
        wanted = np.concatenate((rng.integers(-2, 130, 100) * DAY // 4, table.risk_starts[:50], table.risk_stops[:50] - 1, table.hit_stops[:50]))
        converted, steps = rng.random(len(wanted)) < 0.2, ages.ladder(table)
        enough = baseline.supported(table, wanted)

        assert (ages.supported(steps, wanted) == enough).all()
        assert ages.expected(steps, wanted, converted, enough) == baseline.expected(table, wanted, converted, enough)
        assert ages.expected(steps, wanted, converted, enough, ages.ladder(without)) == baseline.expected(table, wanted, converted, enough, without)


def test_without_any_comparator_nothing_is_supported() -> None:
    nobody = ages.ladder(AgeTable(*(np.empty(0, np.int64) for _ in range(4))))
    told = np.array([0, DAY])

    assert ages.expected(nobody, told, np.ones(2, np.bool_), np.ones(2, np.bool_)) == Expected(0, 0, 0.0)


def test_a_sum_is_rounded_once() -> None:
    rng = Random(1)
    risk = np.array([rng.randrange(1, 2 ** rng.randrange(1, 31)) for _ in range(50_000)], np.int64)
    hits = np.array([rng.randrange(0, number + 1) for number in risk.tolist()], np.int64)

    assert ages.exact_sum(risk, hits, np.ones(len(risk), np.bool_)) == math.fsum((hits / risk).tolist())

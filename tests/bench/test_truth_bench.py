"""The benchmark of truth: its figures are what it says, and it notices a broken statistic."""

from pathlib import Path

import numpy as np
import pytest

from backtest.durations import DAY
from backtest.intervals import FOREVER
from beton.bench import coverage, drifting, null
from beton.bench.figures import at_least, at_most, within
from beton.bench.null import finds_by_chance, shuffled_outcomes
from beton.bench.projects import opened_world
from beton.bench.truth import run_truth_bench

EXAMPLE = Path(__file__).parents[2] / "docs" / "reference" / "worlds.md"


@pytest.fixture(scope="module")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shop of the reference page, at a tenth of its size."""
    folder = tmp_path_factory.mktemp("shop")
    text = EXAMPLE.read_text().split("```yaml\n")[1].split("```")[0].replace("units: 4000", "units: 400")
    (folder / "world.yaml").write_text(text)
    return str(folder)


def test_every_figure_comes_with_its_bound_and_its_replicates(small_world: str) -> None:
    told = run_truth_bench(3, given=(small_world,), replicates=2, processes=1)

    assert told["seed"] == 3
    assert {"null_clears_worlds", "null_finds_worlds", "own_path_labelled", "causes_not_labelled", "drift_false_alarms", "drift_median_fires"} <= set(
        told["figures"]
    )
    for figure in told["figures"].values():
        assert set(figure) == {"value", "bound", "replicates", "holds", "how"}
        assert figure["replicates"] >= 1
    assert told["holds"] == all(figure["holds"] for figure in told["figures"].values())


def test_a_bound_of_a_share_grows_with_its_standard_error() -> None:
    assert at_most(33, 200, 0.10, "").holds is False
    assert at_most(28, 200, 0.10, "").holds is True
    assert at_least(98, 100, 0.98, "").holds is True
    assert within(970, 1000, 0.93, 0.97, "").holds is True
    assert within(929, 1000, 0.93, 0.97, "").holds is False


def test_shuffling_keeps_who_enters_when_and_how_old_converters_are(small_world: str) -> None:
    with opened_world(small_world, 1) as project:
        singles = project.singles()
        log = project.log(singles)
    entry, outcome = log.entry(singles[0]), log.outcome(singles[0])
    moved = shuffled_outcomes(singles[0], log, np.random.default_rng(0))
    week = (entry - log.window.start) // (7 * DAY)
    early = (entry < log.window.end - 60 * DAY) & (entry < FOREVER)
    for one in np.unique(week[early]):
        ages, shuffled = (sorted((at - entry)[(week == one) & (at < FOREVER)].tolist()) for at in (outcome, moved))
        assert set(shuffled) <= set(ages)
        assert len(ages) - len(shuffled) <= 2  # a few may now lie beyond the as-of instant
    assert not np.array_equal(outcome, moved)


def drifting_log(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Twelve weeks in which both the conversion and every one of forty habits become more common; nothing predicts."""
    week = np.repeat(np.arange(12), 60).astype(np.int32)
    fired = rng.random((40, len(week))) < 0.1 + 0.05 * week
    converted = rng.random(len(week)) < 0.05 + 0.025 * week
    return fired, converted, week


def test_a_test_that_ignores_the_calendar_is_caught() -> None:
    rng = np.random.default_rng(11)
    fired, converted, week = drifting_log(rng)
    runs, right = finds_by_chance(fired, converted, week, week, rng, 60)
    _, pooled = finds_by_chance(fired, converted, week, np.zeros_like(week), rng, 60)

    assert at_most(right, runs, 0.10, "").holds
    assert not at_most(pooled, runs, 0.10, "").holds


def test_simulated_intervals_hold_the_truth_about_as_often_as_they_claim() -> None:
    found = coverage.of_tables(5, 0, 600)

    assert {"wilson_precision", "wilson_recall", "katz_lift", "score_lift"} == set(found.drawn)
    assert all(0.91 < found.held[kind] / found.drawn[kind] < 0.985 for kind in found.drawn)


def test_the_watch_rings_after_a_fall_and_seldom_without() -> None:
    found = drifting.watch(2, 0, 60)

    assert found.false_alarms <= 8
    assert np.median(found.fires_to_alarm) <= 120


@pytest.mark.long
def test_the_same_seed_gives_the_same_runs(small_world: str) -> None:
    assert null.of_world(small_world, 4, 0, 2) == null.of_world(small_world, 4, 0, 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1])
def test_the_whole_contract_holds(seed: int) -> None:
    told = run_truth_bench(seed)

    assert {name: one for name, one in told["figures"].items() if not one["holds"]} == {}

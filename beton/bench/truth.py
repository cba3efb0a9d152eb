"""`beton bench truth`: does Beton say what is so? False finds, coverage, confidence, traps, ended effects and the watch, each with its bound.

The caller's seed decides all draws. Replicates are spread over processes; how many there are changes no number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from statistics import median
from typing import Any

from beton.bench import calibrated, coverage, drifting, null, plants
from beton.bench.crew import Crew
from beton.bench.figures import Figure, at_least, at_most, report, within
from beton.bench.projects import OwnEvents, holds_events, worlds

Tell = Callable[[str], None]

REPLICATES = 200
COVERAGE = 14
"""Simulated tables and samples of worlds per null replicate, halved: at 200 each kind of interval is drawn more than 2,000 times."""

SEEDS_OF_PLANTS = 4
SEEDS_OF_CONFIDENCE = 15
"""Searches of each built-in world: enough for more than 200 finds with a confidence from 0.8 to 0.9."""

MEDIAN_FIRES = 100
IN_ONE_TASK = 20


def run_truth_bench(
    seed: int = 1,
    *,
    given: Sequence[str] = (),
    own: OwnEvents | None = None,
    replicates: int = REPLICATES,
    processes: int | None = None,
    tell: Tell = lambda _line: None,
) -> dict[str, Any]:
    """Measure everything; `holds` tells whether every figure keeps its bound. `given` are names or folders of worlds, all built-in ones unless some
    are named; `own` adds somebody's events. With one process nothing is spread."""
    count = processes or min(4, os.cpu_count() or 1)
    with Crew(count, tell) as crew:
        tasks = _tasks(crew, seed, worlds(given), own, replicates)
        results = {name: [one.result() for one in several] for name, several in tasks.items()}
    figures = {name: one for name, one in _figures(results, own) if one.replicates}
    return report(seed, figures, worlds=worlds(given), events=own.events if own else None)


def _tasks(crew: Crew, seed: int, names: Sequence[str], own: OwnEvents | None, replicates: int) -> dict[str, list[Future[Any]]]:
    """The slowest first."""
    shares = _shares(replicates, len(names))
    found: dict[str, list[Future[Any]]] = {"null": [], "own": [], "plants": [], "confident": [], "covered": [], "tables": [], "watched": []}
    for number, (name, share) in enumerate(zip(names, shares, strict=True)):
        found["null"].append(crew.send(f"shuffled outcomes of {name}", null.of_world, name, seed, number, share))
    for number, part in enumerate(_parts(replicates) if own else ()):
        found["own"].append(crew.send("shuffled outcomes of the file", null.of_events, own, seed, 1_000 + number, part))
    for number, (name, share) in enumerate(zip(names, _shares(2 * COVERAGE * replicates, len(names)), strict=True)):
        found["covered"].append(crew.send(f"intervals of {name}", coverage.of_world, name, seed, 2_000 + number, share))
    for name in names:
        found["plants"] += [crew.send(f"plants of {name}", plants.of_world, name, one) for one in _seeds(name, seed, SEEDS_OF_PLANTS, replicates)]
        searched = _seeds(name, seed, SEEDS_OF_CONFIDENCE, replicates)
        found["confident"] += [crew.send(f"confidence in {name}", calibrated.of_world, name, one) for one in searched]
    found["tables"] = [crew.send("simulated tables", coverage.of_tables, seed, 3_000, 2 * COVERAGE * replicates)]
    found["watched"] = [crew.send("the watch", drifting.watch, seed, 4_000, 2 * replicates)]
    return found


def _seeds(name: str, seed: int, several: int, replicates: int) -> range:
    return range(seed, seed + (1 if holds_events(name) else max(1, round(several * replicates / REPLICATES))))


def _shares(count: int, parts: int) -> list[int]:
    return [count // parts + (part < count % parts) for part in range(parts)]


def _parts(count: int) -> list[int]:
    return [min(IN_ONE_TASK * 5, count - start) for start in range(0, count, IN_ONE_TASK * 5)]


SHUFFLED = "ages at the outcome are shuffled among units that entered in the same week; the whole search runs on each shuffle"


def _figures(results: dict[str, list[Any]], own: OwnEvents | None) -> Iterator[tuple[str, Figure]]:
    sources = [("worlds", results["null"])] + ([("events", results["own"])] if own else [])
    for name, runs in sources:
        total = sum(runs, null.NullRuns())
        yield f"null_clears_{name}", at_most(total.cleared, total.runs, 0.10, f"searches in which anything clears the bar: {SHUFFLED}")
        yield f"null_finds_{name}", at_most(total.found, total.runs, 0.10, f"searches that propose anything, before confirmation: {SHUFFLED}")
    yield from _covered(sum(results["tables"] + results["covered"], coverage.nothing()))
    yield from _confident(sum(results["confident"], calibrated.Forecasts()))
    yield from _planted(sum(results["plants"], plants.Plants()))
    yield from _watched(sum(results["watched"], drifting.Watched(0, 0, ())))


KINDS = {
    "wilson_precision": "Wilson of precision, simulated counts",
    "wilson_recall": "Wilson of recall, simulated counts",
    "score_lift": "Miettinen-Nurminen of the closed lift, simulated tables of any support",
    "katz_lift": "Katz of the closed lift, simulated tables with the support to be judged",
    "world_precision": "Wilson of precision, samples of a world",
    "world_recall": "Wilson of recall, samples of a world",
    "world_fire_lift": "the interval of lift_vs_baseline, samples of a world",
    "world_fire_bootstrap": "bootstrap of lift_vs_baseline, samples of a world",
    "world_katz_landmark": "Katz of the lift of design L, samples of a world",
    "world_katz_grid": "Katz of the lift of design G, samples of a world",
    "world_bootstrap_landmark": "bootstrap of the lift of design L, samples of a world",
    "world_bootstrap_grid": "bootstrap of the lift of design G, samples of a world",
}


def _covered(found: coverage.Coverage) -> Iterator[tuple[str, Figure]]:
    for kind, how in KINDS.items():
        if found.drawn[kind]:
            told = f"share of nominal 95 % intervals that hold the truth: {how}"
            yield f"coverage_{kind}", within(found.held[kind], found.drawn[kind], 0.93, 0.97, told)


def _confident(found: calibrated.Forecasts) -> Iterator[tuple[str, Figure]]:
    told = found.calibration
    if told is None:
        return
    for bin_ in (one for one in told.bins if (one.low, one.high) == (0.8, 0.9)):
        how = "finds shown with a confidence from 0.8 to 0.9 whose precision on the confirming part is at least the one asked"
        yield "confidence_80_to_90", within(round(bin_.came_true * bin_.count), bin_.count, 0.75, 0.95, how)
    how = "Brier score of the confidence of all finds shown, against that of their common rate as everybody's forecast"
    yield "confidence_brier", Figure(told.brier, f"< {told.brier_of_base_rate:.4f}", told.count, told.brier < told.brier_of_base_rate, how)


def _planted(found: plants.Plants) -> Iterator[tuple[str, Figure]]:
    yield (
        "own_path_labelled",
        at_least(found.own_path_labelled, found.own_path, 0.98, "own-path plants with own_path, no_lead or same_second: each bars approval"),
    )
    told = f"consequences labelled ({found.after_labelled}), or without any fire before an outcome and so never concluded upon ({found.after_silent})"
    yield "after_outcome_labelled", at_least(found.after_labelled + found.after_silent, found.after, 0.98, told)
    yield "causes_not_labelled", at_least(found.causes_clean, found.causes, 0.98, "planted causes without any label")
    told = "effects that ended which the later part does not confirm, or whose precision falls over fire weeks (Cochran-Armitage, 5 %)"
    yield "ended_effects_told", at_least(found.decaying_told, found.decaying, 0.80, told)


def _watched(found: drifting.Watched) -> Iterator[tuple[str, Figure]]:
    told = f"runs of {drifting.LOOKS} fires at the promised precision with an alarm at any look"
    yield "drift_false_alarms", at_most(found.false_alarms, found.runs, 0.05, told)
    middle = float(median(found.fires_to_alarm)) if found.fires_to_alarm else None
    how = "median number of matured fires after which a fall of 15 points rings"
    yield "drift_median_fires", Figure(middle, f"<= {MEDIAN_FIRES}", found.runs, middle is not None and middle <= MEDIAN_FIRES, how)

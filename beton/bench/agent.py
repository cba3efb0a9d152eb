"""`beton bench agent`: does the search find what is planted, does it stay silent where nothing is, does a model help or harm, and is the list better
than what one would run instead? Every figure with its bound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from agent.budget import Budget, Limits
from agent.messages import Model
from agent.mine import mine
from agent.parts import Parts
from agent.search import Discovery, Found, discover
from beton.bench import agent_figures as told_of
from beton.bench.agent_figures import Run
from beton.bench.crew import Crew, Tell
from beton.bench.figures import report
from beton.bench.null import shuffled_outcomes
from beton.bench.projects import Project, holds_events, opened_world, worlds
from beton.bench.recovery import MOST, Shown, recommended, shown
from beton.bench.rivalry import FRESH, LATER, NAMES, Beside, beside, rivalry
from beton.bench.scripted import BadModel, GoodModel
from beton.bench.subgroups import Environment, environment
from beton.errors import BadInput

PARTS = ("recovery", "null", "models", "rivals")
SEEDS = 20
NEVER = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that stands still: scripted models are stopped by calls, not by how fast the machine is."""

ANOTHER = 100_000
"""Added to a seed: the draw of the same world that nobody has looked at."""

MODELS: dict[str, Callable[[], Model]] = {"good": GoodModel, "bad": BadModel}


def run_agent_bench(
    seed: int = 1,
    *,
    seeds: int = SEEDS,
    given: Sequence[str] = (),
    parts: Sequence[str] = PARTS,
    scale: float = 1.0,
    with_pysubgroup: bool = False,
    processes: int | None = None,
    tell: Tell = lambda _line: None,
) -> dict[str, Any]:
    """Measure `parts` over all worlds and `seeds` seeds from `seed` on. `given` are names or folders of worlds, all built-in ones unless some are
    named; `scale` multiplies their units. Raises BadInput."""
    if unknown := set(parts) - set(PARTS):
        raise BadInput(f"--parts {min(unknown)}: there is no such part.", fix=f"Parts are {', '.join(PARTS)}.")
    with environment(with_pysubgroup and "rivals" in parts) as where, Crew(processes or min(2, os.cpu_count() or 1), tell) as crew:
        tasks = list(_tasks(crew, worlds(given), range(seed, seed + seeds), frozenset(parts), scale, where))
        runs = [run for task in tasks for run in task.result()]
    compared = [one for run in runs for one in run.beside]
    rivals = [rivalry(name, where, compared) for where in (LATER, FRESH) for name in NAMES] if "rivals" in parts else []
    figures = dict(told_of.figures(runs, frozenset(parts), rivals))
    return report(
        seed,
        figures,
        worlds=worlds(given),
        seeds=seeds,
        scale=scale,
        parts=[one for one in PARTS if one in parts],
        causes=list(told_of.causes([run.without for run in runs if not run.null])),
        lists=told_of.lists(runs),
        rivals=[one.as_json() for one in rivals],
        not_compared=sorted({f"{one.world}, seed {one.seed}, {one.where}: {one.lacks['all']}" for one in compared if "all" in one.lacks}),
        told=TOLD,
    )


TOLD = {
    "fired": "units with a fire in the whole window; two hypotheses say the same from a Jaccard of 0.8 on",
    "recommended": "clears the default bar, judged by its confirmed numbers",
    "not_findable": "a cause is left out of a world of a seed where, on the discovering part, it has itself fewer than 20 fires with a complete "
    "horizon, 5 true positives or 30 converters: nothing may be concluded from less",
    "not_supported": "a cause counts all the same where it has on the discovering part fewer fires than its lift needs to show at a level of 1e-5 "
    "with a probability of 0.8",
    "null": "worlds without causes; of a folder that holds its events, its own with ages at the outcome shuffled among units of the same entry week",
    "rivals": "learn from the units that entered in the window before the cut, at a look every 3 days, from counts of the same events and values, "
    "without the events that are steps of the outcome itself, which ours may not use either; measured on the units that entered after the cut, at "
    "a look every day at midnight. A unit above a rival's threshold is called, then not again for a horizon; ours calls at the first look after a "
    "recommended line fires. The threshold is where the rival's recall equals ours, between two thresholds by lot. Lift: conversions within the "
    "horizon of calls, over those of units of the same age. 'fresh': the same lines and fitted rivals on the later part of another draw of the "
    "world, which chose nothing",
    "difference": "our lift minus the rival's, by run; the mean of the worlds' means with two standard errors, worlds as they are and seeds as drawn",
}


def _tasks(
    crew: Crew, names: Sequence[str], seeds: Sequence[int], parts: frozenset[str], scale: float, where: Environment
) -> Iterator[Future[list[Run]]]:
    for name in names:
        fixed = holds_events(name)
        for one in seeds[:1] if fixed else seeds:
            if parts & {"recovery", "models", "rivals"}:
                yield crew.send(f"{name}, seed {one}", of_world, name, one, scale, parts, where)
        for one in seeds:
            if "null" in parts or "models" in parts:
                yield crew.send(f"{name} with nothing planted, seed {one}", of_null, name, one, scale, parts)


def of_world(name: str, seed: int, scale: float, parts: frozenset[str], where: Environment) -> list[Run]:
    """One world of one seed with its causes; nothing for a folder that has none."""
    with opened_world(name, seed, scale) as project:
        if project.truth["null"]:
            return []
        singles = project.singles()
        log = project.log(singles)
        begun = discover(project.question, singles, log, taxonomy=project.taxonomy)
        found = _concluded(project, begun)
        models = _models(project, seed, begun) if "models" in parts else {}
        told: list[Beside] = []
        if "rivals" in parts and holds_events(name):
            told = beside(project, seed, singles, log, found, None, where)
        elif "rivals" in parts:
            with opened_world(name, seed + ANOTHER, scale) as fresh:
                told = beside(project, seed, singles, log, found, fresh if recommended(found) else None, where)
        return [Run(False, shown(project, seed, found), models, tuple(told))]


def of_null(name: str, seed: int, scale: float, parts: frozenset[str]) -> list[Run]:
    """One world of one seed with nothing planted."""
    with opened_world(name, seed, scale, null=True) as project:
        singles = project.singles()
        log = project.log(singles)
        if holds_events(name):
            moved = shuffled_outcomes(singles[0], log, np.random.default_rng([seed, 9_000]))
            log = Parts(log, 0).with_outcomes(singles[0], moved).log
        begun = discover(project.question, singles, log, taxonomy=project.taxonomy)
        models = _models(project, seed, begun) if "models" in parts else {}
        return [Run(True, shown(project, seed, _concluded(project, begun)), models)]


def _concluded(project: Project, begun: Discovery, model: Model | None = None) -> Found:
    """The product's own way from a search to a list. The search is begun once and concluded as if each model had been the only one."""
    mine_alone = replace(begun, attempts={})
    if model is None:
        return mine_alone.conclude(MOST)
    budget = Budget(clock=lambda: NEVER, run=Limits(), wait=lambda _: None)
    return mine(mine_alone, project.taxonomy, model=model, budget=budget, most=MOST).found


def _models(project: Project, seed: int, begun: Discovery) -> dict[str, Shown]:
    return {name: shown(project, seed, _concluded(project, begun, make())) for name, make in MODELS.items()}

"""A search beside its rivals on one log: lift on the later units at the recall that the search's recommendations reach there.

What the truth calls a step of the outcome itself is hidden from rivals, and does not count for ours: a call on the fourth of five orders is no find.
Recommended lines are chosen with a look at the later part (the bar is judged there), rivals are not. So the same lines and the same fitted
rivals are also measured on the later part of another draw of the world, which nobody has looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from agent.search import Found
from backtest import EventLog, Hypothesis
from backtest.split import cut_at, earlier, later
from beton.bench.counted import Seen, columns_of, seen
from beton.bench.looks import Called, at_recall, called, of_fires
from beton.bench.projects import Project
from beton.bench.recovery import OF_NO_USE, named, recommended, trapped
from beton.bench.rivals import RIVALS, Scorer
from beton.bench.subgroups import Environment, Failed, subgroups

SUBGROUPS = "pysubgroup"
NAMES = (*RIVALS, SUBGROUPS)

LEARNING_EVERY = 3
"""Days between the looks that rivals learn from; closer ones repeat one another."""

LATER, FRESH = "later", "fresh"


@dataclass(frozen=True)
class Beside:
    """One search and its rivals on the later part of the same log (`where` is `later`) or of another draw (`fresh`). `lift` and `recall` are ours;
    `rivals` holds each rival's calls at that recall. `lacks` says why a rival or everything is missing."""

    world: str
    seed: int
    where: str
    recall: float | None
    lift: float | None
    rivals: Mapping[str, Called]
    lacks: Mapping[str, str]


def beside(
    project: Project, seed: int, singles: Sequence[Hypothesis], log: EventLog, found: Found, fresh: Project | None, environment: Environment
) -> list[Beside]:
    """The comparison on the later part, and on that of `fresh` if there is one."""
    hidden = trapped(project, OF_NO_USE)
    lines = [one for one in recommended(found) if not named(one) & hidden]
    question = next((one for one in singles if one.counts_entrants_only), None)
    cut = None if question is None else cut_at(question, log)
    if question is None or cut is None or not lines:
        why = "nothing was recommended" if cut is not None else "no unit enters early enough"
        return [Beside(project.name, seed, where, None, None, {}, {"all": why}) for where in (LATER, FRESH)[: 1 + (fresh is not None)]]
    early = earlier(log, question, cut)
    columns = columns_of(project.question, singles, early, project.window, hidden)
    scorers, lacks = fitted(seen(question, early, columns, LEARNING_EVERY), environment)
    told = [_measured(project.name, seed, LATER, seen(question, later(log, question, cut), columns), lines, scorers, lacks)]
    if fresh is not None and (other := cut_at(question, another := fresh.log([*singles, *lines]))) is not None:
        told.append(_measured(project.name, seed, FRESH, seen(question, later(another, question, other), columns), lines, scorers, lacks))
    return told


def fitted(part: Seen, environment: Environment) -> tuple[dict[str, Scorer], dict[str, str]]:
    """Every rival after it has learned, and why those that are missing did not."""
    scorers, lacks = {name: fit(part) for name, fit in RIVALS.items()}, {}
    if environment.python is None:
        lacks[SUBGROUPS] = environment.lacks
        return scorers, lacks
    try:
        scorers[SUBGROUPS] = subgroups(part, environment.python)
    except Failed as failed:
        lacks[SUBGROUPS] = str(failed)
    return scorers, lacks


def _measured(
    world: str, seed: int, where: str, part: Seen, lines: Sequence[Hypothesis], scorers: Mapping[str, Scorer], lacks: Mapping[str, str]
) -> Beside:
    looks = part.looks
    ours = at_recall(called(looks, of_fires(lines, part.log, looks)), 1.0)
    if ours is None or ours.lift is None:
        return Beside(world, seed, where, None, None, {}, {"all": "no recommended line fires for a unit of this part"})
    curves = {name: called(looks, looks.matrix(scorer(part))) for name, scorer in scorers.items()}
    told = {name: point for name, curve in curves.items() if (point := at_recall(curve, ours.recall)) is not None}
    missing = {name: "no calls" for name in curves if name not in told}
    return Beside(world, seed, where, ours.recall, ours.lift, told, {**lacks, **missing})


@dataclass(frozen=True)
class Mean:
    """A mean with two standard errors to either side; `None` where nothing, or only one value, is known."""

    n: int
    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, Any]:
        return {"n": self.n, "value": self.value, "low": self.low, "high": self.high}


def mean_of(values: Sequence[float]) -> Mean:
    if len(values) < 2:
        return Mean(len(values), values[0] if values else None, None, None)
    return _around(len(values), fmean(values), stdev(values) / sqrt(len(values)))


def over_worlds(means: Sequence[Mean]) -> Mean:
    """The mean of the worlds' means, each world with its own spread between seeds: it speaks of these worlds."""
    known = [one for one in means if one.value is not None]
    if not known:
        return Mean(0, None, None, None)
    n, value = sum(one.n for one in known), fmean(one.value or 0.0 for one in known)
    if any(one.high is None for one in known):
        return Mean(n, value, None, None)
    errors = [((one.high or 0.0) - (one.value or 0.0)) / 2 for one in known]
    return _around(n, value, sqrt(sum(error**2 for error in errors)) / len(known))


def _around(n: int, value: float, error: float) -> Mean:
    return Mean(n, value, value - 2 * error, value + 2 * error)


@dataclass(frozen=True)
class Rivalry:
    """Ours against one rival: mean lifts, and the paired difference by world and over the worlds."""

    rival: str
    where: str
    ours: float | None
    theirs: float | None
    recall: float | None
    by_world: Mapping[str, Mean]
    difference: Mean
    short_of_recall: int
    lacks: tuple[str, ...]

    @property
    def ahead(self) -> bool:
        return self.difference.low is not None and self.difference.low > 0

    @property
    def behind(self) -> list[str]:
        """Worlds where ours is clearly behind."""
        return [name for name, one in self.by_world.items() if one.high is not None and one.high < 0]

    def as_json(self) -> dict[str, Any]:
        return {
            "rival": self.rival,
            "measured_on": self.where,
            "lift": self.ours,
            "rival_lift": self.theirs,
            "recall": self.recall,
            "difference": self.difference.as_json(),
            "by_world": {name: one.as_json() for name, one in self.by_world.items()},
            "ahead": self.ahead,
            "clearly_behind_in": self.behind,
            "runs_in_which_the_rival_does_not_reach_the_recall": self.short_of_recall,
            "lacks": list(self.lacks),
        }


def rivalry(rival: str, where: str, runs: Sequence[Beside]) -> Rivalry:
    """Over all runs in which both can be told."""
    told = [(one, one.rivals[rival]) for one in runs if one.where == where and one.lift is not None and rival in one.rivals]
    pairs = [(one, point, one.lift or 0.0, point.lift or 0.0) for one, point in told]
    worlds = {one.world: [ours - theirs for other, _, ours, theirs in pairs if other.world == one.world] for one, *_ in pairs}
    by_world = {name: mean_of(several) for name, several in sorted(worlds.items())}
    return Rivalry(
        rival,
        where,
        fmean(ours for *_, ours, _ in pairs) if pairs else None,
        fmean(theirs for *_, theirs in pairs) if pairs else None,
        fmean(one.recall or 0.0 for one, *_ in pairs) if pairs else None,
        by_world,
        over_worlds(list(by_world.values())),
        sum(point.recall < (one.recall or 0.0) - 1e-9 for one, point, *_ in pairs),
        tuple(sorted({one.lacks[rival] for one in runs if rival in one.lacks})),
    )

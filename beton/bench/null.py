"""How often does a search of a project find something where there is nothing?

Behaviour stays as it is; how long after its entry each unit converts is shuffled among the units that entered in the same week. Then nothing that
anybody did tells who converts, while calendar and age keep their effect. Each replicate runs the real search and the real verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.parts import Parts
from agent.search import search
from backtest import EventLog, Hypothesis
from backtest.durations import DAY
from backtest.intervals import FOREVER, Codes, Flags, Ints
from backtest.multiplicity import benjamini_hochberg
from backtest.shuffling import shuffles
from backtest.split import cut_at
from backtest.stratified import log_p_values, strata_of
from backtest.verdict import Bar, judge
from beton.bench.projects import OwnEvents, Project, opened_events, opened_world

FALSE_FINDS = 0.10


@dataclass(frozen=True)
class NullRuns:
    """Searches on shuffled outcomes: how many, in how many anything was proposed, and in how many any of it clears the bar."""

    runs: int = 0
    found: int = 0
    cleared: int = 0

    def __add__(self, other: NullRuns) -> NullRuns:
        return NullRuns(self.runs + other.runs, self.found + other.found, self.cleared + other.cleared)


def of_world(name: str, seed: int, number: int, replicates: int) -> NullRuns:
    """Replicates on one world. `number` makes its shuffles differ from those of other worlds."""
    with opened_world(name, seed) as project:
        return _of(project, np.random.default_rng([seed, number]), replicates)


def of_events(own: OwnEvents, seed: int, number: int, replicates: int) -> NullRuns:
    """Replicates on somebody's own events."""
    return _of(opened_events(own), np.random.default_rng([seed, number]), replicates)


def _of(project: Project, rng: np.random.Generator, replicates: int) -> NullRuns:
    singles = project.singles()
    log, first = project.log(singles), singles[0]
    cut = cut_at(first, log)
    if cut is None:
        return NullRuns()
    original, total = Parts(log, cut, remembers=True), NullRuns()
    for _ in range(replicates):
        parts = original.with_outcomes(first, shuffled_outcomes(first, log, rng))
        found = search(project.question, singles, parts.log, parts=parts)
        cleared = any(judge(one.backtest, Bar(), selected=True).clears for one in found.proposals)
        total += NullRuns(1, bool(found.proposals), cleared)
        original.made |= {key: part for key, part in parts.made.items() if key not in original.made}
    return total


def shuffled_outcomes(hypothesis: Hypothesis, log: EventLog, rng: np.random.Generator) -> Ints:
    """The first outcome of each unit, with ages at the outcome shuffled among units that entered in the same week of the log."""
    entry, outcome = log.entry(hypothesis), log.outcome(hypothesis)
    movable = np.flatnonzero((entry < FOREVER) & (outcome > entry))
    age = np.where(outcome[movable] < FOREVER, outcome[movable] - entry[movable], FOREVER)
    week = (entry[movable] - log.window.start) // (7 * DAY)
    _, week = np.unique(week, return_inverse=True)
    age = age[_shuffled_within(week, rng)]
    moved = outcome.copy()
    reached = np.where(age < FOREVER, entry[movable] + age, FOREVER)
    moved[movable] = np.where(reached < log.window.end, reached, FOREVER)
    return moved


def _shuffled_within(group: Ints, rng: np.random.Generator) -> Ints:
    """For every place, the place of another member of its group, each taken once."""
    places = np.argsort(group, kind="stable")
    drawn = np.lexsort((rng.random(len(group)), group))
    source = np.empty(len(group), np.int64)
    source[places] = drawn
    return source


def finds_by_chance(
    fired: Flags, converted: Flags, shuffled_within: Codes, tested_within: Codes, rng: np.random.Generator, replicates: int
) -> tuple[int, int]:
    """Replicates, and in how many the procedure of Benjamini and Hochberg finds any of the hypotheses `fired` (rows) at a level of 10 %, when rows of
    one closed design are shuffled within strata and tested within strata. The two are the same in a search; testing without strata shows what
    they are for."""
    outcomes, strata = shuffles(converted, shuffled_within, rng, replicates + 1)[1:], int(tested_within.max(initial=-1)) + 1
    found = 0
    for outcome in outcomes:
        p = np.exp(log_p_values(strata_of(tested_within, fired, outcome, strata)))
        found += bool((benjamini_hochberg(p) <= FALSE_FINDS).any())
    return replicates, found

"""Who is asked when, and how many of them convert: made once per entry, outcome, horizon and look-back, read by every hypothesis that shares them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest.intervals import Ints
from backtest.kernel import populations
from backtest.kernel.clauses import Scene
from backtest.kernel.ends import ALWAYS
from backtest.kernel.keys import Key, Question
from backtest.kernel.steps import WORD, Steps, steps
from backtest.tally import ACTIVE_WITHIN


@dataclass(frozen=True)
class Grid:
    """A stretch of grid instants: bit j of `asked[unit]` tells whether a unit is asked at the j-th, of `converting[unit]` whether it converts in the
    step after it as well."""

    steps: Steps
    asked: Ints
    converting: Ints


@dataclass(frozen=True)
class Shared:
    """`rows` and `converting` are the margins of the closed table: all who are asked, and those of them who convert within the horizon."""

    rows: int
    converting: int
    grids: tuple[Grid, ...]
    recall_converters: int


def s0_of(asked: Question, scene: Scene) -> int:
    """The first instant at which it may fire."""
    return scene.log.window.start + asked.look_back


def entered_from(asked: Question, scene: Scene) -> int:
    """Units that entered earlier do not count."""
    return s0_of(asked, scene) if asked.entrants_only else ALWAYS


def shared_parts(asked: Question, scene: Scene) -> Shared:
    key: Key = ("shared", asked.entry, asked.outcome, asked.horizon, asked.look_back, asked.entrants_only, asked.ask_after)
    return scene.shared(key, lambda: _make(asked, scene))


def _make(asked: Question, scene: Scene) -> Shared:
    entry, outcome, end = scene.entry(asked), scene.outcome(asked), scene.log.window.end
    horizon, s0, since = asked.horizon, s0_of(asked, scene), entered_from(asked, scene)
    converters = populations.recall_converters(entry, outcome, s0, end, since)
    if asked.ask_after >= 0:
        rows, converting = populations.landmark_margins(entry, outcome, s0, end, asked.ask_after, horizon)
        return Shared(rows, converting, (), converters)
    instants = max(0, (end - horizon - s0) // horizon + 1)
    grids, rows, converting = [], 0, 0
    for first in range(0, instants, WORD):
        these = steps(s0 + first * horizon, horizon, min(WORD, instants - first))
        bits, last, rule = (
            np.empty(len(entry), np.int64),
            np.empty(len(entry), np.int64),
            (these.s0, these.step, these.count, these.shift, these.table),
        )
        more_rows, more_converting = populations.mark_asked(_active(scene, these), entry, outcome, since, *rule, bits, last)
        grids.append(Grid(these, bits, last))
        rows, converting = rows + more_rows, converting + more_converting
    return Shared(rows, converting, tuple(grids), converters)


def _active(scene: Scene, these: Steps) -> Ints:
    def make() -> Ints:
        active, here = np.zeros(len(scene.log.units), np.int64), scene.log.presence
        rule = (these.s0, these.step, these.count, these.shift, these.table)
        populations.mark_active(here.unit, here.first, here.last, ACTIVE_WITHIN, *rule, active)
        return active

    return scene.shared(("active", these.s0, these.step, these.count), make)

"""Whom a method would have called, had it looked at everybody once a day: the same instants, units and arithmetic for every method.

A method says, at each look, how promising each unit is that has entered and not converted. Above its threshold the unit is called, and then not
again until a horizon has passed. Precision and lift are of calls whose horizon is complete; lift is conversions within the horizon over those that
units of the same age have anyway; recall is the share of all conversions that a call precedes by at most a horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtest import EventLog, Hypothesis
from backtest.baseline import supported
from backtest.durations import DAY
from backtest.fires import first_matches
from backtest.intervals import FOREVER, Codes, Flags, Ints
from backtest.stratified import Floats
from backtest.tally import risk_of

Matrix = NDArray[np.float32]

THRESHOLDS = 300


@dataclass(frozen=True)
class Looks:
    """Matrices of units (rows) and looks (columns). `open`: entered and not converted; `hit`: converts within the horizon from this look;
    `chance`: how often units of this age do, 0 where too few are known (`judged` is false there, and where the horizon is not complete)."""

    unit: Codes
    at: Ints
    entry: Ints
    open: Flags
    hit: Flags
    judged: Flags
    chance: Floats
    converters: int
    horizon: int

    def matrix(self, values: Floats) -> Floats:
        """Values of the open looks, in order of unit and look, as a matrix; elsewhere -∞."""
        whole = np.full(self.open.shape, -np.inf)
        whole[self.open] = values
        return whole


def looks_of(question: Hypothesis, log: EventLog, every: int = 1) -> Looks:
    """Looks at midnight every so many days of the window, at the units that enter in it. `question` has the entry, outcome and horizon."""
    window, horizon = log.window, int(question.horizon)
    entry, outcome = log.entry(question), log.outcome(question)
    unit = np.flatnonzero((entry >= window.start) & (entry < window.end)).astype(np.int32)
    entry, outcome = entry[unit], outcome[unit]
    at = np.arange(window.start, window.end, every * DAY)
    table = risk_of(question, log).table()
    opened = (entry[:, None] < at) & (outcome[:, None] > at)
    age = np.where(opened, at - entry[:, None], 0)
    judged = opened & (at + horizon <= window.end) & supported(table, age.ravel()).reshape(age.shape)
    risk = table.at_risk(age.ravel()).reshape(age.shape)
    chance = np.where(judged, table.converting(age.ravel()).reshape(age.shape) / np.maximum(risk, 1), 0.0)
    converters = int(((outcome > entry) & (outcome < FOREVER)).sum())
    return Looks(unit, at, entry, opened, opened & (outcome[:, None] <= at + horizon), judged, chance, converters, horizon)


@dataclass(frozen=True)
class Called:
    """One threshold: conversions within the horizon of judged calls (`hits`), those that age explains (`expected`), and of all conversions those
    that a call preceded in time."""

    calls: float
    hits: float
    expected: float
    recall: float

    @property
    def lift(self) -> float | None:
        return self.hits / self.expected if self.expected > 0 else None


def called(looks: Looks, score: Floats) -> list[Called]:
    """From the strictest threshold to the laxest; a threshold for every distinct score, or so many of them that lie evenly among the best."""
    thresholds = _thresholds(score[looks.open])
    last = np.full((len(thresholds), len(looks.unit)), np.iinfo(np.int64).min // 2)
    sums = np.zeros((4, len(thresholds)))
    for day, at in enumerate(looks.at.tolist()):
        calls = looks.open[:, day] & (score[:, day] >= thresholds[:, None]) & (at - last >= looks.horizon)
        last[calls] = at
        judged = calls & looks.judged[:, day]
        hit = looks.hit[:, day]
        sums += (judged.sum(1), (judged & hit).sum(1), judged @ looks.chance[:, day], (calls & hit).sum(1))
    sums[3] /= max(looks.converters, 1)
    return [Called(*one) for one in sums.T.tolist()]


def _thresholds(scores: Floats) -> Floats:
    """Distinct scores from the top; with many, those at evenly spaced powers of the rank, so that the top is finely divided."""
    distinct = np.unique(scores[np.isfinite(scores)])[::-1]
    if len(distinct) <= THRESHOLDS:
        return distinct
    ranked = np.sort(scores[np.isfinite(scores)])[::-1]
    places = np.unique(np.geomspace(1, len(ranked), THRESHOLDS).astype(np.int64)) - 1
    return np.unique(ranked[places])[::-1]


def at_recall(curve: Sequence[Called], recall: float) -> Called | None:
    """The calls at exactly this recall: of the first threshold that reaches it and the stricter one before it, so much of each that recall is equal,
    as if a part of the additional calls were drawn by lot. A curve that does not reach it answers where its recall is highest. `None`: no calls."""
    known = [one for one in curve if one.expected > 0]
    for place, one in enumerate(known):
        if one.recall < recall:
            continue
        before = known[place - 1] if place else Called(0, 0, 0, 0)
        share = (recall - before.recall) / (one.recall - before.recall) if one.recall > before.recall else 1.0
        return Called(*(low + share * (high - low) for low, high in zip(_sums(before), _sums(one), strict=True)))
    return max(known, key=lambda one: one.recall, default=None)


def _sums(one: Called) -> tuple[float, float, float, float]:
    return one.calls, one.hits, one.expected, one.recall


def of_fires(hypotheses: Sequence[Hypothesis], log: EventLog, looks: Looks) -> Floats:
    """1 at the first look at or after a first fire of any of the hypotheses, 0 at every other: what a list of signals asks of sales."""
    score = np.zeros(looks.open.shape)
    row = np.full(len(log.units), -1)
    row[looks.unit] = np.arange(len(looks.unit))
    for one in hypotheses:
        fires = first_matches(one, log).firsts()
        look = np.searchsorted(looks.at, fires.at)
        known = (row[fires.unit] >= 0) & (look < len(looks.at))
        score[row[fires.unit[known]], look[known]] = 1
    score[~looks.open | (score == 0)] = -np.inf
    return score

"""Of what a search shows, does as much clear the bar on later data as its confidence says?

A find is confident on the discovering part and judged on the confirming one, which the search did not look at: it clears where its precision there is
at least the one that was asked. Worlds are of half their size, so that more is uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.search import search
from backtest.confidence import Calibration, calibration
from backtest.score import MINIMUM_FIRES
from beton.bench.projects import opened_world

SCALE = 0.5
SHOWN = 10
"""Finds of one search at most, as everywhere."""


@dataclass(frozen=True)
class Forecasts:
    """Confidences, and whether the find cleared the bar on later data."""

    confidence: tuple[float, ...] = ()
    cleared: tuple[bool, ...] = ()

    def __add__(self, other: Forecasts) -> Forecasts:
        return Forecasts(self.confidence + other.confidence, self.cleared + other.cleared)

    @property
    def calibration(self) -> Calibration | None:
        return calibration(np.array(self.confidence), np.array(self.cleared, np.bool_))


def of_world(name: str, seed: int) -> Forecasts:
    """The finds of one search, where later data have enough fires to judge them by."""
    with opened_world(name, seed, SCALE) as project:
        singles = project.singles()
        found = search(project.question, singles, project.log(singles), most=SHOWN)
    told = [one.backtest for one in found.proposals]
    judged = [one for one in told if one["confidence"] is not None and one["confirmed"]["sample_size"] >= MINIMUM_FIRES]
    return Forecasts(
        tuple(one["confidence"] for one in judged),
        tuple(one["confirmed"]["precision"] >= one["confidence_asks_precision"] for one in judged),
    )

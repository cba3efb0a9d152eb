"""Strata in which outcomes are exchangeable when nothing predicts them: the same calendar and the same age.

A landmark asks everybody at the same age, so the entry week is enough. A grid asks units of all ages at one instant. Where the hazard falls with
age, and young units do more of everything, any activity seems to predict within a grid instant; it does not among units of one age. A search, which
tries hundreds of trailing conditions, therefore tests them within grid instant and age. The published `p_stratified` keeps its definition.
"""

from __future__ import annotations

import numpy as np

from backtest.durations import DAY
from backtest.events import EventLog
from backtest.fires import start_of_scoring
from backtest.intervals import Codes, Flags, Ints
from backtest.language import Hypothesis
from backtest.stratified import Strata
from backtest.tally import Asked

AGES = tuple(days * DAY for days in (1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 126))
"""Edges of the bands of age (time since entry), finer where hazards change faster."""


def asked_at(hypothesis: Hypothesis, log: EventLog, asked: Asked) -> Ints:
    """The index time of every row, in microseconds."""
    if hypothesis.anchored:
        return log.entry(hypothesis)[asked.unit] + hypothesis.longest_first
    return start_of_scoring(hypothesis, log) + asked.stratum.astype(np.int64) * int(hypothesis.horizon)


def exposure(hypothesis: Hypothesis, log: EventLog, asked: Asked) -> tuple[Codes, int]:
    """A stratum per row and how many there are: the entry week (L), or the grid instant with the band of age (G)."""
    if hypothesis.anchored:
        return asked.stratum, max(asked.strata, 1)
    band = np.searchsorted(np.array(AGES), asked_at(hypothesis, log, asked) - log.entry(hypothesis)[asked.unit], "right")
    return (asked.stratum * (len(AGES) + 1) + band).astype(np.int32), max(asked.strata, 1) * (len(AGES) + 1)


def exposed_strata(hypothesis: Hypothesis, log: EventLog, asked: Asked) -> Strata:
    """The closed table of every stratum of equal exposure."""
    stratum, count = exposure(hypothesis, log, asked)

    def counts(rows: Flags | slice) -> Ints:
        return np.bincount(stratum[rows], minlength=count)

    return Strata(counts(slice(None)), counts(asked.converted), counts(asked.fired), counts(asked.fired & asked.converted))

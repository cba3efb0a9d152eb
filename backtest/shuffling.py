"""Resampling of outcomes within strata: all hypotheses keep their overlaps, so what the search as a whole could have found by chance is measured,
not bounded. Everything here is about one population: hypotheses that share entry, outcome, horizon and index time.

The margins of a hypothesis survive every shuffle. So its p-value is a function of one number, the hits, which a matrix product gives for all
hypotheses and shuffles at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtest.intervals import Codes, Flags
from backtest.stratified import Floats, Margins, log_p_values, strata_of

TOGETHER = 512
"""Hypotheses per matrix product; bounds the memory."""


@dataclass(frozen=True)
class StepDown:
    """Westfall and Young's adjusted p-values, in the order of the hypotheses. `log_p` is the exact one of each alone; `least` the smallest p of
    each shuffle."""

    log_p: Floats
    single_step: Floats
    step_down: Floats
    least: Floats

    def threshold(self, alpha: float) -> float | None:
        """The largest p that is significant at family-wise level alpha; `None` where the shuffles are too few to tell."""
        ascending = np.sort(self.least)
        share = np.searchsorted(ascending, ascending, "right") / len(ascending)
        allowed = ascending[share <= alpha]
        return float(allowed[-1]) if len(allowed) else None


def shuffles(converted: Flags, stratum: Codes, rng: np.random.Generator, count: int) -> Flags:
    """`count` outcomes, one per row, shuffled within strata. The first row is the observed one, so that adjusted p-values are (1 + …) / (1 + …)."""
    rows = np.repeat(converted[None], count, 0)
    for one in np.unique(stratum):
        members = np.flatnonzero(stratum == one)
        rows[1:, members] = rng.permuted(rows[1:, members], axis=1)
    return rows


def westfall_young(fired: Flags, stratum: Codes, outcomes: Flags, together: int = TOGETHER) -> StepDown:
    """minP step-down (Westfall, Young 1993): family-wise error under any dependence, exact up to the number of shuffles.

    `fired` has a row per hypothesis, `outcomes` a row per shuffle, the observed outcomes first. With p_(1) <= … <= p_(m) and, in shuffle b,
    q_(i)b = min over j >= i of p_(j)b: adjusted p_(i) = max over j <= i of the share of shuffles with q_(j)b <= p_(j).
    """
    strata = strata_of(stratum, fired, outcomes[0], int(stratum.max(initial=-1)) + 1)
    log_p = log_p_values(strata)
    margins = Margins(strata.units, strata.converters, strata.fired)
    by = np.argsort(-log_p, kind="stable")  # least significant first: the minimum over what is no more significant is a running one
    least = np.full(len(outcomes), np.inf)
    observed, adjusted = np.empty(len(by)), np.empty(len(by))
    shuffled = np.ascontiguousarray(outcomes.T, np.float32)
    for start in range(0, len(by), together):
        rows = by[start : start + together]
        p = _p_of_shuffles(margins, rows, (fired[rows].astype(np.float32) @ shuffled).astype(np.int64))
        observed[rows] = p[:, 0]
        p[0] = np.minimum(p[0], least)
        running = np.minimum.accumulate(p, 0)
        adjusted[rows] = _reached(running, observed[rows])
        least = running[-1]
    step_down = np.empty(len(by))
    step_down[by[::-1]] = np.maximum.accumulate(adjusted[by[::-1]])
    ascending = np.sort(least)
    single = np.searchsorted(ascending, observed * SLACK, "right") / len(outcomes)
    return StepDown(log_p, single, step_down, least)


SLACK = 1 + 1e-9
"""Equal p-values of different hypotheses differ in the last digits; a tie counts against a hypothesis."""


def _reached(running: Floats, observed: Floats) -> Floats:
    return (running <= observed[:, None] * SLACK).mean(1)


def _p_of_shuffles(margins: Margins, rows: NDArray[np.intp], hits: NDArray[np.int64]) -> Floats:
    """One-sided stratified p of every hypothesis in every shuffle: a table of tails per hypothesis, read at its hits."""
    some = Margins(margins.units[rows], margins.converters[rows], margins.fired[rows])
    p = np.empty(hits.shape)
    for block, null in some.sums(np.zeros(len(rows))):
        tail = np.minimum(1.0, np.cumsum(null.mass[:, ::-1], 1)[:, ::-1])
        place = hits[block] - null.totals[:, :1]
        value = np.take_along_axis(tail, np.clip(place, 0, tail.shape[1] - 1), 1)
        p[block] = np.where(place < 0, 1.0, np.where(place >= tail.shape[1], 0.0, value))
    return p


def best_null_lifts(fired: Flags, outcomes: Flags, together: int = TOGETHER) -> Floats:
    """The largest lift among the hypotheses in each shuffle (rows of `outcomes`): what the winner of such a search reaches by chance alone.

    Hypotheses without fires are left out; NaN never occurs, the array is empty where there is nothing to compare.
    """
    support = fired.sum(1)
    fired, support = fired[support > 0], support[support > 0]
    converters = outcomes.sum(1)
    if not len(fired) or not converters.all():
        return np.empty(0)
    shuffled = np.ascontiguousarray(outcomes.T, np.float32)
    best = np.zeros(len(outcomes))
    for start in range(0, len(fired), together):
        rows = slice(start, start + together)
        best = np.maximum(best, ((fired[rows].astype(np.float32) @ shuffled) / support[rows, None]).max(0))
    return best * outcomes.shape[1] / converters

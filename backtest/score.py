"""The scores of one hypothesis, and what may be said of them.

F (fires) is what the live router will experience: every fire that is at risk with a complete horizon. L (landmark, anchored hypotheses) and
G (grid, rolling ones) are closed two by two tables with one index time for fired and unfired alike; tests and identities hold there.
They stand side by side: a high F lift with an L or G lift near 1 is a "just before paying" signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest.baseline import Expected, expected, supported
from backtest.durations import DAY, HOUR
from backtest.events import EventLog
from backtest.language import Hypothesis
from backtest.proportions import Closed, Interval, ratio_interval, wilson
from backtest.tally import Baseline, Design, Tally, baseline, tally

MINIMUM_FIRES, MINIMUM_HITS, MINIMUM_CONVERTERS = 20, 5, 30
"""Below these nothing is concluded (numbers section 9)."""


@dataclass(frozen=True)
class Lead:
    """Hours from fire to outcome over the true positives."""

    median_hours: float
    tenth_hours: float
    share_within_1h: float
    share_within_24h: float


@dataclass(frozen=True)
class Insufficient:
    """Why nothing is concluded. `needs` and `has` count `what`."""

    what: str
    needs: int
    has: int

    @property
    def reason(self) -> str:
        return f"needs at least {self.needs} {self.what}, has {self.has}"


@dataclass(frozen=True)
class Score:
    """Counts, ratios and intervals of one hypothesis on one window. Ratios are `None` where nothing was counted, never 0."""

    design: Design
    population: int
    fires_total: int
    excluded_converted: int
    pending: int
    sample_size: int
    true_positives: int
    unsupported: int
    recall_converters: int
    recall_hits: int
    expected: Expected
    expected_live7d: Expected
    expected_not_yet_fired: Expected
    closed: Closed
    lead: Lead | None

    @property
    def precision(self) -> float | None:
        return self.true_positives / self.sample_size if self.sample_size else None

    @property
    def precision_interval(self) -> Interval | None:
        return wilson(self.true_positives, self.sample_size)

    @property
    def recall(self) -> float | None:
        return self.recall_hits / self.recall_converters if self.recall_converters else None

    @property
    def recall_interval(self) -> Interval | None:
        return wilson(self.recall_hits, self.recall_converters)

    @property
    def lift(self) -> float | None:
        return self.expected.lift

    @property
    def lift_interval(self) -> Interval | None:
        return None if self.lift is None else ratio_interval(self.expected.hits, self.expected.supported, self.lift)

    @property
    def insufficient(self) -> tuple[Insufficient, ...]:
        gates = (
            ("fires with a complete horizon", MINIMUM_FIRES, self.sample_size),
            ("true positives", MINIMUM_HITS, self.true_positives),
            ("converters", MINIMUM_CONVERTERS, self.recall_converters),
        )
        return tuple(Insufficient(what, needs, has) for what, needs, has in gates if has < needs)


def score(hypothesis: Hypothesis, log: EventLog) -> Score:
    """Numbers sections 0 to 2 and the counting rules of 1.9, for one hypothesis on one whole log."""
    return score_of(hypothesis, tally(hypothesis, log)[0], baseline(hypothesis, log))


def score_of(hypothesis: Hypothesis, counts: Tally, shared: Baseline) -> Score:
    """Ratios from a tally and a baseline over the same units, all of them."""
    enough = supported(shared.everyone, counts.ages)
    return Score(
        design=Design.landmark if hypothesis.anchored else Design.grid,
        population=shared.population,
        fires_total=counts.fires_total,
        excluded_converted=counts.excluded_converted,
        pending=counts.pending,
        sample_size=len(counts.ages),
        true_positives=int(counts.hits.sum()),
        unsupported=int((~enough).sum()),
        recall_converters=counts.recall_converters,
        recall_hits=counts.recall_hits,
        expected=expected(shared.everyone, counts.ages, counts.hits, enough),
        expected_live7d=expected(shared.awake, counts.ages, counts.hits, enough),
        expected_not_yet_fired=expected(shared.everyone, counts.ages, counts.hits, enough, without=counts.fired),
        closed=counts.closed,
        lead=_lead(np.sort(counts.leads)),
    )


def _lead(leads: np.ndarray) -> Lead | None:
    if not len(leads):
        return None
    return Lead(
        median_hours=float(np.median(leads)) / HOUR,
        tenth_hours=float(np.quantile(leads, 0.1)) / HOUR,
        share_within_1h=float(np.mean(leads <= HOUR)),
        share_within_24h=float(np.mean(leads <= DAY)),
    )

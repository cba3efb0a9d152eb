"""The scores of one hypothesis, and what may be said of them.

F (fires) is what the live router will experience: every fire that is at risk with a complete horizon. L (landmark, anchored hypotheses) and
G (grid, rolling ones) are closed two by two tables with one index time for fired and unfired alike; tests and identities hold there.
They stand side by side: a high F lift with an L or G lift near 1 is a "just before paying" signal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from backtest.baseline import Expected, expected, supported
from backtest.bootstrap import lift_of_patterns
from backtest.detail import Detail, detail_of, implied, names_outcome
from backtest.durations import HOUR
from backtest.events import EventLog
from backtest.fires import fires_of, held
from backtest.judged import Observed, observed
from backtest.labels import Evidence, Label, labels
from backtest.language import Hypothesis
from backtest.lead import LeadTimes, lead_times
from backtest.proportions import Closed, Interval, wilson
from backtest.score_intervals import lift_score
from backtest.tally import Baseline, Design, Tally, baseline, tally_of

MINIMUM_FIRES, MINIMUM_HITS, MINIMUM_CONVERTERS = 20, 5, 30
"""Below these nothing is concluded (numbers section 9)."""


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
    lead: LeadTimes | None
    observed: Observed | None = field(compare=False)
    """`None` where there is no detail: a score that is only for screening."""
    detail: Detail | None = field(compare=False)
    actionable_expected: Expected | None
    labels: tuple[Label, ...]

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
        """From what every unit contributes to it (`backtest.judged`)."""
        return None if self.lift is None or self.observed is None else self.observed.interval(self.lift)

    @property
    def insufficient(self) -> tuple[Insufficient, ...]:
        gates = (
            ("fires with a complete horizon", MINIMUM_FIRES, self.sample_size),
            ("true positives", MINIMUM_HITS, self.true_positives),
            ("converters", MINIMUM_CONVERTERS, self.recall_converters),
        )
        return tuple(Insufficient(what, needs, has) for what, needs, has in gates if has < needs)

    @property
    def p_stratified(self) -> float | None:
        """Exact within entry weeks (G: grid instants): the normative p (numbers section 3)."""
        return None if self.detail is None else self.detail.strata.p_value

    @property
    def lift_score_interval(self) -> Interval | None:
        """Miettinen and Nurminen's, where a cell of the closed table is empty and Katz's does not exist."""
        return lift_score(self.closed) if self.closed.lift is not None and self.closed.lift_interval is None else None

    def lift_bootstrap(self, seed: int) -> Interval | None:
        """Of the F lift, by resampling fires."""
        return None if self.observed is None else self.observed.bootstrap(np.random.default_rng(seed))

    def closed_bootstrap(self, seed: int) -> Interval | None:
        """Of the closed lift, by resampling units with all their rows."""
        return None if self.detail is None else lift_of_patterns(self.detail.patterns, self.detail.times, np.random.default_rng(seed))


def score(hypothesis: Hypothesis, log: EventLog) -> Score:
    """Numbers sections 0 to 3 and 6 and 7 and the counting rules of 1.9, for one hypothesis on one whole log."""
    truth = held(hypothesis, log)
    fires = fires_of(truth, hypothesis, log)
    counts, more = tally_of(hypothesis, log, truth, fires), detail_of(hypothesis, log, truth, fires)
    return score_of(hypothesis, counts, baseline(hypothesis, log), more)


def score_of(hypothesis: Hypothesis, counts: Tally, shared: Baseline, detail: Detail | None = None) -> Score:
    """Ratios from a tally, a baseline and (unless it is only for screening) the detail of the same units, all of them."""
    enough = supported(shared.everyone, counts.ages)
    told = expected(shared.everyone, counts.ages, counts.hits, enough)
    later = detail.actionable.expected(shared.everyone) if detail else None
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
        expected=told,
        expected_live7d=expected(shared.awake, counts.ages, counts.hits, enough),
        expected_not_yet_fired=expected(shared.everyone, counts.ages, counts.hits, enough, without=counts.fired),
        closed=counts.closed,
        lead=lead_times(counts.leads),
        observed=None if detail is None else observed(detail.judged, shared.ordered, shared.everyone),
        detail=detail,
        actionable_expected=later,
        labels=() if detail is None else tuple(labels(_evidence(hypothesis, counts, told.lift, shared, detail))),
    )


def _evidence(hypothesis: Hypothesis, counts: Tally, lift: float | None, shared: Baseline, detail: Detail) -> Evidence:
    return Evidence(
        fires_total=counts.fires_total,
        excluded_converted=counts.excluded_converted,
        true_positives=int(counts.hits.sum()),
        leads_within_1h=int((counts.leads <= HOUR).sum()),
        lift=lift,
        closed=counts.closed,
        delayed_lift=detail.actionable.lift_interval(shared.everyone),
        order=detail.order,
        names_outcome=names_outcome(hypothesis),
        implied=implied(hypothesis),
    )

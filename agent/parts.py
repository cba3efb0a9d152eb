"""The two parts of a log that a search works with, and what a hypothesis does in one of them.

The discovering part is looked at as often as one likes, the confirming one once, for the few that are proposed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from backtest import EventLog, Fires, Hypothesis, Score
from backtest.engine import WORTH_COMPILING
from backtest.events import outcome_key
from backtest.exposure import exposed_strata
from backtest.fires import Held, fires_of, held
from backtest.intervals import ALWAYS, FOREVER, Ints
from backtest.labels import FEWEST, NECESSARY
from backtest.language import Clause
from backtest.measures import Truth
from backtest.proportions import Closed
from backtest.score import score_of
from backtest.split import earlier, later
from backtest.stratified import Strata, log_p_values, minimum_attainable_log_p
from backtest.tally import Baseline, asked_rows, baseline, closed_of, sample_of, tally_of
from backtest.truth import truth

AT_ONCE = 256
"""Hypotheses that the kernel is given at a time, so that progress can be told in between."""

PSEUDO_FIRES = 10
"""Lift is shrunk by so many imagined fires at the base rate before it ranks: the best of many is otherwise the luckiest (numbers section 5). So many
make what is displayed hold on later data: of 70 lines of fifteen generated projects the median of confirmed over displayed lift was 0.96 with none,
1.01 with 10 and 1.07 with 20."""


@dataclass
class Part:
    """One part of a log, for hypotheses that count the same units. `remembers`: keeps the truth of every clause, not only of those of `keep`."""

    log: EventLog
    asks: Hypothesis
    remembers: bool = False
    truths: dict[str, Truth] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    histories: dict[str, tuple[Held, Fires]] = field(default_factory=dict)
    sampled: dict[int, Any] = field(default_factory=dict)
    """What `agent.tables` remembers of hypotheses, by identity."""

    compiled: bool = False
    """There is so much to do in all that even small batches go to the compiled kernel."""

    prepared: Any = None

    @cached_property
    def shared(self) -> Baseline:
        """What all hypotheses are compared with."""
        return baseline(self.asks, self.log)

    @cached_property
    def population(self) -> int:
        """Units that could fire: those with an entry, of entrants those who entered in the window."""
        entry = self.log.entry(self.asks)
        since = self.log.window.start if self.asks.counts_entrants_only else ALWAYS
        return int(((entry < FOREVER) & (entry >= since)).sum())

    @cached_property
    def counted_by(self) -> dict[str, tuple[int, int]]:
        """Events at whose very instant nearly every outcome happens, other than the outcome's own: how many outcomes, and of how many."""
        log, reached = self.log, self.log.outcome(self.asks)
        converters = int(((reached >= log.window.start) & (reached < log.window.end)).sum())
        found, own = {}, self.asks.outcome.match.events
        for name in (name for name in log.slices if name not in own and converters >= FEWEST):
            rows = slice(*log.slices[name])
            at_once = log.at[rows] == reached[log.unit[rows]]
            if int(at_once.sum()) >= NECESSARY * converters:
                found[name] = len(np.unique(log.unit[rows][at_once])), converters
        return {name: counts for name, counts in found.items() if counts[0] >= NECESSARY * converters}

    def keep(self, clause: Clause) -> None:
        """The truth of this clause will be asked for often."""
        self.kept.add(clause.model_dump_json())

    def fires(self, hypothesis: Hypothesis) -> tuple[Held, Fires]:
        """Where the hypothesis holds, and its fires. Neither depends on outcomes."""
        key = hypothesis.fingerprint if self.remembers and len(hypothesis.clauses) == 1 else ""
        if key in self.histories:
            return self.histories[key]
        where = held(hypothesis, self.log, self._truth)
        found = where, fires_of(where, hypothesis, self.log)
        if key:
            self.histories[key] = found
        return found

    def _truth(self, clause: Clause) -> Truth:
        key = clause.model_dump_json()
        if key in self.truths:
            return self.truths[key]
        found = truth(clause, self.log, self.log.entry(self.asks))
        if self.remembers or key in self.kept:
            self.truths[key] = found
        return found

    def with_outcomes(self, outcome: Ints) -> Part:
        """The same behaviour with other outcomes. What is remembered stays, for outcomes decide nothing about fires."""
        seen = np.where(outcome < self.log.window.end, outcome, FOREVER)
        log = self.log.replaced(firsts={**self.log.firsts, outcome_key(self.asks): seen})
        return Part(log, self.asks, self.remembers, self.truths, self.kept, self.histories, self.sampled)

    def told(self, hypotheses: Sequence[Hypothesis]) -> Iterator[tuple[Hypothesis, Callable[[], Held], Fires]]:
        """Each hypothesis with where it holds and its fires: from the compiled kernel where there is much to do."""
        if not self.compiled and len(hypotheses) * len(self.log.at) < WORTH_COMPILING:
            for one in hypotheses:
                where, fires = self.fires(one)
                yield one, lambda where=where: where, fires
            return
        from backtest.kernel.evaluation import evaluate
        from backtest.kernel.prepared import prepare

        if self.prepared is None:
            self.prepared = prepare(self.log)
        prepared = self.prepared
        for start in range(0, len(hypotheses), AT_ONCE):
            for result in evaluate(hypotheses[start : start + AT_ONCE], prepared):
                yield result.hypothesis, lambda result=result: result.held, result.fires


@dataclass
class Parts:
    """Both parts, for hypotheses that count entrants only and for the others, made when first asked for."""

    log: EventLog
    cut: int
    remembers: bool = False
    made: dict[tuple[bool, bool], Part] = field(default_factory=dict)
    cuts: list[Hypothesis] = field(default_factory=list)
    """Conditions on values that `agent.cuts` made for this log; outcomes decide nothing about them."""

    def of(self, hypothesis: Hypothesis, *, confirming: bool) -> Part:
        """The part that discovers or confirms hypotheses such as this one."""
        key = (hypothesis.counts_entrants_only, confirming)
        if key not in self.made:
            self.made[key] = Part((later if confirming else earlier)(self.log, hypothesis, self.cut), hypothesis, self.remembers)
        return self.made[key]

    def keep(self, hypothesis: Hypothesis) -> None:
        """The clauses of this hypothesis will be asked for often, in the discovering part."""
        for part in (part for (_, confirming), part in self.made.items() if not confirming):
            for clause in hypothesis.clauses:
                part.keep(clause)

    def with_outcomes(self, question: Hypothesis, outcome: Ints) -> Parts:
        """The same split of the same behaviour, with another first outcome of each unit (`FOREVER` without one)."""
        log = self.log.replaced(firsts={**self.log.firsts, outcome_key(question): outcome})
        return Parts(log, self.cut, self.remembers, {key: part.with_outcomes(outcome) for key, part in self.made.items()}, self.cuts)


@dataclass
class Candidate:
    """A hypothesis as the discovering part counts it. `log_p`: exact, within equal exposure; `least_log_p`: the smallest its margins allow."""

    hypothesis: Hypothesis
    part: Part
    sample_size: int
    true_positives: int
    closed: Closed
    strata: Strata
    log_p: float = 0.0
    least_log_p: float = 0.0
    fires: Fires | None = None

    @property
    def p_value(self) -> float:
        """May underflow to 0."""
        return math.exp(self.log_p)

    @property
    def lift_low(self) -> float:
        """Lower limit of the closed lift; 0 where there is none."""
        interval = self.closed.lift_interval
        return 0.0 if interval is None else interval.low

    @cached_property
    def score(self) -> Score:
        """All numbers, without what only published ones need. Made for the few that pass the test."""
        where, fires = self.part.fires(self.hypothesis)
        return score_of(self.hypothesis, tally_of(self.hypothesis, self.part.log, where, fires), self.part.shared)

    @property
    def shrunken_lift(self) -> float:
        """Observed over expected, after adding imagined fires at the base rate."""
        told, base = self.score.expected, self.score.expected.baseline
        if base is None or base == 0:
            return 0.0
        return (told.hits + PSEUDO_FIRES * base) / (told.total + PSEUDO_FIRES * base)


def evaluated(hypothesis: Hypothesis, parts: Parts, *, fewest: int, widest: float) -> Candidate | None:
    """`None` where it fires for fewer than `fewest` units of the sample or for more than the share `widest` of all."""
    part = parts.of(hypothesis, confirming=False)
    where, fires = part.fires(hypothesis)
    if len(fires) < fewest or len(fires) > widest * part.population:
        return None
    firsts = fires.firsts()
    sample = sample_of(hypothesis, part.log, firsts)
    n = int(sample.counted.sum())
    if n < fewest:
        return None
    asked = asked_rows(hypothesis, part.log, where, firsts)
    return Candidate(hypothesis, part, n, int(sample.hits.sum()), closed_of(asked), exposed_strata(hypothesis, part.log, asked), fires=fires)


def tested(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The exact test for a whole batch: one convolution per number of strata."""
    found = list(candidates)
    for count in {one.strata.units.shape[-1] for one in found}:
        batch = [one for one in found if one.strata.units.shape[-1] == count]
        strata = stacked([one.strata for one in batch])
        for one, log_p, least in zip(batch, log_p_values(strata).tolist(), minimum_attainable_log_p(strata).tolist(), strict=True):
            one.log_p, one.least_log_p = log_p, least
    return found


def stacked(strata: Sequence[Strata]) -> Strata:
    """Hypotheses with the same number of strata, one per row; strata in which nothing varies for any of them are left out."""
    columns = [np.stack([getattr(one, name) for one in strata]) for name in ("units", "converters", "fired", "hits")]
    units, converters, fired, _ = columns
    varies = ((converters > 0) & (converters < units) & (fired > 0) & (fired < units)).any(0)
    some = np.flatnonzero(varies) if varies.any() else np.arange(1)
    return Strata(*(column[:, some] for column in columns))

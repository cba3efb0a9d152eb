"""A candidate on its way to the list: for whom it fires, which conversions it precedes, what its wording costs, and how far it is like others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agent.parts import Candidate, Part, Parts
from agent.taste import WEEK, price
from backtest.durations import HOUR
from backtest.exposure import asked_at, exposure
from backtest.fires import first_matches
from backtest.intervals import Codes, Intervals, Ints
from backtest.labels import NO_LEAD, Label, LabelCode
from backtest.mantel_haenszel import Ratio
from backtest.matching import EventMatch
from backtest.redundancy import Overlap, conditional_lift
from backtest.score import score
from backtest.tally import asked_rows, recall_converters

MOST_STRETCHED = 1.5
SAME = 0.75
"""Jaccard from which two lines are one idea. The engine suggests a merge at 0.8 of all units; here only the earlier ones are seen."""


@dataclass
class Racer:
    """Whom a candidate fires for in the discovering part, and which conversions it precedes in time."""

    candidate: Candidate
    parts: Parts
    place: int

    def __post_init__(self) -> None:
        self.part: Part = self.parts.of(self.candidate.hypothesis, confirming=False)
        self.fires = self.candidate.fires or self.part.fires(self.candidate.hypothesis)[1]
        firsts, log = self.fires.firsts(), self.part.log
        reached = log.outcome(self.candidate.hypothesis)[firsts.unit]
        self.unit: Codes = firsts.unit
        self.at: Ints = firsts.at
        lead = reached - firsts.at
        in_time = (lead > 0) & (lead <= int(self.candidate.hypothesis.horizon))
        self.at_once = bool(in_time.any()) and float((lead[in_time] <= HOUR).mean()) >= NO_LEAD
        self.hits: Codes = firsts.unit[in_time & recall_converters(self.candidate.hypothesis, log)[firsts.unit]]

    @cached_property
    def price(self) -> float:
        return price(self.candidate.hypothesis.clauses)

    @cached_property
    def watched(self) -> float:
        """Evidence grows with time: how much more there would be, had it been watched as long as a condition on the last two weeks."""
        hypothesis, window = self.candidate.hypothesis, self.part.log.window
        length, back = window.end - window.start, hypothesis.look_back
        return 1.0 if hypothesis.counts_entrants_only else min(MOST_STRETCHED, max(1.0, (length - 2 * WEEK) / max(length - back, 1)))

    @cached_property
    def back(self) -> int:
        """How long it has to be watched before it can fire, two weeks at most."""
        return 0 if self.candidate.hypothesis.counts_entrants_only else min(self.candidate.hypothesis.look_back, int(2 * WEEK))

    @cached_property
    def holds(self) -> Intervals:
        """Where it holds; what is true of a unit's first days is true for ever, and counts for a horizon."""
        where = self.part.fires(self.candidate.hypothesis)[0].intervals
        if not self.candidate.hypothesis.counts_entrants_only:
            return where
        return Intervals(where.unit, where.start, np.minimum(where.stop, where.start + int(self.candidate.hypothesis.horizon)))

    @cached_property
    def everywhere(self) -> Codes:
        """Units that fire in the whole window. Whether they convert is not looked at, so nothing of the confirming part is given away."""
        return first_matches(self.candidate.hypothesis, self.parts.log).firsts().unit

    @property
    def _matches(self) -> list[EventMatch]:
        clauses = self.candidate.hypothesis.clauses
        return [match for one in clauses for role in ("match", "then") if isinstance(match := getattr(one, role, None), EventMatch)]

    @cached_property
    def named(self) -> frozenset[str]:
        """Events that its clauses ask for."""
        return frozenset(name for match in self._matches for name in match.events)

    @cached_property
    def made_of_outcome(self) -> Label | None:
        """Any number of events that the outcome counts is progress towards it; so is any number of events of any kind, where it counts some."""
        for name, (tied, outcomes) in self.part.counted_by.items():
            if name in self.named or any(match.any_event for match in self._matches):
                told = f"{name} happens at the very instant of {tied} of {outcomes} outcomes: it is what the outcome counts, so this is progress."
                return Label(LabelCode.progress, told)
        return None

    def like(self, other: Racer) -> Overlap:
        return Overlap(len(self.unit), len(other.unit), len(np.intersect1d(self.unit, other.unit, assume_unique=True)))

    def like_everywhere(self, other: Racer) -> float:
        """Jaccard of the units that fire in the whole window."""
        both = len(np.intersect1d(self.everywhere, other.everywhere, assume_unique=True))
        return both / max(len(self.everywhere) + len(other.everywhere) - both, 1)

    def after(self, other: Racer) -> float:
        """How long after another it fires, on average over the units for which both do, in microseconds."""
        _, mine, theirs = np.intersect1d(self.unit, other.unit, assume_unique=True, return_indices=True)
        return float((self.at[mine] - other.at[theirs]).mean()) if len(mine) else 0.0

    def repeats(self, other: Racer) -> bool:
        overlap = self.like(other)
        return overlap.suggests_merge or (overlap.jaccard or 0.0) >= SAME

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        found = score(self.candidate.hypothesis, self.part.log).labels
        made = None if any(one.code is LabelCode.progress for one in found) else self.made_of_outcome
        return found if made is None else (*found, made)

    def given(self, flagged_at: Ints) -> Ratio | None:
        """Its lift among units of equal exposure that others had flagged by the index time, and among those they had not."""
        hypothesis, log = self.candidate.hypothesis, self.part.log
        where, fires = self.part.fires(hypothesis)
        asked = asked_rows(hypothesis, log, where, fires.firsts())
        flagged = flagged_at[asked.unit] <= asked_at(hypothesis, log, asked)
        return conditional_lift(asked.fired, asked.converted, flagged, exposure(hypothesis, log, asked)[0])

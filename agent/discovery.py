"""A search that others may take part in: it looks at the discovering part only, until it concludes.

Whoever has an idea (a person, a model) may `attempt` it. Everything that is evaluated is counted. The search's own list does not depend on what was
attempted: it is chosen first, at its own m; attempted ideas are judged at the m of everything and may only add lines.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.choosing import Chosen, Lines, chosen, productive, worth_showing
from agent.conditions import FEWEST_UNITS, Question
from agent.found import Considered, Found, Proposal, Source, Telling
from agent.parts import Candidate, Parts, evaluated, tested
from backtest import EventLog, Hypothesis, Window
from backtest.multiplicity import BestLift, benjamini_hochberg
from backtest.plan import ReadPlan, plan_reads
from backtest.power import Wait
from backtest.taxonomy import Taxonomy
from backtest.verdict import Bar

WIDEST = 0.95
"""Conditions that nearly everyone meets tell nobody apart."""

FALSE_FINDS = 0.10
_ANY_WINDOW = Window(0, 1)
MOST_CONSIDERED = 50
"""Candidates that were ruled out and are told of."""


@dataclass(frozen=True)
class Unfit:
    """Why an attempted idea has no numbers: `too_few_units`, `too_wide`, `not_read` or `wrong_question`."""

    code: str
    sentence: str


class Concluded(Exception):
    """The confirming part has been looked at: nothing may be attempted on this log any more."""


@dataclass(frozen=True)
class Screened:
    """What the search itself evaluated: how many, how many could be significant, those that pass every gate (by evidence) and their q-values by
    fingerprint, and the strongest others."""

    tried: int = 0
    tested: int = 0
    finds: tuple[Candidate, ...] = ()
    quality: dict[str, float] = field(default_factory=dict)
    ruled_out: tuple[Considered, ...] = ()
    supports: tuple[tuple[int, int], ...] = ()
    best_null: BestLift | None = None


@dataclass
class Discovery:
    """Looks at the discovering part only, until `conclude`. `tried` counts everything that was evaluated so far; it only grows."""

    question: Question
    log: EventLog
    bar: Bar
    lacks: tuple[Wait, ...]
    screened: Screened
    parts: Parts | None
    plan: ReadPlan | None
    taxonomy: Taxonomy | None = None
    attempts: dict[str, Candidate | Unfit] = field(default_factory=dict)
    concluded: bool = False

    @property
    def tried(self) -> int:
        return self.screened.tried + sum(isinstance(one, Candidate) or one.code.startswith("too_") for one in self.attempts.values())

    def finds(self, most: int = 40, about: str | None = None) -> list[Candidate]:
        """Candidates that pass the gates, best first: the search's own, then attempted ones. `about`: a name that some clause mentions."""
        every = [*self.screened.finds, *(one for one, _ in self._attempted())]
        return [one for one in every if about is None or about in mentioned(one.hypothesis)][:most]

    def q_value(self, candidate: Candidate) -> float | None:
        """`None` where it was not tested."""
        known = self.screened.quality.get(candidate.hypothesis.fingerprint)
        return known if known is not None else self._qualities().get(candidate.hypothesis.fingerprint)

    def attempt(self, hypothesis: Hypothesis) -> Candidate | Unfit:
        """Evaluates another's idea on the discovering part. The same idea twice counts once. Raises `Concluded` after `conclude`."""
        if self.concluded:
            raise Concluded("This search has been concluded; new ideas need a new one.")
        key = hypothesis.fingerprint
        if key not in self.attempts:
            self.attempts[key] = self._attempt(hypothesis)
        return self.attempts[key]

    def _attempt(self, hypothesis: Hypothesis) -> Candidate | Unfit:
        if any(getattr(hypothesis, name) != getattr(self.question, name) for name in ("unit", "entry", "outcome")):
            return Unfit("wrong_question", "Its unit, entry, outcome or horizon is not that of this search.")
        if self.parts is None or self.plan is None or not covers(self.plan, hypothesis):
            return Unfit("not_read", "It looks at events or properties that this search has not read.")
        part = self.parts.of(hypothesis, confirming=False)
        if (found := evaluated(hypothesis, self.parts, fewest=FEWEST_UNITS, widest=WIDEST)) is not None:
            return tested([found])[0]
        fires = len(part.fires(hypothesis)[1])
        if fires > WIDEST * part.population:
            return Unfit("too_wide", f"It fires for {fires:,} of {part.population:,} units, so it tells hardly anybody apart.")
        return Unfit("too_few_units", f"It has fewer than {FEWEST_UNITS} units whose horizon is complete; that says nothing.")

    def _qualities(self) -> dict[str, float]:
        """q-values of what was attempted, over everything that was evaluated."""
        tried = {key: one for key, one in self.attempts.items() if isinstance(one, Candidate)}
        mine = np.array([one.p_value for one in tried.values()])
        theirs = np.array([one.p_value for one in self.screened.finds if one.hypothesis.fingerprint not in tried])
        q = benjamini_hochberg(np.concatenate((mine, theirs)), max(self.tried, len(mine) + len(theirs)))
        return dict(zip(tried, q[: len(mine)].tolist(), strict=True))

    def _attempted(self) -> list[tuple[Candidate, float]]:
        """Those that pass the same gates as the search's own, and are not among them."""
        known, quality = {one.hypothesis.fingerprint for one in self.screened.finds}, self._qualities()
        found = [(one, quality[key]) for key, one in self.attempts.items() if isinstance(one, Candidate) and key not in known]
        found = [(one, q) for one, q in found if q <= FALSE_FINDS and worth_showing(one, self.bar) and self._whole(one)]
        return sorted(found, key=lambda one: one[0].log_p)

    def _whole(self, one: Candidate) -> bool:
        """A single condition, or a combination that is more than each of its conditions."""
        if self.parts is None or len(one.hypothesis.clauses) == 1:
            return True
        alone = [evaluated(self.question.ask(clause), self.parts, fewest=FEWEST_UNITS, widest=1.0) for clause in one.hypothesis.clauses]
        return productive(one, [part for part in alone if part is not None])

    def conclude(self, most: int = 10, *, leave_out: Collection[str] = ()) -> Found:
        """Confirms the chosen few once. `leave_out`: fingerprints that may not be shown. Afterwards `attempt` raises."""
        self.concluded = True
        if self.parts is None:
            return Found((), self.tried, self.screened.tested, None, self.lacks)
        one = self.screened
        lines = Lines(len(self.parts.log.units))
        own = chosen([find for find in one.finds if find.hypothesis.fingerprint not in leave_out], self.parts, self.bar, most, lines)
        attempted = {find.hypothesis.fingerprint: (find, q) for find, q in self._attempted() if find.hypothesis.fingerprint not in leave_out}
        more = chosen([find for find, _ in attempted.values()], self.parts, self.bar, most, lines)
        telling = Telling(self.parts, self.bar, one.supports, one.best_null)
        proposals = [self._told(telling, line, one.quality[line.candidate.hypothesis.fingerprint], "search") for line in own]
        proposals += [self._told(telling, line, attempted[line.candidate.hypothesis.fingerprint][1], "model") for line in more]
        proposals.sort(key=lambda told: bool(told.backtest["labels"]))  # the whole window may tell what the earlier part did not
        return Found(tuple(proposals), self.tried, one.tested, one.best_null, self.lacks, self._considered(proposals))

    def _considered(self, proposals: Sequence[Proposal]) -> tuple[Considered, ...]:
        """What was ruled out: first what passed every gate of its own but repeats or is explained by the lines that are shown."""
        shown = {one.hypothesis.fingerprint for one in proposals}
        told = "The lines that are shown explain what it precedes, or it is of no use as they are."
        rest = [one for one in self.screened.finds[: MOST_CONSIDERED + len(shown)] if one.hypothesis.fingerprint not in shown]
        explained = [
            Considered(one.hypothesis, "explained", told, one.sample_size, one.true_positives, one.closed.lift, one.lift_low, self.q_value(one))
            for one in rest[: max(0, MOST_CONSIDERED - len(self.screened.ruled_out) % MOST_CONSIDERED)]
        ]
        return tuple([*explained, *self.screened.ruled_out][:MOST_CONSIDERED])

    def _told(self, telling: Telling, line: Chosen, q: float, source: Source) -> Proposal:
        tried = self.screened.tried if source == "search" else self.tried
        return telling.proposal(line, q_value=q, tried=tried, tested=min(self.screened.tested, tried), source=source)


def mentioned(hypothesis: Hypothesis) -> set[str]:
    """Names of the events and properties that the clauses look at."""
    (plan,) = plan_reads([hypothesis.model_copy(update={"name": None})], _ANY_WINDOW)
    return set(plan.names) | {name for path in plan.columns for name in (path[0], ".".join(path))}


def covers(plan: ReadPlan, hypothesis: Hypothesis) -> bool:
    """Whether a log read by this plan holds everything that the hypothesis looks at."""
    (own,) = plan_reads([hypothesis], plan.window)
    names = plan.every_event or (own.names <= plan.names and not own.every_event)
    columns = all(path in plan.columns and _within(carriers, plan.columns[path]) for path, carriers in own.columns.items())
    return names and columns and own.carrying <= plan.carrying and own.cohorts <= plan.cohorts and (plan.persons or not own.persons)


def _within(mine: frozenset[str] | None, read: frozenset[str] | None) -> bool:
    return read is None or (mine is not None and mine <= read)


def plan_of(singles: Sequence[Hypothesis], log: EventLog) -> ReadPlan | None:
    """What was read for the conditions of a search."""
    plans = plan_reads(singles, log.window)
    return plans[0] if plans else None

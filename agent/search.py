"""The proposer without a model: all plausible conditions, singly and in pairs, ranked on the earlier part of the log and confirmed on the later.

Everything that is evaluated is counted (m), false finds are held at a stated rate by Benjamini and Hochberg's procedure over all of it, and the
confirming part is looked at once, for the few that are proposed. Pure: the log comes from outside, and so does progress.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from backtest import Duration, EventLog, Hypothesis, Score, Window, published
from backtest.fires import fires_of, held
from backtest.language import Did, DidNot, Outcome, Unit
from backtest.matching import EventMatch
from backtest.multiplicity import benjamini_hochberg
from backtest.refusals import window_faults
from backtest.score import score, score_of
from backtest.split import cut_at, earlier, later
from backtest.stratified import Strata, log_p_values, strata_of
from backtest.tally import Baseline, Tally, asked_rows, baseline, tally_of
from backtest.taxonomy import Taxonomy

Progress = Callable[[int, int, str], None]

MOST_EVENTS = 40
"""Event names that are tried: the most widely used ones. Rarer ones have too few units to be found by search."""

COUNTS = (1, 2, 3, 5)
FIRST_DAYS = (3, 7)
LAST_DAYS = (7,)
FEWEST_UNITS = 20
"""Conditions with less support say nothing (numbers section 14)."""

WIDEST = 0.95
"""Conditions that nearly everyone meets tell nobody apart."""

FALSE_FINDS = 0.10
PSEUDO_FIRES = 20
"""Lift is shrunk by so many imagined fires at the base rate before it ranks: the best of many is otherwise the luckiest (numbers section 5)."""

LEAST_RECALL = 0.05
"""What precedes fewer of the conversions than this is a curiosity."""

PARTNERS = 24
ALIKE = 0.8
"""Two conditions whose fired units overlap so much (Jaccard) are one idea."""


@dataclass(frozen=True)
class Question:
    """What is searched for: behaviour of these units that precedes this outcome."""

    unit: Unit
    entry: EventMatch | None
    outcome: Outcome

    def ask(self, *clauses: Any) -> Hypothesis:
        """The hypothesis with these clauses for this question."""
        return Hypothesis(unit=self.unit, entry=self.entry, clauses=clauses, outcome=self.outcome)


@dataclass(frozen=True)
class Proposal:
    """One find: `backtest` holds the published numbers with `discovery`, `confirmed`, `q_value` and how many were tried."""

    hypothesis: Hypothesis
    backtest: dict[str, Any]
    shrunken_lift: float


@dataclass(frozen=True)
class Found:
    """`tried` is m: everything that was evaluated."""

    proposals: tuple[Proposal, ...]
    tried: int


@dataclass
class _Candidate:
    hypothesis: Hypothesis
    counts: Tally
    shared: Baseline
    fired: frozenset[int]
    strata: Strata
    score: Score = field(init=False)
    p_value: float = 1.0
    """Exact within entry weeks; set for a whole batch at once."""

    def __post_init__(self) -> None:
        self.score = score_of(self.hypothesis, self.counts, self.shared)

    @property
    def lift_low(self) -> float:
        interval = self.score.closed.lift_interval
        return 0.0 if interval is None else interval.low

    @property
    def shrunken_lift(self) -> float:
        told, base = self.score.expected, self.score.expected.baseline
        if base is None or base == 0:
            return 0.0
        return (told.hits + PSEUDO_FIRES * base) / (told.total + PSEUDO_FIRES * base)


def conditions(question: Question, taxonomy: Taxonomy, window: Window) -> list[Hypothesis]:
    """Single conditions worth trying, from the taxonomy alone: so the read plan is known before anything is read."""
    taken = {*_names(question.entry), *_names(getattr(question.outcome, "match", None))}
    usable = [one for one in taxonomy.events if one.name not in taken and not one.hidden and one.units >= FEWEST_UNITS]
    events = sorted(usable, key=lambda one: (-one.units, one.name))[:MOST_EVENTS]
    clauses: list[Did | DidNot] = []
    for one in events:
        clauses += _of_event(one.name)
        for name in one.properties:
            known = taxonomy.property(name)
            if known is not None and known.type in ("string", "boolean") and 1 < len(known.values) <= 12:
                clauses += [_valued(one.name, name, known.type, value) for value in known.values]
    everyone = EventMatch(any_event=True)
    clauses += [
        Did(kind="did", match=everyone, at_least=days, count="days", span=span) for days in (2, 3, 4, 5) for span in ({"first": "7d"}, {"last": "7d"})
    ]
    asked = (question.ask(clause) for clause in clauses)
    return [one for one in asked if not window_faults(one, Duration(window.end - window.start))]


def _names(match: EventMatch | None) -> tuple[str, ...]:
    return match.events if match else ()


def _of_event(name: str) -> Iterable[Did | DidNot]:
    match = EventMatch(events=(name,))
    for days in FIRST_DAYS:
        for count in COUNTS:
            yield Did(kind="did", match=match, at_least=count, span={"first": f"{days}d"})
    for days in LAST_DAYS:
        for count in COUNTS:
            yield Did(kind="did", match=match, at_least=count, span={"last": f"{days}d"})
    yield Did(kind="did", match=match, at_least=3, count="days", span={"last": "7d"})


def _valued(event: str, name: str, kind: str, value: str) -> Did:
    plain: Any = value.lower() == "true" if kind == "boolean" else value
    where = {"property": name, "op": "equals", "value": plain}
    return Did(kind="did", match={"events": [event], "where": [where]}, span={"first": "7d"})


def search(question: Question, singles: Sequence[Hypothesis], log: EventLog, *, most: int = 10, progress: Progress = lambda *_: None) -> Found:
    """Propose at most `most` hypotheses; none is an honest result."""
    if not singles or (cut := cut_at(singles[0], log)) is None:
        return Found((), 0)
    parts = _Parts(log, cut)
    tried = _tested(_evaluated(singles, parts, progress, "single conditions"))
    alone = {clause.model_dump_json(): one for one in tried for clause in one.hypothesis.clauses}
    best = sorted(tried, key=lambda one: one.p_value)[:PARTNERS]
    pairs = [question.ask(*first.hypothesis.clauses, *second.hypothesis.clauses) for first, second in combinations(best, 2)]
    pairs = [one for one in pairs if len(one.canonical().clauses) == 2]
    tried += [pair for pair in _tested(_evaluated(pairs, parts, progress, "pairs")) if _productive(pair, alone)]
    m = len(singles) + len(pairs)
    quality = benjamini_hochberg(np.array([one.p_value for one in tried]), m).tolist()
    ranked = sorted(zip(tried, quality, strict=True), key=lambda pair: -pair[0].shrunken_lift)
    kept = _different([(one, q) for one, q in ranked if q <= FALSE_FINDS and _worth_showing(one)], most)
    return Found(tuple(_proposal(one, q, parts, m) for one, q in kept), m)


def _worth_showing(one: _Candidate) -> bool:
    """Above the baseline, on enough cases, and before enough conversions to matter to anybody."""
    recall = one.score.recall
    return one.shrunken_lift > 1 and not one.score.insufficient and recall is not None and recall >= LEAST_RECALL


def _productive(pair: _Candidate, alone: dict[str, _Candidate]) -> bool:
    """A pair is a find only where it is surely better than each of its parts (Webb 2007)."""
    parts = [alone[clause.model_dump_json()] for clause in pair.hypothesis.clauses]
    return all(pair.lift_low > part.lift_low for part in parts)


def _tested(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """The exact stratified test for a whole batch: one convolution per number of strata."""
    found = list(candidates)
    for count in {one.strata.units.shape[-1] for one in found}:
        batch = [one for one in found if one.strata.units.shape[-1] == count]
        columns = ([getattr(one.strata, name) for one in batch] for name in ("units", "converters", "fired", "hits"))
        for one, log_p in zip(batch, log_p_values(Strata(*map(np.stack, columns))).tolist(), strict=True):
            one.p_value = math.exp(log_p)
    return found


@dataclass
class _Parts:
    """The discovering and the confirming part of a log, for anchored and for rolling hypotheses, made when first asked for."""

    log: EventLog
    cut: int
    logs: dict[tuple[bool, bool], EventLog] = field(default_factory=dict)
    baselines: dict[tuple[bool, bool], Baseline] = field(default_factory=dict)

    def of(self, hypothesis: Hypothesis, *, confirming: bool) -> tuple[EventLog, Baseline]:
        key = (hypothesis.counts_entrants_only, confirming)
        if key not in self.logs:
            self.logs[key] = (later if confirming else earlier)(self.log, hypothesis, self.cut)
            self.baselines[key] = baseline(hypothesis, self.logs[key])
        return self.logs[key], self.baselines[key]


def _evaluated(hypotheses: Sequence[Hypothesis], parts: _Parts, progress: Progress, what: str) -> Iterable[_Candidate]:
    for done, hypothesis in enumerate(hypotheses, 1):
        log, shared = parts.of(hypothesis, confirming=False)
        truth = held(hypothesis, log)
        fires = fires_of(truth, hypothesis, log)
        counts = tally_of(hypothesis, log, truth, fires)
        if len(counts.ages) >= FEWEST_UNITS and counts.fires_total <= WIDEST * shared.population:
            asked = asked_rows(hypothesis, log, truth, fires.firsts())
            strata = strata_of(asked.stratum, asked.fired, asked.converted, max(asked.strata, 1))
            yield _Candidate(hypothesis, counts, shared, frozenset(fires.unit.tolist()), strata)
        progress(done, len(hypotheses), what)


def _different(ranked: Sequence[tuple[_Candidate, float]], most: int) -> list[tuple[_Candidate, float]]:
    """Greedy from the best down: an idea that fires for nearly the same units as a better one is left out."""
    kept: list[tuple[_Candidate, float]] = []
    for one, q in ranked:
        if len(kept) == most:
            break
        if all(len(one.fired & other.fired) < ALIKE * len(one.fired | other.fired) for other, _ in kept):
            kept.append((one, q))
    return kept


def _proposal(candidate: _Candidate, q: float, parts: _Parts, m: int) -> Proposal:
    hypothesis = candidate.hypothesis
    window = parts.log.window
    whole = published(score(hypothesis, parts.log), window)
    early, late = (parts.of(hypothesis, confirming=confirming)[0] for confirming in (False, True))
    confirmed, discovery = published(score(hypothesis, late), late.window), published(score(hypothesis, early), early.window)
    told = whole | {"discovery": discovery, "confirmed": confirmed, "q_value": q, "tried": m, "shrunken_lift": candidate.shrunken_lift}
    return Proposal(hypothesis, told, candidate.shrunken_lift)

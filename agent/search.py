"""The proposer without a model: all plausible conditions, singly and in pairs, ranked on the earlier part of the log and confirmed on the later.

Everything that is evaluated is counted (m), false finds are held at a stated rate by Benjamini and Hochberg's procedure over all of it, and the
confirming part is looked at once, for the few that are proposed. Pure: the log comes from outside, and so does progress.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from agent.choosing import Chosen, chosen, partners, productive
from agent.conditions import FEWEST_UNITS, Question, conditions
from agent.parts import Candidate, Parts, evaluated, tested
from backtest import EventLog, Hypothesis, published
from backtest.confidence import Prior, fitted_prior
from backtest.durations import DAY
from backtest.intervals import Flags
from backtest.multiplicity import Attainable, BestLift, benjamini_hochberg, best_null_lift, tarone
from backtest.power import Wait, per_week
from backtest.proportions import Closed
from backtest.report import missing
from backtest.score import MINIMUM_CONVERTERS, score
from backtest.split import DISCOVERY, FEWEST_ENTRY_DAYS, cut_at
from backtest.tally import recall_converters
from backtest.verdict import Bar

__all__ = ["Found", "Proposal", "Question", "conditions", "search"]

Progress = Callable[[int, int, str], None]

WIDEST = 0.95
"""Conditions that nearly everyone meets tell nobody apart."""

FALSE_FINDS = 0.10
PARTNERS = 24


@dataclass(frozen=True)
class Proposal:
    """One find: `backtest` holds the published numbers with `discovery`, `confirmed`, `q_value` and how many were tried."""

    hypothesis: Hypothesis
    backtest: dict[str, Any]
    shrunken_lift: float


@dataclass(frozen=True)
class Found:
    """`tried` is everything that was evaluated, `tested` what of it could be significant at all (m of the q-values). `best_null`: what the best of so
    many hypotheses of the same supports reaches where none means anything. `lacks`: what the log has too little of to conclude anything."""

    proposals: tuple[Proposal, ...]
    tried: int
    tested: int = 0
    best_null: BestLift | None = None
    lacks: tuple[Wait, ...] = ()


def search(
    question: Question,
    singles: Sequence[Hypothesis],
    log: EventLog,
    *,
    most: int = 10,
    progress: Progress = lambda *_: None,
    bar: Bar | None = None,
    parts: Parts | None = None,
) -> Found:
    """Propose at most `most` hypotheses; none is an honest result. `bar` tells what is worth confirming; `parts` are those of the log, if known."""
    if not singles or (cut := cut_at(singles[0], log)) is None:
        return Found((), 0)
    parts, bar = parts or Parts(log, cut), bar or Bar()
    tried = tested(_evaluated(singles, parts, progress, "single conditions"))
    alone = {clause.model_dump_json(): one for one in tried for clause in one.hypothesis.clauses}
    best = partners(tried, parts, PARTNERS)
    for one in best:
        parts.keep(one.hypothesis)
    pairs = [question.ask(*first.hypothesis.clauses, *second.hypothesis.clauses) for first, second in combinations(best, 2)]
    pairs = [one for one in pairs if len(one.canonical().clauses) == 2]
    together = tested(_evaluated(pairs, parts, progress, "pairs"))
    everything, m = tried + together, len(singles) + len(pairs)
    attainable = tarone(np.array([one.least_log_p for one in everything]), FALSE_FINDS)
    fit, tested_ = _fit(everything, attainable), m - int((~attainable.which).sum())
    quality = dict(zip(map(id, fit), benjamini_hochberg(np.array([one.p_value for one in fit]), tested_).tolist(), strict=True))
    context = _Context(parts, bar, m, tested_, everything, quality)
    finds = [one for one in fit if quality[id(one)] <= FALSE_FINDS and _whole(one, alone) and _worth_showing(one, bar)]
    proposals = tuple(context.proposal(one) for one in chosen(finds, parts, bar, most))
    return Found(proposals, m, tested_, context.best_null, tuple(_lacks(singles[0], parts)))


def _evaluated(hypotheses: Sequence[Hypothesis], parts: Parts, progress: Progress, what: str) -> Iterator[Candidate]:
    for done, hypothesis in enumerate(hypotheses, 1):
        if (found := evaluated(hypothesis, parts, fewest=FEWEST_UNITS, widest=WIDEST)) is not None:
            yield found
        progress(done, len(hypotheses), what)


def _fit(candidates: Sequence[Candidate], attainable: Attainable) -> list[Candidate]:
    """Those that could be significant at all: the others are hopeless by their margins alone, and cost the rest nothing (Tarone 1990)."""
    which: Flags = attainable.which
    return [one for one, can in zip(candidates, which.tolist(), strict=True) if can]


def _whole(one: Candidate, alone: dict[str, Candidate]) -> bool:
    """A single condition, or a pair that is more than its parts."""
    clauses = one.hypothesis.clauses
    return len(clauses) == 1 or productive(one, [alone[clause.model_dump_json()] for clause in clauses])


def _worth_showing(one: Candidate, bar: Bar) -> bool:
    """Above the baseline, on enough cases, and before enough conversions to matter to anybody."""
    recall = one.score.recall
    return one.shrunken_lift > 1 and not one.score.insufficient and recall is not None and recall >= bar.min_recall


def _prior(candidates: Sequence[Candidate]) -> Prior | None:
    """How precise hypotheses about this outcome usually are, over all that were screened."""
    hits, n = (np.array([getattr(one, name) for one in candidates], np.int64) for name in ("true_positives", "sample_size"))
    return fitted_prior(hits, n)


def _best_null(candidates: Sequence[Candidate]) -> BestLift | None:
    """What chance alone would reach, on the closed population that most hypotheses share."""
    if not candidates:
        return None
    tables = [one.closed for one in candidates]
    populations = [(one.population, one.converters) for one in tables]
    units, converters = max(set(populations), key=lambda one: (populations.count(one), one))
    return best_null_lift(np.array([_scaled(one, units) for one in tables]), units, converters)


def _scaled(table: Closed, units: int) -> int:
    return min(units, round(table.fired * units / table.population)) if table.population else 0


def _lacks(shape: Hypothesis, parts: Parts) -> Iterator[Wait]:
    """What is missing for any conclusion on either part, and for how long to wait for it."""
    for confirming, where in ((False, "to discover with"), (True, "to confirm with")):
        log = parts.of(shape, confirming=confirming).log
        window = parts.log.window
        converters = int(recall_converters(shape, log).sum())
        if converters < MINIMUM_CONVERTERS:
            yield Wait(f"converters {where}", MINIMUM_CONVERTERS, converters, per_week(converters, window.end - window.start))
    if not (days := _entry_days(shape, parts)).enough:
        yield days


def _entry_days(hypothesis: Hypothesis, parts: Parts) -> Wait:
    """Days of entries in the confirming part whose horizon is complete; while a window fills, that part grows by its share of each day."""
    days = max(0, (parts.log.window.end - int(hypothesis.horizon) - parts.cut) // DAY)
    return Wait("days of entries to confirm with", FEWEST_ENTRY_DAYS, days, 7 * (1 - DISCOVERY))


@dataclass(frozen=True)
class _Context:
    """What every find of one search is told with."""

    parts: Parts
    bar: Bar
    tried: int
    tested: int
    everything: Sequence[Candidate]
    quality: dict[int, float]

    @cached_property
    def prior(self) -> Prior | None:
        """How precise hypotheses about this outcome usually are."""
        return _prior(self.everything)

    @cached_property
    def best_null(self) -> BestLift | None:
        """What chance alone would reach."""
        return _best_null(self.everything)

    def proposal(self, line: Chosen) -> Proposal:
        hypothesis, candidate = line.candidate.hypothesis, line.candidate
        parts, window = self.parts, self.parts.log.window
        early, late = (parts.of(hypothesis, confirming=confirming).log for confirming in (False, True))
        whole = published(score(hypothesis, parts.log), window)
        discovery, confirmed = (published(score(hypothesis, log), log.window) for log in (early, late))
        if not (days := _entry_days(hypothesis, parts)).enough:
            confirmed.setdefault("insufficient", {"reason": days.sentence, "missing": [missing(days)]})
        told = {
            "discovery": discovery,
            "confirmed": confirmed,
            "q_value": self.quality[id(candidate)],
            "p_search": candidate.p_value,
            "tried": self.tried,
            "tested": self.tested,
            "shrunken_lift": candidate.shrunken_lift,
            "best_null_lift": self._null(),
            **self._confidence(candidate),
            "new_recall": line.new_recall,
            **_conditional(line),
        }
        return Proposal(hypothesis, whole | told, candidate.shrunken_lift)

    def _null(self) -> dict[str, Any] | None:
        one = self.best_null
        if one is None:
            return None
        return {"m": one.m, "expected": one.expected, "exceeded_by_5_percent": one.exceeded_by_5_percent, "sentence": one.sentence}

    def _confidence(self, one: Candidate) -> dict[str, float | None]:
        """P(precision >= asked), on the discovering part. Asked is the bar's precision, or the base rate times the bar's lift where it has none."""
        base = one.score.expected.baseline
        asked = self.bar.min_precision if self.bar.min_precision is not None else None if base is None else base * self.bar.min_lift_low
        if self.prior is None or asked is None or not 0 < asked < 1:
            return {"confidence": None, "confidence_asks_precision": asked}
        return {
            "confidence": self.prior.confidence(one.true_positives, one.sample_size, asked),
            "confidence_asks_precision": asked,
        }


def _conditional(line: Chosen) -> dict[str, float | None]:
    """Lift given the lines that were chosen before it, as a risk ratio."""
    told = line.conditional
    known = told is not None and math.isfinite(told.value)
    interval = told.interval if told is not None else None
    return {
        "conditional_lift": told.value if told is not None and known else None,
        "conditional_lift_low": interval.low if interval else None,
        "conditional_lift_high": interval.high if interval else None,
    }

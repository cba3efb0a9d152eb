"""What a search comes back with: the short list with its numbers, what was ruled out and why, and one honest sentence about all of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from agent.choosing import Chosen
from agent.parts import Parts
from backtest import Hypothesis, published
from backtest.confidence import ENDED, Prior, asked, fitted_prior
from backtest.durations import DAY
from backtest.intervals import Ints
from backtest.multiplicity import BestLift, best_null_lift
from backtest.power import Wait, per_week
from backtest.report import missing
from backtest.score import MINIMUM_CONVERTERS, score
from backtest.sentence import sentence as sentence_of
from backtest.split import DISCOVERY, FEWEST_ENTRY_DAYS
from backtest.tally import recall_converters
from backtest.verdict import Bar, judge

Source = Literal["search", "model"]


@dataclass(frozen=True)
class Proposal:
    """One find: `backtest` holds the published numbers with `discovery`, `confirmed`, `q_value` and how many were tried. `source` tells who had the
    idea: the search, or whoever made an attempt."""

    hypothesis: Hypothesis
    backtest: dict[str, Any]
    shrunken_lift: float
    source: Source = "search"


@dataclass(frozen=True)
class Considered:
    """A strong candidate that was ruled out: `code` is stable, `sentence` for people. The numbers are those of the discovering part."""

    hypothesis: Hypothesis
    code: str
    sentence: str
    sample_size: int
    true_positives: int
    lift: float | None
    lift_low: float
    q_value: float | None


@dataclass(frozen=True)
class Found:
    """`tried` is everything that was evaluated, `tested` what of it could be significant at all (m of the q-values). `best_null`: what the best of so
    many hypotheses of the same supports reaches where none means anything. `lacks`: what the log has too little of to conclude anything.
    `considered`: the strongest that were ruled out."""

    proposals: tuple[Proposal, ...]
    tried: int
    tested: int = 0
    best_null: BestLift | None = None
    lacks: tuple[Wait, ...] = ()
    considered: tuple[Considered, ...] = ()

    def sentence(self, bar: Bar) -> str:
        """How the search ended, whatever it found."""
        told = f"{self.tried:,} candidates tested"
        clear = sum(judge(one.backtest, bar, selected=True).clears is True for one in self.proposals)
        if clear:
            return f"{told}, {clear} of the {len(self.proposals)} proposed clear{'s' if clear == 1 else ''} your bar."
        lifts = [one.backtest["confirmed"]["lift_vs_baseline"] for one in self.proposals]
        best = max((lift for lift in lifts if lift is not None), default=None)
        if best is None:
            return f"{told}, nothing was found that could be confirmed; your bar is a lift of {bar.min_lift_low:.1f}."
        return f"{told}, best confirmed lift {best:.1f}, your bar is {bar.min_lift_low:.1f} for its lower limit."


def lacking(shape: Hypothesis, parts: Parts) -> Iterator[Wait]:
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


def null_of(supports: Sequence[tuple[Ints, int, int]]) -> BestLift | None:
    """What chance alone would reach. `supports`: rows in which hypotheses are true, all rows and those that convert, of each closed design.

    The closed population that most hypotheses share stands for all, and supports are rounded to two digits: that is fine enough."""
    sizes: dict[tuple[int, int], int] = {}
    for fired, rows, converting in supports:
        sizes[rows, converting] = sizes.get((rows, converting), 0) + len(fired)
    if not sizes:
        return None
    units, converters = max(sizes, key=lambda one: (sizes[one], one))
    scaled = [np.rint(fired * (units / rows)) for fired, rows, _ in supports if rows]
    every = np.concatenate([np.empty(0), *scaled])
    step = np.maximum(10.0 ** (np.floor(np.log10(np.maximum(every, 1))) - 1), 1)
    return best_null_lift(np.minimum(np.rint(every / step) * step, units).astype(np.int64), units, converters)


@dataclass(frozen=True)
class Telling:
    """What every find of one search is told with: `screened` holds fires and hits of everything that had enough support."""

    parts: Parts
    bar: Bar
    screened: tuple[tuple[int, int], ...]
    best_null: BestLift | None

    @cached_property
    def prior(self) -> Prior | None:
        """How precise hypotheses about this outcome usually are, over all that were screened."""
        n, hits = (np.array([one[place] for one in self.screened], np.int64) for place in (0, 1))
        return fitted_prior(hits, n)

    def proposal(self, line: Chosen, *, q_value: float, tried: int, tested: int, source: Source = "search") -> Proposal:
        """The published numbers of a line, with the only look at the confirming part that it gets."""
        hypothesis, candidate = line.candidate.hypothesis, line.candidate
        parts, window = self.parts, self.parts.log.window
        early, late = (parts.of(hypothesis, confirming=confirming).log for confirming in (False, True))
        whole = published(score(hypothesis, parts.log), window)
        whole["labels"] += [one.to_json() for one in line.labels if one.code not in {label["code"] for label in whole["labels"]}]
        discovery, confirmed = (published(score(hypothesis, log), log.window) for log in (early, late))
        if not (days := _entry_days(hypothesis, parts)).enough:
            confirmed.setdefault("insufficient", {"reason": days.sentence, "missing": [missing(days)]})
        told = {
            "discovery": discovery,
            "confirmed": confirmed,
            "q_value": q_value,
            "p_search": candidate.p_value,
            "tried": tried,
            "tested": tested,
            "shrunken_lift": candidate.shrunken_lift,
            "best_null_lift": self._null(),
            **self._confidence(line, confirmed["baseline"]),
            "new_recall": line.new_recall,
            "other_wording_of": None if line.other_of is None else sentence_of(line.other_of),
            **_conditional(line),
        }
        return Proposal(hypothesis, whole | told, candidate.shrunken_lift, source)

    def _null(self) -> dict[str, Any] | None:
        one = self.best_null
        if one is None:
            return None
        return {"m": one.m, "expected": one.expected, "exceeded_by_5_percent": one.exceeded_by_5_percent, "sentence": one.sentence}

    def _confidence(self, line: Chosen, later_base: float | None) -> dict[str, float | None]:
        """How likely it clears the bar on later data: from the discovering part, and from how often units convert on the confirming one. What lies on
        the outcome's own path does not end while there is an outcome."""
        one = line.candidate
        bar = asked(self.bar.min_precision, self.bar.min_lift_low, one.score.expected.baseline, later_base)
        sure = (
            None
            if self.prior is None or bar is None
            else self.prior.later_confidence(one.true_positives, one.sample_size, bar, 0.0 if line.on_the_way else ENDED)
        )
        return {"confidence": sure, "confidence_asks_precision": None if bar is None else bar.later}


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

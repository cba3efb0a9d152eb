"""From many candidates to a short list in which every line says something that the lines above do not (numbers sections 8 and 14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from agent.parts import Candidate, Part, Parts
from backtest.exposure import asked_at, exposure
from backtest.intervals import FOREVER, Codes, Ints
from backtest.labels import Label
from backtest.mantel_haenszel import Ratio
from backtest.redundancy import Overlap, conditional_lift
from backtest.score import MINIMUM_FIRES, MINIMUM_HITS, score
from backtest.split import DISCOVERY
from backtest.stratified import Floats
from backtest.tally import asked_rows, recall_converters
from backtest.verdict import Bar

LEAST_NEW_RECALL = 0.02
"""A line of the list precedes this share of the conversions for the first time, or surely lifts those whom the lines above did not flag."""

MOST_RACERS = 120
"""Candidates that are compared in detail; the others have less evidence than all of these."""

MOST_LABELLED = 3
"""Finds of no use that are shown all the same, with what is wrong with them."""

CONDITIONAL_P = 0.01
"""A refinement is one only where it surely tells apart within what it refines (Webb 2007)."""


@dataclass(frozen=True)
class Chosen:
    """A candidate for the list. `labels` say why it is of no use; `new_recall` and `conditional` compare it with the lines chosen before it."""

    candidate: Candidate
    labels: tuple[Label, ...]
    new_recall: float
    conditional: Ratio | None


@dataclass
class _Racer:
    """Whom a candidate fires for in the discovering part, and which conversions it precedes in time."""

    candidate: Candidate
    part: Part
    place: int

    def __post_init__(self) -> None:
        _, fires = self.part.fires(self.candidate.hypothesis)
        firsts, log = fires.firsts(), self.part.log
        reached = log.outcome(self.candidate.hypothesis)[firsts.unit]
        self.unit: Codes = firsts.unit
        self.at: Ints = firsts.at
        in_time = (reached > firsts.at) & (reached <= firsts.at + int(self.candidate.hypothesis.horizon))
        self.hits: Codes = firsts.unit[in_time & recall_converters(self.candidate.hypothesis, log)[firsts.unit]]

    def evidence(self, weight: Floats) -> float:
        """(observed - expected) / √expected of its fires, as in a log-rank test, times the mean weight of its hits: a narrow condition that holds
        all of a wide one's effect comes before it, a wide one with more effect before a narrow part of it."""
        told = self.candidate.score.expected
        if not told.total or not len(self.hits):
            return 0.0
        return (told.hits - told.total) / told.total**0.5 * float(weight[self.hits].mean())

    def like(self, other: _Racer) -> Overlap:
        return Overlap(len(self.unit), len(other.unit), len(np.intersect1d(self.unit, other.unit, assume_unique=True)))

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        return score(self.candidate.hypothesis, self.part.log).labels

    def given(self, flagged_at: Ints) -> Ratio | None:
        """Its lift among units of equal exposure that others had flagged by the index time, and among those they had not."""
        hypothesis, log = self.candidate.hypothesis, self.part.log
        where, fires = self.part.fires(hypothesis)
        asked = asked_rows(hypothesis, log, where, fires.firsts())
        flagged = flagged_at[asked.unit] <= asked_at(hypothesis, log, asked)
        return conditional_lift(asked.fired, asked.converted, flagged, exposure(hypothesis, log, asked)[0])


def promising(one: Candidate, bar: Bar) -> bool:
    """Would clear the bar on the discovering part, and has the support to be confirmed on a part of two thirds its size."""
    share = (1 - DISCOVERY) / DISCOVERY
    enough = one.sample_size * share >= max(MINIMUM_FIRES, bar.min_fires)
    enough &= one.true_positives * share >= max(MINIMUM_HITS, bar.min_true_positives)
    return enough and one.true_positives >= (bar.min_precision or 0.0) * one.sample_size and one.lift_low >= bar.min_lift_low


def productive(pair: Candidate, parts: Sequence[Candidate]) -> bool:
    """A pair is a find only where it is surely better than each of its parts: the lower limit of its lift is higher, and among the fires of the
    part those of the pair hit more often than chance allows (one-sided hypergeometric)."""
    from scipy.stats import hypergeom

    for part in parts:
        if pair.lift_low <= part.lift_low:
            return False
        whole, hits = part.sample_size, part.true_positives
        fires, both = min(pair.sample_size, whole), min(pair.true_positives, hits)
        if hypergeom.sf(both - 1, whole, hits, fires) > CONDITIONAL_P:
            return False
    return True


def partners(tried: Sequence[Candidate], parts: Parts, most: int) -> list[Candidate]:
    """The most significant candidates that fire for different units: what pairs are made of."""
    found: list[_Racer] = []
    for one in sorted(tried, key=lambda one: one.log_p)[: 4 * most]:
        racer = _racer(one, parts, 0)
        if all((racer.like(other).jaccard or 0) < 0.8 for other in found):
            found.append(racer)
        if len(found) == most:
            break
    return [one.candidate for one in found]


def _racer(one: Candidate, parts: Parts, place: int) -> _Racer:
    return _Racer(one, parts.of(one.hypothesis, confirming=False), place)


@dataclass
class Lines:
    """The list as it grows."""

    units: int
    lines: list[tuple[_Racer, Chosen]] = field(default_factory=list)
    times: Ints = field(init=False)
    flagged_at: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.times, self.flagged_at = np.zeros(self.units, np.int64), np.full(self.units, FOREVER)

    @property
    def weight(self) -> Floats:
        """A conversion that c lines precede weighs 1/(1 + c) (weighted covering, CN2-SD: Lavrač et al. 2004)."""
        return 1 / (1 + self.times)

    def useful(self) -> int:
        return sum(not chosen.labels for _, chosen in self.lines)

    def offer(self, racer: _Racer) -> None:
        """Take it unless it repeats a line."""
        if any(racer.like(other).suggests_merge for other, _ in self.lines):
            return
        new = self.times[racer.hits] == 0
        gain = float(new.sum()) / max(racer.candidate.score.recall_converters, 1)
        given = racer.given(self.flagged_at) if self.lines else None
        surely = given is not None and given.interval is not None and given.interval.low > 1
        if self.lines and not surely and gain < LEAST_NEW_RECALL:
            return
        labels = racer.labels
        if labels and len(self.lines) - self.useful() >= MOST_LABELLED:
            return
        self.lines.append((racer, Chosen(racer.candidate, labels, gain, given)))
        if not labels:
            self.times[racer.hits] += 1
            np.minimum.at(self.flagged_at, racer.unit, racer.at)


def chosen(candidates: Sequence[Candidate], parts: Parts, bar: Bar, most: int, found: Lines | None = None) -> list[Chosen]:
    """At most `most` lines: by evidence, what could be confirmed before what could not; then ranked by shrunken lift, what is labelled last.

    `found`: lines that stand already, which the new ones may not repeat; only the new ones are given back."""
    if not candidates:
        return []
    found = Lines(len(parts.log.units)) if found is None else found
    before, useful = len(found.lines), found.useful()
    for heat in _heats(candidates, bar):
        racing = [_racer(one, parts, place) for place, one in enumerate(heat)]
        while racing and found.useful() - useful < most:
            best = max(racing, key=lambda one: (one.evidence(found.weight), -one.place))
            racing.remove(best)
            found.offer(best)
    lines = [line for _, line in found.lines[before:]]
    lines.sort(key=lambda one: (bool(one.labels), -one.candidate.shrunken_lift))
    return lines[:most]


def _heats(candidates: Sequence[Candidate], bar: Bar) -> Iterator[list[Candidate]]:
    by = sorted(candidates, key=lambda one: one.log_p)
    yield [one for one in by if promising(one, bar)][:MOST_RACERS]
    yield [one for one in by if not promising(one, bar)][:MOST_RACERS]

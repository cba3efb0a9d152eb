"""From many candidates to a short list in which every line says something that the lines above do not (numbers sections 8 and 14).

Forward choice in a model of the hazard (`agent.explained`): the next line is the one whose fires are followed by most conversions that the lines
before it do not explain, less the price of its wording (`agent.taste`). What is labelled explains nothing: it is shown last, if at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from agent.explained import Explained, Spell, gain
from agent.parts import Candidate, Part, Parts
from agent.taste import WEEK, price
from backtest import Hypothesis
from backtest.durations import HOUR
from backtest.exposure import asked_at, exposure
from backtest.intervals import FOREVER, Codes, Flags, Ints
from backtest.labels import NO_LEAD, Label, LabelCode
from backtest.mantel_haenszel import Ratio
from backtest.matching import EventMatch
from backtest.redundancy import MERGE_AT_JACCARD, Overlap, conditional_lift
from backtest.score import MINIMUM_FIRES, MINIMUM_HITS, score
from backtest.split import DISCOVERY
from backtest.tally import asked_rows, recall_converters
from backtest.verdict import Bar

LEAST_NEW_RECALL = 0.02
"""A line of the list precedes this share of the conversions for the first time, or surely lifts those whom the lines above did not flag."""

LEAST_GAIN = 3.0
"""Log-likelihood that a line adds to those before it, beyond the price of its wording; less than one in a hundred would by chance."""

UNPROMISING = 2.0
"""What it costs that a candidate could hardly be confirmed."""

AS_GOOD = 3.0
"""Log-likelihoods that differ by less are the same evidence."""

MOST_STRETCHED = 1.5
SAME = 0.75
"""Jaccard from which two lines are one idea. The engine suggests a merge at 0.8 of all units; here only the earlier ones are seen."""

MOST_LABELLED = 3
"""Finds of no use that are shown all the same, with what is wrong with them."""

MOST_OFFERED = 400
"""Candidates that are compared in detail before the list is taken for complete."""

CONDITIONAL_P = 0.01
"""A refinement is one only where it surely tells apart within what it refines (Webb 2007)."""


@dataclass(frozen=True)
class Chosen:
    """A candidate for the list. `labels` say why it is of no use; `new_recall` and `conditional` compare it with the lines chosen before it."""

    candidate: Candidate
    labels: tuple[Label, ...]
    new_recall: float
    conditional: Ratio | None

    @property
    def on_the_way(self) -> bool:
        """What its events tell exists in the last minutes only, in whatever span they are looked for."""
        return any(one.code is LabelCode.own_path for one in self.labels)


@dataclass
class _Racer:
    """Whom a candidate fires for in the discovering part, and which conversions it precedes in time."""

    candidate: Candidate
    part: Part
    place: int

    def __post_init__(self) -> None:
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

    def like(self, other: _Racer) -> Overlap:
        return Overlap(len(self.unit), len(other.unit), len(np.intersect1d(self.unit, other.unit, assume_unique=True)))

    def after(self, other: _Racer) -> float:
        """How long after another it fires, on average over the units for which both do, in microseconds."""
        _, mine, theirs = np.intersect1d(self.unit, other.unit, assume_unique=True, return_indices=True)
        return float((self.at[mine] - other.at[theirs]).mean()) if len(mine) else 0.0

    def repeats(self, other: _Racer) -> bool:
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


def promising(one: Candidate, bar: Bar) -> bool:
    """Would clear the bar on the discovering part, and has the support to be confirmed on a part of two thirds its size."""
    share = (1 - DISCOVERY) / DISCOVERY
    enough = one.sample_size * share >= max(MINIMUM_FIRES, bar.min_fires)
    enough &= one.true_positives * share >= max(MINIMUM_HITS, bar.min_true_positives)
    return enough and one.true_positives >= (bar.min_precision or 0.0) * one.sample_size and one.lift_low >= bar.min_lift_low


def worth_showing(one: Candidate, bar: Bar) -> bool:
    """Above the baseline, on enough cases, and before enough conversions to matter to anybody."""
    recall = one.score.recall
    return one.shrunken_lift > 1 and not one.score.insufficient and recall is not None and recall >= bar.min_recall


def productive(pair: Candidate, parts: Sequence[Candidate]) -> bool:
    """A combination is a find only where it is surely better than each of its parts: the lower limit of its lift is higher, and among the fires of
    the part those of the combination hit more often than chance allows (one-sided hypergeometric)."""
    from scipy.stats import hypergeom

    for part in parts:
        if pair.lift_low <= part.lift_low:
            return False
        whole, hits = part.sample_size, part.true_positives
        fires, both = min(pair.sample_size, whole), min(pair.true_positives, hits)
        if hypergeom.sf(both - 1, whole, hits, fires) > CONDITIONAL_P:
            return False
    return True


@dataclass
class Lines:
    """The list as it grows, and what it explains in each part of the log."""

    units: int
    lines: list[tuple[_Racer, Chosen]] = field(default_factory=list)
    models: dict[int, tuple[Part, Explained]] = field(default_factory=dict)
    flagged: Flags = field(init=False)
    flagged_at: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.flagged, self.flagged_at = np.zeros(self.units, np.bool_), np.full(self.units, FOREVER)

    def useful(self) -> int:
        return sum(not chosen.labels for _, chosen in self.lines)

    def model(self, part: Part) -> Explained:
        """What is explained in this part; a part that is asked for later is told of the lines that stand."""
        if id(part) not in self.models:
            self.models[id(part)] = part, (made := Explained(part.log, part.asks))
            for racer, line in self.lines:
                if not line.labels:
                    _tell(made, part, racer.candidate.hypothesis)
        return self.models[id(part)][1]

    def offer(self, racer: _Racer) -> bool:
        """Take it unless it repeats a line, or adds nothing to them; true where it explains something from now on."""
        if any(racer.repeats(other) or (line.on_the_way and racer.named & other.named) for other, line in self.lines):
            return False
        hits = racer.hits[~self.flagged[racer.hits]]
        new = len(hits) / max(racer.candidate.score.recall_converters, 1)
        given = racer.given(self.flagged_at) if self.lines else None
        surely = given is not None and given.interval is not None and given.interval.low > 1
        if self.lines and not surely and new < LEAST_NEW_RECALL:
            return False
        labels = racer.labels
        if labels and len(self.lines) - self.useful() >= MOST_LABELLED:
            return False
        self.lines.append((racer, Chosen(racer.candidate, labels, new, given)))
        if labels:
            return False
        self.flagged[racer.hits] = True
        np.minimum.at(self.flagged_at, racer.unit, racer.at)
        for part, model in self.models.values():
            _tell(model, part, racer.candidate.hypothesis)
        return True


def _tell(model: Explained, part: Part, line: Hypothesis) -> None:
    where, fires = part.fires(line)
    model.add(where, fires, int(line.horizon))


def chosen(candidates: Sequence[Candidate], parts: Parts, bar: Bar, most: int, found: Lines | None = None) -> list[Chosen]:
    """At most `most` lines, ranked by shrunken lift, what is labelled last. Single conditions come first: a combination is asked for only what the
    product of its parts does not explain.

    `found`: lines that stand already, which the new ones may not repeat; only the new ones are given back."""
    found = Lines(len(parts.log.units)) if found is None else found
    before, useful = len(found.lines), found.useful()
    for alone in (True, False):
        racing = [one for one in candidates if (len(one.hypothesis.clauses) == 1) is alone]
        racers = [_Racer(one, parts.of(one.hypothesis, confirming=False), place) for place, one in enumerate(racing)]
        _Race(found, bar, racers).run(most - found.useful() + useful)
    lines = [line for _, line in found.lines[before:]]
    lines.sort(key=lambda one: (bool(one.labels), -one.candidate.shrunken_lift))
    return lines[:most]


@dataclass
class _Race:
    """Lazy greedy choice: what a candidate adds can hardly grow as lines are added, so only the leader is counted anew."""

    found: Lines
    bar: Bar
    racers: list[_Racer]

    def run(self, most: int) -> None:
        spells = [self._model(one).spell(one.fires, int(one.candidate.hypothesis.horizon)) for one in self.racers]
        heap = [(-self._worth(one, spell), one.place, 0) for one, spell in zip(self.racers, spells, strict=True)]
        heapq.heapify(heap)
        round_, offered, useful, gone = 0, 0, self.found.useful(), set[int]()
        while heap and self.found.useful() - useful < most and offered < MOST_OFFERED:
            worth, place, known = heapq.heappop(heap)
            if -worth < LEAST_GAIN:
                return
            racer = self.racers[place]
            if known < round_:
                heapq.heappush(heap, (-self._worth(racer, spells[place]), place, round_))
                continue
            if place in gone or (racer.made_of_outcome and len(self.found.lines) - self.found.useful() >= MOST_LABELLED):
                continue
            plain = self._plainest(racer, -worth, heap, gone, spells)
            gone |= {place, plain.place}
            offered += 1
            if plain is not racer and worth_showing(plain.candidate, self.bar) and self.found.offer(plain):
                round_ += 1
                continue
            round_ += worth_showing(racer.candidate, self.bar) and self.found.offer(racer)

    def _plainest(self, best: _Racer, worth: float, heap: list[tuple[float, int, int]], gone: set[int], spells: list[Spell]) -> _Racer:
        """Of candidates that fire for much the same units with much the same evidence: the plainest wording, and of equally plain ones the first to
        fire, since a proxy follows its cause."""
        evidence, found = worth + best.price, [best]
        for stale, place, _ in heap:
            one = self.racers[place]
            if (
                place in gone
                or one.price > best.price
                or -stale + one.price < evidence - AS_GOOD
                or (one.like(best).jaccard or 0.0) < MERGE_AT_JACCARD
            ):
                continue
            if self._worth(one, spells[place]) + one.price >= evidence - AS_GOOD:
                found.append(one)
        return min(found, key=lambda one: (one.price, one.after(best), one.place))

    def _model(self, one: _Racer) -> Explained:
        return self.found.model(one.part)

    def _worth(self, one: _Racer, spell: Spell) -> float:
        unsure = 0.0 if promising(one.candidate, self.bar) else UNPROMISING
        return gain(*self._model(one).surplus(spell)) * one.watched - one.price - unsure

"""From many candidates to a short list in which every line says something that the lines above do not (numbers sections 8 and 14).

Forward choice in a model of the hazard (`agent.explained`): the next line is the one whose fires are followed by most conversions that the lines
before it do not explain, less the price of its wording (`agent.taste`). What is labelled explains nothing: it is shown last, if at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.explained import Explained, Spell, gain
from agent.parts import Candidate, Part, Parts
from agent.racer import Racer
from agent.wordings import FAR_LESS, MOST_WORDINGS, Wordings, alike, one_idea
from backtest import Hypothesis
from backtest.intervals import FOREVER, Flags, Ints
from backtest.labels import Label, LabelCode
from backtest.mantel_haenszel import Ratio
from backtest.redundancy import MERGE_AT_JACCARD
from backtest.score import MINIMUM_FIRES, MINIMUM_HITS
from backtest.split import DISCOVERY
from backtest.verdict import Bar

LEAST_NEW_RECALL = 0.02
"""A line of the list precedes this share of the conversions for the first time, or surely lifts those whom the lines above did not flag."""

LEAST_GAIN = 3.0
"""Log-likelihood that a line adds to those before it, beyond the price of its wording; less than one in a hundred would by chance."""

UNPROMISING = 2.0
"""What it costs that a candidate could hardly be confirmed."""

MOST_OTHERS = 2
"""Other wordings of a line that are shown too, where the data cannot tell which is right."""

MOST_LABELLED = 3
"""Finds of no use that are shown all the same, with what is wrong with them."""

MOST_OFFERED = 400
"""Candidates that are compared in detail before the list is taken for complete."""

CONDITIONAL_P = 0.01
"""A refinement is one only where it surely tells apart within what it refines (Webb 2007)."""


@dataclass(frozen=True)
class Chosen:
    """A candidate for the list. `labels` say why it is of no use; `new_recall` and `conditional` compare it with the lines chosen before it.
    `other_of`: the line of which this is another wording that is about as likely."""

    candidate: Candidate
    labels: tuple[Label, ...]
    new_recall: float
    conditional: Ratio | None
    other_of: Hypothesis | None = None

    @property
    def on_the_way(self) -> bool:
        """What its events tell exists in the last minutes only, in whatever span they are looked for."""
        return any(one.code is LabelCode.own_path for one in self.labels)


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
    lines: list[tuple[Racer, Chosen]] = field(default_factory=list)
    models: dict[int, tuple[Part, Explained]] = field(default_factory=dict)
    flagged: Flags = field(init=False)
    flagged_at: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.flagged, self.flagged_at = np.zeros(self.units, np.bool_), np.full(self.units, FOREVER)

    def useful(self) -> int:
        """Ideas, each counted once."""
        return sum(not chosen.labels and chosen.other_of is None for _, chosen in self.lines)

    def labelled(self) -> int:
        return sum(bool(chosen.labels) for _, chosen in self.lines)

    def model(self, part: Part) -> Explained:
        """What is explained in this part; a part that is asked for later is told of the lines that stand."""
        if id(part) not in self.models:
            self.models[id(part)] = part, (made := Explained(part.log, part.asks))
            for racer, line in self.lines:
                if not line.labels and line.other_of is None:
                    _tell(made, part, racer.candidate.hypothesis)
        return self.models[id(part)][1]

    def offer(self, racer: Racer) -> bool:
        """Take it unless it repeats a line, or adds nothing to them; true where it explains something from now on."""
        if any(racer.repeats(other) or (line.on_the_way and racer.named & other.named) for other, line in self.lines):
            return False
        new, given = self._beside(racer)
        surely = given is not None and given.interval is not None and given.interval.low > 1
        if self.lines and not surely and new < LEAST_NEW_RECALL:
            return False
        labels = racer.labels
        if labels and self.labelled() >= MOST_LABELLED:
            return False
        self.lines.append((racer, Chosen(racer.candidate, labels, new, given)))
        if labels:
            return False
        self.flagged[racer.hits] = True
        np.minimum.at(self.flagged_at, racer.unit, racer.at)
        for part, model in self.models.values():
            _tell(model, part, racer.candidate.hypothesis)
        return True

    def beside(self, racer: Racer, line: Racer) -> bool:
        """Take another wording of a line, unless it is of no use or fires for much the same units as any line. It explains nothing more."""
        if racer.labels or any(racer.like_everywhere(other) >= MERGE_AT_JACCARD for other, _ in self.lines):
            return False
        self.lines.append((racer, Chosen(racer.candidate, (), *self._beside(racer), other_of=line.candidate.hypothesis)))
        return True

    def _beside(self, racer: Racer) -> tuple[float, Ratio | None]:
        """The share of conversions that it precedes and no line before does, and its lift given those lines."""
        hits = racer.hits[~self.flagged[racer.hits]]
        new = len(hits) / max(racer.candidate.score.recall_converters, 1)
        return new, racer.given(self.flagged_at) if self.lines else None


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
        racers = [Racer(one, parts, place) for place, one in enumerate(racing)]
        _Race(found, bar, racers).run(most - found.useful() + useful)
    lines = [line for _, line in found.lines[before:]]
    lines.sort(key=lambda one: (bool(one.labels), one.other_of is not None, -one.candidate.shrunken_lift))
    return lines[:most]


@dataclass
class _Race:
    """Lazy greedy choice: what a candidate adds can hardly grow as lines are added, so only the leader is counted anew."""

    found: Lines
    bar: Bar
    racers: list[Racer]

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
            if place in gone or (racer.made_of_outcome and self.found.labelled() >= MOST_LABELLED):
                continue
            wordings = self._wordings(racer, -worth, heap, gone, spells)
            plain = wordings.best()
            gone |= {place, plain.place}
            offered += 1
            for one in (plain,) if plain is racer else (plain, racer):
                before = len(self.found.lines)
                told = worth_showing(one.candidate, self.bar) and self.found.offer(one)
                round_ += told
                if told:
                    self._others(wordings, one)
                if len(self.found.lines) > before:
                    break
            if told and one is not racer and not alike(one, racer):
                gone.discard(place)  # they name an event in common, and are not about the same units: another idea after all
                heapq.heappush(heap, (worth, place, round_ - 1))

    def _others(self, wordings: Wordings, line: Racer) -> None:
        """What the data cannot tell from a line that was taken."""
        shown = 0
        for one in wordings.others(line):
            if shown < MOST_OTHERS and alike(one, line) and worth_showing(one.candidate, self.bar):
                shown += self.found.beside(one, line)

    def _wordings(self, best: Racer, worth: float, heap: list[tuple[float, int, int]], gone: set[int], spells: list[Spell]) -> Wordings:
        """The leader with all that may be other wordings of it."""
        if best.labels:
            return Wordings((best,), (worth,))
        near = [best]
        for _, place, _ in heap:
            one = self.racers[place]
            if place not in gone and one_idea(one, best) and self._worth(one, spells[place]) >= worth - FAR_LESS:
                near.append(one)
        since = best.part.log.window.start + max((one.back for one in near), default=0)
        told = sorted(((one, self._since(one, spells[one.place], since)) for one in near), key=lambda pair: -pair[1])
        racers, worths = zip(*told[:MOST_WORDINGS], strict=True)
        return Wordings(racers, worths)

    def _since(self, one: Racer, spell: Spell, instant: int) -> float:
        """What a wording adds by fires from an instant on: before it, some of its rivals had not been watched for long enough to fire."""
        model, horizon = self._model(one), int(one.candidate.hypothesis.horizon)
        soon = model.from_instant(spell, instant)
        return gain(*model.surplus(soon)) + gain(*model.later_surplus(one.holds, spell, horizon, instant)) - one.price

    def _model(self, one: Racer) -> Explained:
        return self.found.model(one.part)

    def _worth(self, one: Racer, spell: Spell) -> float:
        unsure = 0.0 if promising(one.candidate, self.bar) else UNPROMISING
        return gain(*self._model(one).surplus(spell)) * one.watched - one.price - unsure

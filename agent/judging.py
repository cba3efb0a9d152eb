"""From everything that was screened to finds: which are significant at a stated rate of false ones, on enough cases, and more than their parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from agent.discovery import FALSE_FINDS, MOST_CONSIDERED, Screened
from agent.found import Considered, null_of
from agent.parts import Candidate
from agent.screen import Entry, Kind, Screen
from backtest import Hypothesis
from backtest.intervals import Flags
from backtest.multiplicity import benjamini_hochberg, tarone
from backtest.proportions import Closed
from backtest.score import MINIMUM_CONVERTERS, MINIMUM_FIRES, MINIMUM_HITS
from backtest.stratified import Floats
from backtest.tally import recall_converters, sample_of
from backtest.verdict import Bar

SHARES = {Kind.single: 0.5, Kind.ordered: 0.25, Kind.pair: 0.125, Kind.triple: 0.125}
"""How the false finds are shared out: single conditions, of which there are few, keep half of them however many combinations are tried (weighted
Benjamini-Hochberg; Genovese, Roeder, Wasserman 2006)."""


def judged(screen: Screen, bar: Bar) -> Screened:
    """Everything of the screen with q-values, and what passes the gates of significance and support as candidates."""
    entries, tried = screen.entries, sum(screen.tried.values())
    least = np.concatenate(screen.least_log_p) if screen.least_log_p else np.empty(0)
    attainable = tarone(least, FALSE_FINDS * SHARES[Kind.single]).which
    hopeless = int((~attainable).sum())
    q = _q_values(entries, screen.tried | {Kind.single: screen.tried[Kind.single] - hopeless}, attainable)
    significant = [place for place in np.argsort([one.log_p for one in entries], kind="stable") if q[place] <= FALSE_FINDS]
    finds, quality, ruled_out = [], {}, _by_chance(entries, q)
    for one, quality_, why in _candidates([(entries[place], float(q[place])) for place in significant], bar):
        quality[one.hypothesis.fingerprint] = quality_
        if why is None:
            finds.append(one)
        elif len(ruled_out) < MOST_CONSIDERED:
            ruled_out.append(why)
    singles = list(_supports([one for one in entries if one.kind is Kind.single]))
    best = null_of([(fired, len(table), int(table.converted.sum())) for fired, _, table in screen.supports])
    return Screened(tried, tried - hopeless, tuple(finds), quality, tuple(ruled_out), tuple(singles), best)


ENOUGH = 200
"""Single conditions that tell how precise they usually are: more would hardly change two parameters."""


def _supports(singles: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """Judged fires and hits of some single conditions, evenly spread: how precise conditions about this outcome usually are."""
    singles = singles[:: -(-len(singles) // ENOUGH)] if singles else []
    for part in {id(one.table.part): one.table.part for one in singles}.values():
        hypotheses = [one.hypothesis for one in singles if one.table.part is part]
        for hypothesis, _, fires in part.told(hypotheses):
            sample = sample_of(hypothesis, part.log, fires.firsts())
            yield int(sample.counted.sum()), int(sample.hits.sum())


MOST_BY_CHANCE = 10


def _by_chance(entries: Sequence[Entry], q: Floats) -> list[Considered]:
    """The strongest that chance may well have made, with their closed counts."""
    near = [place for place in np.argsort([one.log_p for one in entries], kind="stable").tolist() if q[place] > FALSE_FINDS][:MOST_BY_CHANCE]
    told = "Among so many that were tried, chance makes such a one too easily."
    found = [(entries[place], float(q[place])) for place in near]
    return [_considered(one.hypothesis, one.closed, (one.closed.fired, one.closed.tp), "chance", told, quality) for one, quality in found]


def _considered(hypothesis: Hypothesis, closed: Closed, counted: tuple[int, int], code: str, sentence: str, q: float) -> Considered:
    low = closed.lift_interval.low if closed.lift_interval else 0.0
    return Considered(hypothesis, code, sentence, *counted, closed.lift, low, q)


def _q_values(entries: Sequence[Entry], m: dict[Kind, int], attainable: Flags) -> Floats:
    """q-values at weights by kind; 1 for what could never be significant (Tarone 1990)."""
    total = sum(m.values())
    weight = np.array([total * SHARES[one.kind] / max(m[one.kind], 1) for one in entries])
    p = np.exp(np.array([one.log_p for one in entries]))
    hopeless = np.zeros(len(entries), np.bool_)
    hopeless[[place for place, one in enumerate(entries) if one.kind is Kind.single]] = ~attainable
    weighted = np.where(hopeless, 1.0, np.minimum(1.0, p / np.maximum(weight, 1e-300)))
    return np.maximum(benjamini_hochberg(weighted, max(total, len(entries))), np.minimum(p, 1.0)) if len(entries) else p


def _candidates(significant: Sequence[tuple[Entry, float]], bar: Bar) -> Iterator[tuple[Candidate, float, Considered | None]]:
    """Candidates with what fires and samples say; those that fail a gate come with why."""
    by_part: dict[int, list[tuple[Entry, float]]] = {}
    for one, q in significant:
        by_part.setdefault(id(one.table.part), []).append((one, q))
    found = []
    for several in by_part.values():
        part = several[0][0].table.part
        hypotheses = [one.hypothesis for one, _ in several]
        for (one, q), (hypothesis, _, fires) in zip(several, part.told(hypotheses), strict=True):
            firsts = fires.firsts()
            sample, converters = sample_of(hypothesis, part.log, firsts), recall_converters(hypothesis, part.log)
            n, tp = int(sample.counted.sum()), int(sample.hits.sum())
            reached = sample.reached
            in_time = converters[firsts.unit] & (reached > firsts.at) & (reached <= firsts.at + int(hypothesis.horizon))
            recall = float(in_time.sum()) / max(int(converters.sum()), 1)
            candidate = Candidate(hypothesis, part, n, tp, one.closed, one.strata, one.log_p, fires=fires)
            found.append((candidate, q, _why(candidate, q, recall, int(converters.sum()), bar)))
    return iter(sorted(found, key=lambda one: one[0].log_p))


def _why(one: Candidate, q: float, recall: float, converters: int, bar: Bar) -> Considered | None:
    """Why it is ruled out, if it is."""
    if one.sample_size < MINIMUM_FIRES or one.true_positives < MINIMUM_HITS or converters < MINIMUM_CONVERTERS:
        told = f"It has {one.sample_size} fires, {one.true_positives} hits and {converters} converters: too few."
        return _considered(one.hypothesis, one.closed, (one.sample_size, one.true_positives), "insufficient", told, q)
    if recall < bar.min_recall:
        told = f"It precedes {recall:.1%} of the conversions; the bar asks {bar.min_recall:.0%}."
        return _considered(one.hypothesis, one.closed, (one.sample_size, one.true_positives), "recall", told, q)
    return None

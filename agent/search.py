"""The proposer without a model: all plausible conditions, singly and together, ranked on the earlier part of the log and confirmed on the later.

Everything that is evaluated is counted (m), false finds are held at a stated rate by Benjamini and Hochberg's procedure over all of it, and the
confirming part is looked at once, for the few that are proposed. Pure: the log comes from outside, and so does progress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from agent.choosing import partners, productive
from agent.conditions import FEWEST_UNITS, Question, conditions
from agent.discovery import FALSE_FINDS, WIDEST, Concluded, Discovery, Screened, Unfit, plan_of, worth_showing
from agent.found import Considered, Found, Proposal, lacking, null_of
from agent.parts import Candidate, Parts, evaluated, tested
from backtest import EventLog, Hypothesis
from backtest.intervals import Flags
from backtest.multiplicity import Attainable, benjamini_hochberg, tarone
from backtest.split import cut_at
from backtest.taxonomy import Taxonomy
from backtest.verdict import Bar

__all__ = ["Concluded", "Considered", "Discovery", "Found", "Proposal", "Question", "Unfit", "conditions", "discover", "search"]

Progress = Callable[[int, int, str], None]

PARTNERS = 24


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
    return discover(question, singles, log, bar=bar, parts=parts, progress=progress).conclude(most)


def discover(
    question: Question,
    singles: Sequence[Hypothesis],
    log: EventLog,
    *,
    bar: Bar | None = None,
    parts: Parts | None = None,
    taxonomy: Taxonomy | None = None,
    progress: Progress = lambda *_: None,
) -> Discovery:
    """Everything that a search finds on the discovering part; nothing has been confirmed yet.

    `singles` are the conditions that the log was read for; `taxonomy` goes along for whoever takes part."""
    bar = bar or Bar()
    if not singles or (cut := cut_at(singles[0], log)) is None:
        return Discovery(question, log, bar, (), Screened(), None, None, taxonomy)
    parts = parts or Parts(log, cut)
    lacks = tuple(lacking(singles[0], parts))
    return Discovery(question, log, bar, lacks, _screened(question, singles, parts, bar, progress), parts, plan_of(singles, log), taxonomy)


def _screened(question: Question, singles: Sequence[Hypothesis], parts: Parts, bar: Bar, progress: Progress) -> Screened:
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
    q = benjamini_hochberg(np.array([one.p_value for one in fit]), tested_)
    quality = dict(zip([one.hypothesis.fingerprint for one in fit], q.tolist(), strict=True))
    finds = [one for one, q_ in zip(fit, q, strict=True) if q_ <= FALSE_FINDS and _whole(one, alone) and worth_showing(one, bar)]
    supports = tuple((one.sample_size, one.true_positives) for one in everything)
    return Screened(m, tested_, tuple(finds), quality, (), supports, null_of([one.closed for one in everything]))


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

"""The proposer without a model: all plausible conditions, singly and together, ranked on the earlier part of the log and confirmed on the later.

Everything that is evaluated is counted (m), false finds are held at a stated rate by Benjamini and Hochberg's procedure over all of it, and the
confirming part is looked at once, for the few that are proposed. Pure: the log comes from outside, and so does progress.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.conditions import Question, conditions
from agent.cuts import cuts
from agent.discovery import Concluded, Discovery, Screened, Unfit, plan_of
from agent.found import Considered, Found, Proposal, lacking
from agent.judging import judged
from agent.parts import Parts
from agent.screen import Progress, Screen
from agent.so_far import Noticed, leads
from backtest import EventLog, Hypothesis
from backtest.language import Age
from backtest.split import cut_at
from backtest.taxonomy import Taxonomy
from backtest.verdict import Bar

__all__ = ["Concluded", "Considered", "Discovery", "Found", "Proposal", "Question", "Unfit", "conditions", "discover", "search"]


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
    noticed: Noticed | None = None,
) -> Discovery:
    """Everything that a search finds on the discovering part; nothing has been confirmed yet.

    `singles` are the conditions that the log was read for; `taxonomy` goes along for whoever takes part; `noticed` is told what stands out, half-way.
    """
    bar = bar or Bar()
    if not singles or (cut := cut_at(singles[0], log)) is None:
        return Discovery(question, log, bar, (), Screened(), None, None, taxonomy)
    parts = parts or Parts(log, cut)
    lacks = tuple(lacking(singles[0], parts))
    return Discovery(question, log, bar, lacks, _screened(question, singles, parts, bar, progress, noticed), parts, plan_of(singles, log), taxonomy)


def _screened(question: Question, singles: Sequence[Hypothesis], parts: Parts, bar: Bar, progress: Progress, noticed: Noticed | None) -> Screened:
    earlier = parts.of(question.ask(Age(kind="age", at_least="1d")), confirming=False)
    if not parts.cuts:
        parts.cuts += cuts(question, singles, earlier.log, parts.log.window)
    screen = Screen(question, parts, progress)
    screen.singles([*singles, *parts.cuts])
    if noticed is not None:
        noticed(leads(screen))
    screen.sequences(_named(singles))
    screen.together()
    return judged(screen, bar)


def _named(singles: Sequence[Hypothesis]) -> list[str]:
    """Events that the conditions name, in the order in which they come."""
    matches = (getattr(clause, "match", None) for one in singles for clause in one.clauses)
    return list(dict.fromkeys(name for match in matches if match is not None and not match.where for name in match.events))

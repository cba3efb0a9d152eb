"""What a search shows of one world, held against what is planted in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from agent.search import Found
from backtest import EventLog, Hypothesis, score
from backtest.fires import first_matches
from backtest.intervals import Codes
from backtest.matching import EventMatch
from backtest.power import IN_A_SEARCH, least_support_for
from backtest.split import cut_at, earlier
from backtest.verdict import Bar, judge
from beton.bench.projects import Project

MOST = 10
"""Lines of a list among which a cause has to be. Ideas of a model may follow them."""

ALIKE = 0.8
"""Jaccard of the fired units from which on two hypotheses say the same."""

STEPS = frozenset({"own_path", "after_outcome"})
OF_NO_USE = STEPS | {"twin", "progress"}


@dataclass(frozen=True)
class Sought:
    """One planted cause. `jaccard` is that of the shown line that is most like it, `place` (from 1) the first line that says the same. `findable`:
    on the discovering part the cause itself has the least support of which anything may be concluded; `supported`: and so many fires there that a
    lift as large as its own shows in a search with a probability of 0.8 (numbers section 9)."""

    cause: str
    findable: bool
    supported: bool
    jaccard: float
    place: int | None
    recommended: bool

    @property
    def recovered(self) -> bool:
        return self.place is not None and self.place <= MOST


@dataclass(frozen=True)
class Shown:
    """One list. `steps` and `of_no_use` are the recommended lines that name such an event, in words; `jaccards` belong to the pairs of lines,
    `retained` (confirmed lift over displayed lift) to the lines without a label: nothing is promised of the others; `ended` tells of every ended
    effect whether a recommendation repeats it."""

    world: str
    seed: int
    lines: int
    recommended: frozenset[str]
    steps: tuple[str, ...]
    of_no_use: tuple[str, ...]
    confounded: int
    jaccards: tuple[float, ...]
    retained: tuple[float, ...]
    retained_recommended: tuple[float, ...]
    sought: tuple[Sought, ...]
    ended: tuple[bool, ...]
    tried: int

    @property
    def false(self) -> int:
        """Recommendations that are surely of no use."""
        return len(self.of_no_use) + self.confounded + sum(self.ended)


def recommended(found: Found) -> list[Hypothesis]:
    """What clears the default bar, in the order shown."""
    return [one.hypothesis for one in found.proposals if judge(one.backtest, Bar(), selected=True).clears is True]


def shown(project: Project, seed: int, found: Found) -> Shown:
    """Measures a list. Fires are those of the whole window, of every unit, whether it converts or not."""
    proposals = found.proposals
    lines, clear = [one.hypothesis for one in proposals], recommended(found)
    causes = [(one["id"], Hypothesis.model_validate(one["hypothesis"])) for one in project.truth.get("planted", ()) if one["kind"] == "cause"]
    ended = project.planted("decaying") if project.truth else []
    log = project.log([*lines, *(one for _, one in causes), *ended, project.question.ask({"kind": "age", "at_least": "1d"})])
    fired = {one.fingerprint: _fired(one, log) for one in [*lines, *(one for _, one in causes), *ended]}
    clearing = [fired[one.fingerprint] for one in clear]
    promising = [one for one in proposals if not one.backtest["labels"]]
    retained = {one.hypothesis.fingerprint: kept for one in promising if (kept := _retained(one.backtest, one.shrunken_lift)) is not None}
    return Shown(
        world=project.name,
        seed=seed,
        lines=len(lines),
        recommended=frozenset(one.fingerprint for one in clear),
        steps=tuple(_naming(clear, trapped(project, STEPS))),
        of_no_use=tuple(_naming(clear, trapped(project, OF_NO_USE))),
        confounded=len(list(_naming(clear, trapped(project, frozenset({"confounded"}))))),
        jaccards=tuple(_jaccard(fired[a.fingerprint], fired[b.fingerprint]) for a, b in combinations(lines, 2)),
        retained=tuple(retained.values()),
        retained_recommended=tuple(retained[one.fingerprint] for one in clear if one.fingerprint in retained),
        sought=tuple(_sought(name, one, log, [fired[line.fingerprint] for line in lines], clearing, fired[one.fingerprint]) for name, one in causes),
        ended=tuple(any(_jaccard(fired[one.fingerprint], other) >= ALIKE for other in clearing) for one in ended),
        tried=found.tried,
    )


def _sought(name: str, cause: Hypothesis, log: EventLog, lines: Sequence[Codes], clearing: Sequence[Codes], fired: Codes) -> Sought:
    alike = [_jaccard(fired, line) for line in lines]
    place = next((number for number, one in enumerate(alike, 1) if one >= ALIKE), None)
    again = any(_jaccard(fired, line) >= ALIKE for line in clearing)
    findable, supported = _support(cause, log)
    return Sought(name, findable, supported, max(alike, default=0.0), place, again)


def _support(cause: Hypothesis, log: EventLog) -> tuple[bool, bool]:
    """Numbers section 9, for the cause itself, on the part that a search may look at: the least of which anything may be concluded, and what its lift
    (as the whole window has it, where luck has evened out more) needs to show among thousands of hypotheses."""
    cut = cut_at(cause, log)
    known = None if cut is None else score(cause, earlier(log, cause, cut))
    if known is None or known.insufficient:
        return False, False
    whole = score(cause, log)
    needed = least_support_for(whole.precision / whole.lift, whole.lift, IN_A_SEARCH) if whole.precision and whole.lift else None
    return True, needed is not None and known.sample_size >= needed


def _fired(hypothesis: Hypothesis, log: EventLog) -> Codes:
    return first_matches(hypothesis, log).firsts().unit


def _jaccard(first: Codes, second: Codes) -> float:
    both = len(np.intersect1d(first, second, assume_unique=True))
    union = len(first) + len(second) - both
    return both / union if union else 0.0


def _retained(backtest: dict, displayed: float) -> float | None:
    confirmed = backtest["confirmed"]["lift_vs_baseline"]
    return None if confirmed is None or displayed <= 0 else confirmed / displayed


def trapped(project: Project, labels: frozenset[str]) -> set[str]:
    """Event names that a product must label. An event that is a cause before the outcome and a trace after it has no hypotheses there."""
    return {one["event"] for one in project.truth.get("must_label", ()) if one["label"] in labels and one["hypotheses"]}


def _naming(hypotheses: Sequence[Hypothesis], events: set[str]) -> Iterator[str]:
    """Those with a clause that names one of the events, in words."""
    yield from (" and ".join(sorted(named(one))) for one in hypotheses if named(one) & events)


def named(hypothesis: Hypothesis) -> set[str]:
    """The events that its clauses name."""
    return {name for clause in hypothesis.clauses for match in _matches(clause) for name in match.events}


def _matches(clause: object) -> Iterator[EventMatch]:
    yield from (value for _, value in clause if isinstance(value, EventMatch))  # ty: ignore[not-iterable]

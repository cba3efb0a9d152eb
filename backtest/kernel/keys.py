"""Names for matchers and clauses, equal exactly where they mean the same work. Cheap: a batch asks for thousands of them.

Python's own equality will not do, because it takes a comparison with 1 for one with true.
"""

from __future__ import annotations

from dataclasses import dataclass

from backtest.language import Clause, Hypothesis, ValuesOf
from backtest.matching import EventMatch

Key = tuple[object, ...]


def match_key(match: EventMatch | None) -> Key:
    """Event names in any order, and comparisons with the types of their values."""
    if match is None:
        return ("any",)
    names: Key = ("any",) if match.any_event else tuple(sorted(set(match.events)))
    if not match.where:
        return names
    return (*names, None, *((one.property, one.op.value, repr(one.value)) for one in match.where))


def clause_key(clause: Clause) -> Key:
    """Everything that a clause says. Matchers by their key, everything else by its text."""
    parts: list[object] = [clause.kind]
    for name, value in clause:
        if isinstance(value, EventMatch):
            parts.append(match_key(value))
        elif isinstance(value, ValuesOf):
            parts.append(value.values_of)
        elif name != "kind":
            parts.append(repr(value))
    return tuple(parts)


def outcome_name(hypothesis: Hypothesis) -> Key:
    """Tells outcomes apart as `backtest.events.outcome_key` does, faster."""
    outcome = hypothesis.outcome
    after = getattr(outcome, "after", None)
    return (match_key(outcome.match), after, None if after is None else match_key(hypothesis.entry))


@dataclass(frozen=True, slots=True)
class Question:
    """A hypothesis with what every pass wants to know of it, worked out once. `ask_after`: design L asks so long after entry; -1: it is design G.

    `group` is equal where two hypotheses of one clause hold at the same instants."""

    hypothesis: Hypothesis
    entry: Key
    outcome: Key
    horizon: int
    look_back: int
    ask_after: int
    entrants_only: bool
    group: Key
    slice_name: str


def question(hypothesis: Hypothesis) -> Question:
    entry, first = match_key(hypothesis.entry), getattr(hypothesis.clauses[0], "match", None)
    anchored = hypothesis.anchored
    return Question(
        hypothesis=hypothesis,
        entry=entry,
        outcome=outcome_name(hypothesis),
        horizon=int(hypothesis.horizon),
        look_back=hypothesis.look_back,
        ask_after=hypothesis.longest_first if anchored else -1,
        entrants_only=anchored or hypothesis.counts_entrants_only,
        group=(entry, *(clause_key(clause) for clause in hypothesis.clauses)),
        slice_name="" if first is None else repr(match_key(first)),
    )


class Questions:
    """Hypotheses and matchers that were looked at before, by identity: the buckets of a history ask about the same ones over and over."""

    def __init__(self) -> None:
        self._questions: dict[int, Question] = {}
        self._matches: dict[int, tuple[EventMatch, Key]] = {}

    def of(self, hypothesis: Hypothesis) -> Question:
        known = self._questions.get(id(hypothesis))
        if known is None or known.hypothesis is not hypothesis:
            known = self._questions[id(hypothesis)] = question(hypothesis)
        return known

    def match(self, match: EventMatch) -> Key:
        known = self._matches.get(id(match))
        if known is None or known[0] is not match:
            known = self._matches[id(match)] = match, match_key(match)
        return known[1]

"""When a hypothesis fires: the one evaluator that backtest, live sweep and real-time path share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backtest.events import EventLog
from backtest.intervals import FOREVER, Codes, Flags, Intervals, Ints, intersection, since
from backtest.language import Clause, Hypothesis
from backtest.measures import Truth
from backtest.truth import truth


@dataclass(frozen=True)
class Fires:
    """Fires sorted by (unit, instant): `unit` indexes the log's units, `occurrence` counts a unit's fires from 1 (beyond 1 only where a
    hypothesis may fire again)."""

    unit: Codes
    at: Ints
    occurrence: Codes

    def __len__(self) -> int:
        return len(self.unit)

    def firsts(self) -> Fires:
        """Scores count a unit's first fire only."""
        keep = self.occurrence == 1
        return Fires(self.unit[keep], self.at[keep], self.occurrence[keep])


@dataclass(frozen=True)
class Held:
    """Where a hypothesis holds, cut to `[entry, ∞)`, and which of the maximal intervals begin with a fire."""

    intervals: Intervals
    fires: Flags


def first_matches(hypothesis: Hypothesis, log: EventLog, live_from: int | None = None) -> Fires:
    """The fires in `[S0, end)`: starts of maximal intervals of the truth set.

    S0 is the window's start plus the longest trailing look-back, or `live_from` where approval has frozen it. A unit for which the hypothesis
    already holds at S0 fires only when it becomes true anew. With a first span or `ever`, only units that enter at or after S0 count.
    """
    return fires_of(held(hypothesis, log), hypothesis, log, live_from)


def held(hypothesis: Hypothesis, log: EventLog, told: Callable[[Clause], Truth] | None = None) -> Held:
    """`told` gives the truth of a clause in this log, where somebody remembers it: many hypotheses share clauses."""
    entry = log.entry(hypothesis)
    everyone = np.arange(len(entry), dtype=np.int32)
    parts = [told(clause) if told else truth(clause, log, entry) for clause in hypothesis.clauses]
    whole = intersection([*(part.held for part in parts), since(everyone, entry)])
    return Held(whole, ~_silent(whole, parts, entry))


def fires_of(held: Held, hypothesis: Hypothesis, log: EventLog, live_from: int | None = None) -> Fires:
    unit, at = candidates(held, hypothesis, log, live_from)
    if hypothesis.fires_again_after is None:
        first = np.diff(unit, prepend=-1) != 0
        return Fires(unit[first], at[first], np.ones(int(first.sum()), np.int32))
    return _with_cool_down(unit, at, int(hypothesis.fires_again_after))


def candidates(held: Held, hypothesis: Hypothesis, log: EventLog, live_from: int | None = None) -> tuple[Codes, Ints]:
    """Every instant in `[S0, end)` at which the hypothesis becomes true for a unit that counts, sorted by (unit, instant)."""
    s0 = start_of_scoring(hypothesis, log) if live_from is None else live_from
    unit, at = held.intervals.unit, held.intervals.start
    keep = held.fires & (at >= s0) & (at < log.window.end)
    if hypothesis.counts_entrants_only:
        keep &= log.entry(hypothesis)[unit] >= s0
    return unit[keep], at[keep]


def start_of_scoring(hypothesis: Hypothesis, log: EventLog) -> int:
    """S0: from here on every trailing clause sees its whole look-back."""
    return log.window.start + hypothesis.look_back


def _with_cool_down(unit: Codes, at: Ints, cool_down: int) -> Fires:
    kept, occurrence = [], []
    last_unit, last_at, count = -1, 0, 0
    for index, (who, when) in enumerate(zip(unit.tolist(), at.tolist(), strict=True)):
        if who != last_unit:
            last_unit, last_at, count = who, when, 1
        elif when >= last_at + cool_down:
            last_at, count = when, count + 1
        else:
            continue
        kept.append(index)
        occurrence.append(count)
    return Fires(unit[kept], at[kept], np.array(occurrence, np.int32))


def _silent(whole: Intervals, parts: list[Truth], entry: Ints) -> Flags:
    """Starts at which a state merely becomes known while no other clause becomes true there."""
    silent = np.zeros(len(whole), np.bool_)
    if not any(len(part.silent_unit) for part in parts):
        return silent
    for part in parts:
        quiet = set(zip(part.silent_unit.tolist(), part.silent_at.tolist(), strict=True))
        silent |= np.array([pair in quiet for pair in _starts(whole)], np.bool_)
    for part in parts:
        quiet = set(zip(part.silent_unit.tolist(), part.silent_at.tolist(), strict=True))
        loud = set(_starts(part.held)) - quiet
        silent &= np.array([pair not in loud for pair in _starts(whole)], np.bool_)
    return silent & (whole.start != np.where(entry < FOREVER, entry, -1)[whole.unit])


def _starts(intervals: Intervals) -> list[tuple[int, int]]:
    return list(zip(intervals.unit.tolist(), intervals.start.tolist(), strict=True))

"""From a clause to the intervals in which it holds, by the compiled pass for its kind.

Without a compiled pass of their own are `total` and `state`, and a `trend` whose ratio has too many digits for 64 bits: these ask the plain evaluator
(`backtest.truth`) for their intervals and take part in everything else as the others do. `has_compiled_form` tells which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from backtest.durations import DAY
from backtest.intervals import Ints
from backtest.kernel import counting, distinct, ordering, overlaps
from backtest.kernel.buffers import Buffers, Room, Written
from backtest.kernel.ends import ALWAYS, FOREVER
from backtest.kernel.keys import Key, match_key
from backtest.kernel.prepared import Once, Prepared, compiled_ready
from backtest.kernel.slices import Slice
from backtest.language import Age, Clause, Cohort, Counted, Did, DidNot, First, Hypothesis, Last, Sequence, Span, Trend, ValuesOf, Without
from backtest.matching import EventMatch
from backtest.truth import truth
from backtest.values import as_text, exact

UNBOUNDED = np.empty(0, np.int64)
SMALL = 2**30
"""Ratios with smaller terms are compared in 64 bits for any count up to 2^32."""


@dataclass
class Scene:
    """One batch over one log: what its hypotheses share while it runs."""

    log: Prepared
    shared: Once = field(default_factory=Once)

    def slice(self, match: EventMatch) -> Slice:
        return self.shared(("slice", match_key(match)), lambda: self.log.slice(match))

    def codes(self, clause: Did) -> tuple[Ints, int]:
        """What is told apart: a code per match (-1: nothing), and how many codes there are."""
        by: Key = (repr(clause.count),) if not isinstance(clause.count, ValuesOf) else ("values", *clause.count.values_of)
        return self.shared(("codes", match_key(clause.match), by), lambda: _codes(clause, self.slice(clause.match), self.log))

    def nth(self, match: EventMatch, n: int, hypothesis: Hypothesis) -> tuple[Any, Any, int]:
        """Each unit's n-th match at or after its entry. All first spans of all lengths read the same list."""
        key = ("nth", match_key(match), n, match_key(hypothesis.entry))
        return self.shared(key, lambda: _nth(self.slice(match), n, self.log.entry(hypothesis)))


def has_compiled_form(clause: Clause) -> bool:
    return type(clause) in WRITERS and not (isinstance(clause, Trend) and not _is_small(_ratio(clause)))


def write(clause: Clause, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    """The intervals of one clause, in `room` or in arrays of their own. Not cut to entry."""
    if has_compiled_form(clause):
        return WRITERS[type(clause)](clause, hypothesis, scene, buffers, room)
    entry = scene.log.entry(hypothesis)
    plain = truth(clause, scene.log, entry)
    held = plain.held
    unit, start, stop = (compiled_ready(one) for one in (held.unit, held.start, held.stop))
    quiet = np.empty(0, np.bool_)
    if len(plain.silent_unit):
        quiet = np.zeros(len(held), np.bool_)
        overlaps.mark_quiet(unit, start, plain.silent_unit, plain.silent_at, quiet)
    return Written(unit, start, stop, len(held), quiet)


def _span(span: Span, hypothesis: Hypothesis, scene: Scene) -> tuple[int, Ints]:
    """Length and ends of a span counted from entry, as compiled passes take them."""
    if isinstance(span, First):
        return int(span.first), UNBOUNDED
    return (FOREVER, UNBOUNDED) if span == "ever" else (0, scene.log.sessions(hypothesis)[0])


def _did(clause: Did, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    found, entry, n = scene.slice(clause.match), scene.log.entry(hypothesis), clause.at_least
    out = room.of(len(found))
    if clause.count is not Counted.events:
        return _did_distinct(clause, hypothesis, scene, buffers, room)
    if isinstance(clause.span, Last):
        return Written(*out, counting.lately(found.unit, found.at, n, int(clause.span.last), *out))
    length, ends = _span(clause.span, hypothesis, scene)
    if not len(ends):
        return Written(*out, counting.since_nth(*scene.nth(clause.match, n, hypothesis), entry, length, *out))
    count = counting.nth_since_entry(found.unit, found.at, entry, length, ends, n, out[0], out[1])
    out[2][:count] = FOREVER
    return Written(*out, count)


def _did_distinct(clause: Did, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    found, (codes, things) = scene.slice(clause.match), scene.codes(clause)
    out, seen, serial = room.of(len(found)), buffers.seen(things), buffers.serial
    buffers.serial += len(found) + 1
    if isinstance(clause.span, Last):
        count = distinct.distinct_lately(found.unit, found.at, codes, clause.at_least, int(clause.span.last), seen, serial, *out)
        return Written(*out, count)
    length, ends = _span(clause.span, hypothesis, scene)
    entry = scene.log.entry(hypothesis)
    count = distinct.nth_distinct_since_entry(found.unit, found.at, codes, entry, length, ends, clause.at_least, seen, serial, *out)
    return Written(*out, count)


def _did_not(clause: DidNot, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    found, entry = scene.slice(clause.match), scene.log.entry(hypothesis)
    out = room.of(len(found) + len(entry))
    if isinstance(clause.span, Last):
        return Written(*out, counting.silent_lately(found.unit, found.at, entry, int(clause.span.last), *out))
    length, ends, known = (int(clause.span.first), UNBOUNDED, UNBOUNDED) if isinstance(clause.span, First) else (0, *scene.log.sessions(hypothesis))
    return Written(*out, counting.silent_since_entry(found.unit, found.at, entry, length, ends, known, *out))


def _sequence(clause: Sequence, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    a, b = scene.slice(clause.match), scene.slice(clause.then)
    within = FOREVER if clause.within is None else int(clause.within)
    out = room.of(len(b))
    if isinstance(clause.span, Last):
        return Written(*out, ordering.pairs_lately(a.unit, a.at, b.unit, b.at, int(clause.span.last), within, *out))
    length, ends = _span(clause.span, hypothesis, scene)
    entry = scene.log.entry(hypothesis)
    return Written(*out, ordering.first_pair(a.unit, a.at, b.unit, b.at, entry, length, ends, within, *out))


def _without(clause: Without, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    a, b = scene.slice(clause.match), scene.slice(clause.without)
    out = room.of(len(a))
    return Written(*out, counting.unanswered(a.unit, a.at, b.unit, b.at, int(clause.within), *out))


def _trend(clause: Trend, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    found, ratio = scene.slice(clause.match), _ratio(clause)
    out, entry, rising = room.of(3 * len(found)), scene.log.entry(hypothesis), clause.ratio_at_least is not None
    terms = (ratio.numerator, ratio.denominator)
    return Written(*out, counting.trending(found.unit, found.at, entry, int(clause.over), clause.at_least_before, *terms, rising, *out))


def _age(clause: Age, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    entry = scene.log.entry(hypothesis)
    entered = np.flatnonzero(entry < FOREVER).astype(np.int32)
    return Written(entered, entry[entered] + int(clause.at_least), np.full(len(entered), FOREVER), len(entered))


def _cohort(clause: Cohort, hypothesis: Hypothesis, scene: Scene, buffers: Buffers, room: Room) -> Written:
    members = np.flatnonzero(scene.log.cohorts[clause.cohort]).astype(np.int32)
    return Written(members, np.full(len(members), ALWAYS), np.full(len(members), FOREVER), len(members))


Writer = Callable[[Any, Hypothesis, Scene, Buffers, Room], Written]

WRITERS: dict[type, Writer] = {
    Did: _did,
    DidNot: _did_not,
    Sequence: _sequence,
    Without: _without,
    Trend: _trend,
    Age: _age,
    Cohort: _cohort,
}


def _nth(found: Slice, n: int, entry: Ints) -> tuple[Any, Any, int]:
    """Exactly as long as needed: the list stays for the whole batch."""
    unit, at = np.empty(len(found), np.int32), np.empty(len(found), np.int64)
    count = counting.nth_since_entry(found.unit, found.at, entry, FOREVER, UNBOUNDED, n, unit, at)
    return unit[:count].copy(), at[:count].copy(), count


def _codes(clause: Did, found: Slice, log: Prepared) -> tuple[Ints, int]:
    if clause.count is Counted.days:
        days = found.at // DAY
        first = int(days.min()) if len(days) else 0
        return days - first, int(days.max(initial=first)) - first + 1
    if clause.count is Counted.persons:
        codes = found.of(log.persons).astype(np.int64) if log.persons is not None else found.unit.astype(np.int64)
        return codes, int(codes.max(initial=0)) + 1
    if not isinstance(clause.count, ValuesOf):
        raise TypeError("events are counted, not told apart")
    column = log.columns[clause.count.values_of]
    texts: dict[str, int] = {}
    same_text = np.fromiter((texts.setdefault(as_text(value), len(texts)) for value in column.values), np.int64, len(column.values))
    return np.append(same_text, -1)[found.of(column.codes)], len(texts) + 1


def _ratio(clause: Trend) -> Fraction:
    return Fraction(exact(clause.ratio_at_least if clause.ratio_at_least is not None else clause.ratio_at_most or 0))


def _is_small(ratio: Fraction) -> bool:
    return ratio.numerator < SMALL and ratio.denominator < SMALL

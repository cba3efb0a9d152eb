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
from backtest.intervals import Codes, Ints
from backtest.kernel import counting, distinct, ordering, overlaps
from backtest.kernel.buffers import Buffers, Room, Written
from backtest.kernel.ends import ALWAYS, FOREVER
from backtest.kernel.keys import Key, Question, Questions
from backtest.kernel.prepared import Once, Prepared, compiled_ready
from backtest.kernel.slices import Slice
from backtest.language import Age, Clause, Cohort, Counted, Did, DidNot, First, Last, Sequence, Span, Trend, ValuesOf, Without
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
    questions: Questions
    shared: Once = field(default_factory=Once)

    def entry(self, asked: Question) -> Ints:
        return self.log.remembered(("entry", asked.entry), lambda: self.log.entry_of(asked.hypothesis))

    def outcome(self, asked: Question) -> Ints:
        return self.log.remembered(("outcome", asked.outcome), lambda: self.log.outcome_of(asked.hypothesis))

    def slice(self, match: EventMatch) -> Slice:
        return self.shared(("slice", self.questions.match(match)), lambda: self.log.slice(match))

    def codes(self, clause: Did) -> tuple[Ints, int]:
        """What is told apart: a code per match (-1: nothing), and how many codes there are."""
        by: Key = (repr(clause.count),) if not isinstance(clause.count, ValuesOf) else ("values", *clause.count.values_of)
        return self.shared(("codes", self.questions.match(clause.match), by), lambda: _codes(clause, self.slice(clause.match), self.log))

    def days(self, match: EventMatch, asked: Question | None) -> tuple[Slice, Ints]:
        """First and last match per unit and UTC date: of all matches, or of those since entry."""
        key = ("days", self.questions.match(match), asked and asked.entry)
        since = np.full(len(self.log.units), ALWAYS) if asked is None else self.entry(asked)
        return self.shared(key, lambda: _days(self.slice(match), since))

    def nth(self, clause: Did | DidNot, n: int, asked: Question) -> tuple[Codes, Ints, int]:
        """Each unit's n-th match (or day with a match) at or after its entry. All first spans of all lengths read the same list."""
        by_day = isinstance(clause, Did) and clause.count is Counted.days and n > 1
        found = self.days(clause.match, asked)[0] if by_day else self.slice(clause.match)
        key = ("nth", by_day, self.questions.match(clause.match), n, asked.entry)
        return self.shared(key, lambda: _nth(found, n, self.entry(asked)))


@dataclass(frozen=True)
class Site:
    """Where one clause of one hypothesis is worked on: what it may read, and the room to write in."""

    asked: Question
    scene: Scene
    buffers: Buffers
    room: Room

    @property
    def entry(self) -> Ints:
        return self.scene.entry(self.asked)


def has_compiled_form(clause: Clause) -> bool:
    return type(clause) in WRITERS and not (isinstance(clause, Trend) and not _is_small(_ratio(clause)))


def write(clause: Clause, site: Site) -> Written:
    """The intervals of one clause, in the site's room or in arrays of their own. Not cut to entry."""
    if has_compiled_form(clause):
        return WRITERS[type(clause)](clause, site)
    entry = site.entry
    plain = truth(clause, site.scene.log, entry)
    held = plain.held
    unit, start, stop = (compiled_ready(one) for one in (held.unit, held.start, held.stop))
    quiet = np.empty(0, np.bool_)
    if len(plain.silent_unit):
        quiet = np.zeros(len(held), np.bool_)
        overlaps.mark_quiet(unit, start, plain.silent_unit, plain.silent_at, quiet)
    return Written(unit, start, stop, len(held), quiet)


def _span(span: Span, site: Site) -> tuple[int, Ints]:
    """Length and ends of a span counted from entry, as compiled passes take them."""
    if isinstance(span, First):
        return int(span.first), UNBOUNDED
    return (FOREVER, UNBOUNDED) if span == "ever" else (0, site.scene.log.sessions(site.asked.hypothesis)[0])


def _did(clause: Did, site: Site) -> Written:
    found, n = site.scene.slice(clause.match), clause.at_least
    if clause.count is not Counted.events and not (clause.count is Counted.days and n == 1):  # one day with a match is one match
        return _did_distinct(clause, site)
    out = site.room.of(len(found) + 1)
    if isinstance(clause.span, Last):
        return Written(*out, _lately(found, found.at, found.at, n, int(clause.span.last), out))
    length, ends = _span(clause.span, site)
    if len(ends):
        return Written(*out, counting.nth_before(found.unit, found.at, site.entry, ends, n, *out))
    return Written(*out, counting.since_nth(*site.scene.nth(clause, n, site.asked), site.entry, length, *out))


def _lately(found: Slice, opens: Ints, closes: Ints, n: int, last: int, out: tuple[Codes, Ints, Ints]) -> int:
    """A pass over all rows has no branches, a pass over long runs skips the others: faster, as measured, where these are up to seven rows in ten."""
    if n > 1 and 10 * found.rows_in_runs(n) < 7 * len(found):
        return counting.lately_in_runs(found.unit, opens, closes, *found.runs(n), n, last, *out)
    return counting.lately(found.unit, opens, closes, n, last, *out)


def _did_distinct(clause: Did, site: Site) -> Written:
    if clause.count is Counted.days:
        if isinstance(clause.span, Last):
            days, closes = site.scene.days(clause.match, None)
            out = site.room.of(len(days) + 1)
            return Written(*out, _lately(days, days.at, closes, clause.at_least, int(clause.span.last), out))
        if clause.span != "first_session":
            nth = site.scene.nth(clause, clause.at_least, site.asked)
            return Written(*(out := site.room.of(nth[2] + 1)), counting.since_nth(*nth, site.entry, _span(clause.span, site)[0], *out))
    found, (codes, things) = site.scene.slice(clause.match), site.scene.codes(clause)
    out, seen, serial = site.room.of(len(found)), site.buffers.seen(things), site.buffers.serial
    site.buffers.serial += len(found) + 1
    if isinstance(clause.span, Last):
        count = distinct.distinct_lately(
            found.unit, found.at, *found.runs(clause.at_least), codes, clause.at_least, int(clause.span.last), seen, serial, *out
        )
        return Written(*out, count)
    length, ends = _span(clause.span, site)
    entry = site.entry
    count = distinct.nth_distinct_since_entry(found.unit, found.at, codes, entry, length, ends, clause.at_least, seen, serial, *out)
    return Written(*out, count)


def _did_not(clause: DidNot, site: Site) -> Written:
    found, entry = site.scene.slice(clause.match), site.entry
    out = site.room.of(len(found) + len(entry) + 1)
    if isinstance(clause.span, Last):
        return Written(*out, counting.silent_lately(found.unit, found.at, *found.runs(), entry, int(clause.span.last), *out))
    if isinstance(clause.span, First):
        first, flags = site.scene.nth(clause, 1, site.asked), site.buffers.unset(len(entry))
        return Written(*out, counting.silent_since_entry(*first, entry, int(clause.span.first), flags, *out))
    return Written(*out, counting.silent_before(found.unit, found.at, entry, *site.scene.log.sessions(site.asked.hypothesis), *out))


def _sequence(clause: Sequence, site: Site) -> Written:
    a, b = site.scene.slice(clause.match), site.scene.slice(clause.then)
    within = FOREVER if clause.within is None else int(clause.within)
    out, (pairs_a, pairs_b) = site.room.of(len(b) + 1), site.buffers.pairs(len(a) + 1)
    pairs = ordering.shared_runs(a.unit, a.runs()[0], b.unit, b.runs()[0], site.buffers.places(len(site.entry)), pairs_a, pairs_b)
    lists = (a.at, *a.runs(), b.unit, b.at, *b.runs(), pairs_a, pairs_b, pairs)
    if isinstance(clause.span, Last):
        return Written(*out, ordering.pairs_lately(*lists, int(clause.span.last), within, *out))
    length, ends = _span(clause.span, site)
    return Written(*out, ordering.first_pair(*lists, site.entry, length, ends, within, *out))


def _without(clause: Without, site: Site) -> Written:
    a, b = site.scene.slice(clause.match), site.scene.slice(clause.without)
    out = site.room.of(len(a))
    return Written(*out, counting.unanswered(a.unit, a.at, b.unit, b.at, int(clause.within), *out))


def _trend(clause: Trend, site: Site) -> Written:
    found, ratio = site.scene.slice(clause.match), _ratio(clause)
    out, entry, rising = site.room.of(3 * len(found)), site.entry, clause.ratio_at_least is not None
    terms = (ratio.numerator, ratio.denominator)
    return Written(*out, counting.trending(found.unit, found.at, entry, int(clause.over), clause.at_least_before, *terms, rising, *out))


def _age(clause: Age, site: Site) -> Written:
    entry = site.entry
    entered = np.flatnonzero(entry < FOREVER).astype(np.int32)
    return Written(entered, entry[entered] + int(clause.at_least), np.full(len(entered), FOREVER), len(entered))


def _cohort(clause: Cohort, site: Site) -> Written:
    members = np.flatnonzero(site.scene.log.cohorts[clause.cohort]).astype(np.int32)
    return Written(members, np.full(len(members), ALWAYS), np.full(len(members), FOREVER), len(members))


Writer = Callable[[Any, Site], Written]

WRITERS: dict[type, Writer] = {
    Did: _did,
    DidNot: _did_not,
    Sequence: _sequence,
    Without: _without,
    Trend: _trend,
    Age: _age,
    Cohort: _cohort,
}


def _nth(found: Slice, n: int, entry: Ints) -> tuple[Codes, Ints, int]:
    """Exactly as long as needed: the list stays for the whole batch."""
    starts, stops = found.runs(n)
    unit, at = np.empty(len(starts) + 1, np.int32), np.empty(len(starts) + 1, np.int64)
    count = counting.nth_since_entry(found.unit, found.at, starts, stops, entry, n, unit, at)
    return unit[:count].copy(), at[:count].copy(), count


def _days(found: Slice, since: Ints) -> tuple[Slice, Ints]:
    unit, first, last = np.empty(len(found), np.int32), np.empty(len(found), np.int64), np.empty(len(found), np.int64)
    count = distinct.by_day(found.unit, found.at, since, unit, first, last)
    return Slice(unit[:count].copy(), first[:count].copy()), last[:count].copy()


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

"""The closed designs as matrices: a row per asked unit (L) or unit and instant (G), a column of zeros and ones per condition.

Rows and their strata are the engine's own (`backtest.tally.asked_rows`, `backtest.exposure`), and columns are sampled from the engine's intervals, so
what is counted here is what the evaluator counts. Columns know nothing of outcomes and are kept as bits per unit; rows are made anew per outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.parts import Part
from backtest import Fires, Hypothesis
from backtest.events import EventLog, Matches
from backtest.exposure import exposure
from backtest.fires import Held, start_of_scoring
from backtest.intervals import Codes, Flags, Ints, nothing
from backtest.language import Counted, Did, DidNot, First, Last, Measure, Total
from backtest.language import Sequence as InOrder
from backtest.matching import EventMatch, Op
from backtest.stratified import Floats, Strata
from backtest.tally import asked_rows
from backtest.values import as_number

Bits = NDArray[np.uint8]
Matrix = NDArray[np.float32]

AT_LANDMARK = -1
"""Stands for the instant of an anchored condition: each unit has its own."""

CELLS = 1 << 25
"""Numbers that a block of columns may hold at a time."""

Design = tuple[bool, int, bool]
"""Anchored or not; the landmark's age or the look-back, in microseconds; entrants only or all units."""


def design_of(hypothesis: Hypothesis) -> Design:
    """Equal where two hypotheses ask the same rows."""
    anchored = hypothesis.anchored
    return anchored, hypothesis.longest_first if anchored else hypothesis.look_back, hypothesis.counts_entrants_only


def stays_true(hypothesis: Hypothesis) -> bool:
    """Whether it is anchored and holds for ever once it holds: then it is true at a landmark where it has fired, also together with others."""
    return hypothesis.look_back == 0 and all(
        (isinstance(one, Did | DidNot | InOrder) or (isinstance(one, Total) and one.measure is Measure.max and one.at_least is not None))
        and (isinstance(one.span, First) or one.span == "first_session")
        for one in hypothesis.clauses
    )


@dataclass(frozen=True)
class Sampled:
    """A condition in one part of the log: in how many units it fires, and in which units it is true at an instant, as packed bits per unit.
    `firsts`: the first fires of a rolling one, where they are known."""

    hypothesis: Hypothesis
    fires: int
    bits: dict[int, Bits]
    firsts: Fires | None = None


def sampled(
    part: Part, hypotheses: Sequence[Hypothesis], instants: Callable[[Hypothesis], Iterable[int]], tell: Callable[[int], None]
) -> list[Sampled]:
    """Conditions at the instants that each is needed at. Remembered by the part: outcomes decide nothing about them."""
    new = [one for one in hypotheses if id(one) not in part.sampled]
    numbers, rest = [one for one in new if measures(one)], [one for one in new if not measures(one)]
    known = Numbers(part)
    for one in numbers:
        part.sampled[id(one)] = known.sample(one, instants(one))
    for done, (one, held, fires) in enumerate(part.told(rest), len(numbers) + 1):
        part.sampled[id(one)] = _sample(one, part, held, fires, instants(one))
        tell(done)
    return [part.sampled[id(one)] for one in hypotheses]


def _sample(one: Hypothesis, part: Part, held: Callable[[], Held], fires: Fires, instants: Iterable[int]) -> Sampled:
    firsts = fires.firsts()
    if one.anchored:
        by = part.log.entry(one)[firsts.unit] + one.longest_first
        return Sampled(one, len(firsts), {AT_LANDMARK: _bits(firsts.unit[firsts.at <= by], len(part.log.units))})
    where = held().intervals
    found = {at: where.unit[(where.start <= at) & (at < where.stop)] for at in instants}
    return Sampled(one, len(firsts), {at: _bits(unit, len(part.log.units)) for at, unit in found.items()}, firsts)


def _bits(unit: Codes, units: int) -> Bits:
    flags = np.zeros(units, np.bool_)
    flags[unit] = True
    return np.packbits(flags)


def measures(hypothesis: Hypothesis) -> bool:
    """Whether it compares one number of one event with a threshold over one span, so that all thresholds are known at once."""
    clause = hypothesis.clauses[0]
    if len(hypothesis.clauses) > 1 or not isinstance(getattr(clause, "span", None), First | Last):
        return False
    if isinstance(clause, Total):
        summed = clause.measure is Measure.sum and isinstance(clause.span, First)
        return clause.at_least is not None and not clause.match.where and (clause.measure is Measure.max or summed)
    where = clause.match.where if isinstance(clause, Did) else ()
    return isinstance(clause, Did) and clause.count is Counted.events and clause.at_least == 1 and len(where) == 1 and where[0].op is Op.at_most


@dataclass
class Numbers:
    """Greatest, least and total values per unit up to an instant, each made once for all thresholds. Sums are of values of one sign."""

    part: Part
    known: dict[tuple[EventMatch, tuple[str, ...]], tuple[Matches, Floats]] = field(default_factory=dict)
    reached: dict[tuple[object, ...], Floats] = field(default_factory=dict)

    def sample(self, one: Hypothesis, instants: Iterable[int]) -> Sampled:
        clause = one.clauses[0]
        if not isinstance(clause, Total | Did) or not isinstance(span := clause.span, First | Last):
            raise TypeError("it compares no number")
        if isinstance(clause, Total):
            path, measure, cut, match = clause.property, clause.measure.value, clause.at_least or 0.0, clause.match
        else:
            compared: Any = clause.match.where[0]
            path, measure, match, cut = compared.property, "min", EventMatch(events=clause.match.events), float(compared.value)
        bits, anywhere = {}, np.zeros(len(self.part.log.units), np.bool_)
        for at in (AT_LANDMARK,) if one.anchored else instants:
            value = self._value(one, match, path, measure, at, span)
            true = value <= cut if measure == "min" else value >= cut
            bits[at] = np.packbits(true)
            anywhere |= true
        if not one.anchored:
            found, values = self._numbers(match, path)
            anywhere[found.unit[values <= cut if measure == "min" else values >= cut]] = True
        return Sampled(one, int(anywhere.sum()), bits)

    def _numbers(self, match: EventMatch, path: tuple[str, ...]) -> tuple[Matches, Floats]:
        if (match, path) not in self.known:
            self.known[match, path] = numbers_of(match, path, self.part.log)
        return self.known[match, path]

    def _value(self, one: Hypothesis, match: EventMatch, path: tuple[str, ...], measure: str, at: int, span: First | Last) -> Floats:
        key = match, path, measure, at, span
        if key not in self.reached:
            found, values = self._numbers(match, path)
            entry = self.part.log.entry(one)[found.unit]
            first = isinstance(span, First)
            inside = (found.at >= entry) & (found.at - span.first < entry) if first else (found.at <= at) & (found.at > at - span.last)
            worst = {"max": -np.inf, "min": np.inf, "sum": -np.inf}[measure]
            value = np.full(len(self.part.log.units), worst)
            if measure == "sum":
                value[found.unit[inside]] = 0.0
            {"max": np.maximum, "min": np.minimum, "sum": np.add}[measure].at(value, found.unit[inside], values[inside])
            self.reached[key] = value
        return self.reached[key]


def numbers_of(match: EventMatch, path: tuple[str, ...], log: EventLog) -> tuple[Matches, Floats]:
    """Matching events that carry a number, and that number."""
    found, column, kind = log.matches(match), log.columns[path], log.types.get(".".join(path))
    numbers = [as_number(value, kind) for value in column.values]
    value = np.array([np.nan if one is None else one for one in numbers] + [np.nan])[column.codes[found.rows]]
    known = np.isfinite(value)
    return found.where(known), value[known]


@dataclass(frozen=True)
class Table:
    """The rows of one closed design in one part, in order of stratum. `place` indexes `instants`."""

    part: Part
    shape: Hypothesis
    unit: Codes
    place: Codes
    instants: tuple[int, ...]
    stratum: Codes
    converted: Flags

    def __len__(self) -> int:
        return len(self.unit)

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """The rows of each stratum that has any."""
        cuts = np.flatnonzero(np.diff(self.stratum, prepend=-1))
        return list(zip(cuts.tolist(), [*cuts[1:].tolist(), len(self)][: len(cuts)], strict=True))

    @cached_property
    def units(self) -> Ints:
        return np.array([stop - start for start, stop in self.bounds], np.int64)

    @cached_property
    def converters(self) -> Ints:
        return np.array([self.converted[start:stop].sum() for start, stop in self.bounds], np.int64)

    @cached_property
    def _members(self) -> tuple[Matrix, Matrix]:
        """Rows by strata: which stratum, and which stratum of the converted ones."""
        member = np.zeros((len(self), len(self.bounds)), np.float32)
        for place, (start, stop) in enumerate(self.bounds):
            member[start:stop, place] = 1
        return member, member * self.converted[:, None]

    def matrix(self, columns: Sequence[Sampled]) -> Matrix:
        """A row per condition, a column per row of the table."""
        found = np.empty((len(columns), len(self)), np.float32)
        units = len(self.part.log.units)
        for place, at in enumerate(self.instants):
            rows = np.flatnonzero(self.place == place)
            if len(rows) and columns:
                known = np.stack([one.bits[AT_LANDMARK if AT_LANDMARK in one.bits else at] for one in columns])
                found[:, rows] = np.unpackbits(known, axis=1, count=units)[:, self.unit[rows]]
        return found

    def strata(self, matrix: Matrix) -> Strata:
        """Fired and hits of every stratum, per condition. Whole numbers of single precision are exact up to 2^24."""
        member, converted = self._members
        fired, hits = (np.rint(matrix @ one).astype(np.int64) for one in (member, converted))
        return Strata(np.broadcast_to(self.units, fired.shape), np.broadcast_to(self.converters, fired.shape), fired, hits)

    def blocks(self, count: int) -> list[slice]:
        """Columns in blocks that fit into memory."""
        step = max(16, CELLS // max(len(self), 1))
        return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def table_of(part: Part, shape: Hypothesis) -> Table:
    """The rows that a hypothesis of this shape is asked in."""
    none = Held(nothing(), np.empty(0, np.bool_)), Fires(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32))
    asked = asked_rows(shape, part.log, *none)
    stratum, _ = exposure(shape, part.log, asked)
    by = np.argsort(stratum, kind="stable")
    if shape.anchored:
        place, instants = np.zeros(len(by), np.int32), (AT_LANDMARK,)
    else:
        place, instants = asked.stratum[by], grid_of(part, shape)
    return Table(part, shape, asked.unit[by], place, instants, stratum[by].astype(np.int32), asked.converted[by])


def grid_of(part: Part, shape: Hypothesis) -> tuple[int, ...]:
    """The instants of the grid design."""
    s0, horizon = start_of_scoring(shape, part.log), int(shape.horizon)
    return tuple(range(s0, part.log.window.end - horizon + 1, horizon))


@dataclass(frozen=True)
class Margins:
    """Of every condition the closed table, summed over strata: rows in which it is true, those of them that convert."""

    fired: Ints
    hits: Ints
    rows: int
    converting: int


def margins(table: Table, strata: Strata) -> Margins:
    return Margins(strata.fired.sum(-1), strata.hits.sum(-1), len(table), int(table.converted.sum()))


def surely_better(fired: Floats, hits: Floats, whole: Floats, whole_hits: Floats) -> Floats:
    """z of the hits of a refinement among the rows of what it refines (hypergeometric, with continuity); for screening only."""
    whole = np.maximum(whole, 2)
    expected = fired * whole_hits / whole
    variance = expected * (1 - whole_hits / whole) * (whole - fired) / (whole - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, (hits - expected - 0.5) / np.sqrt(variance), -np.inf)

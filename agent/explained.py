"""How many conversions are to be expected, day by day, given the calendar, age, and what has been told already.

A piecewise constant hazard per unit and day of age: age band times week of the window times a factor for every line of the list (numbers section 8,
discrete-time hazard). A line has two factors: within the horizon after its first fire, and whenever it still holds (or held within a horizon)
later on. All factors are maximum-likelihood, found by proportional fitting. A candidate adds something where more units convert in the horizon
after its fires than the lines before it explain: copies, proxies, consequences of activity and plain products of two causes do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from backtest import EventLog, Fires, Hypothesis
from backtest.durations import DAY
from backtest.fires import Held
from backtest.intervals import FOREVER, Codes, Flags, Intervals, Ints
from backtest.stratified import Floats, Strata
from backtest.tally import ACTIVE_WITHIN

AGES = np.array([days * DAY for days in (1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 126)])
ROUNDS = 3
"""Of proportional fitting whenever a line is added; each begins where the last one ended."""


@dataclass(frozen=True)
class Spell:
    """First fires of a candidate, as far as units are then at risk: rows of `Explained`, and instants in days since the row's first instant."""

    row: Codes
    start: Floats
    stop: Floats
    hits: Flags

    def __len__(self) -> int:
        return len(self.row)


@dataclass
class _Factor:
    """One covariate of a line: how much of each cell of these rows it covers, how many conversions it covers, and what it multiplies."""

    rows: Ints
    share: Floats
    reached: int
    value: float = 1.0


@dataclass
class Explained:
    """Units at risk in one part of the log, while they are awake. Day d of a row begins d days after its first instant at risk."""

    log: EventLog
    shape: Hypothesis
    factors: list[_Factor] = field(default_factory=list)

    def __post_init__(self) -> None:
        log, entry, outcome = self.log, self.log.entry(self.shape), self.log.outcome(self.shape)
        start = np.maximum(entry, log.window.start)
        end = np.minimum(outcome, log.window.end)
        self.unit: Codes = np.flatnonzero((entry < FOREVER) & (start < end)).astype(np.int32)
        self.row: Ints = np.full(len(entry), -1)
        self.row[self.unit] = np.arange(len(self.unit))
        self.start, self.end = start[self.unit], end[self.unit]
        self.converts: Flags = outcome[self.unit] < log.window.end
        self.days = int(-(-(self.end - self.start).max(initial=DAY) // DAY))
        self.length: Floats = np.clip((self.end - self.start)[:, None] - DAY * np.arange(self.days), 0, DAY) / DAY
        self.risk: Floats = self.length * self._awake()
        middle = self.start[:, None] + DAY * np.arange(self.days) + DAY // 2
        age = np.searchsorted(AGES, middle - entry[self.unit][:, None], "right")
        week = (middle - log.window.start) // (7 * DAY)
        self.last = np.minimum((self.end - self.start - 1) // DAY, self.days - 1)
        self.converts &= self.risk[np.arange(len(self.unit)), self.last] > 0
        cells = np.flatnonzero(self.converts), self.last[self.converts]
        kinds, self.stratum = np.unique(age * (int(week.max(initial=0)) + 1) + week, return_inverse=True)
        self.stratum = self.stratum.reshape(self.risk.shape)
        self.strata = len(kinds)
        self.bands = [(band, np.bincount(band[cells], minlength=int(band.max(initial=0)) + 1)) for band in (age, week)]
        self.weight: Floats = self.risk * (float(self.converts.sum()) / max(float(self.risk.sum()), 1.0))
        self.fit()

    def fit(self) -> None:
        """Maximum-likelihood factors, in rounds; then what is expected up to the end of every day."""
        for band, seen in self.bands:
            told = np.bincount(band.ravel(), self.weight.ravel(), len(seen))
            self.weight *= np.where(told > 0, (seen + 0.5) / (told + 0.5), 1.0)[band]
        for _ in range(ROUNDS):
            for one in self.factors:
                weight = self.weight[one.rows]
                told = float((weight * one.share * one.value / (1 + (one.value - 1) * one.share)).sum())
                better = one.value * (one.reached + 0.5) / (told + 0.5)
                self.weight[one.rows] = weight * ((1 + (better - 1) * one.share) / (1 + (one.value - 1) * one.share))
                one.value = better
        self.total: Floats = np.zeros((len(self.unit), self.days + 1))
        np.cumsum(self.weight, axis=1, out=self.total[:, 1:])

    def _awake(self) -> Floats:
        """The share of each cell in which the unit had an event in the 14 days before, as the grid design asks for: who left converts no more."""
        here = self.log.presence
        row = self.row[here.unit]
        row, first, last = (column[row >= 0] for column in (row, here.first, here.last))
        first, until = np.maximum(first, self.start[row]), np.minimum(last + ACTIVE_WITHIN, self.end[row])
        real = first < until
        row, first, until = row[real], first[real], until[real]
        until = np.where(np.append(row[1:] == row[:-1], False), np.minimum(until, np.append(first[1:], 0)), until)
        return self._share(np.arange(len(self.unit)), row, (first - self.start[row]) / DAY, (until - self.start[row]) / DAY)

    @cached_property
    def _margins(self) -> tuple[Ints, Ints]:
        """Unit days at risk and conversions of every stratum of age and week."""
        days = np.ceil(np.bincount(self.stratum.ravel(), self.risk.ravel(), self.strata)).astype(np.int64)
        which = np.flatnonzero(self.converts)
        return days, np.bincount(self.stratum[which, self.last[which]], minlength=self.strata)

    def unit_days(self, spell: Spell) -> Strata:
        """The discrete-time hazard as a closed table per stratum: days at risk within the horizon after a fire against all others (numbers sections
        1.5 and 8). The score test of a time-dependent covariate, so outcomes at all times count, not only those at the instants of a grid."""
        days, converting = self._margins
        widest = int(np.ceil((spell.stop - spell.start).max(initial=0.0))) + 1
        cell = spell.start.astype(np.int64)[:, None] + np.arange(widest)
        covered = np.clip(np.minimum(spell.stop[:, None], cell + 1) - np.maximum(spell.start[:, None], cell), 0.0, 1.0)
        cell = np.minimum(cell, self.days - 1)
        risk = np.minimum(covered, self.risk[spell.row[:, None], cell])
        fired = np.bincount(self.stratum[spell.row[:, None], cell].ravel(), risk.ravel(), self.strata)
        row = spell.row[spell.hits]
        hits = np.bincount(self.stratum[row, self.last[row]], minlength=self.strata)
        fired = np.clip(np.rint(fired).astype(np.int64), hits, days - converting + hits)
        return Strata(days, converting, fired, hits)

    def expected_until(self, row: Codes, day: Floats) -> Floats:
        """What is expected of each row up to a moment, in days since its first instant."""
        whole = np.clip(day.astype(np.int64), 0, self.days - 1)
        here = self.length[row, whole]
        part = np.clip((day - whole) / np.maximum(here, 1e-9), 0.0, 1.0)
        before, after = self.total[row, whole], self.total[row, whole + 1]
        return before + (after - before) * part

    def spell(self, fires: Fires, horizon: int) -> Spell:
        """The horizons after first fires, as far as the unit is at risk. Fires after the outcome say nothing."""
        firsts = fires.firsts()
        row = self.row[firsts.unit]
        known = row >= 0
        row, at = row[known], firsts.at[known]
        risk = at < self.end[row]
        row, at = row[risk], at[risk]
        stop = np.minimum(at + horizon, self.end[row])
        hits = self.converts[row] & (self.end[row] <= at + horizon)
        return Spell(row.astype(np.int32), (at - self.start[row]) / DAY, (stop - self.start[row]) / DAY, hits)

    def from_instant(self, spell: Spell, instant: int) -> Spell:
        """Those that begin at an instant or later."""
        here = self.start[spell.row] + spell.start * DAY >= instant
        return Spell(spell.row[here], spell.start[here], spell.stop[here], spell.hits[here])

    def surplus(self, spell: Spell) -> tuple[int, float]:
        """Conversions in the horizons after its fires, and how many of them are explained already."""
        told = self.expected_until(spell.row, spell.stop) - self.expected_until(spell.row, np.maximum(spell.start, 0.0))
        return int(spell.hits.sum()), float(np.maximum(told, 0.0).sum())

    def add(self, held: Held, fires: Fires, horizon: int) -> None:
        """A line has been chosen: what follows its fires is explained from now on, and what happens while it holds."""
        self.factors += self._covered(held.intervals, self.spell(fires, horizon), horizon)
        self.fit()

    def later_surplus(self, where: Intervals, spell: Spell, horizon: int, instant: int) -> tuple[int, float]:
        """Conversions while it holds or within a horizon of that, from an instant on but not after its first fires, and how many are explained."""
        _, later = self._covered(where, spell, horizon, instant)
        return later.reached, float((self.weight[later.rows] * later.share).sum())

    def _covered(self, where: Intervals, spell: Spell, horizon: int, instant: int = 0) -> tuple[_Factor, _Factor]:
        """The horizons after its first fires, and what else lies within a horizon of its holding."""
        row = self.row[where.unit]
        start, stop = np.maximum(where.start, instant), np.minimum(where.stop, FOREVER - horizon) + horizon
        row, start, stop = (column[(row >= 0) & (where.stop > instant)] for column in (row, start, stop))
        start, stop = np.maximum(start, self.start[row]), np.minimum(stop, self.end[row])
        real = start < stop
        row, start, stop = row[real], start[real], stop[real]
        rows, inverse = np.unique(np.concatenate((spell.row, row)), return_inverse=True)
        soon = self._share(rows, inverse[: len(spell)], spell.start, spell.stop)
        ever = self._share(rows, inverse[len(spell) :], (start - self.start[row]) / DAY, (stop - self.start[row]) / DAY)
        ends, hits = np.zeros(len(self.unit), np.bool_), np.zeros(len(self.unit), np.bool_)
        ends[row[stop == self.end[row]]], hits[spell.row[spell.hits]] = True, True
        return (
            _Factor(rows, soon, int(hits.sum())),
            _Factor(rows, np.clip(ever - soon, 0.0, 1.0), int((ends & self.converts & ~hits).sum())),
        )

    def _share(self, rows: Ints, place: Ints, start: Floats, stop: Floats) -> Floats:
        """How much of each cell at risk lies in these stretches of time of `rows[place]`, in days."""
        edge = np.zeros((len(rows), self.days + 2))
        for moment, sign in ((start, 1.0), (stop, -1.0)):
            moment = np.clip(moment, 0.0, self.days)
            whole = moment.astype(np.int64)
            np.add.at(edge, (place, whole), sign * (1 - moment + whole))
            np.add.at(edge, (place, whole + 1), sign * (moment - whole))
        inside = np.cumsum(edge, axis=1)[:, : self.days]
        return np.clip(inside / np.maximum(self.length[rows], 1e-9), 0.0, 1.0)


def gain(hits: int, expected: float) -> float:
    """Log-likelihood ratio of "more often than expected", of Poisson counts; 0 where it is not more."""
    if hits <= expected or not hits:
        return 0.0
    expected = max(expected, 0.1)
    return hits * float(np.log(hits / expected)) - (hits - expected)

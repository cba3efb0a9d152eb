"""What one hypothesis adds up to over some units: whole numbers, fires with their ages, nothing else. Tallies of disjoint units add.

Little is merged, and exactly (numbers 1.9 rule 29): buckets, workers and slices give the same score to the last digit, because ratios and floating
sums are taken once, after everything has been added (`backtest.score`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from backtest.baseline import AgeTable, AtRisk, Comparators, ages_after_fire, at_risk, awake_ages
from backtest.durations import DAY
from backtest.events import EventLog
from backtest.fires import Fires, Held, fires_of, held, start_of_scoring
from backtest.intervals import FOREVER, Codes, Flags, Ints
from backtest.language import Hypothesis
from backtest.proportions import Closed

ACTIVE_WITHIN = 14 * DAY
"""A grid row needs an event of the unit in the 14 days up to its instant."""

AWAKE_WITHIN = 7 * DAY
"""The live-7-days comparators had an event in the 7 days before: takes away that anybody who is awake converts more."""


class Design(StrEnum):
    landmark = "L"
    grid = "G"


@dataclass(frozen=True)
class Baseline:
    """What all hypotheses of one entry, outcome and horizon are compared with: all units (`comparators`), and ages at which units are awake."""

    population: int
    comparators: Comparators
    awake: AgeTable

    def __add__(self, other: Baseline) -> Baseline:
        return Baseline(self.population + other.population, self.comparators + other.comparators, self.awake + other.awake)

    @cached_property
    def everyone(self) -> AgeTable:
        return self.comparators.table()

    @cached_property
    def ordered(self) -> Comparators:
        """Sums over these do not depend on how the log was cut."""
        return self.comparators.ordered()


@dataclass(frozen=True)
class Tally:
    """`ages` (microseconds from entry to fire) and `hits` are of the fires in the sample, `leads` of the true positives; `fired` tells which of
    the comparators no longer count as not yet fired. Order within these arrays carries no meaning."""

    fires_total: int
    excluded_converted: int
    pending: int
    recall_converters: int
    recall_hits: int
    closed: Closed
    ages: Ints
    hits: Flags
    leads: Ints
    fired: AgeTable

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            fires_total=self.fires_total + other.fires_total,
            excluded_converted=self.excluded_converted + other.excluded_converted,
            pending=self.pending + other.pending,
            recall_converters=self.recall_converters + other.recall_converters,
            recall_hits=self.recall_hits + other.recall_hits,
            closed=self.closed + other.closed,
            ages=np.concatenate((self.ages, other.ages)),
            hits=np.concatenate((self.hits, other.hits)),
            leads=np.concatenate((self.leads, other.leads)),
            fired=self.fired + other.fired,
        )


def risk_of(hypothesis: Hypothesis, log: EventLog) -> AtRisk:
    return at_risk(log.entry(hypothesis), log.outcome(hypothesis), log.window.start, log.window.end, int(hypothesis.horizon))


def baseline(hypothesis: Hypothesis, log: EventLog) -> Baseline:
    entry, here, risk = log.entry(hypothesis), log.presence, risk_of(hypothesis, log)
    awake = risk.narrowed(awake_ages(entry, here.unit, here.first, here.last, AWAKE_WITHIN))
    return Baseline(int((entry < FOREVER).sum()), risk.comparators(), awake.table())


def tally(hypothesis: Hypothesis, log: EventLog) -> tuple[Tally, Fires]:
    """Counts by numbers 1.9 rules 2 to 7, and all fires (also repeated ones, which no count includes)."""
    truth = held(hypothesis, log)
    fires = fires_of(truth, hypothesis, log)
    return tally_of(hypothesis, log, truth, fires), fires


def tally_of(hypothesis: Hypothesis, log: EventLog, truth: Held, fires: Fires) -> Tally:
    """The counts of fires that are known already."""
    firsts = fires.firsts()
    entry, sample = log.entry(hypothesis), sample_of(hypothesis, log, firsts)
    at, reached, horizon = firsts.at, sample.reached, int(hypothesis.horizon)
    converters = recall_converters(hypothesis, log)
    return Tally(
        fires_total=len(firsts),
        excluded_converted=int(sample.converted.sum()),
        pending=int(sample.pending.sum()),
        recall_converters=int(converters.sum()),
        recall_hits=int((converters[firsts.unit] & (reached > at) & (reached <= at + horizon)).sum()),
        closed=closed_of(asked_rows(hypothesis, log, truth, firsts)),
        ages=(at - entry[firsts.unit])[sample.counted],
        hits=sample.hits[sample.counted],
        leads=(reached - at)[sample.hits],
        fired=risk_of(hypothesis, log).narrowed(ages_after_fire(entry, firsts.unit, at)).table(),
    )


@dataclass(frozen=True)
class Sample:
    """Of every first fire: the unit's outcome, and by rule 4 whether it came too late, is pending, counts, and hit."""

    reached: Ints
    converted: Flags
    pending: Flags
    counted: Flags
    hits: Flags


def sample_of(hypothesis: Hypothesis, log: EventLog, firsts: Fires) -> Sample:
    """Numbers 1.9 rule 4."""
    at, reached, horizon = firsts.at, log.outcome(hypothesis)[firsts.unit], int(hypothesis.horizon)
    converted = reached <= at  # a tie is never a success
    pending = ~converted & (at + horizon > log.window.end)
    counted = ~converted & ~pending
    return Sample(reached, converted, pending, counted, counted & (reached <= at + horizon))


def recall_converters(hypothesis: Hypothesis, log: EventLog) -> Flags:
    """Units whose conversion the hypothesis could have preceded."""
    entry, outcome, s0 = log.entry(hypothesis), log.outcome(hypothesis), start_of_scoring(hypothesis, log)
    counted = (outcome >= s0) & (outcome < log.window.end) & (outcome > entry)
    return counted & (entry >= s0) if hypothesis.counts_entrants_only else counted


@dataclass(frozen=True)
class Asked:
    """The rows of a closed design: whom it asks, in which stratum (L: entry week; G: grid instant), and the answers. One array element per row."""

    unit: Codes
    stratum: Codes
    strata: int
    fired: Flags
    converted: Flags


def asked_rows(hypothesis: Hypothesis, log: EventLog, truth: Held, firsts: Fires) -> Asked:
    """Design L for anchored hypotheses, G for rolling ones."""
    return _landmark(hypothesis, log, firsts) if hypothesis.anchored else _grid(hypothesis, log, truth)


def _landmark(hypothesis: Hypothesis, log: EventLog, firsts: Fires) -> Asked:
    """Everybody is asked once, at entry + k, with k the longest first span; forbidden is asking from entry (immortal time)."""
    entry, outcome, horizon = log.entry(hypothesis), log.outcome(hypothesis), int(hypothesis.horizon)
    asked = entry + hypothesis.longest_first
    entrants = (entry >= start_of_scoring(hypothesis, log)) & (entry < log.window.end)
    unit = np.flatnonzero(entrants & (asked + horizon <= log.window.end) & (outcome > asked)).astype(np.int32)
    fired = np.zeros(len(entry), np.bool_)
    fired[firsts.unit[firsts.at <= asked[firsts.unit]]] = True
    week = ((entry[unit] - log.window.start) // (7 * DAY)).astype(np.int32)  # counted from the window's start: whole-day shifts change nothing
    weeks = -(-(log.window.end - log.window.start) // (7 * DAY))
    return Asked(unit, week, weeks, fired[unit], (outcome <= asked + horizon)[unit])


def _grid(hypothesis: Hypothesis, log: EventLog, truth: Held) -> Asked:
    """Every unit is asked at S0, S0 + H, S0 + 2H, … as long as a whole horizon follows; each conversion is counted once."""
    entry, outcome, horizon = log.entry(hypothesis), log.outcome(hypothesis), int(hypothesis.horizon)
    s0 = start_of_scoring(hypothesis, log)
    eligible = entry >= s0 if hypothesis.counts_entrants_only else np.ones(len(entry), np.bool_)
    units, strata, fires, conversions = [], [], [], []
    for place, asked in enumerate(range(s0, log.window.end - horizon + 1, horizon)):
        unit = np.flatnonzero(eligible & (entry <= asked) & (outcome > asked) & _active(log, asked)).astype(np.int32)
        inside = (truth.intervals.start <= asked) & (asked < truth.intervals.stop)
        fired = np.zeros(len(entry), np.bool_)
        fired[truth.intervals.unit[inside]] = True
        units.append(unit)
        strata.append(np.full(len(unit), place, np.int32))
        fires.append(fired[unit])
        conversions.append((outcome <= asked + horizon)[unit])
    if not units:
        return Asked(np.empty(0, np.int32), np.empty(0, np.int32), 0, np.empty(0, np.bool_), np.empty(0, np.bool_))
    return Asked(np.concatenate(units), np.concatenate(strata), len(units), np.concatenate(fires), np.concatenate(conversions))


def _active(log: EventLog, asked: int) -> Flags:
    """Units with an event in (asked - 14 d, asked]. A block that spans the instant has one: its inner gaps are at most 7 d."""
    here = log.presence
    near = (here.first <= asked) & (here.last > asked - ACTIVE_WITHIN)
    active = np.zeros(len(log.units), np.bool_)
    active[here.unit[near]] = True
    return active


def closed_of(asked: Asked) -> Closed:
    """The two by two table of the rows."""
    tp, n, k = int((asked.fired & asked.converted).sum()), int(asked.fired.sum()), int(asked.converted.sum())
    return Closed(tp, n - tp, k - tp, len(asked.fired) - n - k + tp)

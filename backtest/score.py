"""The scores of one hypothesis: three designs over the same fires, and what may be said of them.

F (fires) is what the live router will experience: every fire that is at risk with a complete horizon. L (landmark, anchored hypotheses) and
G (grid, rolling ones) are closed two by two tables with one index time for fired and unfired alike; tests and identities hold there.
They stand side by side: a high F lift with an L or G lift near 1 is a "just before paying" signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from backtest.baseline import AtRisk, Expected, at_risk, awake_ages, expected, not_yet_fired_ages, supported
from backtest.durations import DAY, HOUR
from backtest.events import EventLog
from backtest.fires import Fires, Held, fires_of, held, start_of_scoring
from backtest.intervals import FOREVER, Flags, Ints
from backtest.language import Hypothesis
from backtest.proportions import Closed, Interval, ratio_interval, wilson

ACTIVE_WITHIN = 14 * DAY
"""A grid row needs an event of the unit in the 14 days up to its instant."""

AWAKE_WITHIN = 7 * DAY
"""The live-7-days comparators had an event in the 7 days before: takes away that anybody who is awake converts more."""

MINIMUM_FIRES, MINIMUM_HITS, MINIMUM_CONVERTERS = 20, 5, 30
"""Below these nothing is concluded (numbers section 9)."""


class Design(StrEnum):
    landmark = "L"
    grid = "G"


@dataclass(frozen=True)
class Lead:
    """Hours from fire to outcome over the true positives; `None` without any."""

    median_hours: float
    tenth_hours: float
    share_within_1h: float
    share_within_24h: float


@dataclass(frozen=True)
class Insufficient:
    """Why nothing is concluded. `needs` and `has` are in the unit of `what`."""

    what: str
    needs: int
    has: int

    @property
    def reason(self) -> str:
        return f"needs at least {self.needs} {self.what}, has {self.has}"


@dataclass(frozen=True)
class Score:
    """Counts, ratios and intervals of one hypothesis on one window. Ratios are `None` where nothing was counted, never 0."""

    fires_total: int
    excluded_converted: int
    pending: int
    sample_size: int
    true_positives: int
    expected: Expected
    expected_live7d: Expected
    expected_not_yet_fired: Expected
    unsupported: int
    recall_converters: int
    recall_hits: int
    population: int
    design: Design
    closed: Closed
    lead: Lead | None
    fires: Fires

    @property
    def precision(self) -> float | None:
        return self.true_positives / self.sample_size if self.sample_size else None

    @property
    def precision_interval(self) -> Interval | None:
        return wilson(self.true_positives, self.sample_size)

    @property
    def recall(self) -> float | None:
        return self.recall_hits / self.recall_converters if self.recall_converters else None

    @property
    def recall_interval(self) -> Interval | None:
        return wilson(self.recall_hits, self.recall_converters)

    @property
    def lift(self) -> float | None:
        return self.expected.lift

    @property
    def lift_interval(self) -> Interval | None:
        return None if self.lift is None else ratio_interval(self.expected.hits, self.expected.supported, self.lift)

    @property
    def insufficient(self) -> tuple[Insufficient, ...]:
        gates = (
            ("fires with a complete horizon", MINIMUM_FIRES, self.sample_size),
            ("true positives", MINIMUM_HITS, self.true_positives),
            ("converters", MINIMUM_CONVERTERS, self.recall_converters),
        )
        return tuple(Insufficient(what, needs, has) for what, needs, has in gates if has < needs)


@dataclass(frozen=True)
class Baseline:
    """What all hypotheses of one entry, outcome and horizon share."""

    everyone: AtRisk
    awake: AtRisk


def baseline_of(hypothesis: Hypothesis, log: EventLog) -> Baseline:
    entry = log.entry(hypothesis)
    risk = at_risk(entry, log.outcome(hypothesis), log.window.start, log.window.end, int(hypothesis.horizon))
    here = log.presence
    return Baseline(risk, risk.narrowed(awake_ages(entry, here.unit, here.first, here.last, AWAKE_WITHIN)))


def score(hypothesis: Hypothesis, log: EventLog, baseline: Baseline | None = None) -> Score:
    """Numbers sections 0 to 2 and the counting rules of 1.9, for one hypothesis."""
    baseline = baseline or baseline_of(hypothesis, log)
    truth = held(hypothesis, log)
    fires = fires_of(truth, hypothesis, log)
    firsts = fires.firsts()
    entry, outcome, horizon = log.entry(hypothesis), log.outcome(hypothesis), int(hypothesis.horizon)
    at, reached = firsts.at, outcome[firsts.unit]
    converted = reached <= at  # a tie is never a success
    pending = ~converted & (at + horizon > log.window.end)
    counted = ~converted & ~pending
    hit = counted & (reached <= at + horizon)
    ages, hits = (at - entry[firsts.unit])[counted], hit[counted]
    table = baseline.everyone.table()
    enough = supported(table, ages)
    waiting = baseline.everyone.narrowed(not_yet_fired_ages(entry, firsts.unit, firsts.at))
    converters = _recall_converters(hypothesis, log)
    return Score(
        fires_total=len(firsts),
        excluded_converted=int(converted.sum()),
        pending=int(pending.sum()),
        sample_size=int(counted.sum()),
        true_positives=int(hit.sum()),
        expected=expected(table, ages, hits, enough),
        expected_live7d=expected(baseline.awake.table(), ages, hits, enough),
        expected_not_yet_fired=expected(waiting.table(), ages, hits, enough),
        unsupported=int((~enough).sum()),
        recall_converters=int(converters.sum()),
        recall_hits=int((converters[firsts.unit] & (reached > at) & (reached <= at + horizon)).sum()),
        population=int((entry < FOREVER).sum()),
        design=Design.landmark if hypothesis.anchored else Design.grid,
        closed=landmark(hypothesis, log, firsts) if hypothesis.anchored else grid(hypothesis, log, truth),
        lead=_lead((reached - at)[hit]),
        fires=fires,
    )


def _recall_converters(hypothesis: Hypothesis, log: EventLog) -> Flags:
    entry, outcome, s0 = log.entry(hypothesis), log.outcome(hypothesis), start_of_scoring(hypothesis, log)
    counted = (outcome >= s0) & (outcome < log.window.end) & (outcome > entry)
    return counted & (entry >= s0) if hypothesis.counts_entrants_only else counted


def _lead(leads: Ints) -> Lead | None:
    if not len(leads):
        return None
    return Lead(
        median_hours=float(np.median(leads)) / HOUR,
        tenth_hours=float(np.quantile(leads, 0.1)) / HOUR,
        share_within_1h=float(np.mean(leads <= HOUR)),
        share_within_24h=float(np.mean(leads <= DAY)),
    )


def landmark(hypothesis: Hypothesis, log: EventLog, firsts: Fires) -> Closed:
    """Design L: everybody is asked once, at entry + k, with k the longest first span; forbidden is asking from entry (immortal time)."""
    entry, outcome, horizon = log.entry(hypothesis), log.outcome(hypothesis), int(hypothesis.horizon)
    asked = entry + hypothesis.longest_first
    population = (entry >= start_of_scoring(hypothesis, log)) & (entry < log.window.end) & (asked + horizon <= log.window.end) & (outcome > asked)
    fired = np.zeros(len(entry), np.bool_)
    fired[firsts.unit[firsts.at <= asked[firsts.unit]]] = True
    return _closed(fired[population], (outcome <= asked + horizon)[population])


def grid(hypothesis: Hypothesis, log: EventLog, truth: Held) -> Closed:
    """Design G: every unit is asked at S0, S0 + H, S0 + 2H, … as long as a whole horizon follows; each conversion is counted once."""
    entry, outcome, horizon = log.entry(hypothesis), log.outcome(hypothesis), int(hypothesis.horizon)
    table = Closed(0, 0, 0, 0)
    for asked in range(start_of_scoring(hypothesis, log), log.window.end - horizon + 1, horizon):
        population = (entry <= asked) & (outcome > asked) & _active(log, asked)
        inside = (truth.intervals.start <= asked) & (asked < truth.intervals.stop)
        fired = np.zeros(len(entry), np.bool_)
        fired[truth.intervals.unit[inside]] = True
        table += _closed(fired[population], (outcome <= asked + horizon)[population])
    return table


def _active(log: EventLog, asked: int) -> Flags:
    """Units with an event in (asked - 14 d, asked]. Blocks have no inner gap of more than 7 d, so a block that spans the instant has one."""
    here = log.presence
    near = (here.first <= asked) & (here.last > asked - ACTIVE_WITHIN)
    active = np.zeros(len(log.units), np.bool_)
    active[here.unit[near]] = True
    return active


def _closed(fired: Flags, converted: Flags) -> Closed:
    tp, n, k = int((fired & converted).sum()), int(fired.sum()), int(converted.sum())
    return Closed(tp, n - tp, k - tp, len(fired) - n - k + tp)

"""Do the nominal 95 % intervals hold the truth in 95 of 100 cases?

Simulated closed tables have a known truth by construction. For the scores of a log the truth is a whole large world, and a replicate is a sample of
its units, drawn with replacement: everything that makes a real number uncertain is drawn anew, the baseline too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backtest import EventLog, Hypothesis
from backtest.baseline import AtRisk, Comparators, expected, supported
from backtest.bootstrap import lift_of_patterns
from backtest.fires import fires_of, held
from backtest.intervals import FOREVER, Codes, Flags, Ints
from backtest.judged import Judged, judged, observed
from backtest.proportions import Closed, Interval, wilson
from backtest.score import MINIMUM_CONVERTERS, MINIMUM_FIRES, MINIMUM_HITS
from backtest.score_intervals import lift_score
from backtest.tally import asked_rows, recall_converters, risk_of, sample_of
from beton.bench.projects import opened_world

SAMPLED_UNITS = (1_000, 2_000, 4_000)
SCALE = 6.0
ROUNDS = 1_000
"""Of a bootstrap interval here; published ones have 2,000."""


@dataclass(frozen=True)
class Coverage:
    """Per kind of interval: how many were there, and how many held the truth."""

    drawn: Counter[str]
    held: Counter[str]

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(self.drawn + other.drawn, self.held + other.held)


def nothing() -> Coverage:
    """No replicate yet."""
    return Coverage(Counter(), Counter())


class _Count:
    def __init__(self) -> None:
        self.drawn: Counter[str] = Counter()
        self.held: Counter[str] = Counter()

    def add(self, kind: str, interval: Interval | None, truth: float | None) -> None:
        """`None` is an interval that is not shown, so it cannot mislead."""
        if interval is None or truth is None:
            return
        self.drawn[kind] += 1
        self.held[kind] += bool(interval.low <= truth <= interval.high)

    def done(self) -> Coverage:
        return Coverage(self.drawn, self.held)


def of_tables(seed: int, number: int, replicates: int) -> Coverage:
    """Simulated counts: shares from 2 to 70 % of 20 to 2,000 fires, lifts from a half to five."""
    rng, count = np.random.default_rng([seed, number]), _Count()
    for _ in range(replicates):
        n, share = int(np.exp(rng.uniform(np.log(MINIMUM_FIRES), np.log(2_000)))), rng.uniform(0.02, 0.7)
        count.add("wilson_precision", wilson(int(rng.binomial(n, share)), n), share)
        converters, recall = int(rng.integers(MINIMUM_CONVERTERS, 1_500)), rng.uniform(0.05, 0.9)
        count.add("wilson_recall", wilson(int(rng.binomial(converters, recall)), converters), recall)
        population = int(n / rng.uniform(0.02, 0.5))
        base = rng.uniform(0.02, 0.3)
        hit = min(0.9, base * rng.uniform(0.5, 5))
        tp, fn = int(rng.binomial(n, hit)), int(rng.binomial(population - n, base))
        table = Closed(tp, n - tp, fn, population - n - fn)
        fired = n / population
        lift = hit / (fired * hit + (1 - fired) * base)
        count.add("score_lift", lift_score(table), lift)
        if tp >= MINIMUM_HITS and table.converters >= MINIMUM_CONVERTERS:
            count.add("katz_lift", table.lift_interval, lift)
    return count.done()


def of_world(name: str, seed: int, number: int, replicates: int) -> Coverage:
    """Samples of a world's units: every published interval of its causes, as far as they have the support to be judged."""
    rng, count = np.random.default_rng([seed, number]), _Count()
    with opened_world(name, seed, SCALE) as project:
        causes = project.planted("cause")
        log = project.log(causes)
        wholes = [_Whole.of(one, log) for one in causes]
    for replicate in range(replicates):
        whole = wholes[replicate % len(wholes)]
        units = rng.choice(whole.entered, SAMPLED_UNITS[replicate // len(wholes) % len(SAMPLED_UNITS)])
        whole.sample(np.bincount(units, minlength=whole.units), count, rng)
    return count.done()


@dataclass(frozen=True)
class _Whole:
    """One hypothesis on a whole world, by unit: fires that count with their ages and hits, converters, and patterns of the closed design."""

    design: str
    units: int
    entered: Ints
    risk: AtRisk
    fired_unit: Codes
    fires: Judged
    converter: Flags
    preceded: Flags
    rows: Ints
    """Per unit: hits, fired rows, converted rows, rows."""

    @staticmethod
    def of(hypothesis: Hypothesis, log: EventLog) -> _Whole:
        truth = held(hypothesis, log)
        firsts = fires_of(truth, hypothesis, log).firsts()
        entry, sample = log.entry(hypothesis), sample_of(hypothesis, log, firsts)
        asked = asked_rows(hypothesis, log, truth, firsts)
        rows = np.zeros((len(entry), 4), np.int64)
        for place, flags in enumerate((asked.fired & asked.converted, asked.fired, asked.converted, np.ones(len(asked.unit), np.bool_))):
            rows[:, place] = np.bincount(asked.unit[flags], minlength=len(entry))
        converter = recall_converters(hypothesis, log)
        preceded = np.zeros(len(entry), np.bool_)
        in_time = (sample.reached > firsts.at) & (sample.reached <= firsts.at + int(hypothesis.horizon))
        preceded[firsts.unit[in_time]] = True
        counted = sample.counted
        return _Whole(
            "landmark" if hypothesis.anchored else "grid",
            len(entry),
            np.flatnonzero(entry < FOREVER),
            risk_of(hypothesis, log),
            firsts.unit[counted],
            judged(hypothesis, log, firsts.unit[counted], firsts.at[counted]),
            converter,
            converter & preceded,
            rows,
        )

    def comparators(self, times: Ints) -> Comparators:
        """Of a sample: every unit as often as it was drawn."""
        often = times[self.risk.ages.unit]
        return Comparators(*(np.repeat(column, often) for column in self.all_units.columns))

    @cached_property
    def all_units(self) -> Comparators:
        return self.risk.comparators()

    @cached_property
    def lift(self) -> float | None:
        """Of all fires of the world."""
        whole, fires = self.all_units.table(), self.fires
        return expected(whole, fires.ages, fires.hits, supported(whole, fires.ages)).lift

    @cached_property
    def patterns(self) -> tuple[Ints, Ints]:
        """The different rows, and which of them each unit has."""
        patterns, place = np.unique(self.rows, axis=0, return_inverse=True)
        return patterns, place.ravel()

    def sample(self, times: Ints, count: _Count, rng: np.random.Generator) -> None:
        """Every interval of one sample, where the support suffices for a judgement."""
        fires = self.fires.where(np.repeat(np.arange(len(self.fired_unit)), times[self.fired_unit]))
        ages, hits = fires.ages, fires.hits
        converters = int(times[self.converter].sum())
        if len(ages) < MINIMUM_FIRES or hits.sum() < MINIMUM_HITS or converters < MINIMUM_CONVERTERS:
            return
        count.add("world_precision", wilson(int(hits.sum()), len(ages)), float(self.fires.hits.mean()))
        count.add("world_recall", wilson(int(times[self.preceded].sum()), converters), self.preceded.sum() / self.converter.sum())
        self._lift(fires, self.comparators(times), count, rng)
        closed, whole = _closed(times @ self.rows), _closed(self.rows.sum(0))
        count.add(f"world_katz_{self.design}", closed.lift_interval, whole.lift)
        patterns, place = self.patterns
        drawn = np.bincount(place, times).astype(np.int64)
        count.add(f"world_bootstrap_{self.design}", lift_of_patterns(patterns, drawn, rng, ROUNDS), whole.lift)

    def _lift(self, fires: Judged, everyone: Comparators, count: _Count, rng: np.random.Generator) -> None:
        table = everyone.table()
        told = expected(table, fires.ages, fires.hits, supported(table, fires.ages))
        if told.lift is None:
            return
        one = observed(fires, everyone, table)
        count.add("world_fire_lift", one.interval(told.lift), self.lift)
        count.add("world_fire_bootstrap", one.bootstrap(rng, ROUNDS), self.lift)


def _closed(sums: Ints) -> Closed:
    tp, n, k, size = sums.tolist()
    return Closed(tp, n - tp, k - tp, size - n - k + tp)

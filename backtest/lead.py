"""How long before the outcome a hypothesis fires, and what is left of it for somebody who needs a while to act.

Instants and lengths are microseconds. All of it is about first fires, as scores are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest.baseline import AgeTable, Expected, expected, supported
from backtest.durations import DAY, HOUR
from backtest.intervals import Flags, Ints
from backtest.proportions import Interval, ratio_interval, wilson

TIME_TO_ACT = DAY
"""How long somebody needs from a signal to a first contact, unless a workspace says otherwise."""


@dataclass(frozen=True)
class LeadTimes:
    """Of the true positives: median and 10 % quantile of outcome - fire in hours, shares of at most 1 h and 24 h, and the share that converts
    before anybody could have acted (`late_rate`: lead < delta)."""

    true_positives: int
    median_hours: float
    tenth_hours: float
    share_within_1h: float
    share_within_24h: float
    late_rate: float


def lead_times(leads: Ints, delta: int = TIME_TO_ACT) -> LeadTimes | None:
    """`leads` of the true positives, in any order; `None` without any."""
    if not len(leads):
        return None
    ascending = np.sort(leads)
    median, tenth = np.quantile(ascending, (0.5, 0.1))
    return LeadTimes(
        true_positives=len(leads),
        median_hours=float(median) / HOUR,
        tenth_hours=float(tenth) / HOUR,
        share_within_1h=float(np.mean(leads <= HOUR)),
        share_within_24h=float(np.mean(leads <= DAY)),
        late_rate=float(np.mean(leads < delta)),
    )


@dataclass(frozen=True)
class Actionable:
    """Fires seen again `delta` later, at i = f + delta: converted by then (`too_late`), horizon incomplete (`pending`), and the rest with their
    ages at i; `hits` convert with i < c <= i + H. Values of disjoint units add."""

    too_late: int
    pending: int
    ages: Ints
    hits: Flags

    def __add__(self, other: Actionable) -> Actionable:
        return Actionable(
            self.too_late + other.too_late,
            self.pending + other.pending,
            np.concatenate((self.ages, other.ages)),
            np.concatenate((self.hits, other.hits)),
        )

    @property
    def sample_size(self) -> int:
        return len(self.ages)

    @property
    def true_positives(self) -> int:
        return int(self.hits.sum())

    @property
    def precision(self) -> float | None:
        return self.true_positives / self.sample_size if self.sample_size else None

    @property
    def precision_interval(self) -> Interval | None:
        return wilson(self.true_positives, self.sample_size)

    def expected(self, comparators: AgeTable) -> Expected:
        """Against all units that are still unconverted at the same later age: its lift is that of a fire which is acted on after delta."""
        return expected(comparators, self.ages, self.hits, supported(comparators, self.ages))

    def lift_interval(self, comparators: AgeTable) -> Interval | None:
        sums = self.expected(comparators)
        return None if sums.lift is None else ratio_interval(sums.hits, sums.supported, sums.lift)


def actionable(at: Ints, entry: Ints, outcome: Ints, window_end: int, horizon: int, delta: int = TIME_TO_ACT) -> Actionable:
    """From the instant of each unit's first fire, its entry and its outcome (`FOREVER` where none). Units that had converted when they fired
    count nowhere, as in the sample; then, in this order: converted by f + delta is too late, f + delta + H beyond the window is pending."""
    unconverted = outcome > at
    index = at + delta
    late = unconverted & (outcome <= index)
    pending = unconverted & ~late & (index + horizon > window_end)
    counted = unconverted & ~late & ~pending
    return Actionable(int(late.sum()), int(pending.sum()), (index - entry)[counted], (outcome <= index + horizon)[counted])

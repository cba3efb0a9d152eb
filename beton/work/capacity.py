"""How far a team gets that can follow up so many signals a week: the most precise hypotheses first, and what they are expected to bring.

A sum over hypotheses: a unit that fires on two of them is counted twice, so it is what the team gets at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from beton.lifecycle import Status
from beton.store import hypotheses
from beton.store.hypothesis_lists import Wanted
from beton.work import reviewing
from beton.work.figures import Estimate
from beton.work.reviewing import Proposal
from beton.work.workplace import Workplace

MOST = 60
USUAL = 20
"""Signals a week that a team is taken to follow up until it says otherwise."""


@dataclass(frozen=True)
class Source:
    """One hypothesis: signals a week with limits, the share of them that converts with limits, what units of the same age do anyway."""

    sentence: str
    href: str
    weekly: Estimate
    precision: Estimate
    n: int
    baseline: float


@dataclass(frozen=True)
class Reach:
    """Of so many signals a week: expected conversions with the limits that the precisions have, and what the same number of units of the same age
    brings anyway. `whole` sources are followed up wholly, and `part` of the next one."""

    signals: float
    conversions: Estimate
    anyway: float
    whole: int
    part: float


def sources(place: Workplace, wanted: Wanted, address: str) -> tuple[Source, ...]:
    """What is approved, and what is proposed and clears the bar, of what is wanted; the most precise first. `address` comes before ids in links."""
    with place.store.reading() as tx:
        approved = hypotheses.ranked(tx, replace(wanted, statuses=(Status.APPROVED,), verdict=None), limit=MOST)
        clearing = hypotheses.ranked(tx, replace(wanted, statuses=(Status.PROPOSED,), verdict="clears"), limit=MOST)
        ids = [one.id for page in (approved, clearing) for one in page.data]
    found = [source for one in reviewing.proposals(place, ids) if (source := _source(one, address))]
    return tuple(sorted(found, key=lambda one: (-(one.precision.value or 0), one.href))[:MOST])


def reach(some: Sequence[Source], signals: float) -> Reach:
    """The first `signals` a week, taken source by source."""
    left, whole, part = signals, 0, 0.0
    total = [0.0, 0.0, 0.0, 0.0, 0.0]
    for one in some:
        taken = min(left, one.weekly.value or 0.0)
        left -= taken
        ends = (1.0, one.precision.value or 0.0, one.precision.low or 0.0, one.precision.high or 0.0, one.baseline)
        total = [sum_ + taken * end for sum_, end in zip(total, ends, strict=True)]
        if taken < (one.weekly.value or 0.0):
            part = taken / (one.weekly.value or 1.0)
            break
        whole += 1
    taken, value, low, high, anyway = total
    return Reach(taken, Estimate(value, low, high), anyway, whole, part)


def _source(one: Proposal, address: str) -> Source | None:
    """`None` where precision or volume cannot be told."""
    judged, rate = one.judged, one.weekly
    precision = Estimate.of(judged, "precision")
    if judged is None or rate is None or not rate.count or not precision.known or judged.get("baseline") is None:
        return None
    row = one.resource.hypothesis
    weekly = Estimate(rate.value, rate.low, rate.high)
    return Source(row.sentence, f"{address}/{row.id}", weekly, precision, judged["sample_size"], judged["baseline"])

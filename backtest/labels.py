"""Too good to be of use: labels for hypotheses that name the outcome's own path, its consequences or parts of it (numbers section 7).

A label never drops a hypothesis silently; it explains, and takes it out of what is approved by default. What decides is counted by the engine:
whole numbers that add over disjoint units.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from backtest.proportions import Closed, Interval, wilson
from backtest.score_intervals import lift_score

NO_LEAD = 0.5
"""Share of true positives within an hour from which on nobody could act."""

OWN_PATH_LIFT = 2.0
NECESSARY = 0.99
SAME_SECOND = 0.95
AFTER = 0.5
NEARLY_ALL_AFTER = 0.9

FEWEST = 5
"""Fewer units show no pattern."""


class LabelCode(StrEnum):
    no_lead = "no_lead"
    own_path = "own_path"
    after_outcome = "after_outcome"
    progress = "progress"
    same_second = "same_second"
    true_for_everyone = "true_for_everyone"
    true_for_none = "true_for_none"


@dataclass(frozen=True)
class Label:
    """`code` is stable, `sentence` is for people."""

    code: LabelCode
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code.value, "sentence": self.sentence}


@dataclass(frozen=True)
class Order:
    """How first fires f and first outcomes c of the same unit are ordered.

    `converters`: units with S0 <= c < T1 and c > entry (anchored or `ever`: entry >= S0), as in `recall_converters`. Of these, by the first fire in
    [S0, T1): `before` f < c, `tied` f = c, `after` f > c; `within_second` |f - c| < 1 s, whatever the order. `had`: it held at some time up to c,
    be it since before S0; `carried`: an event that a clause names happened at c itself, so the outcome is made of
    it. `others`: units with an entry before
    T1 (anchored or `ever`: entry >= S0) and no visible outcome; `others_fired` of them have a fire in [S0, T1).
    """

    converters: int = 0
    before: int = 0
    tied: int = 0
    after: int = 0
    within_second: int = 0
    had: int = 0
    carried: int = 0
    others: int = 0
    others_fired: int = 0

    def __add__(self, other: Order) -> Order:
        return Order(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def fired(self) -> int:
        """Converters with a fire, early or late."""
        return self.before + self.tied + self.after


@dataclass(frozen=True)
class Evidence:
    """What is known of one hypothesis. `leads_within_1h` counts true positives; `lift` is that of design F; `delayed_lift` the interval of the lift
    delta (24 h) after the fire, where it was told. `names_outcome`: a clause has the outcome's event name or property; `implied`: the outcome cannot
    happen unless the hypothesis held before."""

    fires_total: int
    excluded_converted: int
    true_positives: int
    leads_within_1h: int
    lift: float | None
    closed: Closed
    delayed_lift: Interval | None
    order: Order
    names_outcome: bool
    implied: bool


def labels(one: Evidence) -> list[Label]:
    """All labels that apply, the most telling last."""
    found = [_nowhere(one), _everywhere(one), _no_lead(one), _own_path(one), _after_outcome(one), _same_second(one), _progress(one)]
    return [label for label in found if label is not None]


def _nowhere(one: Evidence) -> Label | None:
    if one.fires_total or one.closed.fired:
        return None
    return Label(LabelCode.true_for_none, "It became true for nobody in this window.")


def _everywhere(one: Evidence) -> Label | None:
    if not one.closed.population or one.closed.fired < one.closed.population:
        return None
    return Label(LabelCode.true_for_everyone, f"It is true for all {one.closed.population} who could be asked, so it tells nobody apart.")


def _leaves_no_lead(one: Evidence) -> bool:
    return one.true_positives > 0 and one.leads_within_1h >= NO_LEAD * one.true_positives


def _no_lead(one: Evidence) -> Label | None:
    if not _leaves_no_lead(one):
        return None
    share = one.leads_within_1h / one.true_positives
    return Label(LabelCode.no_lead, f"{share:.0%} of its true positives convert within an hour: nobody could act on it.")


def _own_path(one: Evidence) -> Label | None:
    """The information exists only in the last minutes: asked at a fixed time, or a day later, the lift may as well be 1 or is below it."""
    if not _leaves_no_lead(one) or one.lift is None or one.lift < OWN_PATH_LIFT:
        return None
    asked = one.closed.lift_interval or lift_score(one.closed)
    if not any(interval is not None and interval.low <= 1 for interval in (asked, one.delayed_lift)):
        return None
    told = f"Its lift is {one.lift:.1f} at the fire, but no lift above 1 is left at a fixed time or a day later"
    return Label(LabelCode.own_path, f"{told}: it is a step of the outcome's own path.")


def _after_outcome(one: Evidence) -> Label | None:
    """Both shares are asked: most who fire have long converted in a mature product, and a slow condition fires after a quick outcome."""
    late = one.order.tied + one.order.after
    if one.excluded_converted < max(FEWEST, AFTER * one.fires_total) or late < NEARLY_ALL_AFTER * one.order.fired:
        return None
    share = one.excluded_converted / one.fires_total
    return Label(LabelCode.after_outcome, f"{share:.0%} of those for whom it becomes true have converted before: it follows the outcome.")


def _same_second(one: Evidence) -> Label | None:
    if one.order.fired < FEWEST or one.order.within_second < SAME_SECOND * one.order.fired:
        return None
    share = one.order.within_second / one.order.fired
    return Label(LabelCode.same_second, f"For {share:.0%} of the converters it becomes true within a second of the outcome: both are one act.")


def _progress(one: Evidence) -> Label | None:
    """Necessary (before or at the outcome for 99 % of the converters), clearly rarer among the others, and made of the outcome itself."""
    order = one.order
    made_of_it = one.names_outcome or one.implied or order.carried >= NECESSARY * order.converters
    if not made_of_it or order.converters < FEWEST:
        return None
    had = max(order.had, order.before + order.tied)
    with_it, without = wilson(had, order.converters), wilson(order.others_fired, order.others)
    if had < NECESSARY * order.converters or with_it is None or without is None or without.high >= with_it.low:
        return None
    told = f"{had} of {order.converters} converters had it first, against {order.others_fired} of {order.others} others"
    return Label(LabelCode.progress, f"{told}, and it is made of what the outcome counts: it is progress towards it, not a sign of it.")

"""One verdict per hypothesis: it clears the bar, it does not, or that cannot be told.

The reasons are data, so that page, API and message say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """What a workspace asks of a hypothesis before it may be approved without a stated reason. Defaults: numbers section 5."""

    max_q: float = 0.10
    min_lift_low: float = 1.5
    min_fires: int = 20
    min_true_positives: int = 5
    min_recall: float = 0.05
    min_precision: float | None = None


@dataclass(frozen=True)
class Reason:
    """`code` is stable, `sentence` is for people; `blocks` tells a reason against from a remark."""

    code: str
    sentence: str
    blocks: bool = True


@dataclass(frozen=True)
class Verdict:
    """`clears` is `None` where it cannot be told."""

    clears: bool | None
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        word = {True: "clears", False: "does_not_clear", None: "cannot_tell"}[self.clears]
        return {"verdict": word, "reasons": [{"code": one.code, "sentence": one.sentence} for one in self.reasons]}


def judge(backtest: dict[str, Any], bar: Bar, *, selected: bool) -> Verdict:
    """Judges published numbers, so that a changed bar needs no new reading.

    A hypothesis that was mined on this window is judged by its `confirmed` numbers and by its q-value in the search; one that a person wrote
    without looking is judged by its p-value on the whole window (its own family of one).
    """
    numbers = backtest.get("confirmed") if selected else backtest
    if numbers is None:
        return Verdict(None, (Reason("unconfirmed", "It was found on this window and has no confirmation on later data yet."),))
    if "insufficient" in numbers:
        return Verdict(None, (Reason("insufficient", f"Too little data: {numbers['insufficient']['reason']}."),))
    q = backtest.get("q_value") if selected else numbers["closed"]["p_stratified"]
    against = [*_weak(numbers, bar), *_unlikely(q, bar), *_labels(backtest)]
    return Verdict(not any(one.blocks for one in against), tuple(against))


def _weak(numbers: dict[str, Any], bar: Bar) -> list[Reason]:
    counts, low = numbers["counts"], numbers["closed"]["lift_low"]
    found = []
    if low is None or low < bar.min_lift_low:
        told = "unknown" if low is None else f"{low:.2f}"
        found.append(Reason("lift_low", f"The lower limit of its lift is {told}; the bar asks {bar.min_lift_low:g}."))
    if (aged := numbers["lift_vs_baseline_low"]) is None or aged <= 1:
        told = "unknown" if aged is None else f"{aged:.2f}"
        found.append(Reason("same_age", f"Against units of the same age the lower limit of its lift is {told}: their age alone may explain it."))
    if counts["sample_size"] < bar.min_fires:
        found.append(Reason("few_fires", f"It rests on {counts['sample_size']} fires; the bar asks {bar.min_fires}."))
    if counts["true_positives"] < bar.min_true_positives:
        found.append(Reason("few_hits", f"It has {counts['true_positives']} true positives; the bar asks {bar.min_true_positives}."))
    if numbers["recall"] is None or numbers["recall"] < bar.min_recall:
        told = "unknown" if numbers["recall"] is None else f"{numbers['recall']:.1%}"
        found.append(Reason("recall", f"It precedes {told} of the conversions; the bar asks {bar.min_recall:.0%}."))
    if bar.min_precision is not None and (numbers["precision"] is None or numbers["precision"] < bar.min_precision):
        told = "unknown" if numbers["precision"] is None else f"{numbers['precision']:.1%}"
        found.append(Reason("precision", f"Its precision is {told}; the bar asks {bar.min_precision:.0%}."))
    return found


def _unlikely(q: float | None, bar: Bar) -> list[Reason]:
    if q is None or q > bar.max_q:
        told = "unknown" if q is None else f"{q:.3f}"
        return [Reason("chance", f"The chance that it is a false find is {told}; the bar allows {bar.max_q:g}.")]
    return []


def _labels(backtest: dict[str, Any]) -> list[Reason]:
    """Labels say why a number that looks good is of no use."""
    return [Reason(one["code"], one["sentence"]) for one in backtest.get("labels", [])]

"""What was promised when a version was approved, read off the result that the person saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backtest.verdict import Bar


@dataclass(frozen=True)
class Promise:
    """The precision that was promised, with its interval, and on how many fires it rests. Found by a search: that of later data (`confirmed`)."""

    precision: float
    low: float | None
    high: float | None
    hits: int | None
    fires: int | None


def promise_of(result: dict[str, Any] | None) -> Promise | None:
    """`None` where it was approved without numbers."""
    if result is None:
        return None
    for told in (result.get("confirmed"), result):
        if told and told.get("precision") is not None:
            counts = told.get("counts") or {}
            ends = told.get("precision_low"), told.get("precision_high")
            return Promise(told["precision"], *ends, counts.get("true_positives"), told.get("sample_size"))
    return None


def floor_of(promise: Promise | None, bar: Bar) -> float | None:
    """What it must not fall below: the lower end of the promise, else the bar's precision; `None` where neither says anything."""
    for told in (promise.low if promise else None, bar.min_precision):
        if told is not None and 0 < told < 1:
            return told
    return None

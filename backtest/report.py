"""The published form of a score: the same fields and names in JSON, tables, pages and messages."""

from __future__ import annotations

from typing import Any

from backtest.durations import DAY
from backtest.events import Window
from backtest.power import Wait, per_week
from backtest.proportions import Interval
from backtest.score import Insufficient, Score


def published(score: Score, window: Window, seed: int = 0) -> dict[str, Any]:
    """The `backtest` object of a hypothesis. A ratio that cannot be told is null; `insufficient` says why nothing is concluded.

    `seed` draws the bootstrap intervals.
    """
    closed = score.closed
    whole: dict[str, Any] = {
        "window_days": _days(window),
        "precision": score.precision,
        "recall": score.recall,
        "lift_vs_baseline": score.lift,
        "sample_size": score.sample_size,
        **_ends("precision", score.precision_interval),
        **_ends("recall", score.recall_interval),
        **_ends("lift_vs_baseline", score.lift_interval),
        **_ends("lift_bootstrap", score.lift_bootstrap(seed)),
        "baseline": score.expected.baseline,
        "population": score.population,
        "fired": score.fires_total,
        "converters": score.recall_converters,
        "counts": {
            "fires_total": score.fires_total,
            "excluded_converted": score.excluded_converted,
            "pending": score.pending,
            "sample_size": score.sample_size,
            "true_positives": score.true_positives,
            "expected": score.expected.total,
            "recall_converters": score.recall_converters,
            "recall_hits": score.recall_hits,
            "supported_fires": score.expected.supported,
            "supported_true_positives": score.expected.hits,
            "unsupported": score.unsupported,
        },
        "closed": {
            "design": score.design.value,
            "tp": closed.tp,
            "fp": closed.fp,
            "fn": closed.fn,
            "tn": closed.tn,
            "p_value": closed.p_value,
            "lift": closed.lift,
            **_ends("lift", closed.lift_interval),
            **_ends("lift_score", score.lift_score_interval),
            **_ends("lift_bootstrap", score.closed_bootstrap(seed)),
            "p_stratified": score.p_stratified,
        },
        "lift_live7d": score.expected_live7d.lift,
        "lift_not_yet_fired": score.expected_not_yet_fired.lift,
        "lead": _lead(score),
        "labels": [label.to_json() for label in score.labels],
    }
    if score.insufficient:
        whole["insufficient"] = {
            "reason": "; ".join(one.reason for one in score.insufficient),
            "missing": [missing(_wait(one, window)) for one in score.insufficient],
        }
    return whole


def _lead(score: Score) -> dict[str, Any] | None:
    """From fire to outcome, over true positives; and what is left for somebody who needs a day to act."""
    if score.lead is None:
        return None
    later = None if score.detail is None else score.detail.actionable
    told = None if score.actionable_expected is None else score.actionable_expected.lift
    return {
        "median_hours": score.lead.median_hours,
        "tenth_percentile_hours": score.lead.tenth_hours,
        "share_within_1h": score.lead.share_within_1h,
        "share_within_24h": score.lead.share_within_24h,
        "late_rate": score.lead.late_rate,
        "actionable_precision": None if later is None else later.precision,
        **_ends("actionable_precision", None if later is None else later.precision_interval),
        "actionable_lift": told,
    }


def _wait(one: Insufficient, window: Window) -> Wait:
    return Wait(one.what, one.needs, one.has, per_week(one.has, window.end - window.start))


def missing(wait: Wait) -> dict[str, Any]:
    """What is missing, how much of it there is, and how long the rest takes."""
    return {"what": wait.what, "needs": wait.needs, "has": wait.has, "weeks": wait.weeks, "sentence": wait.sentence}


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    return {f"{name}_low": interval.low if interval else None, f"{name}_high": interval.high if interval else None}


def _days(window: Window) -> int | float:
    length = window.end - window.start
    return length // DAY if length % DAY == 0 else length / DAY

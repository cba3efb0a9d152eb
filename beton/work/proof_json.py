"""The scoreboard as plain values: the same fields for API and command line. What cannot be told is null, and a reason stands beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backtest.proportions import Interval
from backtest.realised import Realised
from beton.signals import Feedback
from beton.store.alarms import BrokenName, DriftAlarm
from beton.work.adding import Incremental
from beton.work.promising import Promise
from beton.work.scoreboard import Line, RouteLine, Scoreboard


def scoreboard_json(found: Scoreboard, *, routes: bool = True) -> dict[str, Any]:
    """The whole of it; without routes where the reader may not see them."""
    told = {"hypotheses": [line_json(one) for one in found.lines], "total": realised_json(found.total)}
    return told | {"routes": [route_json(one) for one in found.routes] if routes else []}


def line_json(one: Line) -> dict[str, Any]:
    """One hypothesis."""
    row = one.hypothesis
    return {
        "hypothesis_id": row.id,
        "hypothesis": row.sentence,
        "name": row.name,
        "version": row.version,
        "status": str(row.status),
        "signals": one.signals,
        "sent": one.sent,
        "held": sum(one.held.values()),
        "held_because": dict(one.held),
        "accepted": one.accepted,
        "worked": one.said[Feedback.WORKED],
        "not_a_fit": one.said[Feedback.NOT_A_FIT],
        "customer": one.said[Feedback.CUSTOMER],
        "lost": one.lost,
        "realised": realised_json(one.realised),
        "promised": promise_json(one.promise),
        "verdict": one.verdict,
        "incremental": incremental_json(one.incremental),
        "alarm": None if one.alarm is None else alarm_json(one.alarm),
        "broken": [broken_json(each) for each in one.broken],
    }


def realised_json(one: Realised) -> dict[str, Any]:
    """Counts, and the share with both of its intervals."""
    return {
        "too_early": one.too_early,
        "had_converted": one.had_converted,
        "matured": one.matured,
        "converted": one.converted,
        "precision": one.precision,
        **_ends("precision", one.interval),
        **_ends("precision_at_any_look", one.at_any_look),
    }


def promise_json(one: Promise | None) -> dict[str, Any] | None:
    """What the approved result said."""
    return None if one is None else {"precision": one.precision, "precision_low": one.low, "precision_high": one.high, "sample_size": one.fires}


def incremental_json(one: Incremental) -> dict[str, Any]:
    """What sending adds."""
    needs = one.needs
    return {
        "share_held_out": one.share,
        "routed": one.routed,
        "held_out": one.held,
        "matured_routed": one.arms.routed,
        "matured_held_out": one.arms.held,
        "converted_routed": one.arms.routed_hits,
        "converted_held_out": one.arms.held_hits,
        "difference": one.difference,
        **_ends("difference", one.interval),
        "extra_conversions": one.extra,
        "verdict": one.verdict,
        "reason": one.why,
        "needs_routed": needs and needs.routed_at_any_look,
        "needs_held_out": needs and needs.held_at_any_look,
        "needs_held_out_looked_at_once": needs and needs.held,
    }


def route_json(one: RouteLine) -> dict[str, Any]:
    """One route."""
    row = one.route
    shown = {"route_id": row.id, "name": row.name, "kind": str(row.kind), "delivered": one.delivered}
    return shown | {"realised": realised_json(one.realised), "promised_precision": one.promised}


def alarm_json(one: DriftAlarm) -> dict[str, Any]:
    """One alarm. `evidence` is the natural logarithm of the e-value."""
    told = one.model_dump(exclude={"id", "log_e", "raised_at", "last_fired_at", "answered_at"})
    times = {name: _at(getattr(one, name)) for name in ("raised_at", "last_fired_at", "answered_at")}
    return {"alarm_id": one.id, **told, **times, "evidence": one.log_e, "sentence": one.sentence}


def broken_json(one: BrokenName) -> dict[str, Any]:
    """One name that broke."""
    told = one.model_dump(include={"kind", "event", "property", "was", "became", "instead"})
    return told | {"noticed_at": _at(one.noticed_at), "sentence": one.sentence}


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    return {f"{name}_low": None, f"{name}_high": None} if interval is None else {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _at(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")

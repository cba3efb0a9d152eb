"""Numbers as the pages print them: always with their unit, and with their interval beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NOTHING = "–"
"""What stands where a number cannot be told; the reason stands beside it."""


def share(value: float | None) -> str:
    """0.4712 as 47.1 %, with the digits that a reader can use."""
    if value is None:
        return NOTHING
    percent = 100 * value
    return f"{percent:.0f}%" if percent >= 99.95 or percent == 0 else f"{percent:.1f}%"


def times(value: float | None) -> str:
    """A lift: 4.3×."""
    return NOTHING if value is None else f"{_short(value)}×"


def count(value: float | None) -> str:
    """A whole number with its thousands apart."""
    return NOTHING if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """So many in a week: one digit below ten."""
    return NOTHING if value is None else f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def hours(value: float | None) -> str:
    """A length: hours below two days, then days."""
    if value is None:
        return NOTHING
    return f"{value:.1f} h" if value < 48 else f"{value / 24:.1f} days"


def between(low: float | None, high: float | None, kind: str = "share") -> str:
    """An interval beside its number, without repeating the unit: 40.2–54.0."""
    if low is None or high is None:
        return ""
    form = {"share": lambda one: f"{100 * one:.1f}", "times": _short, "rate": rate}[kind]
    return f"{form(low)}–{form(high)}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def on_log(value: float, low: float = 0.5, high: float = 20.0, width: float = 100.0) -> float:
    """Where a ratio lies on a logarithmic scale of that width; what lies beyond an end, at the end."""
    inside = min(max(value, low), high)
    return round(width * math.log(inside / low) / math.log(high / low), 1)


def instant(at: datetime | None) -> str:
    """With its zone, always."""
    return NOTHING if at is None else f"{at.astimezone(UTC):%-d %b %Y %H:%M} UTC"


def day(at: datetime | None) -> str:
    """The day in UTC."""
    return NOTHING if at is None else f"{at.astimezone(UTC):%-d %b %Y}"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that is not nothing."""
    if at is None:
        return "never"
    seconds = int((now - at).total_seconds())
    if seconds < 0:
        return f"in {_length(-seconds)}"
    return "just now" if seconds < 60 else f"{_length(seconds)} ago"


def _length(seconds: int) -> str:
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if (whole := seconds // length) >= 1:
            return f"{whole} {name}{'' if whole == 1 else 's'}"
    return "less than a minute"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`3 proposals`, `1 proposal`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


FILTERS: Mapping[str, Any] = {
    "share": share,
    "times": times,
    "count": count,
    "rate": rate,
    "hours": hours,
    "instant": instant,
    "day": day,
    "plural": plural,
}
"""For templates. `between` and `ago` take more than one value and are functions there."""

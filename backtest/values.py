"""What a JSON value of a property means in a comparison (numbers 1.9 rules 9 and 19).

Values arrive as JSON text and are decoded once per distinct text, so a comparison costs one Python call per distinct value, not per event.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from backtest.matching import Comparison, Instant, Json, Op, Scalar

PropertyTypes = Mapping[str, str]
"""Declared types by property name: `numeric`, `boolean`, `datetime`, `string`. Absent means undeclared."""

MISSING = None
LARGEST = sys.float_info.max
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


def decode(text: str | None) -> Json:
    """The value of a raw JSON text. Text that is no JSON (a broken export) stands for itself."""
    if text is None or text == "":
        return MISSING
    try:
        return json.loads(text)
    except ValueError:
        return text


def dig(value: Json, path: tuple[str, ...]) -> Json:
    """The value at a nested path below an already fetched top-level property."""
    for key in path:
        if not isinstance(value, dict):
            return MISSING
        value = value.get(key)
    return value


def as_text(value: Json) -> str:
    """Strings as they are, everything else in canonical JSON: sorted keys, no spaces, 1.0 as 1."""
    return value if isinstance(value, str) else _canonical(value)


def _canonical(value: Json) -> str:
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _whole(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return {key: _whole(one) for key, one in value.items()} if isinstance(value, dict) else value


def as_number(value: Json, kind: str | None) -> float | int | None:
    """The number that a value is; text counts only where the property is declared numeric. What no double can hold is no number."""
    if isinstance(value, bool):
        return None
    if kind == "numeric" and isinstance(value, str) and NUMBER.fullmatch(value):
        value = int(value) if value.lstrip("-").isdigit() else float(value)
        value = int(value) if value == value // 1 and abs(value) < 2**53 else value
    if isinstance(value, int | float):
        return value if abs(value) <= LARGEST else None
    return None


def as_instant(value: Json) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _comparable(value: Json, kind: str | None) -> Any:
    """A value with its JSON type, so that 1 equals 1.0 and never true or "1"; None for what equals no scalar."""
    number = as_number(value, kind)
    if number is not None:
        return ("number", number)
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, str):
        if kind == "boolean" and value.lower() in ("true", "false"):
            return ("boolean", value.lower() == "true")
        return ("text", value)
    return None


def equal(value: Json, wanted: Scalar, kind: str | None) -> bool:
    if isinstance(wanted, Instant):
        return as_instant(value) == wanted.instant
    found = _comparable(value, kind)
    return found is not None and found == _comparable(wanted, kind)


def ordered(value: Json, wanted: Scalar, kind: str | None, op: Op) -> bool:
    """Number with number, text with text, instant with instant; unlike types are never in order."""
    if isinstance(wanted, Instant):
        left, right = as_instant(value), wanted.instant
        return left is not None and _in_order(op, left, right)
    left, right = _comparable(value, kind), _comparable(wanted, kind)
    if left is None or right is None or left[0] != right[0] or left[0] == "boolean":
        return False
    return _in_order(op, left[1], right[1])


def _in_order(op: Op, left: Any, right: Any) -> bool:
    match op:
        case Op.greater_than:
            return left > right
        case Op.at_least:
            return left >= right
        case Op.less_than:
            return left < right
        case _:
            return left <= right


def predicate(comparison: Comparison, types: PropertyTypes) -> Callable[[Json], bool]:
    """A test of one decoded value (`None` where the event does not carry the property)."""
    op, wanted = comparison.op, comparison.value
    several: tuple[Any, ...] = wanted if isinstance(wanted, tuple) else (wanted,)
    one: Any = several[0]
    kind = types.get(comparison.property[-1] if len(comparison.property) == 1 else ".".join(comparison.property))
    match op:
        case Op.is_set:
            return lambda value: value is not MISSING
        case Op.is_not_set:
            return lambda value: value is MISSING
        case Op.not_equals:
            return lambda value: not equal(value, one, kind)
        case Op.equals:
            return lambda value: value is not MISSING and equal(value, one, kind)
        case Op.any_of:
            return lambda value: value is not MISSING and any(equal(value, each, kind) for each in several)
        case Op.contains:
            return lambda value: contains(value, one, kind)
        case Op.starts_with:
            return lambda value: isinstance(value, str) and value.lower().startswith(one.lower())
        case _:
            return lambda value: value is not MISSING and ordered(value, one, kind, op)


def contains(value: Json, wanted: Scalar, kind: str | None) -> bool:
    """Ignoring case in text, as PostHog's filter does; an element of an array."""
    if isinstance(value, list):
        return any(equal(one, wanted, kind) for one in value)
    return isinstance(value, str) and isinstance(wanted, str) and wanted.lower() in value.lower()


def rank(value: Json, kind: str | None) -> tuple[int, float, str]:
    """The order that decides between tied instants: numbers above everything else and by value, then by canonical JSON text."""
    number = as_number(value, kind)
    return (0, 0.0, _canonical(value)) if number is None else (1, float(number), _canonical(value))


def exact(number: float | int) -> Decimal:
    """The decimal that was written, so that 1.1 is eleven tenths."""
    return Decimal(str(number))

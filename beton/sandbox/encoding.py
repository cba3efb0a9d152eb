"""ClickHouse's rows as PostHog's JSON.

ClickHouse prints JSON itself; only columns with date-times (fraction dropped when zero, offset of the column's zone) and floats
(`1.0`, not `1`) are decoded and written again. NaN and infinities are null already, decimals text, tuples arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import orjson

Convert = Callable[[Any], Any]


def encoded_rows(lines: bytes, types: Sequence[str], most: int | None = None) -> tuple[bytes, int, bool]:
    """A JSON array of rows, how many there are, and whether rows beyond `most` were cut off."""
    if not lines:
        return b"[]", 0, False
    parts = lines.split(b"\n")
    more = most is not None and len(parts) > most
    kept = parts[:most] if more else parts
    converters = [_converter(text) for text in types]
    raw = b"[" + b",".join(kept) + b"]"
    if all(convert is None for convert in converters):
        return raw, len(kept), more
    rows = orjson.loads(raw)
    for position, convert in enumerate(converters):
        if convert is not None:
            for row in rows:
                row[position] = convert(row[position])
    return orjson.dumps(rows), len(kept), more


def _converter(kind: str) -> Convert | None:
    """How values of one ClickHouse type are rewritten, or None when they stay as they are."""
    name, inner = _split(kind)
    if name in ("Nullable", "LowCardinality"):
        return _converter(inner[0])
    if name in ("DateTime", "DateTime64"):
        zone = next((part.strip("'") for part in inner if part.startswith("'")), "UTC")
        return _instants(zone)
    if name in ("Float32", "Float64"):
        return lambda value: value if value is None else float(value)
    if name == "Array":
        return _each(_converter(inner[0]))
    if name == "Map":
        return _values(_converter(inner[1]))
    if name == "Tuple":
        return _members(inner)
    return None


def _split(kind: str) -> tuple[str, list[str]]:
    """`Tuple(a Int8, Array(String))` as its name and its arguments."""
    name, opened, rest = kind.partition("(")
    if not opened:
        return kind, []
    parts, depth, current = [], 0, ""
    for letter in rest[:-1]:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    return name, [*parts, current.strip()]


def _instants(zone: str) -> Convert:
    if zone in ("UTC", "Etc/UTC"):
        return lambda text: text if text is None else _utc_text(text)
    place = ZoneInfo(zone)

    def local(text: str | None) -> str | None:
        return None if text is None else datetime.fromisoformat(_micros(text)).astimezone(place).isoformat()

    return local


def _micros(text: str) -> str:
    """`2020-01-01T00:00:00.123Z` with exactly six digits after the point, and no point when they are zero."""
    head, point, fraction = text.removesuffix("Z").partition(".")
    digits = (fraction + "000000")[:6]
    return f"{head}.{digits}+00:00" if point and int(digits) else f"{head}+00:00"


def _utc_text(text: str) -> str:
    return _micros(text).removesuffix("+00:00") + "Z"


def _each(convert: Convert | None) -> Convert | None:
    return None if convert is None else partial(_converted_items, convert)


def _converted_items(convert: Convert, items: list[Any]) -> list[Any]:
    return [convert(item) for item in items]


def _values(convert: Convert | None) -> Convert | None:
    return None if convert is None else partial(_converted_values, convert)


def _converted_values(convert: Convert, items: dict[str, Any]) -> dict[str, Any]:
    return {key: convert(value) for key, value in items.items()}


def _members(kinds: list[str]) -> Convert | None:
    """Members of a tuple; a named one arrives as an object. A member's name and type are divided by the first space."""
    named = [kind.partition(" ") for kind in kinds]
    types = [after if gap and "(" not in before else before + gap + after for before, gap, after in named]
    converters = [_converter(kind) for kind in types]
    if all(convert is None for convert in converters):
        return None

    def members(value: Any) -> Any:
        if isinstance(value, dict):
            pairs = zip(value.items(), converters, strict=True)
            return {key: convert(item) if convert else item for (key, item), convert in pairs}
        return [convert(item) if convert else item for item, convert in zip(value, converters, strict=True)]

    return members

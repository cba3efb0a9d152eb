"""The oracle's reading of values: what a JSON value of a property means in a comparison, said in plain Python."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from backtest.matching import Instant, Op

JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def look_up(properties: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The value at a path; None where any key is missing (JSON null is missing too)."""
    value: Any = properties
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_declared(value: Any, declared: str | None) -> Any:
    """Text that counts as a number or a boolean, because the schema says that the property is one, becomes it; the rest stays."""
    if isinstance(value, str) and declared == "numeric" and JSON_NUMBER.fullmatch(value):
        return json.loads(value)
    if isinstance(value, str) and declared == "boolean" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def as_instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def canonical_json(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical_json(one) for one in value) + "]"
    return "{" + ",".join(f"{canonical_json(key)}:{canonical_json(value[key])}" for key in sorted(value)) + "}"


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def is_equal(found: Any, wanted: Any, declared: str | None) -> bool:
    if found is None:
        return False
    if isinstance(wanted, Instant):
        return as_instant(found) == wanted.instant
    found, wanted = as_declared(found, declared), as_declared(wanted, declared)
    if isinstance(found, bool) or isinstance(wanted, bool):
        return isinstance(found, bool) and isinstance(wanted, bool) and found == wanted
    if is_number(found) or is_number(wanted):
        return is_number(found) and is_number(wanted) and found == wanted
    return isinstance(found, str) and isinstance(wanted, str) and found == wanted


def in_order(found: Any, op: Op, wanted: Any, declared: str | None) -> bool:
    if found is None:
        return False
    if isinstance(wanted, Instant):
        found, wanted = as_instant(found), wanted.instant
        comparable = found is not None
    else:
        found, wanted = as_declared(found, declared), as_declared(wanted, declared)
        comparable = (is_number(found) and is_number(wanted)) or (isinstance(found, str) and isinstance(wanted, str))
    if not comparable:
        return False
    if op is Op.greater_than:
        return found > wanted
    if op is Op.at_least:
        return found >= wanted
    if op is Op.less_than:
        return found < wanted
    return found <= wanted


def compares(found: Any, op: Op, wanted: Any, declared: str | None) -> bool:
    """`found` is the value of an event (None: missing), `wanted` the value of the hypothesis."""
    if op is Op.is_set:
        return found is not None
    if op is Op.is_not_set:
        return found is None
    if op is Op.equals:
        return is_equal(found, wanted, declared)
    if op is Op.not_equals:
        return not is_equal(found, wanted, declared)
    if op is Op.any_of:
        return any(is_equal(found, one, declared) for one in wanted)
    if op is Op.contains:
        if isinstance(found, list):
            return any(is_equal(element, wanted, declared) for element in found)
        return isinstance(found, str) and isinstance(wanted, str) and wanted.lower() in found.lower()
    if op is Op.starts_with:
        return isinstance(found, str) and found.lower().startswith(wanted.lower())
    return in_order(found, op, wanted, declared)

"""`{name}` and `{filters}`: what a request fills into a query before it is translated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.parse import Node, parse_expression
from beton.sandbox.hogql.scope import Request

_RELATIVE = re.compile(r"^-?(\d+)?([hdwmqy])(Start|End)?$")
_DAYS = {"d": 1, "w": 7, "m": 30, "q": 91, "y": 365}
_TRUE: Node = {"node": "Constant", "value": True}


def fill_placeholders(tree: Any, request: Request) -> Any:
    """A copy of the tree with every placeholder replaced. Raises HogQLError for one that has no value."""
    if isinstance(tree, list):
        return [fill_placeholders(item, request) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("node") == "Placeholder":
        return _filled(tree, request)
    return {key: value if key in ("start", "end") else fill_placeholders(value, request) for key, value in tree.items()}


def _filled(node: Node, request: Request) -> Node:
    chain = node["expr"].get("chain") or []
    name = ".".join(str(part) for part in chain)
    if name == "filters":
        return _conjunction(_filter_nodes(request))
    if name in request.values:
        return _constant(request.values[name])
    if len(chain) > 1 and chain[0] in request.values:
        value = request.values[str(chain[0])]
        for part in chain[1:]:
            if not isinstance(value, Mapping) or part not in value:
                raise HogQLError(f"Unresolved placeholder: {{{name}}}")
            value = value[part]
        return _constant(value)
    raise HogQLError(f"Unresolved placeholder: {{{name}}}")


def _constant(value: Any) -> Node:
    if isinstance(value, list):
        return {"node": "Array", "exprs": [_constant(item) for item in value]}
    return {"node": "Constant", "value": value}


def _conjunction(nodes: list[Node]) -> Node:
    if not nodes:
        return _TRUE
    return nodes[0] if len(nodes) == 1 else {"node": "And", "exprs": nodes}


def _filter_nodes(request: Request) -> list[Node]:
    filters = request.filters or {}
    nodes: list[Node] = []
    period = filters.get("dateRange") or {}
    now = (request.now or datetime.now(UTC)).astimezone(ZoneInfo(request.project.timezone))
    for key, operator in (("date_from", ">="), ("date_to", "<=")):
        text = period.get(key)
        if text and text != "all":
            nodes.append(_compare("timestamp", operator, _instant(str(text), now, end=key == "date_to")))
    wanted = list(filters.get("properties") or [])
    if filters.get("filterTestAccounts"):
        wanted.extend(request.project.test_account_filters)
    nodes.extend(property_filter(item) for item in wanted)
    return nodes


def _instant(text: str, now: datetime, end: bool) -> Node:
    relative = _RELATIVE.match(text)
    if relative:
        moment = _relative(relative, text.startswith("-"), now)
    else:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=now.tzinfo)
        if end and len(text) == 10:
            moment += timedelta(days=1) - timedelta(microseconds=1)
    return parse_expression(f"toDateTime64('{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')")


def _relative(match: re.Match[str], back: bool, now: datetime) -> datetime:
    """`-7d` starts at the beginning of that day, `-24h` counts hours from now, `mStart` is the first of the month."""
    number, unit = int(match[1] or 0), match[2]
    if unit == "h":
        return now - timedelta(hours=number) if back else now
    moment = now - timedelta(days=number * _DAYS[unit]) if back else now
    if match[3] == "Start" and unit in "my":
        moment = moment.replace(day=1, month=1 if unit == "y" else moment.month)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _compare(name: str, operator: str, right: Node) -> Node:
    return {"node": "CompareOperation", "op": operator, "left": {"node": "Field", "chain": [name]}, "right": right}


_OPERATORS = {"exact": "==", "is_not": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "regex": "=~", "not_regex": "!~"}


def property_filter(item: Mapping[str, Any]) -> Node:
    """One property filter of PostHog's (event, person, group, hogql, or a group of filters) as an expression."""
    if item.get("type") in ("AND", "OR"):
        nodes = [property_filter(inner) for inner in item.get("values", [])]
        return {"node": "And" if item["type"] == "AND" else "Or", "exprs": nodes} if nodes else _TRUE
    if item.get("type") == "hogql":
        return parse_expression(item["key"])
    left = {"node": "Field", "chain": _chain(item)}
    operator, value = item.get("operator") or "exact", item.get("value")
    if operator in ("is_set", "is_not_set"):
        style = "!=" if operator == "is_set" else "=="
        return {"node": "CompareOperation", "op": style, "left": left, "right": {"node": "Constant", "value": None}}
    if operator in ("icontains", "not_icontains"):
        pattern = {"node": "Constant", "value": f"%{value}%"}
        return {"node": "CompareOperation", "op": "ilike" if operator == "icontains" else "not ilike", "left": left, "right": pattern}
    if operator not in _OPERATORS:
        raise HogQLError(f"Unsupported property filter operator: {operator}")
    if isinstance(value, list):
        options = [{"node": "CompareOperation", "op": _OPERATORS[operator], "left": left, "right": _constant(option)} for option in value]
        return {"node": "And" if operator.startswith(("is_not", "not_")) else "Or", "exprs": options} if options else _TRUE
    return {"node": "CompareOperation", "op": _OPERATORS[operator], "left": left, "right": _constant(value)}


def _chain(item: Mapping[str, Any]) -> list[str]:
    kind = item.get("type") or "event"
    if kind == "person":
        return ["person", "properties", item["key"]]
    if kind == "group":
        return [f"group_{item.get('group_type_index', 0)}", "properties", item["key"]]
    if kind == "session":
        return ["session", item["key"]]
    return ["properties", item["key"]]

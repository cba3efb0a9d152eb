"""A syntax tree back to HogQL text: names of result columns, and the `hogql` field of an answer."""

from __future__ import annotations

import re
from typing import Any

from beton.sandbox.hogql.parse import Node

_PLAIN = re.compile(r"^[A-Za-z_$][A-Za-z0-9_$]*$")
_FUNCTION = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}
_COMPARE = {
    "==": "equals",
    "!=": "notEquals",
    "<": "less",
    ">": "greater",
    "<=": "lessOrEquals",
    ">=": "greaterOrEquals",
    "like": "like",
    "ilike": "ilike",
    "not like": "notLike",
    "not ilike": "notILike",
    "in": "in",
    "not in": "notIn",
    "=~": "match",
}


def _name(part: str | int) -> str:
    text = str(part)
    return text if isinstance(part, int) or text == "*" or _PLAIN.match(text) else "`" + text.replace("`", "\\`") + "`"


def _constant(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_constant(item) for item in value) + "]"
    return str(value)


def _listed(nodes: list[Node] | None) -> str:
    return ", ".join(printed(node) for node in nodes or [])


def printed(node: Node) -> str:
    """HogQL text of an expression or a query."""
    kind = node["node"]
    if kind in ("SelectQuery", "SelectSetQuery"):
        return f"({printed_query(node)})"
    simple = {
        "Constant": lambda: _constant(node.get("value")),
        "Field": lambda: ".".join(_name(part) for part in node["chain"]),
        "Alias": lambda: f"{printed(node['expr'])} AS {_name(node['alias'])}",
        "ArithmeticOperation": lambda: f"{_FUNCTION[node['op']]}({printed(node['left'])}, {printed(node['right'])})",
        "Not": lambda: f"not({printed(node['expr'])})",
        "And": lambda: f"and({_listed(node['exprs'])})",
        "Or": lambda: f"or({_listed(node['exprs'])})",
        "Tuple": lambda: f"tuple({_listed(node['exprs'])})",
        "Array": lambda: f"[{_listed(node['exprs'])}]",
        "ArrayAccess": lambda: f"{printed(node['array'])}[{printed(node['property'])}]",
        "TupleAccess": lambda: f"{printed(node['tuple'])}.{node['index']}",
        "Lambda": lambda: (
            f"({', '.join(node['args'])}) -> {printed(node['expr'])}" if len(node["args"]) > 1 else f"{node['args'][0]} -> {printed(node['expr'])}"
        ),
        "TypeCast": lambda: f"CAST({printed(node['expr'])} AS {node['type_name']})",
        "OrderExpr": lambda: f"{printed(node['expr'])} {node['order']}",
        "Placeholder": lambda: f"{{{printed(node['expr'])}}}",
        "Call": lambda: _call(node),
        "CompareOperation": lambda: _comparison(node),
        "BetweenExpr": lambda: (
            f"{printed(node['expr'])} {'NOT ' if node.get('negated') else ''}BETWEEN {printed(node['low'])} AND {printed(node['high'])}"
        ),
        "WindowFunction": lambda: _window(node),
    }
    return simple[kind]() if kind in simple else kind


def _call(node: Node) -> str:
    params = f"({_listed(node['params'])})" if node.get("params") else ""
    distinct = "DISTINCT " if node.get("distinct") else ""
    return f"{node['name']}{params}({distinct}{_listed(node['args'])})"


def _comparison(node: Node) -> str:
    left, right, op = printed(node["left"]), printed(node["right"]), node["op"]
    if node.get("is_null_comparison_style"):
        return f"is{'' if op == '==' else 'Not'}Null({left})"
    return f"{_COMPARE[op]}({left}, {right})" if op in _COMPARE else f"{left} {op.upper()} {right}"


def _window(node: Node) -> str:
    arguments = _listed(node.get("args") or node.get("exprs"))
    if node.get("over_identifier"):
        return f"{node['name']}({arguments}) OVER {node['over_identifier']}"
    over = node.get("over_expr") or {}
    parts = []
    if over.get("partition_by"):
        parts.append(f"PARTITION BY {_listed(over['partition_by'])}")
    if over.get("order_by"):
        parts.append(f"ORDER BY {_listed(over['order_by'])}")
    return f"{node['name']}({arguments}) OVER ({' '.join(parts)})"


def printed_query(node: Node) -> str:
    """HogQL text of a SELECT or a set of SELECTs, without outer parentheses."""
    if node["node"] == "SelectSetQuery":
        later = [f"{item['set_operator']} {printed_query(item['select_query'])}" for item in node["subsequent_select_queries"]]
        return " ".join([printed_query(node["initial_select_query"]), *later])
    parts = []
    if node.get("ctes"):
        parts.append("WITH " + ", ".join(_cte(item) for item in node["ctes"]))
    parts.append(f"SELECT {'DISTINCT ' if node.get('distinct') else ''}{_listed(node['select'])}")
    if node.get("select_from"):
        parts.append("FROM " + _from(node["select_from"]))
    for key, word in (("prewhere", "PREWHERE"), ("where", "WHERE")):
        if node.get(key) is not None:
            parts.append(f"{word} {printed(node[key])}")
    if node.get("group_by"):
        parts.append(f"GROUP BY {_listed(node['group_by'])}")
    if node.get("having") is not None:
        parts.append(f"HAVING {printed(node['having'])}")
    if node.get("order_by"):
        parts.append(f"ORDER BY {_listed(node['order_by'])}")
    if node.get("limit_by"):
        parts.append(f"LIMIT {printed(node['limit_by']['n'])} BY {_listed(node['limit_by']['exprs'])}")
    if node.get("limit") is not None:
        parts.append(f"LIMIT {printed(node['limit'])}")
    return " ".join(parts)


def _cte(node: Node) -> str:
    body = printed(node["expr"])
    return f"{node['name']} AS {body}" if node["cte_type"] == "subquery" else f"{body} AS {node['name']}"


def _from(node: Node) -> str:
    text = printed(node["table"])
    if node.get("alias"):
        text += f" AS {_name(node['alias'])}"
    if node.get("sample"):
        text += " SAMPLE"
    constraint = node.get("constraint")
    if constraint is not None:
        text += f" {constraint['constraint_type']} {printed(constraint['expr'])}"
    following = node.get("next_join")
    return f"{text} {following['join_type']} {_from(following)}" if following else text

"""Comparisons, with HogQL's own idea of NULL: a comparison is never NULL, and NULL differs from every value."""

from __future__ import annotations

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.parse import Node
from beton.sandbox.hogql.scope import Compiler, Scope, Value, literal

# HogQL's operator: ClickHouse's function, and what the comparison is when an operand is NULL.
_OPERATORS = {
    "==": ("equals", 0),
    "!=": ("notEquals", 1),
    "<": ("less", 0),
    ">": ("greater", 0),
    "<=": ("lessOrEquals", 0),
    ">=": ("greaterOrEquals", 0),
    "like": ("like", 0),
    "ilike": ("ilike", 0),
    "not like": ("notLike", 1),
    "not ilike": ("notILike", 1),
    "in": ("in", 0),
    "not in": ("notIn", 1),
    "global in": ("in", 0),
    "global not in": ("notIn", 1),
    "=~": ("match", 0),
    "!~": ("not_match", 1),
    "=~*": ("imatch", 0),
    "!~*": ("not_imatch", 1),
}
# The spelled-out forms: equals(a, b) means the same as a = b.
CALLS = {
    "equals": "==",
    "notEquals": "!=",
    "less": "<",
    "greater": ">",
    "lessOrEquals": "<=",
    "greaterOrEquals": ">=",
    "like": "like",
    "ilike": "ilike",
    "notLike": "not like",
    "notILike": "not ilike",
    "in": "in",
    "notIn": "not in",
}


def comparison(node: Node, scope: Scope, compiler: Compiler) -> Value:
    """One comparison as ClickHouse text, never NULL."""
    operator: str = node["op"]
    if operator in ("in cohort", "not in cohort"):
        return _in_cohort(node, scope, compiler, negated=operator.startswith("not"))
    if operator not in _OPERATORS:
        raise HogQLError(f"Unsupported comparison operator: {operator}")
    function, when_null = _OPERATORS[operator]
    left = compiler.expression(node["left"], scope)
    if function in ("in", "notIn"):
        return _guarded(f"{function}({_plain(left)}, {_set(node['right'], scope, compiler)})", when_null, left.nullable)
    right = compiler.expression(node["right"], scope)
    if function in ("equals", "notEquals") and "Null" in (left.kind, right.kind):
        return _null_test(left, right, function)
    return compared(function, when_null, left, right, scope)


def compared(function: str, when_null: int, left: Value, right: Value, scope: Scope) -> Value:
    """Two values compared. A date-time column is compared bare, so that partitions and the primary key prune."""
    first, second = _date_pair(left, right, scope)
    if function.endswith("match"):
        pattern = f"concat('(?i)', {second})" if "imatch" in function else second
        sql = f"match({first}, {pattern})"
        sql = f"not({sql})" if function.startswith("not") else sql
    else:
        sql = f"{function}({first}, {second})"
    if left.bare or right.bare:
        return Value(sql, "Boolean")
    if left.nullable and right.nullable and function in ("equals", "notEquals"):
        both = f"isNull({first}) and isNull({second})" if function == "equals" else f"isNotNull({first}) or isNotNull({second})"
        return Value(f"ifNull({sql}, {both})", "Boolean")
    return _guarded(sql, when_null, left.nullable or right.nullable)


def _guarded(sql: str, when_null: int, nullable: bool) -> Value:
    return Value(f"ifNull({sql}, {when_null})" if nullable else sql, "Boolean")


def _plain(value: Value) -> str:
    return value.bare or value.sql


def _date_pair(left: Value, right: Value, scope: Scope) -> tuple[str, str]:
    """A bare text beside a date-time is an instant in the project's zone."""
    zone = literal(scope.request.zone)

    def side(value: Value, other: Value) -> str:
        if other.kind == "DateTime" and value.text is not None:
            return f"toDateTime64({value.sql}, 6, {zone})"
        return _plain(value)

    return side(left, right), side(right, left)


def _null_test(left: Value, right: Value, function: str) -> Value:
    tested = left if right.kind == "Null" else right
    if tested.kind == "Null":
        return Value("1" if function == "equals" else "0", "Boolean")
    return Value(f"{'isNull' if function == 'equals' else 'isNotNull'}({tested.sql})", "Boolean")


def _set(node: Node, scope: Scope, compiler: Compiler) -> str:
    kind = node["node"]
    if kind in ("SelectQuery", "SelectSetQuery"):
        return compiler.subquery(node, scope)[0]
    if kind == "Field" and len(node["chain"]) == 1:
        cte = scope.cte(str(node["chain"][0]))
        if cte is not None and cte[0].get("cte_type") == "subquery":
            return compiler.subquery(cte[0]["expr"], cte[1])[0]
    if kind == "Tuple":
        return "tuple(" + ", ".join(compiler.expression(item, scope).sql for item in node["exprs"]) + ")"
    value = compiler.expression(node, scope)
    return f"tuple({value.sql})" if value.constant and value.kind not in ("Array", "Tuple") else value.sql


def _in_cohort(node: Node, scope: Scope, compiler: Compiler, negated: bool) -> Value:
    left = compiler.expression(node["left"], scope)
    right = node["right"]
    wanted = right.get("value") if right["node"] == "Constant" else None
    cohort = scope.request.project.cohorts.get(wanted) if isinstance(wanted, str) else wanted
    if not isinstance(cohort, int):
        raise HogQLError(f"Could not find a cohort with the name '{wanted}'" if isinstance(wanted, str) else "Cohort id must be a constant")
    team = scope.request.project.team_id
    members = f"(SELECT person_id FROM cohort_people WHERE team_id = {team} AND cohort_id = {cohort})"
    return Value(f"{'notIn' if negated else 'in'}({left.sql}, {members})", "Boolean")

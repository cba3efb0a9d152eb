"""Every expression of HogQL as ClickHouse text."""

from __future__ import annotations

from collections.abc import Callable

from beton.sandbox.hogql.calls import call_value, window_value
from beton.sandbox.hogql.comparisons import compared, comparison
from beton.sandbox.hogql.constants import constant
from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.fields import element, field_value, typed
from beton.sandbox.hogql.parse import Node
from beton.sandbox.hogql.scope import Compiler, Scope, Value, permitted, quoted

_ARITHMETIC = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}
_CASTS = {
    "toInt": ("int", "integer", "bigint", "smallint", "tinyint", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"),
    "toFloat": ("float", "double", "real", "float32", "float64", "numeric", "decimal", "double precision"),
    "toString": ("string", "text", "varchar", "char"),
    "toBool": ("bool", "boolean"),
    "toDate": ("date",),
    "toDateTime": ("datetime", "timestamp", "datetime64", "timestamptz"),
    "toUUID": ("uuid",),
    "toNullableString": ("nullable(string)",),
}


def expression(node: Node, scope: Scope, compiler: Compiler) -> Value:
    """The text and kind of one expression. Raises HogQLError for what HogQL does not allow here."""
    handler = _HANDLERS.get(node["node"])
    if handler is None:
        raise HogQLError(f"Unsupported expression: {node['node']}")
    return handler(node, scope, compiler)


def _field(node: Node, scope: Scope, compiler: Compiler) -> Value:
    return typed(field_value(node, scope, compiler), scope)


def _untyped(node: Node, scope: Scope, compiler: Compiler) -> Value:
    """A property on the way to a deeper one keeps its JSON."""
    if node["node"] == "Field":
        return field_value(node, scope, compiler)
    if node["node"] == "ArrayAccess":
        return _access(node, scope, compiler)
    if node["node"] == "TupleAccess":
        return _tuple_access(node, scope, compiler)
    return compiler.expression(node, scope)


def _access(node: Node, scope: Scope, compiler: Compiler) -> Value:
    step = node["property"]
    key = step.get("value") if step["node"] == "Constant" and isinstance(step.get("value"), str | int) else None
    return element(_untyped(node["array"], scope, compiler), compiler.expression(step, scope), key)


def _tuple_access(node: Node, scope: Scope, compiler: Compiler) -> Value:
    base, index = _untyped(node["tuple"], scope, compiler), node["index"]
    if base.kind.startswith("Json:") or base.json is not None:
        return element(base, constant(index), index)
    return Value(f"tupleElement({base.sql}, {index})", nullable=base.nullable)


def _constant(node: Node, scope: Scope, compiler: Compiler) -> Value:
    del scope, compiler
    value = node.get("value")
    if node.get("value_type") == "number":
        value = float(str(value).replace("Infinity", "inf"))
    return constant(value)


def _alias(node: Node, scope: Scope, compiler: Compiler) -> Value:
    name = permitted(node["alias"])
    if name in scope.aliases:
        raise HogQLError(f"Cannot redefine an alias with the name: {name}")
    inner = compiler.expression(node["expr"], scope)
    scope.aliases[name] = Value(quoted(name), inner.kind, inner.nullable, json=inner.json, path=inner.path)
    return Value(f"{inner.sql} AS {quoted(name)}", inner.kind, inner.nullable)


def _arithmetic(node: Node, scope: Scope, compiler: Compiler) -> Value:
    left, right = compiler.expression(node["left"], scope), compiler.expression(node["right"], scope)
    dates = [value.kind for value in (left, right) if value.kind in ("DateTime", "Date")]
    kind = dates[0] if len(dates) == 1 else ("Integer" if left.kind == right.kind == "Integer" and node["op"] != "/" else "")
    return Value(f"{_ARITHMETIC[node['op']]}({left.sql}, {right.sql})", kind, left.nullable or right.nullable)


def _and(node: Node, scope: Scope, compiler: Compiler) -> Value:
    return _joined("and", node, scope, compiler)


def _or(node: Node, scope: Scope, compiler: Compiler) -> Value:
    return _joined("or", node, scope, compiler)


def _joined(function: str, node: Node, scope: Scope, compiler: Compiler) -> Value:
    parts = [compiler.expression(item, scope) for item in node["exprs"]]
    if len(parts) == 1:
        return parts[0]
    return Value(f"{function}({', '.join(part.sql for part in parts)})", "Boolean", any(part.nullable for part in parts))


def _not(node: Node, scope: Scope, compiler: Compiler) -> Value:
    inner = compiler.expression(node["expr"], scope)
    return Value(f"not({inner.sql})", "Boolean", inner.nullable)


def _between(node: Node, scope: Scope, compiler: Compiler) -> Value:
    value = compiler.expression(node["expr"], scope)
    low = compared("greaterOrEquals", 0, value, compiler.expression(node["low"], scope), scope)
    high = compared("lessOrEquals", 0, value, compiler.expression(node["high"], scope), scope)
    sql = f"and({low.sql}, {high.sql})"
    return Value(f"not({sql})" if node.get("negated") else sql, "Boolean")


def _tuple(node: Node, scope: Scope, compiler: Compiler) -> Value:
    return Value(f"tuple({', '.join(compiler.expression(item, scope).sql for item in node['exprs'])})", "Tuple")


def _array(node: Node, scope: Scope, compiler: Compiler) -> Value:
    return Value(f"[{', '.join(compiler.expression(item, scope).sql for item in node['exprs'])}]", "Array")


def _lambda(node: Node, scope: Scope, compiler: Compiler) -> Value:
    names = {name: Value(quoted(name)) for name in node["args"]}
    body = compiler.expression(node["expr"], scope.inner(names))
    return Value(f"({', '.join(value.sql for value in names.values())}) -> {body.sql}")


def _cast(node: Node, scope: Scope, compiler: Compiler) -> Value:
    wanted = str(node["type_name"]).lower()
    for function, names in _CASTS.items():
        if wanted in names or wanted.split("(")[0] in names:
            return call_value({"node": "Call", "name": function, "args": [node["expr"]]}, scope, compiler)
    raise HogQLError(f"Unsupported type cast to: {node['type_name']}")


def _subquery(node: Node, scope: Scope, compiler: Compiler) -> Value:
    sql, outputs = compiler.subquery(node, scope)
    only = next(iter(outputs.values()), Value(""))
    return Value(sql, only.kind, nullable=True)


def _window(node: Node, scope: Scope, compiler: Compiler) -> Value:
    if node.get("over_identifier"):
        return window_value(node, scope, compiler, quoted(node["over_identifier"]))
    over = node.get("over_expr") or {}
    frameless = node["name"] in ("lag", "lead") and over.get("frame_start") is None
    frame = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING" if frameless else ""
    return window_value(node, scope, compiler, f"({window_text(over, scope, compiler, frame)})")


def window_text(over: Node, scope: Scope, compiler: Compiler, frame: str = "") -> str:
    """What stands between the parentheses of OVER."""
    parts = []
    if over.get("partition_by"):
        parts.append("PARTITION BY " + ", ".join(compiler.expression(item, scope).sql for item in over["partition_by"]))
    if over.get("order_by"):
        parts.append("ORDER BY " + ", ".join(order_text(item, scope, compiler) for item in over["order_by"]))
    if over.get("frame_method"):
        start, end = _frame(over.get("frame_start")), _frame(over.get("frame_end"))
        frame = f"{over['frame_method']} " + (f"BETWEEN {start} AND {end}" if end else start)
    return " ".join([*parts, frame]).strip()


def _frame(bound: Node | None) -> str:
    if bound is None:
        return ""
    if bound["frame_type"] == "CURRENT ROW":
        return "CURRENT ROW"
    size = bound.get("frame_value")
    return f"{'UNBOUNDED' if size is None else int(size)} {bound['frame_type']}"


def order_text(node: Node, scope: Scope, compiler: Compiler) -> str:
    """One item of ORDER BY."""
    fill = " WITH FILL" if node.get("with_fill") else ""
    return f"{compiler.expression(node['expr'], scope).sql} {node['order']}{fill}"


_HANDLERS: dict[str, Callable[[Node, Scope, Compiler], Value]] = {
    "Alias": _alias,
    "And": _and,
    "Array": _array,
    "ArithmeticOperation": _arithmetic,
    "ArrayAccess": lambda node, scope, compiler: typed(_access(node, scope, compiler), scope),
    "BetweenExpr": _between,
    "Call": call_value,
    "CompareOperation": comparison,
    "Constant": _constant,
    "Field": _field,
    "Lambda": _lambda,
    "Not": _not,
    "Or": _or,
    "SelectQuery": _subquery,
    "SelectSetQuery": _subquery,
    "Tuple": _tuple,
    "TupleAccess": lambda node, scope, compiler: typed(_tuple_access(node, scope, compiler), scope),
    "TypeCast": _cast,
    "WindowFunction": _window,
}

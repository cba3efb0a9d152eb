"""Names, properties and the way deeper into a value."""

from __future__ import annotations

from beton.sandbox.hogql.errors import HogQLError, UnresolvedName
from beton.sandbox.hogql.parse import Node
from beton.sandbox.hogql.scope import Compiler, Scope, Source, Value, literal, permitted, unresolved


def field_value(node: Node, scope: Scope, compiler: Compiler) -> Value:
    """What a dotted name means: an alias, a column, a property, a joined table's column."""
    chain: list[str | int] = [permitted(part) if isinstance(part, str) else part for part in node["chain"]]
    head = str(chain[0])
    if head == "*":
        return Value("*")
    local = scope.local(head)
    if local is not None:
        return _deeper(local, chain[1:])
    source = scope.source(head) if len(chain) > 1 else None
    if source is not None:
        return _of_source(source, chain[1:])
    holder = scope.holder(head)
    if holder is not None:
        return _of_source(holder, chain)
    cte = scope.cte(head)
    if cte is not None and cte[0].get("cte_type") == "column" and len(chain) == 1:
        return compiler.expression(cte[0]["expr"], cte[1])
    raise unresolved(head)


def _of_source(source: Source, chain: list[str | int]) -> Value:
    name = str(chain[0])
    column = source.column(name)
    if column is not None:
        return _deeper(column, chain[1:])
    joined = source.follow(name)
    if joined is None:
        raise UnresolvedName(f"Field not found: {name}")
    if len(chain) == 1:
        raise HogQLError(f"Can't select a table when a column is expected: {name}")
    return _of_source(joined, chain[1:])


def _deeper(value: Value, path: list[str | int]) -> Value:
    if not path:
        return value
    if value.kind.startswith("Json:") or value.json is not None or value.kind == "String":
        return property_value(value, path)
    for step in path:
        key = str(step) if isinstance(step, int) else literal(step)
        value = Value(f"tupleElement({value.sql}, {key})", nullable=value.nullable)
    return value


def element(value: Value, step: Value, key: str | int | None) -> Value:
    """`value[step]`: a property when the value is JSON and the step is a constant, else an array's or a map's element."""
    if key is not None and (value.kind.startswith("Json:") or value.json is not None):
        return property_value(value, [key])
    return Value(f"arrayElement({value.sql}, {step.sql})", nullable=True)


def property_value(value: Value, path: list[str | int]) -> Value:
    """A member of a JSON column, typed by its property definition.

    PostHog takes the raw JSON and strips one pair of quotes: escapes inside a string stay as they were written, objects stay JSON,
    and a missing member, an empty raw value or JSON null is NULL. Only first-level members have definitions.
    """
    if any(step == 0 for step in path):
        raise HogQLError("SQL indexes start from one, not from zero. E.g: array.1")
    column = value.json or value
    full = (*value.path, *path)
    steps = ", ".join(str(step) if isinstance(step, int) else literal(step) for step in full)
    raw = f"nullIf(nullIf(JSONExtractRaw({column.sql}, {steps}), ''), 'null')"
    text = Value(f"replaceRegexpAll({raw}, '^\"|\"$', '')", "String", nullable=True, json=column, path=full)
    if not column.kind.startswith("Json:") or len(full) != 1:
        return text
    return Value(text.sql, f"Property:{column.kind[5:]}:{full[0]}", nullable=True, json=column, path=full)


def typed(value: Value, scope: Scope) -> Value:
    """A property as the type of its definition: unparsable numbers and dates are NULL, an undefined property is text."""
    if not value.kind.startswith("Property:"):
        return value
    _, owner, name = value.kind.split(":", 2)
    kind = scope.request.project.definitions.get((owner, name), "String")
    if kind == "Numeric":
        return Value(f"accurateCastOrNull({value.sql}, 'Float64')", "Float", nullable=True)
    if kind == "Boolean":
        return Value(f"accurateCastOrNull(transform({value.sql}, ['true', 'false'], [1, 0], NULL), 'Bool')", "Boolean", nullable=True)
    if kind == "DateTime":
        zone = literal(scope.request.zone)
        return Value(f"parseDateTime64BestEffortOrNull({value.sql}, 6, {zone})", "DateTime", nullable=True)
    return Value(value.sql, "String", nullable=True, json=value.json, path=value.path)

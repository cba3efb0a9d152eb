"""Function calls: the allow-list, arguments, and ClickHouse's spelling."""

from __future__ import annotations

from collections.abc import Callable

from beton.sandbox.hogql.comparisons import CALLS, comparison
from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.expansions import EXPANSIONS
from beton.sandbox.hogql.functions import check_arguments, find_signature, is_aggregate
from beton.sandbox.hogql.parse import Node
from beton.sandbox.hogql.scope import Compiler, Scope, Value, literal
from beton.sandbox.hogql.signature import Signature

_REDUCERS = ("count", "sum", "min", "max", "avg", "uniq")
_UNITS = {"second", "minute", "hour", "day", "week", "month", "quarter", "year"}
_SAME_KIND = {"min", "max", "any", "anyLast", "argMin", "argMax", "minIf", "maxIf", "anyIf", "anyLastIf", "argMinIf", "argMaxIf"}
_SAME_KIND |= {"ifnull", "coalesce", "nullif", "least", "greatest", "assumeNotNull", "toNullable", "addDays", "addHours", "subtractDays"}


def call_value(node: Node, scope: Scope, compiler: Compiler) -> Value:
    """One call as ClickHouse text. Raises PostHog's texts for unknown names, wrong arguments and nested aggregations."""
    name: str = node["name"]
    nodes: list[Node] = node["args"]
    signature = find_signature(name)
    check_arguments(name, signature, 0 if _counts_rows(name, nodes) else len(nodes), _length(node.get("params")))
    if name in CALLS and len(nodes) == 2:
        return comparison({"node": "CompareOperation", "op": CALLS[name], "left": nodes[0], "right": nodes[1]}, scope, compiler)
    if name in EXPANSIONS:
        return compiler.expression(EXPANSIONS[name](nodes), scope)
    if not signature.aggregate:
        return _function(node, signature, scope, compiler)
    if scope.aggregates:
        raise HogQLError(f"Aggregation '{name}' cannot be nested inside another aggregation '{scope.aggregates[-1]}'.")
    scope.aggregates.append(name)
    try:
        return _aggregation(node, signature, scope, compiler)
    finally:
        scope.aggregates.pop()


def _length(items: list[Node] | None) -> int | None:
    return None if items is None else len(items)


def _counts_rows(name: str, nodes: list[Node]) -> bool:
    return name.lower() == "count" and len(nodes) == 1 and nodes[0].get("chain") == ["*"]


def _aggregation(node: Node, signature: Signature, scope: Scope, compiler: Compiler) -> Value:
    name, nodes = node["name"], node["args"]
    if node.get("order_by"):
        raise HogQLError(f"ORDER BY inside aggregation '{name}' is not supported")
    values = [] if _counts_rows(name, nodes) else [compiler.expression(item, scope) for item in nodes]
    params = [compiler.expression(item, scope).sql for item in node.get("params") or []]
    texts = [value.sql for value in values]
    if node.get("distinct") and texts:
        texts[0] = "DISTINCT " + texts[0]
    sql = _spelled(signature.clickhouse, texts, params)
    if node.get("filter_expr") is not None:
        sql += f" FILTER (WHERE {compiler.expression(node['filter_expr'], scope).sql})"
    nullable = not signature.never_null and any(value.nullable for value in values)
    kind = values[0].kind if name in _SAME_KIND and values else _aggregate_kind(signature)
    return Value(sql, _carried(kind), nullable)


def _aggregate_kind(signature: Signature) -> str:
    if signature.clickhouse.startswith("group"):
        return "Array"
    return "Integer" if signature.never_null else ""


def _carried(kind: str) -> str:
    return "String" if kind.startswith("Property:") else kind


def _spelled(clickhouse: str, texts: list[str], params: list[str]) -> str:
    if "{" not in clickhouse:
        return f"{clickhouse}{'(' + ', '.join(params) + ')' if params else ''}({', '.join(texts)})"
    filled = clickhouse
    for index, text in enumerate(texts):
        filled = filled.replace(f"{{{index}}}", text) if f"{{{index}}}" in filled else filled.replace("{}", text, 1)
    return filled


def _function(node: Node, signature: Signature, scope: Scope, compiler: Compiler) -> Value:
    name, nodes = node["name"], node["args"]
    special = _SPECIAL.get(name.lower() if signature.any_case else name)
    values = [compiler.expression(item, scope) for item in nodes]
    if special is not None:
        return special(values, scope)
    texts = [value.sql for value in values]
    if signature.zone and len(texts) < (signature.most or 0):
        texts = _zoned(signature.clickhouse, texts, literal(scope.request.zone))
    nullable = signature.makes_null or (not signature.never_null and any(value.nullable for value in values))
    kind = signature.kind or (_carried(values[0].kind) if name in _SAME_KIND and values else "")
    return Value(_spelled(signature.clickhouse, texts, []), kind, nullable, constant=name in ("tuple", "array"))


def _zoned(clickhouse: str, texts: list[str], zone: str) -> list[str]:
    if clickhouse == "now64":
        return [*(texts or ["6"]), zone]
    if clickhouse.startswith("toDateTime64"):
        return [texts[0], "6", zone] if len(texts) == 1 else [*texts, zone]
    return [*texts, zone]


def _to_date(values: list[Value], scope: Scope) -> Value:
    """ClickHouse has one function for texts and one for dates; a value of unknown kind is cast."""
    del scope
    value = values[0]
    if value.kind in ("DateTime", "Date", "Integer"):
        return Value(f"toDate({value.sql})", "Date", value.nullable)
    if value.kind == "String":
        return Value(f"toDateOrNull({value.sql})", "Date", nullable=True)
    return Value(f"accurateCastOrNull({value.sql}, 'Date')", "Date", nullable=True)


def _to_date_time(values: list[Value], scope: Scope) -> Value:
    """A text is parsed to milliseconds, anything else converted; microseconds need toDateTime64."""
    value = values[0]
    zone = values[1].sql if len(values) > 1 else literal(scope.request.zone)
    if value.kind in ("DateTime", "Date", "Integer"):
        return Value(f"toDateTime({value.sql}, {zone})", "DateTime", value.nullable)
    return Value(f"parseDateTime64BestEffortOrNull({value.sql}, 3, {zone})", "DateTime", nullable=True)


def _parse_best_effort(values: list[Value], scope: Scope) -> Value:
    zone = values[1].sql if len(values) > 1 else literal(scope.request.zone)
    return Value(f"parseDateTime64BestEffortOrNull({values[0].sql}, 6, {zone})", "DateTime", nullable=True)


def _concat(values: list[Value], scope: Scope) -> Value:
    """NULL is an empty text here, unlike in ClickHouse."""
    del scope
    parts = [value.sql if value.text is not None else f"ifNull(toString({value.sql}), '')" for value in values]
    return Value(f"concat({', '.join(parts)})", "String")


def _array_reduce(values: list[Value], scope: Scope) -> Value:
    del scope
    reducer = values[0].text or ""
    if reducer.removesuffix("State").removesuffix("Map") not in _REDUCERS:
        raise HogQLError(f"Invalid parametric function in 'arrayReduce', '{reducer}' is not supported.")
    return Value(f"arrayReduce({', '.join(value.sql for value in values)})")


def _now(values: list[Value], scope: Scope) -> Value:
    del values
    zone = literal(scope.request.zone)
    if scope.request.fixed_now is None:
        return Value(f"now64(6, {zone})", "DateTime")
    return Value(f"toDateTime64('{scope.request.fixed_now:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')", "DateTime")


def _today(back: int) -> Callable[[list[Value], Scope], Value]:
    def today(values: list[Value], scope: Scope) -> Value:
        now = _now(values, scope)
        return Value(f"toDate(toTimeZone({now.sql}, {literal(scope.request.zone)})){f' - {back}' if back else ''}", "Date")

    return today


def _moved(operator: str) -> Callable[[list[Value], Scope], Value]:
    def moved(values: list[Value], scope: Scope) -> Value:
        del scope
        if len(values) == 2:
            return Value(f"{operator}({values[0].sql}, {values[1].sql})", values[0].kind, values[0].nullable)
        unit = (values[0].text or "").lower().removesuffix("s")
        if unit not in _UNITS:
            raise HogQLError(f"Unsupported interval unit: {unit}")
        step = f"toInterval{unit.capitalize()}({values[1].sql})"
        return Value(f"{operator}({values[2].sql}, {step})", values[2].kind, values[2].nullable)

    return moved


def _to_decimal(values: list[Value], scope: Scope) -> Value:
    del scope
    return Value(f"accurateCastOrNull({values[0].sql}, 'Decimal64({values[1].sql})')", "Float", nullable=True)


def _if_null(values: list[Value], scope: Scope) -> Value:
    del scope
    sql = ", ".join(value.sql for value in values)
    return Value(f"{'ifNull' if len(values) == 2 else 'coalesce'}({sql})", _carried(values[0].kind), all(v.nullable for v in values))


_SPECIAL: dict[str, Callable[[list[Value], Scope], Value]] = {
    "toDate": _to_date,
    "to_date": _to_date,
    "toDateTime": _to_date_time,
    "parseDateTimeBestEffort": _parse_best_effort,
    "concat": _concat,
    "arrayReduce": _array_reduce,
    "now": _now,
    "current_timestamp": _now,
    "today": _today(0),
    "current_date": _today(0),
    "yesterday": _today(1),
    "dateAdd": _moved("plus"),
    "dateSub": _moved("minus"),
    "timeStampAdd": _moved("plus"),
    "timeStampSub": _moved("minus"),
    "toDecimal": _to_decimal,
    "ifnull": _if_null,
    "coalesce": _if_null,
}


def window_value(node: Node, scope: Scope, compiler: Compiler, window: str) -> Value:
    """A window function; `lag` and `lead` look at the whole partition, as in PostgreSQL."""
    name: str = node["name"]
    signature = find_signature(name)
    arguments = node.get("args") or node.get("exprs") or []
    params = (node.get("exprs") or []) if node.get("args") else []
    values = [] if _counts_rows(name, arguments) else [compiler.expression(item, scope) for item in arguments]
    check_arguments(name, signature, len(values), len(params) or None)
    texts = [value.sql for value in values]
    if name in ("lag", "lead") and texts:
        texts[0] = f"toNullable({texts[0]})"
    sql = _spelled(signature.clickhouse, texts, [compiler.expression(item, scope).sql for item in params])
    kind = _carried(values[0].kind) if values and (name in _SAME_KIND or name.startswith(("lag", "lead", "first", "last", "nth"))) else ""
    counted = name in ("row_number", "rank", "dense_rank") or (is_aggregate(name) and signature.never_null)
    return Value(f"{sql} OVER {window}", kind, nullable=not counted)

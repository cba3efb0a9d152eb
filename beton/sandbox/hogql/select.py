"""SELECT: sources first, then columns, then every clause, as HogQL resolves them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.expressions import expression, order_text, window_text
from beton.sandbox.hogql.parse import Node
from beton.sandbox.hogql.printer import printed
from beton.sandbox.hogql.scope import Compiler, Request, Scope, Source, Value, quoted
from beton.sandbox.hogql.sources import FromClause


@dataclass(frozen=True, slots=True)
class Limits:
    """The row rules of a top-level SELECT; a nested one has none. `default` applies when the query has no LIMIT."""

    default: int
    most: int


class Translator:
    """Turns HogQL syntax trees into ClickHouse text for one request."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def expression(self, node: Node, scope: Scope) -> Value:
        """ClickHouse text of one expression."""
        return expression(node, scope, self)

    def subquery(self, node: Node, scope: Scope) -> tuple[str, dict[str, Value]]:
        """A nested SELECT in parentheses and its columns by name."""
        sql, outputs = self.query(node, scope, None)
        return f"({sql})", outputs

    def query(self, node: Node, outer: Scope | None, limits: Limits | None) -> tuple[str, dict[str, Value]]:
        """A SELECT or a set of SELECTs. Every member of a set is limited on its own, as PostHog does."""
        if node["node"] == "SelectQuery":
            return _select(node, outer, self, limits)
        if node["node"] != "SelectSetQuery":
            raise HogQLError(f"Unsupported query: {node['node']}")
        holder = _set_scope(node, outer, self.request)
        sql, outputs = self.query(node["initial_select_query"], holder, limits)
        parts = [_member(node["initial_select_query"], sql)]
        for later in node["subsequent_select_queries"]:
            sql, _ = self.query(later["select_query"], holder, limits)
            parts.append(f"{later['set_operator']} {_member(later['select_query'], sql)}")
        text = " ".join(parts)
        if node.get("order_by") or node.get("limit") is not None:
            text = _limited_set(node, text, outputs, self, limits)
        return text, outputs


def _set_scope(node: Node, outer: Scope | None, request: Request) -> Scope | None:
    if not node.get("ctes"):
        return outer
    scope = Scope(request, parent=outer)
    _read_ctes(node, scope)
    return scope


def _member(node: Node, sql: str) -> str:
    return f"({sql})" if node["node"] == "SelectSetQuery" or " LIMIT " in sql or " ORDER BY " in sql else sql


def _limited_set(node: Node, text: str, outputs: dict[str, Value], translator: Translator, limits: Limits | None) -> str:
    scope = Scope(translator.request, sources=[Source("members", translator.request, outputs=outputs)])
    text = f"SELECT * FROM ({text}) AS `members`"
    if node.get("order_by"):
        text += " ORDER BY " + ", ".join(order_text(item, scope, translator) for item in node["order_by"])
    if node.get("limit") is not None:
        text += " " + _limit(node, scope, translator, limits)
    return text


def _read_ctes(node: Node, scope: Scope) -> None:
    for cte in node.get("ctes") or []:
        if cte.get("recursive"):
            raise HogQLError("Recursive common table expressions are not supported")
        # A CTE sees those before it: its own scope holds a copy.
        scope.ctes[cte["name"]] = (cte, Scope(scope.request, parent=scope.parent, ctes=dict(scope.ctes)))


def _select(node: Node, outer: Scope | None, translator: Translator, limits: Limits | None) -> tuple[str, dict[str, Value]]:
    scope = Scope(translator.request, parent=outer)
    _read_ctes(node, scope)
    clause = FromClause(scope, translator)
    if node.get("select_from"):
        clause.read(node["select_from"])
    arrays = _array_join(node, scope, translator)
    columns, outputs = _columns(node["select"], scope, translator, named=limits is None)
    tail = _tail(node, scope, translator, clause)
    head = "SELECT DISTINCT " if node.get("distinct") else "SELECT "
    parts = [head + ", ".join(columns)]
    if node.get("select_from"):
        parts.append("FROM " + clause.text())
    parts.extend(part for part in [arrays, *tail, _limit(node, scope, translator, limits)] if part)
    return " ".join(parts), outputs


def _array_join(node: Node, scope: Scope, translator: Translator) -> str:
    if not node.get("array_join_op"):
        return ""
    items = [translator.expression(item, scope).sql for item in node["array_join_list"]]
    return f"{node['array_join_op']} {', '.join(items)}"


def _columns(nodes: list[Node], scope: Scope, compiler: Compiler, named: bool) -> tuple[list[str], dict[str, Value]]:
    """The texts after SELECT. A nested SELECT names every column, so that the outer one can ask for it."""
    texts: list[str] = []
    outputs: dict[str, Value] = {}
    for item in _expanded(nodes, scope):
        value = compiler.expression(item, scope)
        name = unique_name(column_name(item), outputs)
        text = value.sql
        if named and item["node"] != "Alias":
            text = f"{text} AS {quoted(name)}"
        texts.append(text)
        outputs[name] = replace(value, sql=quoted(name), bare="", json=None, path=(), text=None, constant=False)
    return texts, outputs


def column_name(node: Node) -> str:
    """The name of a result column: its alias, a field's last part, else the expression as HogQL."""
    if node["node"] == "Alias":
        return node["alias"]
    if node["node"] == "Field":
        return str(node["chain"][-1])
    if node["node"] == "ArrayAccess" and isinstance(node["property"].get("value"), str):
        return node["property"]["value"]
    return printed(node)


def unique_name(name: str, taken: dict[str, Value]) -> str:
    """Two columns of one name in a nested SELECT: the later one gets a number."""
    number, candidate = 1, name
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


def _expanded(nodes: list[Node], scope: Scope) -> list[Node]:
    items: list[Node] = []
    for node in nodes:
        if node["node"] == "ColumnsExpr":
            pattern = re.compile(node.get("regex") or ".*")
            items.extend(item for item in _stars(scope, None) if pattern.search(item["chain"][-1]))
        elif node["node"] == "Field" and node["chain"][-1] == "*" and len(node["chain"]) <= 2:
            items.extend(_stars(scope, node["chain"][0] if len(node["chain"]) == 2 else None))
        else:
            items.append(node)
    return items


def _stars(scope: Scope, alias: str | None) -> list[Node]:
    if not scope.sources:
        raise HogQLError("Cannot use '*' without a FROM clause")
    wanted = [source for source in scope.sources if alias in (None, source.alias)]
    if not wanted:
        raise HogQLError(f"Unable to resolve field: {alias}", "invalid_input")
    return [{"node": "Field", "chain": [source.alias, name]} for source in wanted for name in source.names()]


def _tail(node: Node, scope: Scope, translator: Translator, clause: FromClause) -> list[str]:
    def listed(key: str) -> str:
        return ", ".join(translator.expression(item, scope).sql for item in node[key])

    windows = [f"{quoted(name)} AS ({window_text(item, scope, translator)})" for name, item in (node.get("window_exprs") or {}).items()]
    parts = []
    if node.get("prewhere") is not None:
        parts.append(f"PREWHERE {translator.expression(node['prewhere'], scope).sql}")
    conditions = [translator.expression(node["where"], scope).sql] if node.get("where") is not None else []
    conditions = [*clause.team_conditions(), *conditions]
    if conditions:
        parts.append(f"WHERE {conditions[0] if len(conditions) == 1 else 'and(' + ', '.join(conditions) + ')'}")
    parts.append(_group_by(node, scope, translator))
    if node.get("having") is not None:
        parts.append(f"HAVING {translator.expression(node['having'], scope).sql}")
    if windows:
        parts.append("WINDOW " + ", ".join(windows))
    if node.get("qualify") is not None:
        parts.append(f"QUALIFY {translator.expression(node['qualify'], scope).sql}")
    if node.get("order_by"):
        parts.append("ORDER BY " + ", ".join(_order(item, scope, translator) for item in node["order_by"]))
    if node.get("limit_by"):
        by = node["limit_by"]
        exprs = ", ".join(translator.expression(item, scope).sql for item in by["exprs"])
        parts.append(f"LIMIT {translator.expression(by['n'], scope).sql} BY {exprs}")
    return parts


def _order(item: Node, scope: Scope, translator: Translator) -> str:
    if item["expr"].get("chain") == ["all"] and scope.local("all") is None:
        return f"ALL {item['order']}"
    return order_text(item, scope, translator)


def _group_by(node: Node, scope: Scope, translator: Translator) -> str:
    mode = node.get("group_by_mode")
    if mode == "all":
        return "GROUP BY ALL"
    if not node.get("group_by"):
        return ""
    if mode == "grouping_sets":
        sets = [", ".join(translator.expression(item, scope).sql for item in group["exprs"]) for group in node["group_by"]]
        return f"GROUP BY GROUPING SETS ({', '.join(f'({text})' for text in sets)})"
    keys = ", ".join(translator.expression(item, scope).sql for item in node["group_by"])
    return f"GROUP BY {mode.upper()}({keys})" if mode else f"GROUP BY {keys}"


def _limit(node: Node, scope: Scope, translator: Translator, limits: Limits | None) -> str:
    limit = node.get("limit")
    ties = " WITH TIES" if node.get("limit_with_ties") else ""
    if limit is None:
        return "" if limits is None else f"LIMIT {limits.default}"
    value = translator.expression(limit, scope)
    offset = f" OFFSET {translator.expression(node['offset'], scope).sql}" if node.get("offset") is not None else ""
    if limits is None:
        return f"LIMIT {value.sql}{ties}{offset}"
    most = str(min(limit["value"], limits.most)) if isinstance(limit.get("value"), int) else f"least({limits.most}, {value.sql})"
    return f"LIMIT {most}{ties}{offset}"

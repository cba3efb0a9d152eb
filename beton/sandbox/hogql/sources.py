"""FROM: tables, subqueries, CTEs, and the tables that fields such as `person` bring in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.parse import Node
from beton.sandbox.hogql.schema import INTERNAL_TABLES, TABLES
from beton.sandbox.hogql.scope import Compiler, Scope, Source, Value, quoted

_TABLE_FUNCTIONS = {"numbers": "number", "generateSeries": "generate_series"}
_KEEPS_FIRST = {"", "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "CROSS JOIN", "LEFT ASOF JOIN", "ASOF JOIN", "LEFT ANY JOIN"}


@dataclass(slots=True)
class _Item:
    source: Source
    relation: str
    join: str
    node: Node
    direct: bool
    constraint: str = ""


class FromClause:
    """Reads the chain of joins into the scope's sources, then prints it once every expression has said which tables it follows."""

    def __init__(self, scope: Scope, compiler: Compiler) -> None:
        self._scope = scope
        self._compiler = compiler
        self._items: list[_Item] = []

    def read(self, node: Node) -> None:
        """Adds every table of the chain to the scope, then resolves the join conditions."""
        chain: list[Node] = []
        link: Node | None = node
        while link is not None:
            chain.append(link)
            link = link.get("next_join")
        # The team's filter may stand in WHERE only when no join can drop or pad the first table's rows.
        simple = all((item.get("join_type") or "") in _KEEPS_FIRST for item in chain)
        for position, item in enumerate(chain):
            self._items.append(self._item(item, direct=simple and position == 0))
        for item in self._items:
            item.constraint = self._constraint(item.node)

    def team_conditions(self) -> list[str]:
        """The filter on the project, for the table that is read directly."""
        team = self._scope.request.project.team_id
        return [f"equals({quoted(item.source.alias)}.team_id, {team})" for item in self._items if item.direct]

    def text(self) -> str:
        """The whole clause, followed tables right after the table they belong to."""
        parts: list[str] = []
        for item in self._items:
            join = f"{item.join} " if item.join else ""
            parts.append(f"{join}{item.relation} AS {quoted(item.source.alias)}{self._sample(item.node)}{item.constraint}")
            parts.extend(self._followed(item.source))
        return " ".join(parts)

    def _item(self, node: Node, direct: bool) -> _Item:
        table = node["table"]
        join = node.get("join_type") or ""
        if node.get("column_aliases"):
            return self._renamed(node, join)
        if table["node"] in ("SelectQuery", "SelectSetQuery"):
            return self._nested(table, node, join, self._scope, node.get("alias") or f"subquery_{len(self._items) + 1}")
        if table["node"] != "Field":
            raise HogQLError(f"Unsupported table expression: {table['node']}")
        name = ".".join(str(part) for part in table["chain"])
        cte = self._scope.cte(name)
        if cte is not None and cte[0].get("cte_type") == "subquery":
            return self._nested(cte[0]["expr"], node, join, cte[1], node.get("alias") or name, cte[0].get("columns"))
        if name in _TABLE_FUNCTIONS and node.get("table_args"):
            arguments = ", ".join(self._compiler.expression(item, self._scope).sql for item in node["table_args"])
            outputs = {_TABLE_FUNCTIONS[name]: Value("", "Integer")}
            source = self._add(Source(node.get("alias") or name, self._scope.request, outputs=outputs))
            return _Item(source, f"{'generate_series' if name == 'generateSeries' else name}({arguments})", join, node, direct=False)
        return self._stored(name, node, join, direct)

    def _stored(self, name: str, node: Node, join: str, direct: bool) -> _Item:
        table = TABLES.get(name)
        if table is None or name in INTERNAL_TABLES:
            raise HogQLError(f"Unknown table `{name}`.", "invalid_input")
        source = self._add(Source(node.get("alias") or name, self._scope.request, table))
        team = self._scope.request.project.team_id
        if direct and table.stored:
            return _Item(source, table.relation, join, node, direct=True)
        if node.get("sample"):
            raise HogQLError("SAMPLE is only supported on the first table of a query")
        relation = f"(SELECT * FROM {table.relation} WHERE team_id = {team})" if table.stored else table.relation.replace("{team}", str(team))
        return _Item(source, relation, join, node, direct=False)

    def _nested(self, query: Node, node: Node, join: str, scope: Scope, alias: str, names: list[str] | None = None) -> _Item:
        sql, outputs = self._compiler.subquery(query, scope)
        if names:
            sql, outputs = _renamed(sql, outputs, names)
        return _Item(self._add(Source(alias, self._scope.request, outputs=outputs)), sql, join, node, direct=False)

    def _renamed(self, node: Node, join: str) -> _Item:
        if node["table"]["node"] not in ("SelectQuery", "SelectSetQuery"):
            raise HogQLError("Column aliases are only supported on subqueries")
        return self._nested(node["table"], node, join, self._scope, node.get("alias") or "subquery", node["column_aliases"])

    def _add(self, source: Source) -> Source:
        if any(known.alias == source.alias for known in self._scope.sources):
            raise HogQLError(f'Already have joined a table called "{source.alias}". Can\'t redefine.')
        self._scope.sources.append(source)
        return source

    def _constraint(self, node: Node) -> str:
        constraint = node.get("constraint")
        if constraint is None:
            return ""
        if constraint["constraint_type"] == "USING":
            expr = constraint["expr"]
            names = [item["chain"][-1] for item in (expr["exprs"] if expr["node"] == "Tuple" else [expr])]
            return f" USING ({', '.join(quoted(str(name)) for name in names)})"
        return f" ON {_join_condition(constraint['expr'], self._scope, self._compiler)}"

    def _sample(self, node: Node) -> str:
        sample = node.get("sample")
        if not sample:
            return ""
        offset = sample.get("offset_value")
        return f" SAMPLE {_ratio(sample['sample_value'])}" + (f" OFFSET {_ratio(offset)}" if offset else "")

    def _followed(self, source: Source) -> list[str]:
        team = str(self._scope.request.project.team_id)
        texts: list[str] = []
        for joined, join in source.joined.values():
            table = TABLES[join.table]
            relation = table.relation.replace("{team}", team)
            if table.stored:
                relation = f"(SELECT * FROM {relation} WHERE team_id = {team})"
            condition = join.on.replace("{l}", quoted(source.alias)).replace("{r}", quoted(joined.alias))
            texts.append(f"LEFT JOIN {relation} AS {quoted(joined.alias)} ON {condition}")
            texts.extend(self._followed(joined))
        return texts


def _renamed(sql: str, outputs: dict[str, Value], names: list[str]) -> tuple[str, dict[str, Value]]:
    if len(names) != len(outputs):
        raise HogQLError(f"Expected {len(outputs)} column aliases, found {len(names)}")
    items = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in zip(outputs, names, strict=True))
    renamed = {new: replace(value, sql=quoted(new)) for new, value in zip(names, outputs.values(), strict=True)}
    return f"(SELECT {items} FROM {sql})", renamed


def _ratio(node: Node) -> str:
    left, right = node["left"]["value"], node.get("right")
    return f"{left}/{right['value']}" if right else str(left)


def _join_condition(node: Node, scope: Scope, compiler: Compiler) -> str:
    """ClickHouse wants plain equalities in ON: HogQL's treatment of NULL is left away there."""
    if node["node"] == "And":
        return " AND ".join(f"({_join_condition(item, scope, compiler)})" for item in node["exprs"])
    if node["node"] == "CompareOperation" and node["op"] == "==":
        left, right = compiler.expression(node["left"], scope), compiler.expression(node["right"], scope)
        return f"equals({left.bare or left.sql}, {right.bare or right.sql})"
    return compiler.expression(node, scope).sql

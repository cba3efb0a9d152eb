"""What a name means at one place of a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from beton.sandbox.hogql.errors import HogQLError, UnresolvedName
from beton.sandbox.hogql.parse import Node
from beton.sandbox.hogql.schema import TABLES, Join, Table


@dataclass(frozen=True, slots=True)
class Value:
    """ClickHouse text of one expression and what is known of its type.

    `bare` is the unwrapped column when the text wraps a date-time column in the project's time zone: comparisons use it, so that
    ClickHouse can prune partitions. `path` and `owner` say where a property came from, so that `properties.a['b']` can go deeper.
    """

    sql: str
    kind: str = ""
    nullable: bool = False
    bare: str = ""
    constant: bool = False
    text: str | None = None
    json: Value | None = None
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """What the translation needs to know of a project. `definitions` maps (owner, property) to PostHog's property type."""

    team_id: int
    timezone: str = "UTC"
    group_types: Mapping[str, int] = field(default_factory=dict)
    definitions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    cohorts: Mapping[str, int] = field(default_factory=dict)
    test_account_filters: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One query's settings: placeholders' values, filters, whether date-times turn into the project's zone, a fixed clock if any."""

    project: Project
    values: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, Any] | None = None
    convert_zone: bool = True
    fixed_now: datetime | None = None
    now: datetime | None = None

    @property
    def zone(self) -> str:
        """The zone that date functions get when the query names none."""
        return self.project.timezone if self.convert_zone else "UTC"


@dataclass(slots=True)
class Source:
    """Something after FROM: a table or a subquery, under its alias."""

    alias: str
    request: Request
    table: Table | None = None
    outputs: dict[str, Value] = field(default_factory=dict)
    joined: dict[str, tuple[Source, Join]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether a field of this name exists here."""
        if self.table is None:
            return name in self.outputs
        return name in self.table.columns or name in self.table.joins or self._group_join(name) is not None

    def column(self, name: str) -> Value | None:
        """A plain column under this name, or None (it may still be a joined table)."""
        if self.table is None:
            known = self.outputs.get(name)
            return None if known is None else replace(known, sql=f"{quoted(self.alias)}.{quoted(name)}")
        column = self.table.columns.get(name)
        if column is None:
            return None
        sql = column.sql.replace("{t}", quoted(self.alias))
        if column.kind == "DateTime" and self.request.zone != "UTC":
            return Value(f"toTimeZone({sql}, {literal(self.request.zone)})", "DateTime", column.nullable, bare=sql)
        return Value(sql, column.kind, column.nullable, bare=sql if column.kind == "DateTime" else "")

    def names(self) -> list[str]:
        """The columns of `*`."""
        if self.table is None:
            return list(self.outputs)
        return [name for name, column in self.table.columns.items() if not column.hidden]

    def follow(self, name: str) -> Source | None:
        """The table reached through a field such as `person`, joined from now on."""
        if self.table is None:
            return None
        join = self.table.joins.get(name) or self._group_join(name)
        if join is None:
            return None
        key = join.table
        if key not in self.joined:
            self.joined[key] = (Source(f"{self.alias}__{key}", self.request, TABLES[join.table]), join)
        return self.joined[key][0]

    def _group_join(self, name: str) -> Join | None:
        index = self.request.project.group_types.get(name)
        if index is None or self.table is not TABLES["events"]:
            return None
        return self.table.joins[f"group_{index}"]


@dataclass(slots=True)
class Scope:
    """The names visible inside one SELECT. A lambda opens a scope of its own with `locals` only."""

    request: Request
    parent: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    aliases: dict[str, Value] = field(default_factory=dict)
    ctes: dict[str, tuple[Node, Scope]] = field(default_factory=dict)
    locals: dict[str, Value] = field(default_factory=dict)
    aggregates: list[str] = field(default_factory=list)

    def cte(self, name: str) -> tuple[Node, Scope] | None:
        """The common table expression of this name, from here outwards."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.ctes:
                return scope.ctes[name]
            scope = scope.parent
        return None

    def source(self, alias: str) -> Source | None:
        """The source under an alias, seen through lambdas."""
        for candidate in self.sources:
            if candidate.alias == alias:
                return candidate
        return self.parent.source(alias) if self.parent is not None and self.locals else None

    def local(self, name: str) -> Value | None:
        """An alias of this SELECT or an argument of a lambda around this place."""
        if name in self.locals:
            return self.locals[name]
        if name in self.aliases:
            return self.aliases[name]
        return self.parent.local(name) if self.parent is not None and self.locals else None

    def holder(self, name: str) -> Source | None:
        """The one source that has a field of this name."""
        holders = [candidate for candidate in self.sources if candidate.has(name)]
        if len(holders) > 1:
            raise HogQLError(f"Ambiguous query. Found multiple sources for field: {name}")
        if holders:
            return holders[0]
        return self.parent.holder(name) if self.parent is not None and self.locals else None

    def inner(self, names: Mapping[str, Value]) -> Scope:
        """The scope of a lambda's body."""
        return Scope(self.request, parent=self, locals=dict(names), aggregates=self.aggregates)


class Compiler(Protocol):
    """The two entrances every part of the translator calls back into."""

    def expression(self, node: Node, scope: Scope) -> Value:
        """ClickHouse text of one expression."""
        ...

    def subquery(self, node: Node, scope: Scope) -> tuple[str, dict[str, Value]]:
        """A SELECT in parentheses and its columns by name."""
        ...


def permitted(name: str) -> str:
    """A name of the query's author; `%` in it is refused."""
    if "%" in name:
        raise HogQLError(f'The HogQL identifier "{name}" is not permitted as it contains the "%" character')
    return name


def quoted(name: str) -> str:
    """An identifier for ClickHouse."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """A string constant for ClickHouse."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unresolved(name: str) -> UnresolvedName:
    """PostHog's answer to a name it does not know."""
    return UnresolvedName(f"Unable to resolve field: {name}")

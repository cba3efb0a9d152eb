"""The one entrance: HogQL text and a request's settings in, ClickHouse SQL out."""

from __future__ import annotations

from dataclasses import dataclass

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.parse import Node, parse_select, refuse_offset, refuse_size
from beton.sandbox.hogql.placeholders import fill_placeholders
from beton.sandbox.hogql.printer import printed_query
from beton.sandbox.hogql.scope import Request
from beton.sandbox.hogql.select import Limits, Translator, column_name

MAX_AST_ELEMENTS = 4_000_000


@dataclass(frozen=True, slots=True)
class Translation:
    """`page` is the default page length when the query has no LIMIT of its own (the SQL then asks for one row more), else None."""

    sql: str
    hogql: str
    columns: tuple[str, ...]
    page: int | None


def translate(
    text: str,
    request: Request,
    default_rows: int = 100,
    max_rows: int = 50_000,
    max_elements: int = MAX_AST_ELEMENTS,
    offset_allowed: bool = False,
) -> Translation:
    """ClickHouse SQL of a HogQL query. Raises HogQLError with PostHog's text and code."""
    tree = parse_select(text)
    refuse_size(tree, max_elements)
    if not offset_allowed:
        refuse_offset(tree)
    paged = tree["node"] == "SelectQuery" and tree.get("limit") is None
    translator = Translator(request)
    try:
        tree = fill_placeholders(tree, request)
        limits = Limits(default=default_rows + 1 if paged else default_rows, most=max_rows)
        sql, outputs = translator.query(tree, None, limits)
        hogql = printed_query(tree)
    except RecursionError:
        raise HogQLError("Expression is too deeply nested") from None
    columns = tuple(_names(tree, list(outputs)))
    return Translation(sql, hogql, columns, default_rows if paged else None)


def _names(tree: Node, outputs: list[str]) -> list[str]:
    """Names of the result columns; a repeated name stays repeated, unlike in a nested SELECT."""
    first = tree
    while first["node"] == "SelectSetQuery":
        first = first["initial_select_query"]
    names = [column_name(item) for item in first["select"]]
    return names if len(names) == len(outputs) and not any(name == "*" for name in names) else outputs

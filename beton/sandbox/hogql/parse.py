"""PostHog's parser without PostHog.

The compiled `hogql_parser` imports `posthog.hogql.errors` when it loads, only for exception classes; a stub module with those
names is enough. It returns syntax trees as JSON, and errors as JSON too.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from beton.sandbox.hogql.errors import HogQLError

Node = dict[str, Any]

OFFSET_REFUSED = (
    "OFFSET is not supported on queries made with a personal API key. For pagination, use keyset pagination on the `timestamp` column, "
    "e.g. `WHERE timestamp > :last_seen_timestamp ORDER BY timestamp LIMIT N`. For bulk data extraction, use batch exports: "
    "https://posthog.com/docs/cdp/batch-exports"
)
_STUB_CLASSES = (
    "BaseHogQLError",
    "ExposedHogQLError",
    "ImpossibleASTError",
    "InternalHogQLError",
    "NotImplementedError",
    "ParsingError",
    "QueryError",
    "ResolutionError",
    "SyntaxError",
)


class _StubError(Exception):
    """Stands in for PostHog's exception classes; the JSON interface never raises them."""

    def __init__(self, message: str = "", start: int | None = None, end: int | None = None) -> None:
        super().__init__(message)
        self.start, self.end = start, end


def _load_parser() -> types.ModuleType:
    if "posthog" not in sys.modules:
        posthog, hogql, errors = (types.ModuleType(name) for name in ("posthog", "posthog.hogql", "posthog.hogql.errors"))
        posthog.__path__, hogql.__path__ = [], []
        for name in _STUB_CLASSES:
            setattr(errors, name, type(name, (_StubError,), {}))
        sys.modules.update({"posthog": posthog, "posthog.hogql": hogql, "posthog.hogql.errors": errors})
        vars(posthog)["hogql"], vars(hogql)["errors"] = hogql, errors
    import hogql_parser

    return hogql_parser


_PARSER = _load_parser()


@lru_cache(maxsize=512)
def parse_select(text: str) -> Node:
    """The syntax tree of a SELECT (or a set of SELECTs). Raises HogQLError with character offsets.

    Trees are shared and must not be changed: parsing costs 0.1 s for 500 characters, far more for deep nesting, and a client asks
    the same text with other values again and again.
    """
    return _parsed(_PARSER.parse_select_json, text)


def parse_expression(text: str) -> Node:
    """The syntax tree of one expression, used for the sandbox's own templates and for HogQL property filters."""
    return _parsed(_PARSER.parse_expr_json, text)


def _parsed(parse: Callable[..., str], text: str) -> Node:
    tree = json.loads(parse(text, is_internal=False))
    if isinstance(tree, dict) and tree.get("error"):
        message = tree.get("message") or "Syntax error"
        raise HogQLError(message, "hogql_syntax_error", _offset(tree.get("start")), _offset(tree.get("end")))
    return tree


def _offset(position: object) -> int | None:
    return position.get("offset") if isinstance(position, dict) else None


def walk(tree: object) -> Iterator[Node]:
    """Every node of a tree, parents first. Iterative: a query may be deep."""
    pending: list[object] = [tree]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "node" in item:
                yield item
            pending.extend(value for key, value in item.items() if key not in ("start", "end"))
        elif isinstance(item, list):
            pending.extend(item)


def refuse_offset(tree: Node) -> None:
    """PostHog refuses every OFFSET of a personal key, wherever it stands; `SAMPLE x OFFSET y` is not one."""
    for node in walk(tree):
        paged = node["node"] in ("SelectQuery", "SelectSetQuery") and node.get("offset") is not None
        if paged or (node["node"] == "LimitByExpr" and node.get("offset_value") is not None):
            raise HogQLError(OFFSET_REFUSED)


def refuse_size(tree: Node, limit: int) -> None:
    """The cap on syntax tree elements."""
    for count, _ in enumerate(walk(tree), start=1):
        if count > limit:
            raise HogQLError(f"Query is too large: more than {limit} elements.")

"""Statements that are written down once, for what every request asks: plain columns of tables, narrowed to the workspace of whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

MINE = "the_workspace"
"""The parameter of prepared statements that says whose rows are meant."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A statement that sees the rows of one workspace. Made once by `prepared`, since making it takes longer than asking it."""

    statement: sa.Select[*tuple[Any, ...]]


def prepared(statement: sa.Select[*tuple[Any, ...]]) -> Prepared:
    """A statement about tables, not about mapped objects, narrowed to the workspace of whichever transaction asks it.

    Raises where it asks for anything but tables and their joins: what is inside a subquery would not be narrowed.
    """
    owned = [table for source in statement.get_final_froms() for table in _tables(source) if "workspace_id" in table.c]
    return Prepared(statement.where(*(table.c.workspace_id == sa.bindparam(MINE) for table in owned)))


def together(*several: Prepared) -> Prepared:
    """What each of them finds, in one answer."""
    found = sa.union_all(*(one.statement for one in several)).subquery()
    return Prepared(sa.select(*found.c))


def _tables(source: sa.FromClause) -> Iterator[sa.FromClause]:
    if isinstance(source, sa.Join):
        yield from _tables(source.left)
        yield from _tables(source.right)
    elif isinstance(source, sa.Table):
        yield source
    else:
        raise TypeError(f"{source} is no table: it cannot be narrowed to a workspace.")

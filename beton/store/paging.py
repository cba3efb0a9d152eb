"""Listings, newest first, page by page: by key, not by offset, so that new rows do not shift the pages being read."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from beton.errors import NotFound
from beton.store.prepared import Prepared, prepared
from beton.store.records import Page
from beton.store.store import Transaction

LARGEST_PAGE = 500
T = TypeVar("T")


def page(tx: Transaction, query: Any, row_type: Any, when: Any, to_value: Callable[[Any], T], *, limit: int, after: str | None) -> Page[T]:
    """A page of `query`, which selects `row_type`, ordered by `when` and id, beginning behind the row with the id `after`."""
    limit = max(1, min(limit, LARGEST_PAGE))
    if after is not None:
        start = tx.session.get(row_type, after)
        if start is None:
            raise _nowhere(after)
        query = query.where(sa.tuple_(when, row_type.id) < sa.tuple_(getattr(start, when.key), start.id))
    rows = tx.session.execute(query.order_by(when.desc(), row_type.id.desc()).limit(limit + 1)).scalars().all()
    return _cut(rows, to_value, limit)


def in_pages(query: sa.Select[*tuple[Any, ...]], when: sa.ColumnElement[Any], row_id: sa.ColumnElement[Any], *, further: bool) -> Prepared:
    """The same for a statement that is prepared: ordered by `when` and id; `further` begins behind the row that `asked_page` is told of."""
    if further:
        query = query.where(sa.tuple_(when, row_id) < behind_place(when, row_id))
    return prepared(query.order_by(when.desc(), row_id.desc()).limit(sa.bindparam("rows")))


def behind_place(when: sa.ColumnElement[Any], row_id: sa.ColumnElement[Any]) -> sa.Tuple:
    """Where a page begins, as two parameters."""
    return sa.tuple_(sa.bindparam("after_when", type_=when.type), sa.bindparam("after_id", type_=row_id.type))


def place_of(table: sa.Table, when: sa.ColumnElement[Any]) -> Prepared:
    """Finds where a row stands in such a listing."""
    return prepared(sa.select(when).where(table.c.id == sa.bindparam("row")))


def asked_page(
    tx: Transaction, query: Prepared, place: Prepared, to_value: Callable[[Any], T], *, limit: int, after: str | None, **values: Any
) -> Page[T]:
    """A page of a statement of `in_pages`, with the values of its other parameters; `place` is that of its table."""
    limit = max(1, min(limit, LARGEST_PAGE))
    if after is not None:
        start = tx.rows(place, row=after)
        if not start:
            raise _nowhere(after)
        values |= {"after_when": start[0][0], "after_id": after}
    return _cut(tx.rows(query, rows=limit + 1, **values), to_value, limit)


def _cut(rows: Sequence[Any], to_value: Callable[[Any], T], limit: int) -> Page[T]:
    kept = rows[:limit]
    return Page(data=tuple(to_value(row) for row in kept), next_after=kept[-1].id if len(rows) > limit else None)


def _nowhere(after: str) -> NotFound:
    return NotFound(f"The listing cannot go on after {after}: there is no such entry.")

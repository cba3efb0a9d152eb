"""Listings, newest first, page by page: by key, not by offset, so that new rows do not shift the pages being read."""

from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from beton.errors import NotFound
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
            raise NotFound(f"The listing cannot go on after {after}: there is no such entry.")
        query = query.where(sa.tuple_(when, row_type.id) < sa.tuple_(getattr(start, when.key), start.id))
    rows = tx.session.execute(query.order_by(when.desc(), row_type.id.desc()).limit(limit + 1)).scalars().all()
    kept = rows[:limit]
    return Page(data=tuple(to_value(row) for row in kept), next_after=kept[-1].id if len(rows) > limit else None)

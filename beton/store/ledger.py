"""The book of requests to one PostHog project, shared by all processes through the database.

It has the methods that the PostHog reader asks of a book; the two rooms know each other only by that shape. Each call is a small transaction of
its own, because a request that was sent stays sent whatever becomes of the work it was for. Do not call it inside an open writing transaction:
on SQLite it would wait for itself.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlmodel import col

from beton.store.store import Store, Transaction
from beton.store.tables import ConnectionRow, RequestLedgerRow, RequestPlaceRow

KEPT = timedelta(days=1)
S = TypeVar("S")


def drop_old_requests(tx: Transaction, now: datetime, connection_id: str | None = None) -> int:
    """Remove what is older than a day from one book, or from all; how many entries."""
    old = sa.delete(RequestLedgerRow).where(col(RequestLedgerRow.at) <= now - KEPT)
    return tx.count(old if connection_id is None else old.where(col(RequestLedgerRow.connection_id) == connection_id))


class RequestLedger(Generic[S]):
    """One book per connection. `spent_as` makes the answer of `spent`: of the requests sent, the bytes read, and the oldest request's instant."""

    def __init__(self, store: Store, connection_id: str, spent_as: Callable[[int, int, datetime | None], S]) -> None:
        self._store = store
        self._connection_id = connection_id
        self._spent_as = spent_as

    async def record(self, surface: str, at: datetime, *, requests: int = 0, read: int = 0) -> None:
        """Add to the book, and drop what is older than a day."""
        await asyncio.to_thread(self._record, surface, at, requests, read)

    async def spent(self, surface: str, since: datetime) -> S:
        """The sums of everything recorded after `since`, at most a day back."""
        return self._spent_as(*await asyncio.to_thread(self._spent, surface, since))

    async def acquire(self, surface: str, holder: str, *, at: datetime, until: datetime, limit: int) -> bool:
        """Take one of `limit` places, in one step; places whose time has passed are free."""
        return await asyncio.to_thread(self._acquire, surface, holder, at, until, limit)

    async def release(self, surface: str, holder: str) -> None:
        """Give the place back, if it is still held."""
        await asyncio.to_thread(self._release, surface, holder)

    def _record(self, surface: str, at: datetime, requests: int, read: int) -> None:
        with self._store.transaction() as tx:
            row = RequestLedgerRow(
                workspace_id=tx.workspace_id, connection_id=self._connection_id, surface=surface, at=at, requests=requests, read=read
            )
            tx.session.add(row)
            drop_old_requests(tx, at, self._connection_id)

    def _spent(self, surface: str, since: datetime) -> tuple[int, int, datetime | None]:
        totals = (sa.func.coalesce(sa.func.sum(column), 0) for column in (col(RequestLedgerRow.requests), col(RequestLedgerRow.read)))
        oldest = sa.func.min(sa.case((col(RequestLedgerRow.requests) > 0, col(RequestLedgerRow.at))))
        query = sa.select(*totals, oldest).where(
            col(RequestLedgerRow.connection_id) == self._connection_id,
            col(RequestLedgerRow.surface) == surface,
            col(RequestLedgerRow.at) > since,
        )
        with self._store.reading() as tx:
            sums = tx.session.execute(query).one()
        return int(sums[0]), int(sums[1]), sums[2]

    def _acquire(self, surface: str, holder: str, at: datetime, until: datetime, limit: int) -> bool:
        with self._store.transaction() as tx:
            # One at a time per connection; a lock on the key would also stop everybody who inserts a row that refers to it.
            mine = sa.select(col(ConnectionRow.id)).where(col(ConnectionRow.id) == self._connection_id)
            tx.session.execute(mine.with_for_update(key_share=True))
            held = self._places(surface)
            tx.session.execute(sa.delete(RequestPlaceRow).where(*held, col(RequestPlaceRow.until) <= at))
            holders = set(tx.session.execute(sa.select(col(RequestPlaceRow.holder)).where(*held)).scalars())
            if holder not in holders and len(holders) >= limit:
                return False
            row = RequestPlaceRow(connection_id=self._connection_id, surface=surface, holder=holder, workspace_id=tx.workspace_id, until=until)
            tx.session.merge(row)
            return True

    def _release(self, surface: str, holder: str) -> None:
        with self._store.transaction() as tx:
            tx.session.execute(sa.delete(RequestPlaceRow).where(*self._places(surface), col(RequestPlaceRow.holder) == holder))

    def _places(self, surface: str) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            col(RequestPlaceRow.connection_id) == self._connection_id,
            col(RequestPlaceRow.surface) == surface,
        )

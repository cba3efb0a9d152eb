"""How fast may be sent to one destination: slots that all workers take from one book."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from beton.store.columns import microseconds
from beton.store.reach_tables import SendLimitRow
from beton.store.store import Transaction

SECOND = 1_000_000
AHEAD = SECOND
"""Slots are given out up to a second ahead: a worker waits for its own, far below the time of its lease."""


def reserve(tx: Transaction, key: str, per_second: float, wanted: int) -> list[timedelta]:
    """Take up to `wanted` slots: how long from now until each. Fewer where others have taken them, none where a second's worth is taken."""
    tx.insert_new(SendLimitRow, [{"workspace_id": tx.workspace_id, "key": key, "free_at": 0}])
    query = sa.select(SendLimitRow).where(col(SendLimitRow.key) == key).with_for_update()
    row = tx.session.execute(query.execution_options(populate_existing=True)).scalars().one()
    now, apart = microseconds(tx.now), round(SECOND / per_second)
    begin = max(now, row.free_at)
    given = max(0, min(wanted, (now + AHEAD - begin) // apart + 1))
    row.free_at = begin + given * apart
    tx.session.flush()
    return [timedelta(microseconds=begin + number * apart - now) for number in range(given)]


def drop_unused(tx: Transaction) -> int:
    """Remove what no longer limits anything; how many there were."""
    return tx.count(sa.delete(SendLimitRow).where(col(SendLimitRow.free_at) < microseconds(tx.now - timedelta(days=1))))

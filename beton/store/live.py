"""The memory of the live sweep: instants at which atoms of live hypotheses matched, who has fired, and how far each connection is read.

No event and no property is kept, but the values that a hypothesis itself names. All of it can be rebuilt from PostHog at any time.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.store.erasure import erased_keys
from beton.store.records import Hypothesis, LiveFired, LiveMatch
from beton.store.store import Transaction
from beton.store.tables import LiveCursorRow, LiveFiredRow, LiveMatchRow

BATCH = 2000
"""Rows per INSERT: below every database's limit of parameters, above which nothing is gained."""

_COLUMNS = tuple(LiveMatchRow.metadata.tables["live_match"].c[name] for name in LiveMatch.model_fields)


def remember(tx: Transaction, connection_id: str, unit_kind: str, matches: Iterable[LiveMatch]) -> None:
    """Keep matches. Overlapping reads may bring one twice: it is known by scope, atom, unit, instant and event id. Erased units are left out."""
    erased = erased_keys(tx, connection_id)
    key = {"connection_id": connection_id, "workspace_id": tx.workspace_id}
    rows = (match.model_dump() | key for match in matches if not erased or tx.unit_key(connection_id, unit_kind, match.unit_id) not in erased)
    while batch := list(islice(rows, BATCH)):
        tx.insert_new(LiveMatchRow, batch)


def matches(
    tx: Transaction, connection_id: str, *, scope: str = "", unit_ids: Collection[str] | None = None, since: datetime | None = None
) -> list[LiveMatch]:
    """The kept matches of a scope, by unit and instant; of all units or of those named (at most some thousands)."""
    query = sa.select(*_COLUMNS).where(col(LiveMatchRow.connection_id) == connection_id, col(LiveMatchRow.scope) == scope)
    if unit_ids is not None:
        query = query.where(col(LiveMatchRow.unit_id).in_(unit_ids))
    if since is not None:
        query = query.where(col(LiveMatchRow.at) >= since)
    order = (col(LiveMatchRow.unit_id), col(LiveMatchRow.at), col(LiveMatchRow.atom), col(LiveMatchRow.event_id))
    # Without rows as objects and without checking what was checked on its way in: there may be hundreds of thousands.
    return [LiveMatch.model_construct(**row) for row in tx.session.execute(query.order_by(*order)).mappings()]


def prune(tx: Transaction, connection_id: str, before: datetime, *, scope: str | None = None) -> None:
    """Forget the matches older than the longest look-back."""
    query = sa.delete(LiveMatchRow).where(col(LiveMatchRow.connection_id) == connection_id, col(LiveMatchRow.at) < before)
    tx.session.execute(query if scope is None else query.where(col(LiveMatchRow.scope) == scope))


def forget(tx: Transaction, connection_id: str, scope: str, *, since: datetime | None = None) -> None:
    """Forget the matches of a scope, all of them or those at or after an instant that is being read again."""
    query = sa.delete(LiveMatchRow).where(col(LiveMatchRow.connection_id) == connection_id, col(LiveMatchRow.scope) == scope)
    tx.session.execute(query if since is None else query.where(col(LiveMatchRow.at) >= since))


def mark_fired(tx: Transaction, hypothesis: Hypothesis, unit_kind: str, units: Iterable[LiveFired]) -> None:
    """Units that need no signal any more: at approval, those whose fire lies in the backtested window. Erased units are left out."""
    erased = erased_keys(tx, hypothesis.connection_id)
    key = {"hypothesis_id": hypothesis.id, "hypothesis_version": hypothesis.version, "workspace_id": tx.workspace_id}
    rows = (unit.model_dump() | key for unit in units if not erased or tx.unit_key(hypothesis.connection_id, unit_kind, unit.unit_id) not in erased)
    while batch := list(islice(rows, BATCH)):
        tx.insert_new(LiveFiredRow, batch)


def fired(tx: Transaction, hypothesis_id: str, version: int) -> dict[str, LiveFired]:
    """Unit id → its last fire of this version."""
    query = sa.select(LiveFiredRow).where(
        col(LiveFiredRow.hypothesis_id) == hypothesis_id,
        col(LiveFiredRow.hypothesis_version) == version,
        col(LiveFiredRow.workspace_id) == tx.workspace_id,
    )
    rows = tx.session.execute(query.order_by(col(LiveFiredRow.occurrence))).scalars()
    return {row.unit_id: LiveFired(unit_id=row.unit_id, fired_at=row.fired_at, occurrence=row.occurrence) for row in rows}


def read_until(tx: Transaction, connection_id: str, scope: str = "") -> datetime | None:
    """Everything before this instant has been swept for this scope; `None` before its first sweep."""
    row = tx.session.get(LiveCursorRow, (connection_id, scope))
    return None if row is None else row.read_until


def advance(tx: Transaction, connection_id: str, until: datetime, *, scope: str = "") -> None:
    """Move the cursor, in the transaction that wrote what was found. It never moves back: a late worker changes nothing."""
    values = {"connection_id": connection_id, "scope": scope, "workspace_id": tx.workspace_id, "read_until": until, "updated_at": tx.now}
    tx.insert_new(LiveCursorRow, [values])
    mine = (col(LiveCursorRow.connection_id) == connection_id, col(LiveCursorRow.scope) == scope)
    forward = sa.update(LiveCursorRow).where(*mine, col(LiveCursorRow.read_until) < until)
    tx.session.execute(forward.values(read_until=until, updated_at=tx.now))


def rewind(tx: Transaction, connection_id: str) -> None:
    """Drop the cursor and every match of a connection, so that the next sweep rebuilds both."""
    for row_type in (LiveCursorRow, LiveMatchRow):
        connection: Any = row_type.connection_id
        tx.session.execute(sa.delete(row_type).where(connection == connection_id))

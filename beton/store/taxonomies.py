"""Snapshots of a project's taxonomy. Names, types and counts in clear; sampled values sealed, and gone after thirty days."""

import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.store.backtests import digest_of
from beton.store.columns import new_id
from beton.store.records import TaxonomySnapshot
from beton.store.store import Transaction
from beton.store.tables import TaxonomySnapshotRow

SAMPLES_KEPT = timedelta(days=30)
_TABLE, _SEALED = "taxonomy_snapshot", "samples_sealed"


def save(tx: Transaction, connection_id: str, content: dict[str, Any], samples: dict[str, Any] | None = None) -> TaxonomySnapshot:
    """Keep a snapshot in place of the former one of this connection. `content` must hold no sampled value; those belong into `samples`."""
    tx.session.execute(sa.delete(TaxonomySnapshotRow).where(col(TaxonomySnapshotRow.connection_id) == connection_id))
    row_id = new_id("tax")
    sealed = None if samples is None else tx.sealer.seal(json.dumps(samples), tx.place(_TABLE, row_id, _SEALED))
    row = TaxonomySnapshotRow(
        id=row_id,
        workspace_id=tx.workspace_id,
        connection_id=connection_id,
        taken_at=tx.now,
        digest=digest_of(content),
        content=content,
        samples_sealed=sealed,
        samples_expire_at=None if samples is None else tx.now + SAMPLES_KEPT,
    )
    tx.session.add(row)
    tx.session.flush()
    return _value(row)


def latest(tx: Transaction, connection_id: str) -> TaxonomySnapshot | None:
    """The present snapshot of a connection."""
    row = _latest(tx, connection_id)
    return None if row is None else _value(row)


def samples(tx: Transaction, connection_id: str) -> dict[str, Any] | None:
    """The sampled values of the present snapshot, while they are kept."""
    row = _latest(tx, connection_id)
    if row is None or row.samples_sealed is None or row.samples_expire_at is None or row.samples_expire_at <= tx.now:
        return None
    return json.loads(tx.sealer.open(row.samples_sealed, tx.place(_TABLE, row.id, _SEALED)))


def drop_expired_samples(tx: Transaction) -> int:
    """Remove the values that are older than thirty days; of how many snapshots."""
    due = sa.update(TaxonomySnapshotRow).where(col(TaxonomySnapshotRow.samples_expire_at) <= tx.now)
    return tx.count(due.values(samples_sealed=None, samples_expire_at=None))


def _latest(tx: Transaction, connection_id: str) -> TaxonomySnapshotRow | None:
    query = sa.select(TaxonomySnapshotRow).where(col(TaxonomySnapshotRow.connection_id) == connection_id)
    return tx.session.execute(query.order_by(col(TaxonomySnapshotRow.taken_at).desc(), col(TaxonomySnapshotRow.id).desc())).scalars().first()


def _value(row: TaxonomySnapshotRow) -> TaxonomySnapshot:
    return TaxonomySnapshot.model_validate(row.model_dump(include={"id", "connection_id", "taken_at", "digest", "content"}))

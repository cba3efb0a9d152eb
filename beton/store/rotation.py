"""Changing the sealing key: everything sealed with a former key is sealed again with the present one."""

from typing import Any

import sqlalchemy as sa

from beton.store.store import Transaction
from beton.store.tables import ConnectionRow, RouteRow, TaxonomySnapshotRow, WorkspaceRow

SEALED_COLUMNS: dict[type[Any], str] = {
    WorkspaceRow: "unit_hash_key_sealed",
    ConnectionRow: "api_key_sealed",
    TaxonomySnapshotRow: "samples_sealed",
    RouteRow: "destination_sealed",
}
"""Every column that holds a sealed text. A test compares it with the tables."""


def reseal_all(tx: Transaction) -> int:
    """Bring every secret of the workspace under the active key; how many were changed. Afterwards the former keys may be dropped."""
    changed = 0
    for row_type, column in SEALED_COLUMNS.items():
        owner = row_type.id if row_type is WorkspaceRow else row_type.workspace_id
        for row in tx.session.execute(sa.select(row_type).where(owner == tx.workspace_id).with_for_update()).scalars():
            sealed = getattr(row, column)
            fresh = None if sealed is None else tx.sealer.reseal(sealed, tx.place(row_type.__tablename__, row.id, column))
            if fresh is not None:
                setattr(row, column, fresh)
                changed += 1
    tx.session.flush()
    return changed

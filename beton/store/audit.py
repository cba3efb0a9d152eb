"""Who did what to what. Entries are written in the transaction of the deed, and the database refuses to change them."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import mask
from beton.store.records import AuditEntry
from beton.store.store import Transaction
from beton.store.tables import AuditEntryRow


def write(
    tx: Transaction,
    actor: str,
    action: str,
    object_type: str,
    object_id: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry. `before` and `after` are JSON values without units' ids; whatever looks like a key in them is masked."""
    tx.session.add(
        AuditEntryRow(
            workspace_id=tx.workspace_id,
            at=tx.now,
            actor=mask(actor),
            action=action,
            object_type=object_type,
            object_id=object_id,
            before=_masked(before),
            after=_masked(after),
        )
    )


def entries(tx: Transaction, *, object_id: str | None = None, limit: int = 100) -> list[AuditEntry]:
    """The newest entries first, of one object or of all."""
    query = sa.select(AuditEntryRow).where(col(AuditEntryRow.workspace_id) == tx.workspace_id)
    if object_id is not None:
        query = query.where(col(AuditEntryRow.object_id) == object_id)
    rows = tx.session.execute(query.order_by(col(AuditEntryRow.id).desc()).limit(limit)).scalars()
    return [AuditEntry(**row.model_dump(exclude={"workspace_id"})) for row in rows]


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value

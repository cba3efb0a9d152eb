"""Changing the sealing key: everything sealed with a former key is sealed again with the present one."""

from typing import Any

import sqlalchemy as sa

from beton.store.delivery_tables import RouteRow
from beton.store.inbound_tables import InboundEventRow, InboundSourceRow
from beton.store.people_tables import KeptAnswerRow
from beton.store.reach_tables import SignalAccountRow, SnoozeRow, SuppressionRow
from beton.store.sealing import prefix_of
from beton.store.store import Store, Transaction
from beton.store.tables import BacktestFireRow, ConnectionRow, SignalRow, TaxonomySnapshotRow, WorkspaceRow

AT_ONCE = 2000
"""Seals per transaction: some tens of milliseconds, for which other writers wait."""

SEALED_COLUMNS: dict[type[Any], str] = {
    WorkspaceRow: "unit_hash_key_sealed",
    ConnectionRow: "api_key_sealed",
    TaxonomySnapshotRow: "samples_sealed",
    RouteRow: "destination_sealed",
    SignalRow: "unit_sealed",
    BacktestFireRow: "unit_sealed",
    KeptAnswerRow: "answer_sealed",
    SignalAccountRow: "account_sealed",
    SuppressionRow: "label_sealed",
    SnoozeRow: "label_sealed",
    InboundSourceRow: "secret_sealed",
    InboundEventRow: "payload_sealed",
}
"""Every column that holds a sealed text. A test compares it with the tables."""


def reseal_all(store: Store, at_once: int = AT_ONCE) -> int:
    """Bring every secret of the workspace under the active key, some at a time; how many were changed. Then the former keys may be dropped."""
    changed = 0
    for row_type in SEALED_COLUMNS:
        after = ""
        while after is not None:
            with store.transaction() as tx:
                some, after = reseal_some(tx, row_type, after, at_once)
            changed += some
    return changed


def reseal_some(tx: Transaction, row_type: type[Any], after: str, limit: int) -> tuple[int, str | None]:
    """Bring up to `limit` secrets of one table, by id behind `after`, under the active key: how many there were, and where to go on, if anywhere."""
    table = row_type.metadata.tables[row_type.__tablename__]
    column = table.c[SEALED_COLUMNS[row_type]]
    owner = table.c.id if row_type is WorkspaceRow else table.c.workspace_id
    present = prefix_of(tx.sealer.active)
    former = (owner == tx.workspace_id, column.is_not(None), sa.func.substr(column, 1, len(present)) != present)
    query = sa.select(table.c.id, column).where(*former, table.c.id > after).order_by(table.c.id).limit(limit)
    found = tx.session.execute(query.with_for_update()).all()
    fresh = [{"row": row, "sealed": tx.sealer.reseal(sealed, tx.place(table.name, row, column.name))} for row, sealed in found]
    if fresh:
        statement = sa.update(table).where(table.c.id == sa.bindparam("row")).values({column.name: sa.bindparam("sealed")})
        tx.session.connection().execute(statement, fresh)
        tx.session.expire_all()
    return len(fresh), found[-1].id if len(found) == limit else None

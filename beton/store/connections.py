"""PostHog projects that Beton reads, and their sealed keys."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from beton.errors import Conflict, NotFound
from beton.store import audit
from beton.store.agent_tables import ConfirmationRow, FactRow, ModelSpendRow, QuestionRow, SearchRecordRow
from beton.store.columns import new_id, table_of
from beton.store.delivery_tables import DeliveryAttemptRow, DeliveryRow, NoticeRow
from beton.store.inbound_tables import InboundAddressRow, InboundEventRow, InboundHourRow, InboundSourceRow
from beton.store.prepared import prepared
from beton.store.proof_tables import BrokenNameRow, DriftAlarmRow, HoldoutRow, HoldoutUnitRow, SignalOutcomeRow
from beton.store.reach_tables import SignalAccountRow
from beton.store.records import Connection, ConnectionStatus
from beton.store.store import Transaction
from beton.store.tables import (
    BacktestFireRow,
    BacktestRow,
    ConnectionRow,
    ErasedUnitRow,
    HypothesisRow,
    HypothesisVersionRow,
    LiveCursorRow,
    LiveFiredRow,
    LiveMatchRow,
    ReadBucketRow,
    RequestLedgerRow,
    RequestPlaceRow,
    RunRow,
    SignalFeedbackRow,
    SignalRow,
    TaxonomySnapshotRow,
)

_TABLE, _KEY = "connection", "api_key_sealed"
_COLUMNS = table_of(ConnectionRow).c
_EVERY = prepared(sa.select(*(_COLUMNS[name] for name in Connection.model_fields)).order_by(_COLUMNS.name))
_OWNED: tuple[Any, ...] = (
    ConfirmationRow, SearchRecordRow, FactRow, QuestionRow, InboundEventRow, InboundSourceRow,
    HypothesisRow, RunRow, TaxonomySnapshotRow, LiveMatchRow, LiveCursorRow, ErasedUnitRow, RequestLedgerRow, RequestPlaceRow,
)  # fmt: skip
"""What refers to nothing but its connection, once its own dependants are gone."""

_PROOF: tuple[Any, ...] = (HoldoutRow, DriftAlarmRow, BrokenNameRow)


def add(
    tx: Transaction,
    *,
    name: str,
    host: str,
    project_id: str,
    api_key: str,
    actor: str,
    share: float = 0.5,
    timezone: str = "UTC",
    limits: dict[str, Any] | None = None,
) -> Connection:
    """Keep a connection; `Conflict` when the name is taken. `limits` is the profile that the reader has found out or been told."""
    if _find(tx, name) is not None:
        raise _taken(name)
    row_id = new_id("con")
    row = ConnectionRow(
        id=row_id,
        workspace_id=tx.workspace_id,
        name=name,
        host=host,
        project_id=project_id,
        api_key_sealed=tx.sealer.seal(api_key, tx.place(_TABLE, row_id, _KEY)),
        share=share,
        timezone=timezone,
        limits=limits or {},
        created_at=tx.now,
        updated_at=tx.now,
    )
    tx.session.add(row)
    try:
        tx.session.flush()
    except IntegrityError:
        raise _taken(name) from None  # another process was first
    audit.write(tx, actor, "connection.add", _TABLE, row_id, after={"name": name, "host": host, "project_id": project_id, "share": share})
    return _value(row)


def get(tx: Transaction, name_or_id: str) -> Connection:
    """The connection with this name or id."""
    return _value(_row(tx, name_or_id))


def every(tx: Transaction) -> list[Connection]:
    """All connections, by name."""
    return [Connection(**row._mapping) for row in tx.rows(_EVERY)]


def api_key(tx: Transaction, name_or_id: str) -> str:
    """The key in clear, for the reader alone."""
    row = _row(tx, name_or_id)
    return tx.sealer.open(row.api_key_sealed, tx.place(_TABLE, row.id, _KEY))


def replace_key(tx: Transaction, name_or_id: str, new_key: str, *, actor: str) -> None:
    """Put another key in place of the present one; the connection has to be checked anew."""
    row = _row(tx, name_or_id)
    row.api_key_sealed = tx.sealer.seal(new_key, tx.place(_TABLE, row.id, _KEY))
    row.status, row.problem, row.updated_at = "unchecked", None, tx.now
    audit.write(tx, actor, "connection.replace_key", _TABLE, row.id)


def configure(tx: Transaction, name_or_id: str, *, actor: str, share: float | None = None, limits: dict[str, Any] | None = None) -> Connection:
    """Change the share of PostHog's limits that may be used, or the profile of those limits."""
    row = _row(tx, name_or_id)
    before = {"share": row.share, "limits": row.limits}
    row.share = row.share if share is None else share
    row.limits = row.limits if limits is None else limits
    row.updated_at = tx.now
    audit.write(tx, actor, "connection.configure", _TABLE, row.id, before=before, after={"share": row.share, "limits": row.limits})
    return _value(row)


def remove(tx: Transaction, name_or_id: str, *, actor: str, force: bool = False) -> None:
    """Remove a connection with its key, taxonomy, runs and book of requests; `Conflict` while it has hypotheses.

    With `force` these go too, with their results, signals and deliveries. The audit log stays, and says how much went. Work under way on the
    connection fails at its next step.
    """
    row = _row(tx, name_or_id)
    mine = col(HypothesisRow.connection_id) == row.id
    kept = tx.session.execute(sa.select(sa.func.count()).select_from(HypothesisRow).where(mine)).scalar_one()
    if kept and not force:
        raise Conflict(
            f"The connection {row.name} has {kept} hypotheses, which would go with it, and their results and signals too.",
            code="conflict.has_hypotheses",
            fix="Retire what is live and keep the connection, or remove it by force.",
            details={"hypotheses": kept},
        )
    row_id, before = row.id, {"name": row.name, "host": row.host, "project_id": row.project_id}
    removed = {table: tx.count(statement) for table, statement in _belongings(row_id)}
    audit.write(tx, actor, "connection.remove", _TABLE, row_id, before=before, after={table: count for table, count in removed.items() if count})


def _belongings(connection_id: str) -> Iterator[tuple[str, sa.Delete]]:
    """Deletions of all that hangs on a connection, and of itself, in an order that leaves no reference to what is gone."""

    def of(parent: Any) -> Any:
        return sa.select(parent.id).where(parent.connection_id == connection_id)

    signals, hypotheses, runs, sources = of(SignalRow), of(HypothesisRow), of(RunRow), of(InboundSourceRow)
    notices = sa.select(col(NoticeRow.id)).where(col(NoticeRow.hypothesis_id).in_(hypotheses))
    about = sa.or_(col(DeliveryRow.signal_id).in_(signals), col(DeliveryRow.notice_id).in_(notices))
    deliveries = sa.select(col(DeliveryRow.id)).where(about)
    owned: tuple[tuple[Any, sa.ColumnElement[bool]], ...] = (
        (DeliveryAttemptRow, col(DeliveryAttemptRow.delivery_id).in_(deliveries)),
        (DeliveryRow, about),
        (NoticeRow, col(NoticeRow.hypothesis_id).in_(hypotheses)),
        (SignalFeedbackRow, col(SignalFeedbackRow.signal_id).in_(signals)),
        (SignalAccountRow, col(SignalAccountRow.id).in_(signals)),
        (HoldoutUnitRow, col(HoldoutUnitRow.signal_id).in_(signals)),
        (SignalOutcomeRow, col(SignalOutcomeRow.id).in_(signals)),
        *((row_type, row_type.hypothesis_id.in_(hypotheses)) for row_type in _PROOF),
        (SignalRow, col(SignalRow.connection_id) == connection_id),
        (LiveFiredRow, col(LiveFiredRow.hypothesis_id).in_(hypotheses)),
        (HypothesisVersionRow, col(HypothesisVersionRow.hypothesis_id).in_(hypotheses)),
        (BacktestRow, col(BacktestRow.hypothesis_id).in_(hypotheses)),
        (BacktestFireRow, col(BacktestFireRow.hypothesis_id).in_(hypotheses)),
        (ReadBucketRow, col(ReadBucketRow.run_id).in_(runs)),
        (InboundHourRow, col(InboundHourRow.source_id).in_(sources)),
        (InboundAddressRow, col(InboundAddressRow.source_id).in_(sources)),
        (ModelSpendRow, col(ModelSpendRow.run_id).in_(runs)),
        *((row_type, row_type.connection_id == connection_id) for row_type in _OWNED),
        (ConnectionRow, col(ConnectionRow.id) == connection_id),
    )
    for row_type, which in owned:
        yield row_type.__tablename__, sa.delete(row_type).where(which)


def checked(tx: Transaction, name_or_id: str, status: ConnectionStatus, *, problem: str | None = None, timezone: str | None = None) -> Connection:
    """Write down the outcome of a check."""
    row = _row(tx, name_or_id)
    row.status, row.problem, row.last_checked_at = status, problem, tx.now
    row.timezone = timezone or row.timezone
    return _value(row)


def _find(tx: Transaction, name_or_id: str) -> ConnectionRow | None:
    query = sa.select(ConnectionRow).where(
        sa.or_(col(ConnectionRow.id) == name_or_id, col(ConnectionRow.name) == name_or_id),
    )
    return tx.session.execute(query).scalars().first()


def _row(tx: Transaction, name_or_id: str) -> ConnectionRow:
    row = _find(tx, name_or_id)
    if row is None:
        raise NotFound(f"There is no connection called {name_or_id}.", fix="List them, or make one with: beton connect")
    return row


def _taken(name: str) -> Conflict:
    return Conflict(f"There is already a connection called {name}.", code="conflict.name_taken", fix="Choose another name, or replace its key.")


def _value(row: ConnectionRow) -> Connection:
    return Connection.model_validate(row.model_dump(exclude={_KEY}))

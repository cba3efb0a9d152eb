"""The tables. Rows live and die in this room; what leaves it are the frozen values of `records` and `beton.signals`.

No column can hold an event's properties: there are counts, fires, instants, event names, ids, and the values that a hypothesis itself names.
Columns that hold credentials, sampled values or the units of signals end in `_sealed` and contain only what `sealing` made.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from beton.lifecycle import Status
from beton.signals import HELD_BECAUSE, SIGNAL_TYPES, Feedback
from beton.store.columns import Owned, Row, belongs_to, document, maybe_document, maybe_moment, microsecond_moment, moment, one_of

UNIT_KINDS = ("person", "account")
VERDICTS = ("clears", "does_not_clear", "cannot_tell")
COMPACT = {"sqlite_with_rowid": False}
"""Tables that are nothing but their key: without row ids SQLite stores each row once instead of twice."""


class WorkspaceRow(Row, table=True):
    __tablename__ = "workspace"
    id: str = Field(primary_key=True)
    name: str
    unit_hash_key_sealed: str
    settings: dict[str, Any] = document()
    created_at: datetime = moment()


class ConnectionRow(Owned, Row, table=True):
    __tablename__ = "connection"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "name"),
        sa.CheckConstraint("share > 0 AND share <= 1", name="share_is_a_share"),
        one_of("status", "unchecked", "working", "failing"),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace")
    name: str
    host: str
    project_id: str
    api_key_sealed: str
    share: float
    timezone: str
    status: str = "unchecked"
    problem: str | None = None
    last_checked_at: datetime | None = maybe_moment()
    limits: dict[str, Any] = document()
    created_at: datetime = moment()
    updated_at: datetime = moment()


class TaxonomySnapshotRow(Owned, Row, table=True):
    __tablename__ = "taxonomy_snapshot"
    __table_args__ = (sa.Index(None, "connection_id", "taken_at"),)
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace")
    connection_id: str = belongs_to("connection", index=False)
    taken_at: datetime = moment()
    digest: str
    content: dict[str, Any] = document()
    samples_sealed: str | None = None
    samples_expire_at: datetime | None = maybe_moment()


class HypothesisRow(Owned, Row, table=True):
    __tablename__ = "hypothesis"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "connection_id", "fingerprint"),
        sa.Index(None, "workspace_id", "status", "rank", "id"),
        sa.Index(None, "workspace_id", "status", "verdict"),
        sa.Index(None, "workspace_id", "created_at", "id"),
        sa.Index(None, "workspace_id", "connection_id", "created_at", "id"),
        one_of("status", *Status),
        one_of("source", "agent", "person", "search"),
        one_of("verdict", *VERDICTS),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection", index=False)
    name: str
    version: int = 1
    fingerprint: str
    definition: dict[str, Any] = document()
    sentence: str
    type: str
    status: str
    row_version: int = 1
    source: str
    selected: bool
    rejected_reason: str | None = None
    snoozed_until: datetime | None = maybe_moment()
    override_reason: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = maybe_moment()
    live_from: datetime | None = maybe_moment()
    live_since: datetime | None = maybe_moment()
    fired_count: int = 0
    newest_backtest_id: str | None = None
    verdict: str | None = None
    rank: float = 0.0
    created_at: datetime = moment()
    updated_at: datetime = moment()


class HypothesisVersionRow(Owned, Row, table=True):
    """What each version said, and the result on which a person approved it: signals refer to this long after a revision."""

    __tablename__ = "hypothesis_version"
    hypothesis_id: str = belongs_to("hypothesis", key=True)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    workspace_id: str = belongs_to("workspace", index=False)
    fingerprint: str
    definition: dict[str, Any] = document()
    sentence: str
    backtest_id: str | None = Field(default=None, foreign_key="backtest.id")
    created_at: datetime = moment()


class RunRow(Owned, Row, table=True):
    __tablename__ = "run"
    __table_args__ = (
        sa.Index(None, "workspace_id", "created_at", "id"),
        one_of("kind", "taxonomy", "propose", "backtest", "sweep"),
        one_of("status", "queued", "running", "done", "failed", "cancelled"),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str | None = Field(default=None, foreign_key="connection.id", index=True)
    kind: str
    status: str = "queued"
    request: dict[str, Any] = document()
    progress: dict[str, Any] = document()
    counts: dict[str, Any] = document()
    error: dict[str, Any] | None = maybe_document()
    workflow_id: str | None = Field(default=None, unique=True)
    created_at: datetime = moment()
    started_at: datetime | None = maybe_moment()
    finished_at: datetime | None = maybe_moment()


class ReadBucketRow(Owned, Row, table=True):
    __tablename__ = "read_bucket"
    run_id: str = belongs_to("run", key=True)
    bucket: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    workspace_id: str = belongs_to("workspace", index=False)
    counts: Any = document()
    finished_at: datetime = moment()


class BacktestRow(Owned, Row, table=True):
    __tablename__ = "backtest"
    __table_args__ = (sa.Index(None, "hypothesis_id", "created_at"), sa.UniqueConstraint("run_id", "hypothesis_id", "hypothesis_version"))
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)  # SQLite would take it for narrower than the key
    hypothesis_id: str = belongs_to("hypothesis", index=False)
    hypothesis_version: int
    run_id: str = belongs_to("run", index=False)
    as_of: datetime = moment()
    window_days: float
    fingerprint: str
    result: dict[str, Any] = document()
    clears: bool | None = None
    digest: str
    created_at: datetime = moment()


class BacktestFireRow(Owned, Row, table=True):
    """Who fired last in the newest backtest of a hypothesis: what an approval would have meant."""

    __tablename__ = "backtest_fire"
    __table_args__ = (
        sa.UniqueConstraint("hypothesis_id", "run_id", "unit_key"),
        sa.Index(None, "unit_key"),
        one_of("unit_kind", *UNIT_KINDS),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    run_id: str = belongs_to("run", index=False)
    hypothesis_id: str = belongs_to("hypothesis", index=False)
    unit_kind: str
    unit_sealed: str
    unit_key: str
    fired_at: datetime = moment()
    outcome_at: datetime | None = maybe_moment()


class SignalRow(Owned, Row, table=True):
    __tablename__ = "signal"
    __table_args__ = (
        sa.UniqueConstraint("hypothesis_id", "hypothesis_version", "unit_key", "occurrence"),
        sa.Index(None, "workspace_id", "detected_at", "id"),
        sa.Index(None, "workspace_id", "connection_id", "detected_at", "id"),
        sa.Index(None, "workspace_id", "hypothesis_id", "detected_at", "id"),
        sa.Index(None, "workspace_id", "owner_id", "detected_at", "id"),
        sa.Index(None, "workspace_id", "type", "detected_at", "id"),
        sa.Index(None, "connection_id", "unit_key"),
        sa.Index(None, "workspace_id", "assigned_id", "assigned_at"),
        sa.Index(None, "workspace_id", "escalate_at"),
        one_of("unit_kind", *UNIT_KINDS),
        one_of("held_because", *HELD_BECAUSE),
        one_of("signal_type", *SIGNAL_TYPES),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection", index=False)
    hypothesis_id: str = belongs_to("hypothesis", index=False)
    hypothesis_version: int
    type: str
    unit_kind: str
    unit_sealed: str | None
    unit_key: str
    occurrence: int
    fired_at: datetime = moment()
    detected_at: datetime = moment()
    confidence: float | None
    receipts: list[dict[str, Any]] = document()
    owner_id: str | None = None
    taken_back_at: datetime | None = maybe_moment()
    held_because: str | None = None
    signal_type: str = "custom"
    assigned_id: str | None = None
    assigned_at: datetime | None = maybe_moment()
    escalate_at: datetime | None = maybe_moment()
    passed_over: dict[str, Any] | None = maybe_document()
    revised_at: datetime | None = maybe_moment()
    merged_into: str | None = None


class SignalFeedbackRow(Owned, Row, table=True):
    """What became of a signal, as the one who followed it up says; the last word counts, and the audit log has those before."""

    __tablename__ = "signal_feedback"
    __table_args__ = (sa.Index(None, "hypothesis_id", "verdict"), one_of("verdict", *Feedback))
    signal_id: str = belongs_to("signal", key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    hypothesis_id: str = belongs_to("hypothesis", index=False)  # the signal's, to count by without looking at the signals
    verdict: str
    actor: str
    at: datetime = moment()


class ErasedUnitRow(Owned, Row, table=True):
    """Keyed hashes of erased units: the least that must be kept so that a sweep does not write them down again."""

    __tablename__ = "erased_unit"
    connection_id: str = belongs_to("connection", key=True)
    unit_key: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    erased_at: datetime = moment()


class LiveMatchRow(Owned, Row, table=True):
    """In the order of the key: sweeps read a scope whole, pushes read a few units of it. `event` is the event's id, by which it is known again."""

    __tablename__ = "live_match"
    __table_args__ = (COMPACT,)
    connection_id: str = belongs_to("connection", key=True)
    scope: str = Field(primary_key=True)
    unit_id: str = Field(primary_key=True)
    atom: str = Field(primary_key=True)
    event: bytes = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    at: int = microsecond_moment()
    value: Any = maybe_document()


class LiveFiredRow(Owned, Row, table=True):
    __tablename__ = "live_fired"
    __table_args__ = (COMPACT,)
    hypothesis_id: str = belongs_to("hypothesis", key=True)
    hypothesis_version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    unit_id: str = Field(primary_key=True)
    occurrence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    workspace_id: str = belongs_to("workspace", index=False)
    at: int = microsecond_moment()


class LiveCursorRow(Owned, Row, table=True):
    __tablename__ = "live_cursor"
    connection_id: str = belongs_to("connection", key=True)
    scope: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    read_until: datetime = moment()
    updated_at: datetime = moment()


class AuditEntryRow(Owned, Row, table=True):
    """Append only: triggers of the first migration refuse updates and deletions. `number` counts the workspace's entries from 1, and `chain` is
    the SHA-256 over the chain before it and the entry: see `audit`."""

    __tablename__ = "audit_entry"
    __table_args__ = (sa.Index(None, "workspace_id", "object_id", "number"), sa.UniqueConstraint("workspace_id", "number"))
    id: int | None = Field(default=None, primary_key=True)
    workspace_id: str = belongs_to("workspace")
    at: datetime = moment()
    actor: str
    action: str
    object_type: str
    object_id: str
    before: dict[str, Any] | None = maybe_document()
    after: dict[str, Any] | None = maybe_document()
    number: int
    chain: str


class RequestLedgerRow(Owned, Row, table=True):
    __tablename__ = "request_ledger"
    __table_args__ = (sa.Index(None, "connection_id", "surface", "at"),)
    id: int | None = Field(default=None, primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection", index=False)
    surface: str
    at: datetime = moment()
    requests: int
    read: int = Field(sa_type=sa.BigInteger)


class RequestPlaceRow(Owned, Row, table=True):
    """Requests under way; a place whose `until` has passed belonged to a worker that died."""

    __tablename__ = "request_place"
    connection_id: str = belongs_to("connection", key=True)
    surface: str = Field(primary_key=True)
    holder: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    until: datetime = moment()

"""Runs: what is being done, how far it is, what it cost, and the finished parts that a crash must not cost again."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import Conflict, NotFound
from beton.store.columns import new_id
from beton.store.paging import page
from beton.store.records import Page, Run, RunKind, RunStatus
from beton.store.store import Transaction
from beton.store.tables import ReadBucketRow, RunRow


def queue(
    tx: Transaction, kind: RunKind, *, connection_id: str | None = None, request: dict[str, Any] | None = None, workflow_id: str | None = None
) -> Run:
    """A run that has not begun; with a known `workflow_id`, the run it has. `request` is what was asked for, small and without secrets."""
    known = None if workflow_id is None else tx.session.execute(sa.select(RunRow).where(col(RunRow.workflow_id) == workflow_id)).scalars().first()
    if known is not None:
        return _value(known)
    row = RunRow(
        id=new_id("run"),
        workspace_id=tx.workspace_id,
        connection_id=connection_id,
        kind=kind,
        request=request or {},
        progress={"done": 0, "total": 0, "message": "Waiting to begin"},
        counts={},
        workflow_id=workflow_id,
        created_at=tx.now,
    )
    tx.session.add(row)
    tx.session.flush()
    return _value(row)


def begin(tx: Transaction, run_id: str, *, workflow_id: str | None = None) -> Run:
    """The run begins, or begins again after a crash."""
    row = _unfinished(tx, run_id)
    row.status = str(RunStatus.RUNNING)
    row.started_at = row.started_at or tx.now
    row.workflow_id = workflow_id or row.workflow_id
    return _value(row)


def progress(tx: Transaction, run_id: str, *, done: int, total: int, message: str, counts: dict[str, Any] | None = None) -> Run:
    """How far it is. `counts`, when given, replace the former ones."""
    row = _unfinished(tx, run_id)
    row.progress = {"done": done, "total": total, "message": message}
    row.counts = row.counts if counts is None else counts
    return _value(row)


def finish(tx: Transaction, run_id: str, status: RunStatus, *, counts: dict[str, Any] | None = None, error: dict[str, Any] | None = None) -> Run:
    """The run is over: done, failed (with `error` as of `BetonError.as_problem`) or cancelled. Its finished buckets are no longer needed."""
    if not status.over:
        raise ValueError(f"{status} is not an end")
    row = _unfinished(tx, run_id)
    row.status, row.finished_at, row.error = str(status), tx.now, error
    row.counts = row.counts if counts is None else counts
    tx.session.execute(sa.delete(ReadBucketRow).where(col(ReadBucketRow.run_id) == run_id))
    return _value(row)


def get(tx: Transaction, run_id: str) -> Run:
    """The run with this id."""
    return _value(_row(tx, run_id))


def listing(
    tx: Transaction,
    *,
    kind: RunKind | None = None,
    connection_id: str | None = None,
    statuses: Collection[RunStatus] = (),
    limit: int = 50,
    after: str | None = None,
) -> Page[Run]:
    """Runs, newest first."""
    query = sa.select(RunRow)
    if kind is not None:
        query = query.where(col(RunRow.kind) == kind)
    if connection_id is not None:
        query = query.where(col(RunRow.connection_id) == connection_id)
    if statuses:
        query = query.where(col(RunRow.status).in_(list(statuses)))
    return page(tx, query, RunRow, RunRow.created_at, _value, limit=limit, after=after)


def save_bucket(tx: Transaction, run_id: str, bucket: int, counts: Any) -> int:
    """Keep the mergeable counts of one finished hash bucket; how many are kept by now. Saving it twice keeps the first: a repeated step has the
    same counts."""
    _unfinished(tx, run_id)
    values = {"run_id": run_id, "bucket": bucket, "workspace_id": tx.workspace_id, "counts": counts, "finished_at": tx.now}
    tx.insert_new(ReadBucketRow, [values])
    kept = sa.select(sa.func.count()).select_from(ReadBucketRow).where(col(ReadBucketRow.run_id) == run_id)
    return tx.session.execute(kept).scalar_one()


def finished_buckets(tx: Transaction, run_id: str) -> dict[int, Any]:
    """Bucket number → counts, of the buckets that need not be read again."""
    query = sa.select(ReadBucketRow).where(col(ReadBucketRow.run_id) == run_id)
    return {row.bucket: row.counts for row in tx.session.execute(query).scalars()}


def _row(tx: Transaction, run_id: str) -> RunRow:
    row = tx.session.get(RunRow, run_id)
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    return row


def _unfinished(tx: Transaction, run_id: str) -> RunRow:
    """The run's row, locked, so that a cancellation and a progress report cannot overwrite each other."""
    query = sa.select(RunRow).where(col(RunRow.id) == run_id).with_for_update()
    row = tx.session.execute(query.execution_options(populate_existing=True)).scalars().first()
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    if RunStatus(row.status).over:
        raise Conflict(f"The run {run_id} is already {row.status}.", code="conflict.run_over", fix="Start a new run.")
    return row


def _value(row: RunRow) -> Run:
    return Run.model_validate(row.model_dump(exclude={"workspace_id"}))

"""How proposals came about, which looks at confirming data were taken, and what models have cost: written once, so that it can be told later."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import AwareDatetime
from sqlmodel import col

from beton.signals import Value
from beton.store.agent_tables import ConfirmationRow, ModelSpendRow, SearchRecordRow
from beton.store.store import Transaction
from beton.store.tables import BacktestRow


class SearchRecord(Value):
    """The record of one run."""

    run_id: str
    connection_id: str
    content: dict[str, Any]
    created_at: datetime


class Confirmation(Value):
    """A definition that was evaluated on `[confirmed_from, confirmed_until)`. `counted`: whether the result was told and judged; where it was not
    (its definition had been edited after numbers were shown), `withheld` says why."""

    run_id: str
    fingerprint: str
    connection_id: str
    hypothesis_id: str
    hypothesis_version: int
    confirmed_from: AwareDatetime
    confirmed_until: AwareDatetime
    counted: bool = True
    withheld: dict[str, Any] | None = None


class Spent(Value):
    """Sums over the runs of a day."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0


def keep(tx: Transaction, run_id: str, connection_id: str, content: dict[str, Any]) -> None:
    """Keep the record of a run; a repeated step changes nothing."""
    values = {"run_id": run_id, "workspace_id": tx.workspace_id, "connection_id": connection_id, "content": content, "created_at": tx.now}
    tx.insert_new(SearchRecordRow, [values])


def of_run(tx: Transaction, run_id: str) -> SearchRecord | None:
    """The record of a run, if it was a search."""
    row = tx.session.get(SearchRecordRow, run_id)
    return None if row is None else _record(row)


def of_hypothesis(tx: Transaction, hypothesis_id: str) -> list[SearchRecord]:
    """The records of the searches that have proposed it, newest first."""
    runs = sa.select(col(BacktestRow.run_id)).where(col(BacktestRow.hypothesis_id) == hypothesis_id)
    query = sa.select(SearchRecordRow).where(col(SearchRecordRow.run_id).in_(runs))
    rows = tx.session.execute(query.order_by(col(SearchRecordRow.created_at).desc(), col(SearchRecordRow.run_id).desc())).scalars()
    return [_record(row) for row in rows]


def latest(tx: Transaction, connection_id: str) -> SearchRecord | None:
    """The record of the newest search of a connection."""
    query = sa.select(SearchRecordRow).where(col(SearchRecordRow.connection_id) == connection_id)
    newest = query.order_by(col(SearchRecordRow.created_at).desc(), col(SearchRecordRow.run_id).desc()).limit(1)
    row = tx.session.execute(newest).scalars().first()
    return None if row is None else _record(row)


def log_confirmations(tx: Transaction, looks: Collection[Confirmation]) -> None:
    """Write down which definitions were looked at on which data. A repeated step adds nothing."""
    tx.insert_new(ConfirmationRow, [one.model_dump() | {"workspace_id": tx.workspace_id, "created_at": tx.now} for one in looks])


def confirmations(tx: Transaction, hypothesis_id: str) -> list[Confirmation]:
    """All looks at confirming data that a hypothesis has had, in all its versions, oldest first."""
    query = sa.select(ConfirmationRow).where(col(ConfirmationRow.hypothesis_id) == hypothesis_id)
    rows = tx.session.execute(query.order_by(col(ConfirmationRow.created_at), col(ConfirmationRow.hypothesis_version))).scalars()
    return [Confirmation.model_validate(row.model_dump(exclude={"workspace_id", "created_at"})) for row in rows]


def spend(tx: Transaction, run_id: str, *, calls: int, tokens: int, money: float) -> None:
    """What a run's model has cost so far, in place of what was known before; counted towards the day on which it is written for the first time."""
    row = tx.session.get(ModelSpendRow, run_id)
    if row is None:
        row = ModelSpendRow(run_id=run_id, workspace_id=tx.workspace_id, day=_day(tx.now), updated_at=tx.now)
        tx.session.add(row)
    row.calls, row.tokens, row.money, row.updated_at = calls, tokens, money, tx.now


def spent_by(tx: Transaction, run_id: str) -> Spent:
    """What the model of a run has cost so far."""
    row = tx.session.get(ModelSpendRow, run_id)
    return Spent() if row is None else Spent(calls=row.calls, tokens=row.tokens, money=row.money)


def spent_on(tx: Transaction, at: datetime) -> Spent:
    """Everything that the models of the workspace have cost on the day of an instant, in UTC."""
    query = sa.select(ModelSpendRow).where(col(ModelSpendRow.day) == _day(at))
    rows = tx.session.execute(query).scalars().all()
    return Spent(calls=sum(one.calls for one in rows), tokens=sum(one.tokens for one in rows), money=sum(one.money for one in rows))


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _record(row: SearchRecordRow) -> SearchRecord:
    return SearchRecord.model_validate(row.model_dump(exclude={"workspace_id"}))

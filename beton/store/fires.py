"""Who fired last in the newest backtest of a hypothesis. An approval is easier to judge by ten accounts that one knows than by any ratio.

At most `MOST` per result, the latest ones; their units are sealed. A newer result of the same hypothesis replaces them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col

from beton.store.columns import new_id
from beton.store.erasure import erased_keys
from beton.store.records import BacktestFire
from beton.store.store import Transaction
from beton.store.tables import BacktestFireRow

MOST = 500


def keep(tx: Transaction, connection_id: str, run_id: str, hypothesis_id: str, fires: Sequence[BacktestFire]) -> None:
    """Add fires of a run; a unit that is there already stays as it is, erased ones are left out."""
    gone = erased_keys(tx, connection_id)
    latest = sorted(fires, key=lambda one: one.fired_at, reverse=True)[:MOST]
    tx.insert_new(BacktestFireRow, [row for one in latest if (row := _row(tx, connection_id, run_id, hypothesis_id, one))["unit_key"] not in gone])


def settle(tx: Transaction, run_id: str, hypothesis_ids: Collection[str]) -> None:
    """The run is over: of each hypothesis only its latest fires stay, and those of earlier runs go."""
    for hypothesis_id in hypothesis_ids:
        mine = col(BacktestFireRow.hypothesis_id) == hypothesis_id
        tx.count(sa.delete(BacktestFireRow).where(mine, col(BacktestFireRow.run_id) != run_id))
        surplus = sa.select(col(BacktestFireRow.id)).where(mine).order_by(col(BacktestFireRow.fired_at).desc()).offset(MOST).limit(10**9)
        tx.count(sa.delete(BacktestFireRow).where(col(BacktestFireRow.id).in_(surplus)))


def latest(tx: Transaction, hypothesis_id: str, run_id: str, *, limit: int = 10) -> list[BacktestFire]:
    """The last fires of a result, the latest first."""
    query = sa.select(BacktestFireRow).where(
        col(BacktestFireRow.hypothesis_id) == hypothesis_id,
        col(BacktestFireRow.run_id) == run_id,
    )
    rows = tx.session.execute(query.order_by(col(BacktestFireRow.fired_at).desc(), col(BacktestFireRow.id)).limit(limit)).scalars()
    return [_value(tx, row) for row in rows]


def instants(tx: Transaction, hypothesis_id: str, run_id: str) -> list[tuple[str, datetime, datetime | None]]:
    """Id, fire and outcome of all that are kept of a result, the latest first. Nothing is unsealed for it."""
    row = BacktestFireRow
    mine = (col(row.hypothesis_id) == hypothesis_id, col(row.run_id) == run_id)
    query = sa.select(col(row.id), col(row.fired_at), col(row.outcome_at)).where(*mine).order_by(col(row.fired_at).desc(), col(row.id))
    return [(one_id, fired_at, outcome_at) for one_id, fired_at, outcome_at in tx.session.execute(query)]


def some(tx: Transaction, fire_ids: Collection[str]) -> dict[str, BacktestFire]:
    """These, by id; unknown ones are missing."""
    rows = tx.session.execute(sa.select(BacktestFireRow).where(col(BacktestFireRow.id).in_(fire_ids))).scalars()
    return {row.id: _value(tx, row) for row in rows}


def _row(tx: Transaction, connection_id: str, run_id: str, hypothesis_id: str, one: BacktestFire) -> dict[str, object]:
    row_id = new_id("fir")
    return {
        "id": row_id,
        "workspace_id": tx.workspace_id,
        "run_id": run_id,
        "hypothesis_id": hypothesis_id,
        "unit_kind": one.unit_kind,
        "unit_sealed": tx.sealer.seal(one.unit_id, tx.place("backtest_fire", row_id, "unit_sealed")),
        "unit_key": tx.unit_key(connection_id, one.unit_kind, one.unit_id),
        "fired_at": one.fired_at,
        "outcome_at": one.outcome_at,
    }


def _value(tx: Transaction, row: BacktestFireRow) -> BacktestFire:
    unit = tx.sealer.open(row.unit_sealed, tx.place("backtest_fire", row.id, "unit_sealed"))
    return BacktestFire(
        unit_kind="account" if row.unit_kind == "account" else "person", unit_id=unit, fired_at=row.fired_at, outcome_at=row.outcome_at
    )

"""Notices: changes of a hypothesis's status, written down for the routes that want to know of them, in the transaction of the change itself."""

from typing import Literal

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import NotFound
from beton.lifecycle import Action, Status
from beton.signals import DeliveryStatus, Notice
from beton.store.columns import content_id, new_id
from beton.store.deliveries import notice_value
from beton.store.delivery_tables import DeliveryRow, NoticeRow, RouteRow
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow


def tell(tx: Transaction, row: HypothesisRow, was: Status, action: Action, *, actor: str, reason: str | None = None) -> int:
    """Write a change down, with one delivery for each enabled route that wants notices. How many there were; none where nothing has changed.

    Unlike signals, notices are neither held nor given up when the hypothesis is paused or retired: that is what they tell.
    """
    return 0 if row.status == was else _write(tx, row, _wanting(tx), was=str(was), action=str(action), actor=actor, reason=reason)


def warn(tx: Transaction, hypothesis_id: str, about: Literal["drift", "names_broke"], reason: str) -> int:
    """The same of what Beton has noticed about a live hypothesis, whose status stays. It counts as a change of the hypothesis all the same: whoever
    decides on what they saw before is told so."""
    routes = _wanting(tx)
    if not routes:
        return 0
    mine = col(HypothesisRow.id) == hypothesis_id
    tx.count(sa.update(HypothesisRow).where(mine).values(row_version=col(HypothesisRow.row_version) + 1, updated_at=tx.now))
    row = tx.session.execute(sa.select(HypothesisRow).where(mine)).scalars().one()
    return _write(tx, row, routes, was=row.status, action=about, actor="beton", reason=reason)


def _wanting(tx: Transaction) -> list[str]:
    wants = sa.select(col(RouteRow.id)).where(col(RouteRow.enabled), col(RouteRow.notices)).order_by(col(RouteRow.id))
    return list(tx.session.execute(wants).scalars())


def _write(tx: Transaction, row: HypothesisRow, routes: list[str], **change: str | None) -> int:
    if not routes:
        return 0
    notice_id = new_id("ntc")
    told = {"hypothesis_id": row.id, "hypothesis_version": row.version, "row_version": row.row_version, "sentence": row.sentence}
    tx.insert_new(NoticeRow, [{"id": notice_id, "workspace_id": tx.workspace_id, **told, **change, "became": row.status, "at": tx.now}])
    tx.insert_new(DeliveryRow, [_delivery(tx, row, notice_id, route_id) for route_id in routes])
    return len(routes)


def get(tx: Transaction, notice_id: str) -> Notice:
    """The notice with this id."""
    row = tx.session.get(NoticeRow, notice_id)
    if row is None:
        raise NotFound(f"There is no notice {notice_id}.")
    return notice_value(row)


def _delivery(tx: Transaction, row: HypothesisRow, notice_id: str, route_id: str) -> dict[str, object]:
    return {
        "id": new_id("dlv"),
        "workspace_id": tx.workspace_id,
        "notice_id": notice_id,
        "route_id": route_id,
        "status": str(DeliveryStatus.PENDING),
        "attempts": 0,
        "attempts_before": 0,
        "step": 0,
        "next_attempt_at": tx.now,
        "message_id": content_id("msg", "status", row.id, str(row.row_version), row.status, route_id),
        "created_at": tx.now,
    }

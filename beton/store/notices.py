"""Notices: changes of a hypothesis's status, written down for the routes that want to know of them, in the transaction of the change itself."""

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
    if row.status == was:
        return 0
    wants = sa.select(col(RouteRow.id)).where(col(RouteRow.enabled), col(RouteRow.notices)).order_by(col(RouteRow.id))
    routes = list(tx.session.execute(wants).scalars())
    if not routes:
        return 0
    notice_id = new_id("ntc")
    told = {"hypothesis_id": row.id, "hypothesis_version": row.version, "row_version": row.row_version, "sentence": row.sentence}
    change = {"was": str(was), "became": row.status, "action": str(action), "actor": actor, "reason": reason, "at": tx.now}
    tx.insert_new(NoticeRow, [{"id": notice_id, "workspace_id": tx.workspace_id, **told, **change}])
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
        "next_attempt_at": tx.now,
        "message_id": content_id("msg", "status", row.id, str(row.row_version), row.status, route_id),
        "created_at": tx.now,
    }

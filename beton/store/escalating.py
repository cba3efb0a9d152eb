"""Signals that nobody has claimed in time: they become somebody else's, who is told along the same route."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.signals import DeliveryStatus
from beton.store import audit
from beton.store.columns import content_id, new_id
from beton.store.delivery_tables import DeliveryRow, RouteRow
from beton.store.route_rules import Rules
from beton.store.store import Transaction
from beton.store.tables import SignalRow

AT_ONCE = 500
REMINDER = 1
"""The step of a delivery that says a signal a second time."""


def escalate(tx: Transaction) -> int:
    """Give what is unclaimed and overdue to whom its route names, and tell them once. How many there were."""
    overdue = sa.select(SignalRow).where(col(SignalRow.escalate_at) <= tx.now).order_by(col(SignalRow.escalate_at), col(SignalRow.id)).limit(AT_ONCE)
    rows = list(tx.session.execute(overdue.with_for_update(skip_locked=True).execution_options(populate_existing=True)).scalars())
    told = []
    for row in rows:
        row.escalate_at = None
        if row.owner_id is not None or row.taken_back_at is not None or row.unit_sealed is None:
            continue
        route = _route_of(tx, row.id)
        if route is None:
            continue
        rules = Rules.model_validate(route.rules)
        audit.write(tx, "beton", "signal.escalate", "signal", row.id, before={"to": row.assigned_id}, after={"to": rules.owners.escalate_to})
        row.assigned_id, row.assigned_at = rules.owners.escalate_to, tx.now
        told.append(_delivery(tx, row, route.id))
    tx.session.flush()
    tx.insert_new(DeliveryRow, told)
    return len(told)


def _route_of(tx: Transaction, signal_id: str) -> RouteRow | None:
    """The first of the signal's routes, by name, that is on and says to whom it goes on."""
    query = sa.select(RouteRow).join(DeliveryRow, col(DeliveryRow.route_id) == col(RouteRow.id))
    mine = query.where(col(DeliveryRow.signal_id) == signal_id, col(DeliveryRow.step) == 0, col(RouteRow.enabled)).order_by(col(RouteRow.name))
    return next((row for row in tx.session.execute(mine).scalars() if Rules.model_validate(row.rules).owners.escalate_to), None)


def _delivery(tx: Transaction, row: SignalRow, route_id: str) -> dict[str, Any]:
    return {
        "id": new_id("dlv"),
        "workspace_id": tx.workspace_id,
        "signal_id": row.id,
        "route_id": route_id,
        "status": str(DeliveryStatus.PENDING),
        "attempts": 0,
        "attempts_before": 0,
        "step": REMINDER,
        "next_attempt_at": tx.now,
        "message_id": content_id("msg", "unclaimed", row.hypothesis_id, str(row.hypothesis_version), row.unit_key, str(row.occurrence), route_id),
        "created_at": tx.now,
    }

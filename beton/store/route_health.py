"""How destinations do: one that only fails for days is paused, and says so."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from beton.store import audit
from beton.store.delivery_tables import RouteRow
from beton.store.store import Transaction

PAUSED_AFTER = timedelta(days=5)
FEWEST_FAILURES = 10
"""Failures that a pause needs besides: a route that is used once a week has not failed for five days after two of them."""

BY_ITSELF = "beton"


def note(tx: Transaction, route_id: str, *, arrived: bool) -> bool:
    """Write down how an attempt ended; whether the route was paused for it. Its deliveries wait then until a person switches it on again."""
    if arrived:
        failing = sa.update(RouteRow).where(col(RouteRow.id) == route_id, col(RouteRow.failures) > 0)
        tx.count(failing.values(failures=0, failing_since=None))
        return False
    query = sa.select(RouteRow).where(col(RouteRow.id) == route_id).with_for_update()
    row = tx.session.execute(query.execution_options(populate_existing=True)).scalars().one()
    row.failures, row.failing_since = row.failures + 1, row.failing_since or tx.now
    paused = row.enabled and row.failures >= FEWEST_FAILURES and tx.now - row.failing_since >= PAUSED_AFTER
    if paused:
        row.enabled = False
        row.problem = f"Paused: nothing has arrived since {row.failing_since:%Y-%m-%d %H:%M} UTC, in {row.failures} attempts."
        after = {"enabled": False, "problem": row.problem}
        audit.write(tx, BY_ITSELF, "route.switch", "route", row.id, before={"enabled": True, "problem": None}, after=after)
    tx.session.flush()
    return paused

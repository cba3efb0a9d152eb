"""However deep in a listing, its next page is found in an index, in its order."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from beton.signals import DeliveryStatus
from beton.store import deliveries, hypotheses, runs, signals
from beton.store.records import Connection, Route
from beton.store.store import Store, Transaction
from tests.conftest import Clock
from tests.store.steps import approved, finding

Listing = Callable[[Transaction, dict[str, str]], Any]

LISTINGS: dict[str, tuple[str, Listing]] = {
    "hypotheses": ("ix_hypothesis_workspace_id_created_at_id", lambda tx, ids: hypotheses.listing(tx, after=ids["hypothesis"])),
    "hypotheses of a connection": (
        "ix_hypothesis_workspace_id_connection_id_created_at_id",
        lambda tx, ids: hypotheses.listing(tx, connection_id=ids["connection"], after=ids["hypothesis"]),
    ),
    "signals": ("ix_signal_workspace_id_detected_at_id", lambda tx, ids: signals.listing(tx, after=ids["signal"])),
    "signals of a hypothesis": (
        "ix_signal_workspace_id_hypothesis_id_detected_at_id",
        lambda tx, ids: signals.listing(tx, hypothesis_id=ids["hypothesis"], after=ids["signal"]),
    ),
    "signals of a connection": (
        "ix_signal_workspace_id_connection_id_detected_at_id",
        lambda tx, ids: signals.listing(tx, connection_id=ids["connection"], after=ids["signal"]),
    ),
    "deliveries": ("ix_delivery_workspace_id_created_at_id", lambda tx, ids: deliveries.listing(tx, after=ids["delivery"])),
    "deliveries of a route": (
        "ix_delivery_workspace_id_route_id_created_at_id",
        lambda tx, ids: deliveries.listing(tx, route_id=ids["route"], after=ids["delivery"]),
    ),
    "runs": ("ix_run_workspace_id_created_at_id", lambda tx, ids: runs.listing(tx, after=ids["run"])),
}


@pytest.fixture
def ids(store: Store, connection: Connection, route: Route, clock: Clock) -> dict[str, str]:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        (signal,) = signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
        (delivery,) = deliveries.listing(tx, status=DeliveryStatus.PENDING).data
        run = runs.queue(tx, "sweep", connection_id=connection.id)
    found = {"hypothesis": hypothesis, "connection": connection, "route": route, "signal": signal, "delivery": delivery, "run": run}
    return {name: one.id for name, one in found.items()}


@pytest.mark.parametrize("name", LISTINGS)
def test_a_page_is_read_off_an_index(store: Store, ids: dict[str, str], name: str) -> None:
    index, listing = LISTINGS[name]
    with store.reading() as tx:
        knows_sizes = tx.session.get_bind().dialect.name == "postgresql"
        if knows_sizes:  # a table of one row is otherwise read whole, and any index will do
            for way in ("seqscan", "sort", "bitmapscan"):
                tx.session.execute(sa.text(f"SET LOCAL enable_{way} = off"))
        plan = plan_of_last(tx, lambda: listing(tx, ids))
    assert ("Index Scan Backward" if knows_sizes else index) in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def plan_of_last(tx: Transaction, read: Callable[[], Any]) -> str:
    """How the database answers the last query of `read`."""
    asked: list[tuple[str, Any]] = []
    connection = tx.session.connection()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    read()
    event.remove(connection, "before_cursor_execute", note)
    statement, parameters = asked[-1]
    how = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    return "\n".join(str(row) for row in connection.exec_driver_sql(f"{how} {statement}", parameters))

"""What waits for somebody, as the frame of every page tells it: counted anew each time, in one question."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from beton.lifecycle import Status
from beton.store.columns import Row, table_of
from beton.store.delivery_tables import RouteRow
from beton.store.prepared import Prepared, prepared, together
from beton.store.proof_tables import BrokenNameRow, DriftAlarmRow
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow


@dataclass(frozen=True)
class Waiting:
    """How many proposals nobody has decided upon, how many live hypotheses ask for attention, and which routes their receivers have stopped."""

    proposals: int
    troubled: int
    paused: tuple[str, ...]


def _about(row_type: type[Row], what: str, name: str, *which: sa.ColumnElement[bool]) -> Prepared:
    return prepared(sa.select(sa.literal(what).label("what"), sa.literal(1).label("number"), table_of(row_type).c[name].label("name")).where(*which))


_PROPOSED = prepared(
    sa.select(sa.literal("proposed"), sa.func.count(), sa.null())
    .select_from(table_of(HypothesisRow))
    .where(table_of(HypothesisRow).c.status == str(Status.PROPOSED))
)
_ROUTE = table_of(RouteRow).c
_EVERYTHING = together(
    _about(DriftAlarmRow, "trouble", "hypothesis_id", table_of(DriftAlarmRow).c.answered_at.is_(None)),
    _about(BrokenNameRow, "trouble", "hypothesis_id", table_of(BrokenNameRow).c.ended_at.is_(None)),
    _about(RouteRow, "paused", "name", sa.not_(_ROUTE.enabled), _ROUTE.problem.is_not(None)),
    _PROPOSED,
)


def waiting(tx: Transaction) -> Waiting:
    """All of it, of this workspace."""
    found = tx.rows(_EVERYTHING)
    names = {what: {name for each, _, name in found if each == what} for what in ("trouble", "paused")}
    proposals = sum(number for what, number, _ in found if what == "proposed")
    return Waiting(proposals, len(names["trouble"]), tuple(sorted(names["paused"])))

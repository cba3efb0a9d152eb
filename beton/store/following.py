"""What people do with a signal: claim it, say what became of it, take it back where it was a mistake."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import NotFound
from beton.signals import DeliveryStatus, Feedback, Signal, Value
from beton.store import audit
from beton.store.columns import table_of
from beton.store.deliveries import WAITING, signal_value
from beton.store.delivery_tables import DeliveryRow
from beton.store.prepared import prepared
from beton.store.store import Transaction
from beton.store.tables import SignalFeedbackRow, SignalRow

_TYPE = "signal"
HELD = (*WAITING, str(DeliveryStatus.PAUSED))
"""What has not left and would, sooner or later."""


class GivenFeedback(Value):
    """The last word about a signal."""

    signal_id: str
    verdict: Feedback
    actor: str
    at: datetime


_COLUMNS = table_of(SignalFeedbackRow).c
_GIVEN = prepared(
    sa.select(*(_COLUMNS[name] for name in GivenFeedback.model_fields)).where(_COLUMNS.signal_id.in_(sa.bindparam("signals", expanding=True)))
)
_TALLY = prepared(sa.select(_COLUMNS.verdict, sa.func.count()).where(_COLUMNS.hypothesis_id == sa.bindparam("hypothesis")).group_by(_COLUMNS.verdict))


def claim(tx: Transaction, signal_id: str, owner_id: str | None, *, actor: str) -> Signal:
    """Say whose business it is; `None` is nobody's."""
    row = _locked(tx, signal_id)
    if row.owner_id != owner_id:
        audit.write(tx, actor, "signal.claim", _TYPE, row.id, before={"owner_id": row.owner_id}, after={"owner_id": owner_id})
        row.owner_id = owner_id
        tx.session.flush()
    return signal_value(tx, row)


def say(tx: Transaction, signal_id: str, verdict: Feedback | None, *, actor: str) -> GivenFeedback | None:
    """Keep what became of a signal in place of what was said before; `None` takes that away."""
    row = _locked(tx, signal_id)
    kept = tx.session.get(SignalFeedbackRow, row.id)
    if (kept.verdict if kept else None) == verdict:
        return None if kept is None else _value(kept)
    before = {"verdict": kept.verdict} if kept else None
    audit.write(tx, actor, "signal.feedback", _TYPE, row.id, before=before, after={"verdict": verdict})
    if verdict is None:
        tx.session.delete(kept)
        tx.session.flush()
        return None
    if kept is None:
        about = {"signal_id": row.id, "workspace_id": tx.workspace_id, "hypothesis_id": row.hypothesis_id}
        kept = SignalFeedbackRow(**about, verdict=verdict, actor=actor, at=tx.now)
        tx.session.add(kept)
    kept.verdict, kept.actor, kept.at = str(verdict), actor, tx.now
    tx.session.flush()
    return _value(kept)


def take_back(tx: Transaction, signal_id: str, *, actor: str) -> tuple[Signal, int]:
    """Count a signal as a mistake, and give up its deliveries that have not left; how many these were. What has left cannot be called back."""
    row = _locked(tx, signal_id)
    if row.taken_back_at is not None:
        return signal_value(tx, row), 0
    row.taken_back_at = tx.now
    tx.session.flush()
    unsent = sa.update(DeliveryRow).where(col(DeliveryRow.signal_id) == signal_id, col(DeliveryRow.status).in_(HELD))
    stopped = tx.count(unsent.values(status=str(DeliveryStatus.DEAD), next_attempt_at=None, last_error="The signal was taken back."))
    audit.write(tx, actor, "signal.take_back", _TYPE, signal_id, after={"stopped": stopped})
    return signal_value(tx, _locked(tx, signal_id)), stopped


def put_back(tx: Transaction, signal_id: str, *, actor: str) -> Signal:
    """It was right after all. Deliveries that were given up stay so until somebody sends them again."""
    row = _locked(tx, signal_id)
    if row.taken_back_at is not None:
        audit.write(tx, actor, "signal.put_back", _TYPE, row.id, before={"taken_back_at": row.taken_back_at.isoformat()})
        row.taken_back_at = None
        tx.session.flush()
    return signal_value(tx, row)


def feedback(tx: Transaction, signal_ids: Collection[str]) -> dict[str, GivenFeedback]:
    """What was said, by signal; those about which nothing was said are missing."""
    found = tx.rows(_GIVEN, signals=list(signal_ids)) if signal_ids else ()
    return {row.signal_id: GivenFeedback(**row._mapping) for row in found}


def tally(tx: Transaction, hypothesis_id: str) -> dict[Feedback, int]:
    """How often each was said of the signals of a hypothesis."""
    found = {Feedback(verdict): number for verdict, number in tx.rows(_TALLY, hypothesis=hypothesis_id)}
    return {one: found.get(one, 0) for one in Feedback}


def _locked(tx: Transaction, signal_id: str) -> SignalRow:
    query = sa.select(SignalRow).where(col(SignalRow.id) == signal_id)
    row = tx.session.execute(query.with_for_update().execution_options(populate_existing=True)).scalars().first()
    if row is None:
        raise NotFound(f"There is no signal {signal_id}.")
    return row


def _value(row: SignalFeedbackRow) -> GivenFeedback:
    return GivenFeedback.model_validate(row.model_dump(exclude={"workspace_id", "hypothesis_id"}))

"""Removing a unit from everything that Beton keeps."""

import json
import secrets

import sqlalchemy as sa
from sqlmodel import col

from beton.store import audit, holdouts, inbound_events, reach
from beton.store.delivery_tables import DeliveryAttemptRow, DeliveryRow
from beton.store.records import Erased
from beton.store.store import Transaction
from beton.store.tables import BacktestFireRow, ErasedUnitRow, HypothesisRow, LiveFiredRow, LiveMatchRow, ReadBucketRow, RunRow, SignalRow

DEVICE = "distinct_id"
"""Whom an event tells of before anybody knows which person it is: hashed as a kind of its own."""


def erase_unit(tx: Transaction, connection_id: str, unit_kind: str, unit_id: str, *, actor: str) -> Erased:
    """Remove a unit's id and receipts everywhere, and keep it from being written down again.

    Its signals stay as bare facts (this hypothesis fired then), so that realised precision stays right; they lead to nobody. Deliveries that
    have not left are dropped, and what receivers answered is blanked, since it may quote the unit. Receivers have to be asked separately.
    Unfinished buckets of running backtests may name the unit inside; they are dropped too and cost one re-read.
    """
    key = tx.unit_key(connection_id, unit_kind, unit_id)
    row = {"connection_id": connection_id, "unit_key": key, "workspace_id": tx.workspace_id, "erased_at": tx.now}
    tx.insert_new(ErasedUnitRow, [row])
    signals = _blank_signals(tx, connection_id, key)
    reach.forget(tx, unit_id)
    holdouts.forget(tx, key)
    tx.count(sa.delete(BacktestFireRow).where(col(BacktestFireRow.unit_key) == key))
    named = col(LiveMatchRow.unit_id) == unit_id
    if unit_kind == "person":  # accounts remember which of their persons did something, where a hypothesis counts them
        named |= sa.cast(col(LiveMatchRow.value), sa.Text) == json.dumps(unit_id, ensure_ascii=False)
    matches = sa.delete(LiveMatchRow).where(col(LiveMatchRow.connection_id) == connection_id, named)
    own = sa.select(col(HypothesisRow.id)).where(col(HypothesisRow.connection_id) == connection_id)
    fired = sa.delete(LiveFiredRow).where(col(LiveFiredRow.hypothesis_id).in_(own), col(LiveFiredRow.unit_id) == unit_id)
    runs = sa.select(col(RunRow.id)).where(col(RunRow.connection_id) == connection_id)
    buckets = sa.delete(ReadBucketRow).where(col(ReadBucketRow.run_id).in_(runs))
    erased = Erased(
        signals=signals,
        live_matches=tx.count(matches),
        live_fired=tx.count(fired),
        read_buckets=tx.count(buckets),
        inbound_bodies=inbound_events.erase(tx, connection_id, {key, tx.unit_key(connection_id, DEVICE, unit_id)}),
    )
    audit.write(tx, actor, "unit.erase", "connection", connection_id, after=erased.model_dump())
    return erased


def erased_keys(tx: Transaction, connection_id: str) -> frozenset[str]:
    """The keyed hashes of a connection's erased units: whoever writes unit ids leaves these out."""
    query = sa.select(col(ErasedUnitRow.unit_key)).where(col(ErasedUnitRow.connection_id) == connection_id)
    return frozenset(tx.session.execute(query).scalars())


def _blank_signals(tx: Transaction, connection_id: str, key: str) -> int:
    found = sa.select(SignalRow).where(col(SignalRow.connection_id) == connection_id, col(SignalRow.unit_key) == key)
    rows = tx.session.execute(found.with_for_update()).scalars().all()
    for row in rows:
        row.unit_sealed, row.receipts = None, []
        row.unit_key = f"erased:{secrets.token_hex(16)}"  # not even the hash stays with the fact
    tx.session.flush()
    reach.drop_accounts(tx, [row.id for row in rows])
    deliveries = sa.select(col(DeliveryRow.id)).where(col(DeliveryRow.signal_id).in_([row.id for row in rows]))
    answers = sa.update(DeliveryAttemptRow).where(col(DeliveryAttemptRow.delivery_id).in_(deliveries))
    tx.session.execute(answers.values(response_head=None, error=None))
    open_ones = sa.update(DeliveryRow).where(col(DeliveryRow.id).in_(deliveries))
    tx.session.execute(open_ones.values(last_error=None))
    unsent = open_ones.where(col(DeliveryRow.status) != "delivered").values(status="dead", next_attempt_at=None, lease=None, leased_until=None)
    tx.session.execute(unsent)
    return len(rows)

"""All that is known of one unit, for whoever asks for it on the unit's behalf."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.store import audit, deliveries, inbound_events, reach, signals
from beton.store.delivery_tables import DeliveryAttemptRow, DeliveryRow
from beton.store.erasure import DEVICE
from beton.store.inbound_tables import InboundEventRow
from beton.store.reach_tables import SignalAccountRow, SnoozeRow, SuppressionRow
from beton.store.store import Transaction
from beton.store.tables import BacktestFireRow, ErasedUnitRow, HypothesisRow, LiveFiredRow, LiveMatchRow, SignalFeedbackRow

Known = dict[str, list[dict[str, Any]]]
"""Class of data → rows as JSON values."""


def known_of(tx: Transaction, connection_id: str, unit_kind: str, unit_id: str, *, actor: str) -> Known:
    """Everything that a connection's tables hold about a unit, opened where it lies sealed. The audit log says that somebody asked, not for
    whom."""
    key = tx.unit_key(connection_id, unit_kind, unit_id)
    found: Known = {
        "signals": _signals(tx, connection_id, unit_kind, unit_id),
        "fires_of_backtests": _rows(tx, sa.select(BacktestFireRow).where(col(BacktestFireRow.unit_key) == key), "unit_sealed", "unit_key"),
        "live_matches": _rows(tx, _matches(connection_id, unit_kind, unit_id)),
        "live_fired": _rows(tx, _fired(connection_id, unit_id)),
        "received_events": _events(tx, connection_id, (key, tx.unit_key(connection_id, DEVICE, unit_id))),
        "lists": _lists(tx, unit_id),
        "erased": _rows(tx, sa.select(ErasedUnitRow).where(col(ErasedUnitRow.connection_id) == connection_id, col(ErasedUnitRow.unit_key) == key)),
    }
    told = {name: len(rows) for name, rows in found.items()}
    audit.write(tx, actor, "unit.export", "connection", connection_id, after=told)
    return found


def _signals(tx: Transaction, connection_id: str, unit_kind: str, unit_id: str) -> list[dict[str, Any]]:
    found = signals.of_unit(tx, connection_id, unit_kind, unit_id)
    ids = [one.id for one in found]
    sent = deliveries.of_signals(tx, ids)
    said = _rows(tx, sa.select(SignalFeedbackRow).where(col(SignalFeedbackRow.signal_id).in_(ids)))
    accounts = {
        row.id: json.loads(tx.sealer.open(row.account_sealed, tx.place("signal_account", row.id, "account_sealed")))
        for row in tx.session.execute(sa.select(SignalAccountRow).where(col(SignalAccountRow.id).in_(ids))).scalars()
    }
    mine = sa.select(col(DeliveryRow.id)).where(col(DeliveryRow.signal_id).in_(ids))
    answers = _rows(tx, sa.select(DeliveryAttemptRow).where(col(DeliveryAttemptRow.delivery_id).in_(mine)))
    return [
        one.model_dump(mode="json")
        | {
            "account": accounts.get(one.id),
            "feedback": [each for each in said if each["signal_id"] == one.id],
            "deliveries": [
                each.model_dump(mode="json") | {"tried": [answer for answer in answers if answer["delivery_id"] == each.id]} for each in sent[one.id]
            ],
        }
        for one in found
    ]


def _matches(connection_id: str, unit_kind: str, unit_id: str) -> sa.Select[Any]:
    named = col(LiveMatchRow.unit_id) == unit_id
    if unit_kind == "person":  # accounts remember which of their persons did something, where a hypothesis counts them
        named |= sa.cast(col(LiveMatchRow.value), sa.Text) == json.dumps(unit_id, ensure_ascii=False)
    return sa.select(LiveMatchRow).where(col(LiveMatchRow.connection_id) == connection_id, named)


def _fired(connection_id: str, unit_id: str) -> sa.Select[Any]:
    own = sa.select(col(HypothesisRow.id)).where(col(HypothesisRow.connection_id) == connection_id)
    return sa.select(LiveFiredRow).where(col(LiveFiredRow.hypothesis_id).in_(own), col(LiveFiredRow.unit_id) == unit_id)


def _events(tx: Transaction, connection_id: str, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    about = sa.or_(*(col(InboundEventRow.unit_keys).contains(key, autoescape=True) for key in keys))
    query = sa.select(InboundEventRow).where(col(InboundEventRow.connection_id) == connection_id, about)
    rows = tx.session.execute(query).scalars().all()
    return [_told(row, "payload_sealed", "unit_keys") | {"body": inbound_events.body(tx, row.id)} for row in rows]


def _lists(tx: Transaction, unit_id: str) -> list[dict[str, Any]]:
    key = reach.reach_key(tx, reach.Entry("id", unit_id))
    return [
        _told(row, "key", "label_sealed") | {"is": str(row_type.__tablename__)}
        for row_type in (SuppressionRow, SnoozeRow)
        for row in tx.session.execute(sa.select(row_type).where(col(row_type.key) == key)).scalars()
    ]


def _rows(tx: Transaction, query: sa.Select[Any], *hidden: str) -> list[dict[str, Any]]:
    return [_told(row, *hidden) for row in tx.session.execute(query).scalars()]


def _told(row: Any, *hidden: str) -> dict[str, Any]:
    raw = {name for name in type(row).model_fields if isinstance(getattr(row, name), bytes)}  # ids of events, which are no text
    return row.model_dump(mode="json", exclude={"workspace_id", *raw, *hidden}) | {name: getattr(row, name).hex() for name in raw}

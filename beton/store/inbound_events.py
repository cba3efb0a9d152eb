"""Events that came in: taken many at a time, looked at in order, kept as a log, their bodies sealed and for seven days.

An event's id is made of its source and its uuid, so that the database itself refuses to take one twice.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from beton.errors import NotFound, StoreError
from beton.store.columns import Row
from beton.store.inbound_records import EventStatus, InboundEvent, InboundHour, Looked, Taken, Waiting
from beton.store.inbound_tables import InboundEventRow, InboundHourRow, InboundSourceRow
from beton.store.paging import page
from beton.store.records import Page
from beton.store.sealing import Place, Sealer
from beton.store.store import Transaction

_TABLE, _BODY = "inbound_event", "payload_sealed"
KNOWN_FOR = timedelta(days=90)
"""How long an event's id is kept, by which a repetition is known."""


def event_id(source_id: str, event_uuid: str) -> str:
    """The id of a source's event."""
    return f"evt_{base64.b32encode(hashlib.sha256(f'{source_id} {event_uuid}'.encode()).digest()[:20]).decode().lower()}"


def sealed_row(sealer: Sealer, one: Taken) -> dict[str, Any]:
    """An event as it goes into the table, or into the spool before it."""
    row_id = event_id(one.source_id, one.event_uuid)
    return {
        "id": row_id,
        "workspace_id": one.workspace_id,
        "source_id": one.source_id,
        "connection_id": one.connection_id,
        "event_uuid": one.event_uuid,
        "received_at": one.received_at,
        "status": "arrived",
        "unit_keys": "",
        "signal_ids": [],
        "payload_sealed": sealer.seal(one.body, Place(one.workspace_id, _TABLE, row_id, _BODY)),
    }


class SourceGone(StoreError):
    """A source was removed while its events were on their way."""

    code = "store.source_gone"


def keep(tx: Transaction, rows: Sequence[dict[str, Any]]) -> int:
    """Write down sealed rows of one source; those that are there already are left as they are. How many were new. Raises `SourceGone`."""
    insert = _insert(_dialect(tx), InboundEventRow)
    try:
        return tx.session.connection().execute(insert, rows, execution_options={"preserve_rowcount": True}).rowcount
    except IntegrityError as error:
        raise SourceGone("The source of these events was removed.") from error


def there(tx: Transaction, source_id: str) -> bool:
    """Whether the source still exists."""
    return tx.session.get(InboundSourceRow, source_id) is not None


def count(
    tx: Transaction, source_id: str, at: datetime, *, arrived: int = 0, repeated: int = 0, refused: int = 0, refusal: str | None = None
) -> None:
    """Add to what an hour has seen."""
    values = {"arrived": arrived, "repeated": repeated, "refused": refused, "refusal": refusal}
    row = {"source_id": source_id, "hour": at.replace(minute=0, second=0, microsecond=0), "workspace_id": tx.workspace_id, **values}
    tx.session.connection().execute(_add_up(_dialect(tx)), row)


def waiting(tx: Transaction, source_id: str, limit: int) -> list[Waiting]:
    """The first events of a source that nobody has looked at, in the order of their arrival."""
    query = sa.select(InboundEventRow).where(col(InboundEventRow.source_id) == source_id, col(InboundEventRow.status) == "arrived")
    rows = tx.session.execute(query.order_by(col(InboundEventRow.received_at), col(InboundEventRow.id)).limit(limit)).scalars()
    return [Waiting(row.id, row.event_uuid, row.received_at, _open(tx, row) or "null") for row in rows]


def any_waiting(tx: Transaction, source_id: str) -> bool:
    """Whether a source has events that nobody has looked at."""
    query = sa.select(col(InboundEventRow.id)).where(col(InboundEventRow.source_id) == source_id, col(InboundEventRow.status) == "arrived")
    return tx.session.execute(query.limit(1)).first() is not None


def settle(tx: Transaction, looked: Iterable[Looked]) -> None:
    """Write down what became of events that waited."""
    rows = [
        {
            "row": one.id,
            "status": one.status,
            "why_code": one.code,
            "why": one.why,
            "name": one.name,
            "happened_at": one.at,
            "unit_keys": one.unit_keys if one.keep_body else "",
            "signal_ids": list(one.signal_ids),
            "keep": one.keep_body,
        }
        for one in looked
    ]
    if rows:
        table = _table(InboundEventRow)
        names = ("status", "why_code", "why", "name", "happened_at", "unit_keys", "signal_ids")
        told: dict[str, Any] = {name: sa.bindparam(name, type_=table.c[name].type) for name in names}
        told[_BODY] = sa.case((sa.bindparam("keep", type_=sa.Boolean()), table.c[_BODY]), else_=None)
        mine = (table.c.id == sa.bindparam("row"), table.c.workspace_id == tx.workspace_id)
        tx.session.connection().execute(sa.update(table).where(*mine).values(told), rows)


def again(tx: Transaction, source_id: str, *, since: datetime) -> int:
    """Have events looked at once more whose body is still there and which led to nothing: after another mapping, say. How many."""
    mine = sa.update(InboundEventRow).where(
        col(InboundEventRow.source_id) == source_id,
        col(InboundEventRow.received_at) >= since,
        col(InboundEventRow.status).in_(("mapped", "failed")),
        col(InboundEventRow.payload_sealed).is_not(None),
    )
    return tx.count(mine.values(status="arrived", why_code=None, why=None))


def listing(
    tx: Transaction, *, source_id: str | None = None, status: EventStatus | None = None, limit: int = 50, after: str | None = None
) -> Page[InboundEvent]:
    """The event log, newest first."""
    query = sa.select(InboundEventRow)
    if source_id is not None:
        query = query.where(col(InboundEventRow.source_id) == source_id)
    if status is not None:
        query = query.where(col(InboundEventRow.status) == status)
    return page(tx, query, InboundEventRow, InboundEventRow.received_at, _value, limit=limit, after=after)


def get(tx: Transaction, row_id: str) -> InboundEvent:
    """The event with this id."""
    return _value(_row(tx, row_id))


def body(tx: Transaction, row_id: str) -> str | None:
    """What was sent, in clear; `None` once it is gone."""
    return _open(tx, _row(tx, row_id))


def newest_body(tx: Transaction, source_id: str) -> tuple[str, str] | None:
    """Id and body of the newest event whose body is still there."""
    query = sa.select(InboundEventRow).where(col(InboundEventRow.source_id) == source_id, col(InboundEventRow.payload_sealed).is_not(None))
    row = tx.session.execute(query.order_by(col(InboundEventRow.received_at).desc(), col(InboundEventRow.id)).limit(1)).scalars().first()
    found = None if row is None else _open(tx, row)
    return None if row is None or found is None else (row.id, found)


def hours(tx: Transaction, source_id: str, *, since: datetime) -> list[InboundHour]:
    """What each hour has seen, the oldest first; hours without anything are left out."""
    query = sa.select(InboundHourRow).where(col(InboundHourRow.source_id) == source_id, col(InboundHourRow.hour) >= since)
    rows = tx.session.execute(query.order_by(col(InboundHourRow.hour))).scalars()
    return [InboundHour(**row.model_dump(exclude={"source_id", "workspace_id"})) for row in rows]


def last_arrival(tx: Transaction, source_id: str) -> datetime | None:
    """When the newest event came in."""
    query = sa.select(sa.func.max(col(InboundEventRow.received_at))).where(col(InboundEventRow.source_id) == source_id)
    return tx.session.execute(query).scalar()


def names(tx: Transaction, source_id: str, *, since: datetime, limit: int = 50) -> list[str]:
    """What the events of a source are called, the most frequent first."""
    mine = (col(InboundEventRow.source_id) == source_id, col(InboundEventRow.received_at) >= since, col(InboundEventRow.name).is_not(None))
    query = sa.select(col(InboundEventRow.name)).where(*mine).group_by(col(InboundEventRow.name))
    return [name for name in tx.session.execute(query.order_by(sa.func.count().desc(), col(InboundEventRow.name)).limit(limit)).scalars() if name]


def counts(tx: Transaction, source_id: str, *, since: datetime) -> Mapping[str, int]:
    """How many events are in each state."""
    query = sa.select(col(InboundEventRow.status), sa.func.count()).where(
        col(InboundEventRow.source_id) == source_id, col(InboundEventRow.received_at) >= since
    )
    return Counter({str(status): number for status, number in tx.session.execute(query.group_by(col(InboundEventRow.status)))})


def drop_bodies(tx: Transaction, days: int) -> int:
    """Remove bodies that are older, and by whom they would be found. How many."""
    old = sa.update(InboundEventRow).where(
        col(InboundEventRow.received_at) < tx.now - timedelta(days=days),
        col(InboundEventRow.payload_sealed).is_not(None),
        col(InboundEventRow.status) != "arrived",
    )
    return tx.count(old.values(payload_sealed=None, unit_keys=""))


def drop_old(tx: Transaction, keep: timedelta = KNOWN_FOR) -> int:
    """Remove events whose repetition need not be feared any more. How many."""
    return tx.count(sa.delete(InboundEventRow).where(col(InboundEventRow.received_at) < tx.now - keep))


def erase(tx: Transaction, connection_id: str, keys: Iterable[str]) -> int:
    """Remove the bodies of events about somebody, known by keyed hashes. How many. What nobody has looked at is found when it is looked at."""
    about = sa.or_(*(col(InboundEventRow.unit_keys).contains(key, autoescape=True) for key in keys))
    mine = sa.update(InboundEventRow).where(col(InboundEventRow.connection_id) == connection_id, about)
    return tx.count(mine.values(payload_sealed=None, unit_keys=""))


def _open(tx: Transaction, row: InboundEventRow) -> str | None:
    return None if row.payload_sealed is None else tx.sealer.open(row.payload_sealed, tx.place(_TABLE, row.id, _BODY))


def _row(tx: Transaction, row_id: str) -> InboundEventRow:
    row = tx.session.get(InboundEventRow, row_id)
    if row is None:
        raise NotFound(f"There is no event {row_id}.")
    return row


def _value(row: InboundEventRow) -> InboundEvent:
    told = row.model_dump(exclude={"workspace_id", "connection_id", "unit_keys", _BODY})
    return InboundEvent(**told, has_body=row.payload_sealed is not None)


def _dialect(tx: Transaction) -> str:
    return tx.session.get_bind().dialect.name


def _table(row_type: type[Row]) -> sa.Table:
    return row_type.metadata.tables[str(row_type.__tablename__)]


@cache
def _insert(dialect: str, row_type: type[Row]) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(_table(row_type)).on_conflict_do_nothing()


@cache
def _add_up(dialect: str) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    made, table = insert(_table(InboundHourRow)), _table(InboundHourRow)
    more: dict[str, Any] = {name: table.c[name] + made.excluded[name] for name in ("arrived", "repeated", "refused")}
    more["refusal"] = sa.func.coalesce(made.excluded.refusal, table.c.refusal)
    return made.on_conflict_do_update(index_elements=["source_id", "hour"], set_=more)

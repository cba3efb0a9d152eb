"""Who did what to what. Entries are written in the transaction of the deed, and the database refuses to change them.

Each entry holds the SHA-256 over the entry before it and its own content, so that whoever changes or removes one behind the back of Beton has to
write all later ones anew; `check` finds it. The newest chain value, kept elsewhere, shows that none was cut off at the end. What is older than
the log is kept expires from its beginning, announced by an entry that stays.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import mask
from beton.store.columns import table_of
from beton.store.prepared import Prepared, prepared
from beton.store.records import AuditEntry
from beton.store.store import Transaction
from beton.store.tables import AuditEntryRow

EXPIRED = "audit.expire"
ORIGIN = "0" * 64
"""The chain before the first entry."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('beton audit ' || :workspace, 0))"
_WAITING = "beton_audit"


@dataclass(frozen=True)
class Checked:
    """What became of checking a chain: how many entries hold together, the newest chain value, and the first entry that does not fit, if any."""

    entries: int
    head: str
    broken_at: int | None


def write(
    tx: Transaction,
    actor: str,
    action: str,
    object_type: str,
    object_id: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry. `before` and `after` are JSON values without units' ids; whatever looks like a key in them is masked.

    Entries are put into the chain at the end of the transaction: others wait for that moment, and it is to be short.
    """
    waiting: list[AuditEntryRow] = tx.session.info.setdefault(_WAITING, [])
    if not waiting:
        tx.at_end.append(lambda: _chain(tx))
    waiting.append(
        AuditEntryRow(
            workspace_id=tx.workspace_id,
            at=tx.now,
            actor=mask(actor),
            action=action,
            object_type=object_type,
            object_id=object_id,
            before=_masked(before),
            after=_masked(after),
            number=0,
            chain="",
        )
    )


def entries(tx: Transaction, *, object_id: str | None = None, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
    """The newest entries first, of one object or of all; `before` is the number of an entry, behind which the listing goes on."""
    _chain(tx)
    wanted = {"object_id": object_id, "before": before}
    told = {name: value for name, value in wanted.items() if value is not None}
    return [AuditEntry(**row._mapping) for row in tx.rows(_listed(frozenset(told)), rows=limit, **told)]


_COLUMNS = table_of(AuditEntryRow).c


@cache
def _listed(asks: frozenset[str]) -> Prepared:
    criteria = {"object_id": _COLUMNS.object_id == sa.bindparam("object_id"), "before": _COLUMNS.number < sa.bindparam("before")}
    query = sa.select(*(_COLUMNS[name] for name in AuditEntry.model_fields)).where(*(criteria[name] for name in sorted(asks)))
    return prepared(query.order_by(_COLUMNS.number.desc()).limit(sa.bindparam("rows")))


def check(tx: Transaction) -> Checked:
    """Follow the workspace's chain from its origin, or from where entries have expired."""
    number, head = _beginning(tx)
    for row in _in_order(tx):
        if row.number != number + 1 or row.chain != _link(head, row):
            return Checked(number, head, number + 1)
        number, head = row.number, row.chain
    return Checked(number, head, None)


def drop_old(tx: Transaction, keep: timedelta) -> int:
    """Let entries expire that are older; how many. A new entry says which, and what the chain was there, so that the rest can still be checked. The
    database lets go only what is announced so, and a month old."""
    _chain(tx)
    old = sa.select(col(AuditEntryRow.number), col(AuditEntryRow.chain)).where(col(AuditEntryRow.at) < tx.now - keep)
    last = tx.session.execute(old.order_by(col(AuditEntryRow.number).desc()).limit(1)).first()
    if last is None:
        return 0
    write(tx, "beton", EXPIRED, "audit", str(last.number), after={"chain": last.chain})
    _chain(tx)
    return tx.count(sa.delete(AuditEntryRow).where(col(AuditEntryRow.number) <= last.number))


def _beginning(tx: Transaction) -> tuple[int, str]:
    """The number and the chain before the first entry that is still there."""
    first = tx.session.execute(sa.select(sa.func.min(col(AuditEntryRow.number)))).scalar()
    if first is None or first == 1:
        return 0, ORIGIN
    told = sa.select(AuditEntryRow).where(col(AuditEntryRow.action) == EXPIRED, col(AuditEntryRow.object_id) == str(first - 1))
    found = tx.session.execute(told.order_by(col(AuditEntryRow.number).desc()).limit(1)).scalars().first()
    return (0, ORIGIN) if found is None or found.after is None else (first - 1, str(found.after["chain"]))


def _in_order(tx: Transaction, at_once: int = 1000) -> Iterator[AuditEntryRow]:
    after = -1
    while True:
        query = sa.select(AuditEntryRow).where(col(AuditEntryRow.number) > after).order_by(col(AuditEntryRow.number)).limit(at_once)
        rows = tx.session.execute(query).scalars().all()
        yield from rows
        if len(rows) < at_once:
            return
        after = rows[-1].number
        tx.session.expunge_all()


def _chain(tx: Transaction) -> None:
    """Give the waiting entries their places."""
    waiting: list[AuditEntryRow] = tx.session.info.get(_WAITING, [])
    if not waiting:
        return
    if tx.session.get_bind().dialect.name == "postgresql":
        tx.session.execute(sa.text(_LOCK), {"workspace": tx.workspace_id})
    newest = sa.select(col(AuditEntryRow.number), col(AuditEntryRow.chain)).order_by(col(AuditEntryRow.number).desc()).limit(1)
    last, head = next(iter(tx.session.execute(newest)), (0, ORIGIN))
    for number, row in enumerate(waiting, last + 1):
        row.number = number
        row.chain = head = _link(head, row)
        tx.session.add(row)
    waiting.clear()
    tx.session.flush()


def _link(head: str, row: AuditEntryRow) -> str:
    told = row.model_dump(exclude={"id", "chain", "at"}) | {"at": row.at.isoformat()}
    return hashlib.sha256(head.encode() + json.dumps(told, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()).hexdigest()


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value

"""Whom signals may reach: lists of those who get none, who is snoozed, accounts of signals, the stop of all sending.

Names stand here sealed, beside a keyed hash by which they are found; both say nothing to who has the database alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import NotFound
from beton.signals import Account, SuppressionList, Value
from beton.store import audit
from beton.store.columns import new_id, table_of
from beton.store.paging import page
from beton.store.prepared import MINE, Prepared
from beton.store.reach_tables import SignalAccountRow, SnoozeRow, SuppressionRow
from beton.store.records import Page
from beton.store.store import Transaction
from beton.store.tables import WorkspaceRow

Named = Literal["id", "domain", "email"]
STOPPED = "stopped"
"""The workspace's setting that holds who has stopped all sending, since when and why."""
_WORKSPACE = table_of(WorkspaceRow).c
_SETTINGS = Prepared(sa.select(_WORKSPACE.settings).where(_WORKSPACE.id == sa.bindparam(MINE)))


class Entry(NamedTuple):
    """Somebody or some company as a list names them, in the one spelling in which they are compared."""

    named: Named
    value: str


class Suppressed(Value):
    """A line of a suppression list."""

    id: str
    list: SuppressionList
    named: Named
    label: str
    actor: str
    created_at: datetime


class Snoozed(Value):
    """A unit, company or person that gets no signals until then."""

    id: str
    named: Named
    label: str
    until: datetime
    reason: str | None
    actor: str
    created_at: datetime


class Stopped(Value):
    """All sending of a workspace is stopped."""

    at: datetime
    actor: str
    reason: str | None


def reach_key(tx: Transaction, entry: Entry) -> str:
    """A keyed hash of what a list names, the same in all connections of the workspace."""
    message = "\0".join(("reach", *entry)).encode()
    return base64.b32encode(hmac.digest(tx.unit_hash_key, message, hashlib.sha256)[:20]).decode().lower()


# --- suppression lists -----------------------------------------------------------------------------------------------


def suppress(tx: Transaction, name: SuppressionList, entries: Iterable[Entry], *, actor: str) -> int:
    """Put some on a list; those that are on it already stay once. How many are new."""
    rows = []
    for entry in dict.fromkeys(entries):
        row_id = new_id("sup")
        key, sealed = reach_key(tx, entry), tx.sealer.seal(entry.value, tx.place("suppression", row_id, "label_sealed"))
        row = {"id": row_id, "workspace_id": tx.workspace_id, "list": name, "named": entry.named, "key": key, "label_sealed": sealed}
        rows.append(row | {"actor": actor, "created_at": tx.now})
    added = len(tx.insert_new(SuppressionRow, rows))
    if added:
        audit.write(tx, actor, "suppression.add", "suppression", name, after={"added": added})
    return added


def suppressed(tx: Transaction, *, name: SuppressionList | None = None, limit: int = 50, after: str | None = None) -> Page[Suppressed]:
    """Lines of the lists, newest first."""
    query = sa.select(SuppressionRow)
    query = query if name is None else query.where(col(SuppressionRow.list) == name)
    return page(tx, query, SuppressionRow, SuppressionRow.created_at, lambda row: _suppressed(tx, row), limit=limit, after=after)


def suppressed_counts(tx: Transaction) -> dict[str, int]:
    """How many lines each list has."""
    query = sa.select(col(SuppressionRow.list), sa.func.count()).group_by(col(SuppressionRow.list))
    return {str(name): int(number) for name, number in tx.session.execute(query)}


def unsuppress(tx: Transaction, suppression_id: str, *, actor: str) -> Suppressed:
    """Take a line off its list; it is given back once more."""
    row = tx.session.get(SuppressionRow, suppression_id)
    if row is None:
        raise NotFound(f"There is no line {suppression_id} on a suppression list.")
    audit.write(tx, actor, "suppression.remove", "suppression", row.list, before={"id": row.id, "named": row.named})
    was = _suppressed(tx, row)
    tx.session.delete(row)
    tx.session.flush()
    return was


def clear(tx: Transaction, name: SuppressionList, *, actor: str) -> int:
    """Empty a list; how many lines it had."""
    removed = tx.count(sa.delete(SuppressionRow).where(col(SuppressionRow.list) == name))
    audit.write(tx, actor, "suppression.clear", "suppression", name, before={"lines": removed})
    return removed


def lists_of(tx: Transaction, keys: Collection[str]) -> dict[str, SuppressionList]:
    """Key → the first list, by name, that has it."""
    found: dict[str, Any] = {}
    for some in _pieces(keys):
        query = sa.select(col(SuppressionRow.key), col(SuppressionRow.list)).where(col(SuppressionRow.key).in_(some))
        for key, name in tx.session.execute(query.order_by(col(SuppressionRow.list))):
            found[key] = found.get(key, name)
    return found


# --- snooze ----------------------------------------------------------------------------------------------------------


def snooze(tx: Transaction, entry: Entry, until: datetime, *, actor: str, reason: str | None = None) -> Snoozed:
    """Send nothing about them until then; another date replaces the first."""
    key = reach_key(tx, entry)
    row = tx.session.execute(sa.select(SnoozeRow).where(col(SnoozeRow.key) == key)).scalars().first()
    if row is None:
        row_id = new_id("snz")
        sealed = tx.sealer.seal(entry.value, tx.place("snooze", row_id, "label_sealed"))
        made = {"id": row_id, "workspace_id": tx.workspace_id, "named": entry.named, "key": key, "label_sealed": sealed, "created_at": tx.now}
        tx.insert_new(SnoozeRow, [made | {"until": until, "reason": reason, "actor": actor}])
        row = tx.session.execute(sa.select(SnoozeRow).where(col(SnoozeRow.key) == key)).scalars().one()
    row.until, row.reason, row.actor = until, reason, actor
    audit.write(tx, actor, "snooze.set", "snooze", row.id, after={"until": until.isoformat(), "named": entry.named, "reason": reason})
    tx.session.flush()
    return _snoozed(tx, row)


def snoozes(tx: Transaction) -> list[Snoozed]:
    """All that are not over, the first to end first."""
    query = sa.select(SnoozeRow).where(col(SnoozeRow.until) > tx.now).order_by(col(SnoozeRow.until), col(SnoozeRow.id)).limit(1000)
    return [_snoozed(tx, row) for row in tx.session.execute(query).scalars()]


def wake(tx: Transaction, snooze_id: str, *, actor: str) -> Snoozed:
    """End a snooze; it is given back once more."""
    row = tx.session.get(SnoozeRow, snooze_id)
    if row is None:
        raise NotFound(f"There is no snooze {snooze_id}.")
    audit.write(tx, actor, "snooze.end", "snooze", row.id, before={"until": row.until.isoformat()})
    was = _snoozed(tx, row)
    tx.session.delete(row)
    tx.session.flush()
    return was


def snoozed_of(tx: Transaction, keys: Collection[str]) -> frozenset[str]:
    """Those of the keys that are snoozed now."""
    found: set[str] = set()
    for some in _pieces(keys):
        query = sa.select(col(SnoozeRow.key)).where(col(SnoozeRow.key).in_(some), col(SnoozeRow.until) > tx.now)
        found.update(tx.session.execute(query).scalars())
    return frozenset(found)


def drop_ended(tx: Transaction) -> int:
    """Remove snoozes that are over; how many there were."""
    return tx.count(sa.delete(SnoozeRow).where(col(SnoozeRow.until) <= tx.now))


def forget(tx: Transaction, unit_id: str) -> int:
    """Remove what lists and snoozes say of an erased unit by its id: nothing is written down about it any more. How many lines that was."""
    key = reach_key(tx, Entry("id", unit_id))
    return sum(tx.count(sa.delete(row_type).where(col(row_type.key) == key)) for row_type in (SuppressionRow, SnoozeRow))


# --- accounts of signals ---------------------------------------------------------------------------------------------


def account_key(tx: Transaction, connection_id: str, account: Account | None) -> str | None:
    """By which signals about one account are found: its group's key where it has one, else its domain."""
    if account is None or not (account.key or account.domain):
        return None
    kind, value = ("account", account.key) if account.key else ("domain", account.domain)
    return tx.unit_key(connection_id, kind, str(value))


def keep_accounts(tx: Transaction, accounts: Mapping[str, tuple[str, Account]]) -> None:
    """Signal id → its account's key and the account, which is kept sealed."""
    rows = []
    for signal_id, (key, account) in accounts.items():
        sealed = tx.sealer.seal(account.model_dump_json(exclude_none=True), tx.place("signal_account", signal_id, "account_sealed"))
        rows.append({"id": signal_id, "workspace_id": tx.workspace_id, "account_sealed": sealed, "account_key": key})
    tx.insert_new(SignalAccountRow, rows)


def accounts(tx: Transaction, signal_ids: Collection[str]) -> dict[str, Account]:
    """Signal id → its account, for those whose account is known."""
    found: dict[str, Account] = {}
    for some in _pieces(signal_ids):
        query = sa.select(SignalAccountRow).where(col(SignalAccountRow.id).in_(some))
        for row in tx.session.execute(query).scalars():
            opened = tx.sealer.open(row.account_sealed, tx.place("signal_account", row.id, "account_sealed"))
            found[row.id] = Account.model_validate(json.loads(opened))
    return found


def drop_accounts(tx: Transaction, signal_ids: Collection[str]) -> None:
    """Forget the accounts of some signals."""
    for some in _pieces(signal_ids):
        tx.count(sa.delete(SignalAccountRow).where(col(SignalAccountRow.id).in_(some)))


# --- the stop --------------------------------------------------------------------------------------------------------


def stopped(tx: Transaction) -> Stopped | None:
    """Who has stopped all sending, if somebody has."""
    told = tx.rows(_SETTINGS)[0].settings.get(STOPPED)
    return None if told is None else Stopped.model_validate(told)


def stop(tx: Transaction, *, actor: str, reason: str | None = None) -> Stopped:
    """Send nothing of this workspace from now on; what is on its way arrives, all else waits. Stopping again changes nothing."""
    row = locked_workspace(tx)
    if row.settings.get(STOPPED) is None:
        row.settings = row.settings | {STOPPED: {"at": tx.now.isoformat(), "actor": actor, "reason": reason}}
        audit.write(tx, actor, "sending.stop", "workspace", row.id, after={"reason": reason})
        tx.session.flush()
    return Stopped.model_validate(row.settings[STOPPED])


def start(tx: Transaction, *, actor: str) -> bool:
    """Let what waits go. Whether sending had been stopped."""
    row = locked_workspace(tx)
    was = row.settings.get(STOPPED)
    if was is not None:
        row.settings = {name: value for name, value in row.settings.items() if name != STOPPED}
        audit.write(tx, actor, "sending.start", "workspace", row.id, before={"stopped_at": was["at"]})
        tx.session.flush()
    return was is not None


def locked_workspace(tx: Transaction) -> WorkspaceRow:
    """The workspace's row, kept from others until this transaction is over; rows that belong to it may be written meanwhile."""
    query = sa.select(WorkspaceRow).where(col(WorkspaceRow.id) == tx.workspace_id).with_for_update(key_share=True)
    return tx.session.execute(query.execution_options(populate_existing=True)).scalars().one()


def _pieces(keys: Collection[str]) -> Iterable[Sequence[str]]:
    every = list(dict.fromkeys(keys))
    return (every[begin : begin + 500] for begin in range(0, len(every), 500))


def _suppressed(tx: Transaction, row: SuppressionRow) -> Suppressed:
    label = tx.sealer.open(row.label_sealed, tx.place("suppression", row.id, "label_sealed"))
    return Suppressed.model_validate(row.model_dump(exclude={"workspace_id", "key", "label_sealed"}) | {"label": label})


def _snoozed(tx: Transaction, row: SnoozeRow) -> Snoozed:
    label = tx.sealer.open(row.label_sealed, tx.place("snooze", row.id, "label_sealed"))
    return Snoozed.model_validate(row.model_dump(exclude={"workspace_id", "key", "label_sealed"}) | {"label": label})

"""The memory of the live sweep: instants at which atoms of live hypotheses matched, who has fired, and how far each connection is read.

No event and no property is kept, but the values that a hypothesis itself names. All of it can be rebuilt from PostHog at any time, and goes
when its hypothesis is live no more. Instants are microseconds since 1970, as the engine has them.

Units stand here by their ids, in the clear, where signals have them sealed: a fire such as "did not come back" comes from memory alone, so that
the id must come out of it again, and opening hundreds of thousands of seals at every sweep would cost more than the sweep (decision 0009).
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.store.columns import microseconds
from beton.store.deliveries import signal_value
from beton.store.erasure import erased_keys
from beton.store.records import Hypothesis, LiveFired, LiveMatch
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow, LiveCursorRow, LiveFiredRow, LiveMatchRow, SignalRow

_TABLE = LiveMatchRow.metadata.tables["live_match"]
_MATCH = tuple(_TABLE.c[name] for name in LiveMatch._fields)
AT_ONCE = 500
"""Units in one statement."""


def remember(tx: Transaction, connection_id: str, scope: str, unit_kind: str, matches: Iterable[LiveMatch]) -> None:
    """Keep matches of a scope. Of an event that is known already the earlier instant counts; of what no event stands for, the last word.

    Erased units are left out, also as persons of a unit that is an account.
    """
    gone = _gone(tx, connection_id)
    key = {"connection_id": connection_id, "scope": scope, "workspace_id": tx.workspace_id}
    tx.upsert_many(
        LiveMatchRow,
        (match._asdict() | key for match in matches if gone is None or not (gone(unit_kind, match.unit_id) or gone("person", match.value))),
        {"at", "value"},
        lambda new: sa.or_(new.at <= _TABLE.c.at, _TABLE.c.event == b""),
    )


def matches(tx: Transaction, connection_id: str, scope: str, units: Collection[str] | None = None) -> list[LiveMatch]:
    """The kept matches of a scope by unit, of all units or of some."""
    # Around the mapper, for speed: so the workspace is named here.
    query = sa.select(*_MATCH).where(*_of_scope(LiveMatchRow, connection_id, scope), col(LiveMatchRow.workspace_id) == tx.workspace_id)
    order = (col(LiveMatchRow.unit_id), col(LiveMatchRow.atom), col(LiveMatchRow.event))
    queries = [query] if units is None else [query.where(col(LiveMatchRow.unit_id).in_(some)) for some in _pieces(units)]
    return [LiveMatch._make(row) for one in queries for row in tx.session.connection().execute(one.order_by(*order))]


def forget(tx: Transaction, connection_id: str, scope: str, keys: Iterable[tuple[str, str, bytes]] | None = None) -> None:
    """Forget matches of a scope: all of them, or those of some (unit, atom, event)."""
    query = sa.delete(LiveMatchRow).where(*_of_scope(LiveMatchRow, connection_id, scope))
    if keys is None:
        tx.session.execute(query)
        return
    named = ("unit_id", "atom", "event")
    one = sa.delete(_TABLE).where(_TABLE.c.connection_id == connection_id, _TABLE.c.scope == scope, _TABLE.c.workspace_id == tx.workspace_id)
    one = one.where(*(_TABLE.c[name] == sa.bindparam(f"of_{name}") for name in named))
    rows = [dict(zip(map("of_{}".format, named), key, strict=True)) for key in keys]
    if rows:
        tx.session.connection().execute(one, rows)


def mark_fired(tx: Transaction, hypothesis: Hypothesis, unit_kind: str, units: Iterable[LiveFired]) -> None:
    """Units that need no signal any more: at approval, those whose fire lies in the backtested window. Erased units are left out."""
    gone = _gone(tx, hypothesis.connection_id)
    key = {"hypothesis_id": hypothesis.id, "hypothesis_version": hypothesis.version, "workspace_id": tx.workspace_id}
    tx.insert_many(LiveFiredRow, (unit._asdict() | key for unit in units if gone is None or not gone(unit_kind, unit.unit_id)))


def fired(tx: Transaction, hypothesis_id: str, version: int, units: Collection[str] | None = None) -> dict[str, list[tuple[int, int]]]:
    """Unit id → instants and occurrences of its fires of this version, oldest first; of all units or of some."""
    query = sa.select(col(LiveFiredRow.unit_id), col(LiveFiredRow.at), col(LiveFiredRow.occurrence)).where(
        col(LiveFiredRow.hypothesis_id) == hypothesis_id,
        col(LiveFiredRow.hypothesis_version) == version,
        col(LiveFiredRow.workspace_id) == tx.workspace_id,
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for one in [query] if units is None else [query.where(col(LiveFiredRow.unit_id).in_(some)) for some in _pieces(units)]:
        for unit, at, occurrence in tx.session.connection().execute(one.order_by(col(LiveFiredRow.at), col(LiveFiredRow.occurrence))):
            found.setdefault(unit, []).append((at, occurrence))
    return found


def recall_fired(tx: Transaction, hypothesis_id: str, version: int) -> None:
    """Mark the units of this version's signals as fired: one that is approved anew goes on counting where it ended."""
    known = sa.select(SignalRow).where(col(SignalRow.hypothesis_id) == hypothesis_id, col(SignalRow.hypothesis_version) == version)
    key = {"hypothesis_id": hypothesis_id, "hypothesis_version": version, "workspace_id": tx.workspace_id}
    found = (signal_value(tx, row) for row in tx.session.execute(known.where(col(SignalRow.unit_sealed).is_not(None))).scalars())
    tx.insert_many(LiveFiredRow, (key | {"unit_id": one.unit_id, "at": microseconds(one.fired_at), "occurrence": one.occurrence} for one in found))


def read_until(tx: Transaction, connection_id: str, scope: str) -> datetime | None:
    """Everything before this instant has been swept for this scope; `None` before its first sweep."""
    row = tx.session.get(LiveCursorRow, (connection_id, scope))
    return None if row is None else row.read_until


def swept_until(tx: Transaction) -> datetime | None:
    """Up to where all scopes have been read; `None` before the first sweep."""
    return tx.session.execute(sa.select(sa.func.min(col(LiveCursorRow.read_until)))).scalar()


def advance(tx: Transaction, connection_id: str, scope: str, until: datetime) -> None:
    """Move the cursor, in the transaction that wrote what was found. It never moves back: a late worker changes nothing."""
    values = {"connection_id": connection_id, "scope": scope, "workspace_id": tx.workspace_id, "read_until": until, "updated_at": tx.now}
    tx.insert_new(LiveCursorRow, [values])
    forward = sa.update(LiveCursorRow).where(*_of_scope(LiveCursorRow, connection_id, scope), col(LiveCursorRow.read_until) < until)
    tx.session.execute(forward.values(read_until=until, updated_at=tx.now))


def drop_cursor(tx: Transaction, connection_id: str, scope: str) -> None:
    """Forget how far a scope was read."""
    tx.session.execute(sa.delete(LiveCursorRow).where(*_of_scope(LiveCursorRow, connection_id, scope)))


def rewind(tx: Transaction, connection_id: str) -> None:
    """Drop the cursors and every match of a connection, so that the next sweep rebuilds both."""
    for row_type in (LiveCursorRow, LiveMatchRow):
        connection: Any = row_type.connection_id
        tx.session.execute(sa.delete(row_type).where(connection == connection_id))


def keep_only(tx: Transaction, connection_id: str, scopes: Collection[str], versions: Collection[tuple[str, int]]) -> int:
    """Drop what is remembered of a connection besides these scopes and these versions of hypotheses; how many matches and fires that was."""
    of_cursors, of_matches = (
        sa.delete(row_type).where(col(row_type.connection_id) == connection_id, col(row_type.scope).not_in(scopes))
        for row_type in (LiveCursorRow, LiveMatchRow)
    )
    own = sa.select(col(HypothesisRow.id)).where(col(HypothesisRow.connection_id) == connection_id)
    living = sa.tuple_(col(LiveFiredRow.hypothesis_id), col(LiveFiredRow.hypothesis_version)).in_(versions)
    of_fires = sa.delete(LiveFiredRow).where(col(LiveFiredRow.hypothesis_id).in_(own), sa.not_(living))
    dropped = tx.count(of_matches) + tx.count(of_fires)
    tx.session.execute(of_cursors)  # last: a sweep that wrote meanwhile then begins anew, instead of going on without its memory
    return dropped


def _pieces(units: Collection[str]) -> list[list[str]]:
    named = sorted(units)
    return [named[begin : begin + AT_ONCE] for begin in range(0, len(named), AT_ONCE)]


def _of_scope(row_type: Any, connection_id: str, scope: str) -> tuple[sa.ColumnElement[bool], ...]:
    return row_type.connection_id == connection_id, row_type.scope == scope


def _gone(tx: Transaction, connection_id: str) -> Callable[[str, Any], bool] | None:
    """Whether a unit of a kind has been erased; `None` where none has, as in nearly all projects."""
    erased = erased_keys(tx, connection_id)
    return None if not erased else lambda kind, unit: isinstance(unit, str) and tx.unit_key(connection_id, kind, unit) in erased

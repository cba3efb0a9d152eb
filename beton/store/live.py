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

_MATCH = tuple(LiveMatchRow.metadata.tables["live_match"].c[name] for name in LiveMatch._fields)


def remember(tx: Transaction, connection_id: str, scope: str, unit_kind: str, matches: Iterable[LiveMatch]) -> None:
    """Keep matches of a scope; those it has already are kept once. Two of one call that are alike are two: they are told apart by number.

    Erased units are left out, also as persons of a unit that is an account.
    """
    gone = _gone(tx, connection_id)
    key = {"connection_id": connection_id, "scope": scope, "workspace_id": tx.workspace_id}
    twins: dict[tuple[str, str, int], int] = {}

    def rows() -> Iterable[dict[str, Any]]:
        for match in matches:
            alike = match[:3]
            twins[alike] = number = twins.get(alike, -1) + 1  # erased or not, so that the numbers of the others stay
            if gone is None or not (gone(unit_kind, match.unit_id) or gone("person", match.value)):
                yield {"at": match.at, "atom": match.atom, "unit_id": match.unit_id, "number": number, "value": match.value, **key}

    tx.insert_many(LiveMatchRow, rows())


def matches(tx: Transaction, connection_id: str, scope: str) -> list[LiveMatch]:
    """The kept matches of a scope, by instant."""
    # Around the mapper, for speed: so the workspace is named here.
    query = sa.select(*_MATCH).where(*_of_scope(LiveMatchRow, connection_id, scope), col(LiveMatchRow.workspace_id) == tx.workspace_id)
    order = (col(LiveMatchRow.at), col(LiveMatchRow.atom), col(LiveMatchRow.unit_id), col(LiveMatchRow.number))
    return [LiveMatch._make(row) for row in tx.session.connection().execute(query.order_by(*order))]


def prune(tx: Transaction, connection_id: str, scope: str, before: int) -> None:
    """Forget the matches of a scope that lie before its look-back."""
    tx.session.execute(sa.delete(LiveMatchRow).where(*_of_scope(LiveMatchRow, connection_id, scope), col(LiveMatchRow.at) < before))


def forget(tx: Transaction, connection_id: str, scope: str, *, since: int | None = None) -> None:
    """Forget the matches of a scope, all of them or those at or after an instant that is being read again."""
    query = sa.delete(LiveMatchRow).where(*_of_scope(LiveMatchRow, connection_id, scope))
    tx.session.execute(query if since is None else query.where(col(LiveMatchRow.at) >= since))


def mark_fired(tx: Transaction, hypothesis: Hypothesis, unit_kind: str, units: Iterable[LiveFired]) -> None:
    """Units that need no signal any more: at approval, those whose fire lies in the backtested window. Erased units are left out."""
    gone = _gone(tx, hypothesis.connection_id)
    key = {"hypothesis_id": hypothesis.id, "hypothesis_version": hypothesis.version, "workspace_id": tx.workspace_id}
    tx.insert_many(LiveFiredRow, (unit._asdict() | key for unit in units if gone is None or not gone(unit_kind, unit.unit_id)))


def fired(tx: Transaction, hypothesis_id: str, version: int) -> dict[str, tuple[int, int]]:
    """Unit id → instant and occurrence of its last fire of this version."""
    query = sa.select(col(LiveFiredRow.unit_id), col(LiveFiredRow.at), col(LiveFiredRow.occurrence)).where(
        col(LiveFiredRow.hypothesis_id) == hypothesis_id,
        col(LiveFiredRow.hypothesis_version) == version,
        col(LiveFiredRow.workspace_id) == tx.workspace_id,
    )
    rows = tx.session.connection().execute(query.order_by(col(LiveFiredRow.occurrence)))
    return {unit: (at, occurrence) for unit, at, occurrence in rows}


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


def _of_scope(row_type: Any, connection_id: str, scope: str) -> tuple[sa.ColumnElement[bool], ...]:
    return row_type.connection_id == connection_id, row_type.scope == scope


def _gone(tx: Transaction, connection_id: str) -> Callable[[str, Any], bool] | None:
    """Whether a unit of a kind has been erased; `None` where none has, as in nearly all projects."""
    erased = erased_keys(tx, connection_id)
    return None if not erased else lambda kind, unit: isinstance(unit, str) and tx.unit_key(connection_id, kind, unit) in erased

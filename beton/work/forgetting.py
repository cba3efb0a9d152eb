"""One person, or one account: erased everywhere, or handed over. Nothing here writes the id down, in the log neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from beton.errors import NotFound
from beton.signals import UnitKind
from beton.store import connections
from beton.store.engines import scour
from beton.store.erasure import erase_unit
from beton.store.known_of_unit import known_of
from beton.store.records import Connection, Erased
from beton.store.store import Transaction
from beton.work.workplace import Workplace


@dataclass(frozen=True)
class ErasedIn:
    """What an erasure removed of one connection."""

    connection: Connection
    erased: Erased


def erase(place: Workplace, unit_id: str, *, kind: UnitKind = "person", connection: str | None = None, actor: str) -> list[ErasedIn]:
    """Remove a unit from everything of one connection, or of all of the workspace, and keep it from being written down again. On SQLite no byte of
    it is left in the files afterwards, as far as no reader holds an old state open; on PostgreSQL with the next VACUUM."""
    with place.store.transaction() as tx:
        found = [ErasedIn(one, erase_unit(tx, one.id, kind, unit_id, actor=actor)) for one in _chosen(tx, connection)]
    scour(place.store.engine)
    return found


def export(place: Workplace, unit_id: str, *, kind: UnitKind = "person", connection: str | None = None, actor: str) -> dict[str, Any]:
    """All that is known of a unit, by connection, as JSON values."""
    with place.store.transaction() as tx:
        about = {one.name: known_of(tx, one.id, kind, unit_id, actor=actor) for one in _chosen(tx, connection)}
    return {"unit": {"kind": kind, "id": unit_id}, "as_of": place.clock().isoformat(), "connections": about}


def _chosen(tx: Transaction, connection: str | None) -> list[Connection]:
    found = connections.every(tx) if connection is None else [connections.get(tx, connection)]
    if not found:
        raise NotFound("There is no connection yet, so nothing is known of anybody.")
    return found

"""Where signals go. The URL may carry a token in its path, so it is sealed like the signing secret; people see the host."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from beton.errors import Conflict, NotFound
from beton.store import audit
from beton.store.columns import new_id, table_of
from beton.store.delivery_tables import DeliveryRow, RouteRow
from beton.store.prepared import prepared
from beton.store.records import Destination, Route
from beton.store.route_rules import Rules
from beton.store.store import Transaction

_TABLE, _SEALED = "route", "destination_sealed"


def add(tx: Transaction, *, name: str, destination: Destination, actor: str, notices: bool = False, rules: Rules | None = None) -> Route:
    """Keep a route; `Conflict` when the name is taken. With `notices` it also gets every change of a hypothesis's status."""
    row_id = new_id("rte")
    row = RouteRow(
        id=row_id,
        workspace_id=tx.workspace_id,
        name=name,
        kind=destination.kind,
        destination_sealed=_seal(tx, row_id, destination),
        address=destination.address,
        notices=notices,
        rules=_kept(rules or Rules()),
        created_at=tx.now,
        updated_at=tx.now,
    )
    taken = sa.select(col(RouteRow.id)).where(col(RouteRow.name) == name)
    if tx.session.execute(taken).first() is not None:
        raise _taken(name)
    tx.session.add(row)
    try:
        tx.session.flush()
    except IntegrityError:
        raise _taken(name) from None
    told = {"name": name, "kind": row.kind, "address": row.address, "notices": notices, "rules": row.rules}
    audit.write(tx, actor, "route.add", _TABLE, row_id, after=told)
    return _value(row)


def get(tx: Transaction, name_or_id: str) -> Route:
    """The route with this name or id."""
    return _value(_row(tx, name_or_id))


def every(tx: Transaction) -> list[Route]:
    """All routes, by name."""
    return [Route(**row._mapping) for row in tx.rows(_EVERY)]


_COLUMNS = table_of(RouteRow).c
_EVERY = prepared(sa.select(*(_COLUMNS[name] for name in Route.model_fields)).order_by(_COLUMNS.name))


def destination(tx: Transaction, name_or_id: str) -> Destination:
    """Its settings in clear, for the sender alone."""
    row = _row(tx, name_or_id)
    settings = json.loads(tx.sealer.open(row.destination_sealed, tx.place(_TABLE, row.id, _SEALED)))
    return Destination.model_validate({"kind": row.kind, "address": row.address, "settings": settings})


def switch(tx: Transaction, name_or_id: str, *, enabled: bool, actor: str, problem: str | None = None) -> Route:
    """Let a route take signals, or not. Deliveries wait while it is off. `problem` says why, where its receiver is the reason."""
    row = _row(tx, name_or_id)
    after = {"enabled": enabled, "problem": problem}
    audit.write(tx, actor, "route.switch", _TABLE, row.id, before={"enabled": row.enabled, "problem": row.problem}, after=after)
    row.enabled, row.problem, row.updated_at = enabled, None if enabled else problem, tx.now
    row.failures, row.failing_since, row.resting_until = 0, None, None  # whoever switches it begins anew
    return _value(row)


def subscribe(tx: Transaction, name_or_id: str, *, notices: bool, actor: str) -> Route:
    """Let a route get changes of status, or not; those that are on their way still arrive."""
    row = _row(tx, name_or_id)
    audit.write(tx, actor, "route.subscribe", _TABLE, row.id, before={"notices": row.notices}, after={"notices": notices})
    row.notices, row.updated_at = notices, tx.now
    return _value(row)


def change_rules(tx: Transaction, name_or_id: str, rules: Rules, *, actor: str) -> Route:
    """Give a route other rules; they hold for signals that are written from now on, the template for all that has not left."""
    row = _row(tx, name_or_id)
    before, row.rules, row.updated_at = row.rules, _kept(rules), tx.now
    audit.write(tx, actor, "route.rules", _TABLE, row.id, before=before, after=row.rules)
    tx.session.flush()
    return _value(row)


def redirect(tx: Transaction, name_or_id: str, destination: Destination, *, actor: str) -> Route:
    """Give a route another destination of the same kind."""
    row = _row(tx, name_or_id)
    if destination.kind != row.kind:
        raise Conflict(f"The route {row.name} is of kind {row.kind}.", fix="Add another route for another kind of destination.")
    before = {"address": row.address}
    row.destination_sealed, row.address, row.updated_at = _seal(tx, row.id, destination), destination.address, tx.now
    audit.write(tx, actor, "route.redirect", _TABLE, row.id, before=before, after={"address": row.address})
    return _value(row)


def remove(tx: Transaction, name_or_id: str, *, actor: str) -> Route:
    """Take away a route along which nothing has gone; one with a past can only be switched off, since the log names it."""
    row = _row(tx, name_or_id)
    if tx.session.execute(sa.select(col(DeliveryRow.id)).where(col(DeliveryRow.route_id) == row.id).limit(1)).first() is not None:
        raise Conflict(f"The route {row.name} has deliveries.", fix="Switch it off instead.", code="conflict.route_used")
    audit.write(tx, actor, "route.remove", _TABLE, row.id, before={"name": row.name, "kind": row.kind, "address": row.address})
    was = _value(row)
    tx.session.delete(row)
    tx.session.flush()
    return was


def rest(tx: Transaction, route_id: str, until: datetime) -> None:
    """Leave its receiver alone until then, as it has asked; never for less time than it has asked before."""
    longer = sa.or_(col(RouteRow.resting_until).is_(None), col(RouteRow.resting_until) < until)
    tx.count(sa.update(RouteRow).where(col(RouteRow.id) == route_id, longer).values(resting_until=until))


def _kept(rules: Rules) -> dict[str, Any]:
    return rules.model_dump(mode="json", exclude_defaults=True)


def _seal(tx: Transaction, row_id: str, destination: Destination) -> str:
    return tx.sealer.seal(json.dumps(destination.settings), tx.place(_TABLE, row_id, _SEALED))


def _row(tx: Transaction, name_or_id: str) -> RouteRow:
    wanted = sa.or_(col(RouteRow.id) == name_or_id, col(RouteRow.name) == name_or_id)
    row = tx.session.execute(sa.select(RouteRow).where(wanted)).scalars().first()
    if row is None:
        raise NotFound(f"There is no route called {name_or_id}.")
    return row


def _taken(name: str) -> Conflict:
    return Conflict(f"There is already a route called {name}.", code="conflict.name_taken", fix="Choose another name, or change that route.")


def _value(row: RouteRow) -> Route:
    return Route.model_validate(row.model_dump(exclude={"workspace_id", _SEALED}))

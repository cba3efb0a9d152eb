"""Where signals go. The URL may carry a token in its path, so it is sealed like the signing secret; people see the host."""

import json
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from beton.errors import Conflict, NotFound
from beton.store import audit
from beton.store.columns import new_id
from beton.store.delivery_tables import RouteRow
from beton.store.records import Destination, Route
from beton.store.store import Transaction

_TABLE, _SEALED = "route", "destination_sealed"


def add(tx: Transaction, *, name: str, destination: Destination, actor: str, notices: bool = False) -> Route:
    """Keep a webhook route; `Conflict` when the name is taken. With `notices` it also gets every change of a hypothesis's status."""
    row_id = new_id("rte")
    row = RouteRow(
        id=row_id,
        workspace_id=tx.workspace_id,
        name=name,
        kind="webhook",
        destination_sealed=_seal(tx, row_id, destination),
        address=_host(destination.url),
        notices=notices,
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
    audit.write(tx, actor, "route.add", _TABLE, row_id, after={"name": name, "address": row.address, "notices": notices})
    return _value(row)


def get(tx: Transaction, name_or_id: str) -> Route:
    """The route with this name or id."""
    return _value(_row(tx, name_or_id))


def every(tx: Transaction) -> list[Route]:
    """All routes, by name."""
    query = sa.select(RouteRow).order_by(col(RouteRow.name))
    return [_value(row) for row in tx.session.execute(query).scalars()]


def destination(tx: Transaction, name_or_id: str) -> Destination:
    """URL and secret in clear, for the sender alone."""
    row = _row(tx, name_or_id)
    return Destination(**json.loads(tx.sealer.open(row.destination_sealed, tx.place(_TABLE, row.id, _SEALED))))


def switch(tx: Transaction, name_or_id: str, *, enabled: bool, actor: str, problem: str | None = None) -> Route:
    """Let a route take signals, or not. Deliveries wait while it is off. `problem` says why, where its receiver is the reason."""
    row = _row(tx, name_or_id)
    after = {"enabled": enabled, "problem": problem}
    audit.write(tx, actor, "route.switch", _TABLE, row.id, before={"enabled": row.enabled, "problem": row.problem}, after=after)
    row.enabled, row.problem, row.updated_at = enabled, None if enabled else problem, tx.now
    return _value(row)


def subscribe(tx: Transaction, name_or_id: str, *, notices: bool, actor: str) -> Route:
    """Let a route get changes of status, or not; those that are on their way still arrive."""
    row = _row(tx, name_or_id)
    audit.write(tx, actor, "route.subscribe", _TABLE, row.id, before={"notices": row.notices}, after={"notices": notices})
    row.notices, row.updated_at = notices, tx.now
    return _value(row)


def redirect(tx: Transaction, name_or_id: str, destination: Destination, *, actor: str) -> Route:
    """Give a route another URL or secret."""
    row = _row(tx, name_or_id)
    before = {"address": row.address}
    row.destination_sealed, row.address, row.updated_at = _seal(tx, row.id, destination), _host(destination.url), tx.now
    audit.write(tx, actor, "route.redirect", _TABLE, row.id, before=before, after={"address": row.address})
    return _value(row)


def _seal(tx: Transaction, row_id: str, destination: Destination) -> str:
    return tx.sealer.seal(json.dumps(destination.model_dump()), tx.place(_TABLE, row_id, _SEALED))


def _host(url: str) -> str:
    """Scheme, host and port: no user, no path, no query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


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

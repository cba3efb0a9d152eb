"""Workspaces: teams that share an installation and see nothing of each other."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import NotFound
from beton.store import audit
from beton.store.columns import new_id, table_of
from beton.store.prepared import prepared
from beton.store.records import Workspace
from beton.store.store import Store, Transaction, new_workspace
from beton.store.tables import WorkspaceRow


def add(store: Store, name: str, *, actor: str) -> Workspace:
    """A new, empty workspace."""
    row_id = new_id("wsp")
    with store.transaction() as tx:
        tx.session.add(new_workspace(tx.sealer, row_id, name, tx.now))
    with store.of(row_id).transaction() as tx:
        audit.write(tx, actor, "workspace.add", "workspace", row_id, after={"name": name})
        return get(tx)


def get(tx: Transaction) -> Workspace:
    """The workspace of the transaction."""
    return _value(tx.session.get_one(WorkspaceRow, tx.workspace_id))


def chosen(tx: Transaction, name: str) -> Any:
    """What the workspace has set of its own settings; None where it goes by the installation's."""
    found = tx.rows(_SETTINGS, workspace=tx.workspace_id)
    return found[0].settings.get(name) if found else None


def every(store: Store) -> list[Workspace]:
    """All of them, oldest first: for the jobs and for whoever runs the installation."""
    with store.reading():
        pass  # the first use of a new database makes the first workspace
    with store.everywhere() as session:
        rows = session.execute(sa.select(WorkspaceRow).order_by(col(WorkspaceRow.created_at), col(WorkspaceRow.id))).scalars()
        return [_value(row) for row in rows]


def named(store: Store, name_or_id: str) -> Workspace:
    """The workspace with this id or, if only one has it, this name."""
    found = [one for one in every(store) if name_or_id in (one.id, one.name)]
    if len(found) != 1:
        raise NotFound(f"There is no workspace called {name_or_id}.", fix="List them with: beton workspaces list")
    return found[0]


def choose(tx: Transaction, name: str, value: Any, *, actor: str) -> Workspace:
    """Set one of the workspace's own settings; None goes back to the installation's."""
    row = _locked(tx)
    before = row.settings.get(name)
    row.settings = {key: kept for key, kept in row.settings.items() if key != name} | ({} if value is None else {name: value})
    audit.write(tx, actor, "workspace.choose", "workspace", row.id, before={name: before}, after={name: value})
    return _value(row)


_WORKSPACES = table_of(WorkspaceRow).c
_SETTINGS = prepared(sa.select(_WORKSPACES.settings).where(_WORKSPACES.id == sa.bindparam("workspace")))


def lock(tx: Transaction) -> Workspace:
    """The workspace of the transaction; who else would change it waits for its end."""
    return _value(_locked(tx))


def remember(tx: Transaction, name: str, value: Any) -> None:
    """Keep what the program itself has to know of a workspace the next time, such as when it did something last; None forgets it. Nobody has
    chosen it, so that the audit log is not told."""
    row = _locked(tx)
    row.settings = {key: kept for key, kept in row.settings.items() if key != name} | ({} if value is None else {name: value})
    tx.session.flush()


def _locked(tx: Transaction) -> WorkspaceRow:
    query = sa.select(WorkspaceRow).where(col(WorkspaceRow.id) == tx.workspace_id).with_for_update()
    return tx.session.execute(query.execution_options(populate_existing=True)).scalars().one()


def _value(row: WorkspaceRow) -> Workspace:
    return Workspace(**row.model_dump(exclude={"unit_hash_key_sealed"}))

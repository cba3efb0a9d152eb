"""The store's door: one transaction per request or tick, and what every function inside it needs.

    with store.transaction() as tx:
        fresh = signals.record(tx, hypothesis_id, version, findings)

Everything inside the block is committed together or not at all. The functions live in modules named for what they keep (`connections`,
`hypotheses`, `runs`, …) and take the transaction first; they never commit.

Every transaction belongs to one workspace and sees only its rows: the criterion is added here to every statement about the tables that are
marked `Owned`, so no query can forget it, and to those that are prepared once and asked by every request (`prepared`, `Transaction.rows`). What
else goes around the mapper (`session.connection()`, for speed) has to name the workspace itself. On PostgreSQL the policies of row-level security
ask for the same once more, for roles that do not own the tables.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from threading import local
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from beton.errors import NotFound
from beton.settings import Settings
from beton.store.columns import Owned, Row
from beton.store.engines import open_engine, reached, reading, writing
from beton.store.migrate import migrate, require_current
from beton.store.prepared import MINE, Prepared
from beton.store.sealing import Place, Sealer
from beton.store.tables import WorkspaceRow

BATCH = 2000
"""Rows handed to the driver at once; above it nothing is gained."""

DEFAULT_WORKSPACE = "wsp_default"
"""The workspace that an installation begins with."""


@dataclass(frozen=True)
class Transaction:
    """An open transaction. `now` is one instant for all that is written in it."""

    session: Session
    workspace_id: str
    now: datetime
    sealer: Sealer = field(repr=False)
    unit_hash_key: bytes = field(repr=False)
    at_end: list[Callable[[], None]] = field(default_factory=list, repr=False)
    """What is still to be done in this transaction, right before it commits."""
    _connected: list[sa.Connection] = field(default_factory=list, init=False, repr=False)
    """The session's connection once it was asked for, since asking takes a while. No `cached_property`: in Python 3.11 those of all transactions
    share one lock, and whoever waits for the database while holding it is waited for by whoever has the database."""

    def place(self, table: str, row: str, column: str) -> Place:
        """Where a secret of this workspace lives."""
        return Place(self.workspace_id, table, row, column)

    def unit_key(self, connection_id: str, unit_kind: str, unit_id: str) -> str:
        """A keyed hash that is unique to a unit and, without the key, tells nothing about it. Stable over rotations of the sealing key."""
        message = "\0".join((connection_id, unit_kind, unit_id)).encode()
        return base64.b32encode(hmac.digest(self.unit_hash_key, message, hashlib.sha256)[:20]).decode().lower()

    def rows(self, asked: Prepared, **values: Any) -> list[sa.Row[*tuple[Any, ...]]]:
        """What a prepared statement finds: plain columns, several times faster than objects."""
        self.session.flush()  # what was changed before is to be seen
        if not self._connected:
            self._connected.append(self.session.connection())
        return list(self._connected[0].execute(asked.statement, values | {MINE: self.workspace_id}).all())

    def count(self, statement: sa.Update | sa.Delete) -> int:
        """Run an update or a deletion; how many rows it met. What was loaded before is read anew when it is looked at."""
        met = self.session.execute(statement, execution_options={"synchronize_session": False})
        self.session.expire_all()
        return met.rowcount if isinstance(met, sa.CursorResult) else 0

    def insert_many(self, row_type: type[Row], rows: Iterable[dict[str, Any]]) -> None:
        """Insert any number of rows, leaving out those that a key already has, without telling which: several times faster than `insert_new`."""
        statement, waiting = self._insert(row_type), iter(rows)
        while batch := list(islice(waiting, BATCH)):
            self.session.connection().execute(statement, batch)

    def upsert_many(
        self, row_type: type[Row], rows: Iterable[dict[str, Any]], columns: Collection[str], when: Callable[[Any], sa.ColumnElement[bool]]
    ) -> None:
        """The same, but rows that a key already has take over these columns from the new one (which `when` is given) where that holds."""
        statement, waiting = self._insert_any(row_type), iter(rows)
        new = statement.excluded
        taken = {name: new[name] for name in columns}
        statement = statement.on_conflict_do_update(index_elements=list(statement.table.primary_key), set_=taken, where=when(new))
        while batch := list(islice(waiting, BATCH)):
            self.session.connection().execute(statement, batch)

    def insert_new(self, row_type: type[Row], values: list[dict[str, Any]]) -> list[str]:
        """Insert rows, leaving out those that a unique key already has; the first key column of those that were new, in no order.

        Rows go in bulk, hundreds to a statement, which the library does only for plain tables with RETURNING.
        """
        if not values:
            return []
        statement = self._insert(row_type)
        return list(self.session.execute(statement.returning(next(iter(statement.table.primary_key))), values).scalars())

    def _insert(self, row_type: type[Row]) -> Any:
        return self._insert_any(row_type).on_conflict_do_nothing()

    def _insert_any(self, row_type: type[Row]) -> Any:
        insert = postgresql.insert if self.session.get_bind().dialect.name == "postgresql" else sqlite.insert
        return insert(row_type.metadata.tables[str(row_type.__tablename__)])


class Store:
    """A database, the keys that open its secrets, and a clock, seen from one workspace."""

    def __init__(self, engine: sa.Engine, sealer: Sealer, clock: Callable[[], datetime], workspace_id: str = DEFAULT_WORKSPACE) -> None:
        self.engine = engine
        self.sealer = sealer
        self.clock = clock
        self.workspace_id = workspace_id
        self._unit_hash_key: bytes | None = None
        self._views: dict[str, Store] = {workspace_id: self}
        self._writing, self._reading = writing(engine), reading(engine)
        self._open = local()

    def of(self, workspace_id: str) -> "Store":
        """The same database seen from another workspace."""
        view = self._views.get(workspace_id)
        if view is None:
            view = Store(self.engine, self.sealer, self.clock, workspace_id)
            view._views = self._views
            self._views[workspace_id] = view
        return view

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """A transaction that may write. Commits at the end of the block, rolls back on any error."""
        with self._begin(self._writing) as session:
            tx = self.within(session)
            yield tx
            for work in tx.at_end:
                work()

    @contextmanager
    def reading(self) -> Generator[Transaction]:
        """A transaction that only reads; it waits for no writer. PostgreSQL refuses writes in it. Within a `snapshot` it is that one."""
        known: Transaction | None = getattr(self._open, "snapshot", None)
        if known is not None:
            yield known
            return
        self._hash_key()  # the first use of a new database writes it, which this transaction may not
        with self._begin(self._reading) as session:
            yield self.within(session)

    @contextmanager
    def snapshot(self) -> Generator[Transaction]:
        """One transaction for all that this thread reads inside the block: a page is of one instant, and begins once. Nothing is awaited in it."""
        with self.reading() as tx:
            outer, self._open.snapshot = getattr(self._open, "snapshot", None), tx
            try:
                yield tx
            finally:
                self._open.snapshot = outer

    @contextmanager
    def everywhere(self, **shown: str) -> Generator[Session]:
        """A session that is in no workspace, for those few questions that come before one is known: whose secret is this, whose account.

        `shown` is what the caller has: `secret`, a digest, or `account`, an id. On PostgreSQL only rows that carry it are seen.
        """
        with self._begin(self._reading) as session:
            for name, value in shown.items():
                _tell_policies(session, name, value)
            yield session

    def within(self, session: Session) -> Transaction:
        """This store's view of a session that somebody else began and will commit (the job engine's transactional steps)."""
        now = self.clock().astimezone(UTC)
        _tell_policies(session, "workspace", self.workspace_id)
        key = self._hash_key(session)
        event.listen(session, "do_orm_execute", _only_of(self.workspace_id))
        return Transaction(session, self.workspace_id, now, self.sealer, key)

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    @contextmanager
    def _begin(self, engine: sa.Engine) -> Generator[Session]:
        with reached(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def _hash_key(self, session: Session | None = None) -> bytes:
        """The workspace's key for unit hashes; the first workspace itself is made on first use."""
        if self._unit_hash_key is None:
            if session is None:
                with self._begin(self._writing) as session:
                    return self._hash_key(session)
            self._unit_hash_key = self._load_hash_key(session)
        return self._unit_hash_key

    def _load_hash_key(self, session: Session) -> bytes:
        row = session.get(WorkspaceRow, self.workspace_id)
        if row is None:
            if self.workspace_id != DEFAULT_WORKSPACE:
                raise NotFound(f"There is no workspace {self.workspace_id}.")
            fresh = new_workspace(self.sealer, self.workspace_id, "Default", self.clock().astimezone(UTC))
            Transaction(session, self.workspace_id, fresh.created_at, self.sealer, b"").insert_new(WorkspaceRow, [fresh.model_dump()])
            row = session.get_one(WorkspaceRow, self.workspace_id)
        return bytes.fromhex(self.sealer.open(row.unit_hash_key_sealed, _place_of_hash_key(self.workspace_id)))


def new_workspace(sealer: Sealer, workspace_id: str, name: str, now: datetime) -> WorkspaceRow:
    """The row of a workspace, with a fresh key for unit hashes."""
    sealed = sealer.seal(secrets.token_hex(32), _place_of_hash_key(workspace_id))
    return WorkspaceRow(id=workspace_id, name=name, unit_hash_key_sealed=sealed, settings={}, created_at=now)


def _place_of_hash_key(workspace_id: str) -> Place:
    return Place(workspace_id, "workspace", workspace_id, "unit_hash_key_sealed")


_OWNER = sa.column("workspace_id", sa.String())
"""Stands for the column of all owned tables; the library asks the marker class for it, which has none."""


@lru_cache(maxsize=1000)
def _only_of(workspace_id: str) -> Callable[[ORMExecuteState], None]:
    """Adds the workspace to every statement of a session that asks for, changes or removes what belongs to one."""

    mine = with_loader_criteria(Owned, lambda table: getattr(table, "workspace_id", _OWNER) == workspace_id, include_aliases=True)

    def narrow(asked: ORMExecuteState) -> None:
        if asked.is_select or asked.is_update or asked.is_delete:
            asked.statement = asked.statement.options(mine)

    return narrow


def _tell_policies(session: Session, name: str, value: str) -> None:
    """Who is asking, for the policies of row-level security, until the end of the transaction."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("SELECT set_config(:name, :value, true)"), {"name": f"beton.{name}", "value": value})


def open_store(settings: Settings, clock: Callable[[], datetime], *, upgrade: bool = True) -> Store:
    """The store that the settings describe, with the schema brought up to date (or, without `upgrade`, checked)."""
    sealer = Sealer(settings.key_ring())  # before anything is touched: without a key there is no store
    engine = open_engine(settings.effective_database_url)
    if upgrade:
        migrate(engine)
    else:
        require_current(engine)
    return Store(engine, sealer, clock)

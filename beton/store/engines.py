"""Engines for the two databases, and what a transaction means on each.

SQLite knows one writer at a time. A transaction that reads first and writes later can fail half-way with "database is locked", which no
waiting cures; so every writing transaction takes the write lock at its beginning (`BEGIN IMMEDIATE`) and waits for it there. Reading
transactions are deferred: under WAL they neither wait nor are waited for. PostgreSQL needs none of this.
"""

import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree

from beton.errors import StoreError

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another. The longest writer is one tick of the sweep."""

_BETWEEN_ASKS = 0.01
"""Seconds."""

_CHECKPOINTS = 100

_PRAGMAS = (
    f"PRAGMA busy_timeout = {timedelta(seconds=BUSY_SECONDS) // timedelta(milliseconds=1)}",
    # FULL, not NORMAL: what we acknowledge (a 2xx, a claimed delivery) has to survive a power cut. A tick is one commit, so it costs one sync.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # What is deleted is overwritten: an erased person must not be read from the file's free space.
    "PRAGMA secure_delete = ON",
)

_to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
"""Compact, and refusing NaN: "cannot tell" is null with a reason beside it."""


class Unavailable(StoreError):
    """The database is away, locked, full or busy: the same call may succeed later."""

    code = "store.unavailable"
    status = 503
    exit_code = 3


def open_engine(url: str, *, patience: timedelta | None = None) -> sa.Engine:
    """An engine for a `sqlite:///` or `postgresql://` URL; makes the directory of a SQLite file.

    With `patience` it gives up on a lock that others hold, and on a server that does not answer, after so long: for whoever can do something else.
    """
    parsed = database_url(url)
    options: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": _from_json, "hide_parameters": True}
    if parsed.get_backend_name() != "sqlite":
        if patience is not None:
            options["connect_args"] = {"connect_timeout": 2, "options": f"-c lock_timeout={_ms(patience)} -c statement_timeout={_ms(4 * patience)}"}
        return sa.create_engine(parsed, pool_pre_ping=True, **options)
    if parsed.database:
        Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(parsed, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    if patience is not None:
        waits = f"PRAGMA busy_timeout = {_ms(patience)}"
        event.listen(engine, "connect", lambda connection, _record: connection.execute(waits))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def database_url(url: str) -> URL:
    """The URL with the driver we use, whichever was written."""
    parsed = make_url(url)
    backend = "postgresql" if parsed.get_backend_name() == "postgres" else parsed.get_backend_name()
    return parsed.set(drivername="postgresql+psycopg" if backend == "postgresql" else backend)


@contextmanager
def reached() -> Generator[None]:
    """Turns the driver's ways of saying that the database is away, locked or full, or all connections in use, into a `StoreError`."""
    try:
        yield
    except OperationalError as error:
        raise Unavailable(f"The database did not answer: {error.orig}") from error
    except NoneFree as error:
        raise Unavailable("No connection to the database became free in time.") from error


def writing(engine: sa.Engine) -> sa.Engine:
    """The engine as used by transactions that write."""
    return engine.execution_options(beton_begin="BEGIN IMMEDIATE")


def reading(engine: sa.Engine) -> sa.Engine:
    """The engine as used by transactions that only read."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(postgresql_readonly=True)
    return engine.execution_options(beton_begin="BEGIN")


def scour(engine: sa.Engine) -> None:
    """Let nothing of what was deleted lie about in SQLite's files: what the write-ahead log still has goes into the main file, where deleted content
    is overwritten, and the log is emptied. Readers that hold an old state open delay that to the next time."""
    if engine.dialect.name != "sqlite":
        return
    with reached(), engine.connect() as connection:
        raw = connection.connection.driver_connection
        for _ in range(_CHECKPOINTS):
            busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() if raw is not None else (0, 0, 0)
            if not busy:
                return
            time.sleep(_BETWEEN_ASKS)


def _prepare_sqlite(connection: Any, record: Any) -> None:  # noqa: ARG001 - the signature of the event
    connection.isolation_level = None  # the driver shall not begin transactions on its own
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    _enter_wal(connection)


def _enter_wal(connection: Any) -> None:
    """Write-ahead logging, which the file keeps from then on. Of several connections that open a new file at once SQLite refuses some here without
    waiting, whatever its busy timeout: each would have to give up a lock that the other needs. So they ask again."""
    for _ in range(round(BUSY_SECONDS / _BETWEEN_ASKS)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_BETWEEN_ASKS)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("beton_begin", "BEGIN"))


def _from_json(text: Any) -> Any:
    """A document; SQLite keeps one that is a bare number as a number."""
    return orjson.loads(text) if isinstance(text, str | bytes) else text

"""A whole database in one file, and back: from SQLite to PostgreSQL too, since the file knows neither.

    line 1        format, schema, release, instant
    per table     its name and columns; a line per row; its end, with the number of rows and a digest
    last line     how many tables there were

Lines are JSON, packed with gzip. What is sealed stays sealed, and the key is not in the file: whoever has the file alone cannot open a credential.
Ids of units in the live state are in clear, as they are in the database. Left out is what does not outlive the moment: who is asking PostHog right
now, and the job engine's own tables (queued and running jobs; runs that were under way are ended by the first sweep after a restore).

A digest is the sum of the SHA-256 of the rows, so it does not depend on their order, in which databases differ.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from beton.errors import StoreError
from beton.store import (  # noqa: F401 - fill the metadata
    agent_tables,
    delivery_tables,
    inbound_tables,
    people_tables,
    proof_tables,
    reach_tables,
    tables,
)
from beton.store.columns import Instant, Row
from beton.store.engines import reached, reading, writing
from beton.store.migrate import newest, revisions

FORMAT = "beton-backup/1"
AT_ONCE = 1000
MOMENTARY = frozenset({"request_place"})
_MODULUS = 1 << 256


class UnusableBackup(StoreError):
    """The file is no backup, is cut off, was altered, or does not fit this version."""

    code = "backup.unusable"
    status = 422
    exit_code = 2
    default_fix = "Take another backup file; beton restore --verify FILE checks one against a database."


class NotEmpty(StoreError):
    """A backup goes into an empty database only."""

    code = "backup.not_empty"
    status = 409
    exit_code = 2
    default_fix = "Name an empty database with BETON_DATABASE_URL, or a new BETON_DATA_DIR."


@dataclass(frozen=True)
class Counted:
    """A table: how many rows, and the sum of their digests in hexadecimal digits."""

    rows: int
    digest: str


Manifest = dict[str, Counted]


def write_backup(engine: sa.Engine, path: Path, now: datetime) -> Manifest:
    """The database as it is at one instant, while others go on working. Readable by its owner only; an existing file is left alone."""
    present, wanted = revisions(engine)
    if present != wanted:
        raise StoreError(f"The database has schema {present}, this version wants {wanted}.", code="store.schema_differs", fix="Run: beton migrate")
    draft = path.with_name(f"{path.name}.part")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed, _at_one_instant(engine) as connection:
                _line(packed, {"format": FORMAT, "schema": present, "release": version("beton"), "made_at": now.isoformat()})
                found = {table.name: _write_table(packed, connection, table) for table in kept_tables()}
                _line(packed, {"tables": len(found)})
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # refuses to replace, as `rename` does not
    except FileExistsError:
        raise UnusableBackup(f"{path} exists already.", code="backup.exists", fix="Choose another name: a backup is never written over.") from None
    finally:
        draft.unlink(missing_ok=True)
    return found


def read_backup(engine: sa.Engine, path: Path) -> Manifest:
    """Fill an empty database of this version's schema with a backup, in one transaction: all of it or nothing."""
    with reached(), writing(engine).begin() as connection:
        _need_empty(connection)
        found: Manifest = {}
        for table, rows in _tables_of(path, found):
            _insert(connection, table, rows)
        _go_on_counting(connection)
    return found


def measure(engine: sa.Engine) -> Manifest:
    """The tables of a database as a backup would count them."""
    with _at_one_instant(engine) as connection:
        return {table.name: _sum(_encoded(connection, table)) for table in kept_tables()}


def measure_file(path: Path) -> Manifest:
    """The tables of a backup; reads the whole file and refuses one that is not whole."""
    found: Manifest = {}
    for _, rows in _tables_of(path, found):
        for _ in rows:
            pass
    return found


def kept_tables() -> list[sa.Table]:
    """What a backup holds, each table behind those that it refers to."""
    return [table for table in Row.metadata.sorted_tables if table.name not in MOMENTARY]


# --- writing ---------------------------------------------------------------------------------------------------------


@contextmanager
def _at_one_instant(engine: sa.Engine) -> Generator[sa.Connection]:
    chosen = reading(engine)
    if engine.dialect.name == "postgresql":
        chosen = chosen.execution_options(isolation_level="REPEATABLE READ")
    with reached(), chosen.connect() as connection:
        if engine.dialect.name == "postgresql":
            # A role whom the policies hide rows from would make a backup without them; so the server is to refuse instead.
            connection.execute(sa.text("SET LOCAL row_security = off"))
        yield connection


def _write_table(packed: gzip.GzipFile, connection: sa.Connection, table: sa.Table) -> Counted:
    _line(packed, {"table": table.name, "columns": [column.name for column in table.columns]})

    def written() -> Iterator[bytes]:
        for line in _encoded(connection, table):
            packed.write(line + b"\n")
            yield line

    found = _sum(written())
    _line(packed, {"end": table.name, "rows": found.rows, "digest": found.digest})
    return found


def _encoded(connection: sa.Connection, table: sa.Table) -> Iterator[bytes]:
    """The rows as lines of JSON, the same from every database."""
    with connection.execution_options(yield_per=AT_ONCE).execute(sa.select(table)) as rows:
        for row in rows:
            yield _dumped([_told(value) for value in row])


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _sum(lines: Iterable[bytes]) -> Counted:
    rows = total = 0
    for line in lines:
        rows += 1
        total = (total + int.from_bytes(hashlib.sha256(line).digest())) % _MODULUS
    return Counted(rows, f"{total:064x}")


def _line(packed: gzip.GzipFile, value: dict[str, Any]) -> None:
    packed.write(_dumped(value) + b"\n")


def _dumped(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


# --- reading ---------------------------------------------------------------------------------------------------------


def _tables_of(path: Path, found: Manifest) -> Iterator[tuple[sa.Table, Iterator[list[Any]]]]:
    """Each table with its rows, which have to be taken before the next table; what was counted goes into `found`."""
    lines = _lines(path)
    _check_head(next(lines, b""), path)
    for expected in kept_tables():
        head = _object(next(lines, b""), path)
        if head.get("table") != expected.name or head.get("columns") != [column.name for column in expected.columns]:
            raise UnusableBackup(f"{path}: the table {expected.name} is missing or has other columns.")
        yield expected, _rows(lines, expected, path, found)
    if _object(next(lines, b""), path) != {"tables": len(found)} or next(lines, None) is not None:
        raise UnusableBackup(f"{path} has no end, or goes on behind it.")


def _rows(lines: Iterator[bytes], table: sa.Table, path: Path, found: Manifest) -> Iterator[list[Any]]:
    rows = total = 0
    for line in lines:
        if not line.startswith(b"["):
            break
        rows += 1
        total = (total + int.from_bytes(hashlib.sha256(line).digest())) % _MODULUS
        yield _decoded(table, line, path)
    else:
        raise UnusableBackup(f"{path} is cut off.")
    counted = Counted(rows, f"{total:064x}")
    if _object(line, path) != {"end": table.name, "rows": counted.rows, "digest": counted.digest}:
        raise UnusableBackup(f"{path}: the table {table.name} is cut off or was altered.")
    found[table.name] = counted


def _decoded(table: sa.Table, line: bytes, path: Path) -> list[Any]:
    try:
        values = json.loads(line)
        pairs = zip(table.columns, values, strict=True)
        return [_meant(column.type, value) for column, value in pairs]
    except (ValueError, TypeError) as error:
        raise UnusableBackup(f"{path}: a row of {table.name} cannot be read.") from error


def _meant(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, Instant):
        return datetime.fromisoformat(value)
    return base64.b64decode(value, validate=True) if isinstance(kind, sa.LargeBinary) else value


def _insert(connection: sa.Connection, table: sa.Table, rows: Iterator[list[Any]]) -> None:
    names, batch = [column.name for column in table.columns], []
    for row in rows:
        batch.append(dict(zip(names, row, strict=True)))
        if len(batch) == AT_ONCE:
            connection.execute(sa.insert(table), batch)
            batch.clear()
    if batch:
        connection.execute(sa.insert(table), batch)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as packed:
            for line in packed:
                yield line.rstrip(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableBackup(f"{path} cannot be read to its end: {error}.") from error


def _check_head(line: bytes, path: Path) -> None:
    head = _object(line, path)
    if head.get("format") != FORMAT:
        raise UnusableBackup(f"{path} is no backup of Beton.")
    wanted = newest()
    if head.get("schema") != wanted:
        fix = f"Restore it with release {head.get('release')}, and upgrade then."
        raise UnusableBackup(f"{path} has schema {head.get('schema')}, this version {wanted}.", code="store.schema_differs", fix=fix)


def _object(line: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UnusableBackup(f"{path} is cut off or was altered.") from error
    if not isinstance(value, dict):
        raise UnusableBackup(f"{path} is cut off or was altered.")
    return value


def _need_empty(connection: sa.Connection) -> None:
    for table in kept_tables():
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise NotEmpty(f"The database is not empty: {table.name} has rows.")


def _go_on_counting(connection: sa.Connection) -> None:
    """PostgreSQL counts numbers of rows apart from the rows."""
    if connection.dialect.name != "postgresql":
        return
    for table in kept_tables():
        column = table.autoincrement_column
        if column is not None and isinstance(column.type, sa.Integer) and len(table.primary_key.columns) == 1:
            sequence = sa.text("SELECT setval(pg_get_serial_sequence(:table, :column), GREATEST((SELECT max(id) FROM " + table.name + "), 1))")
            connection.execute(sequence, {"table": table.name, "column": column.name})

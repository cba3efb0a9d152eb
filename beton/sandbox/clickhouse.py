"""The embedded ClickHouse: connections, time limits, and what a query cost.

One chdb connection serialises its queries, so every query borrows one of several. A data folder belongs to one process.
"""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_ERROR = re.compile(r"Code: (\d+)\. DB::Exception: (.*?)(?: \(([A-Z0-9_]+)\))?\s*$", re.DOTALL)
_ROWS_FORMAT = "JSONCompactEachRowWithNamesAndTypes"

_SESSION = """SET output_format_json_quote_64bit_integers = 0, output_format_json_quote_denormals = 0,
 output_format_json_quote_decimals = 1, output_format_json_escape_forward_slashes = 0, output_format_json_named_tuples_as_objects = 1,
 output_format_json_validate_utf8 = 1, timeout_overflow_mode = 'throw', read_overflow_mode = 'throw', join_use_nulls = 0, transform_null_in = 1,
 max_query_size = 20000000, max_ast_elements = 4000000, max_expanded_ast_elements = 4000000, max_parser_depth = 3000,
 optimize_use_implicit_projections = 0, max_partitions_per_insert_block = 0, session_timezone = 'UTC', date_time_output_format = 'iso'"""

_TABLES = """
CREATE TABLE IF NOT EXISTS events (team_id Int64, uuid UUID, event String, properties String, timestamp DateTime64(6, 'UTC'),
 distinct_id String, elements_chain String, created_at DateTime64(6, 'UTC'), person_id String, event_person_id String,
 `$group_0` String, `$group_1` String, `$group_2` String, `$group_3` String, `$group_4` String)
 ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp)
 ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid)) SAMPLE BY cityHash64(distinct_id);
CREATE TABLE IF NOT EXISTS persons (team_id Int64, id String, created_at DateTime64(6, 'UTC'), properties String, is_identified Bool)
 ENGINE = MergeTree ORDER BY (team_id, id);
CREATE TABLE IF NOT EXISTS person_distinct_ids (team_id Int64, distinct_id String, person_id String)
 ENGINE = MergeTree ORDER BY (team_id, distinct_id);
CREATE TABLE IF NOT EXISTS groups (team_id Int64, `index` UInt8, `key` String, created_at DateTime64(6, 'UTC'),
 updated_at DateTime64(6, 'UTC'), properties String) ENGINE = MergeTree ORDER BY (team_id, `index`, `key`);
CREATE TABLE IF NOT EXISTS cohort_people (team_id Int64, cohort_id Int64, person_id String, is_static Bool)
 ENGINE = MergeTree ORDER BY (team_id, cohort_id, person_id)
"""


class ClickHouseError(Exception):
    """A query ClickHouse refused or gave up: its number, its name and its text."""

    def __init__(self, number: int, name: str, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.name = name
        self.text = text


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows as ClickHouse printed them, one JSON array per line, and the cost: rows and bytes read from storage, seconds."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    lines: bytes
    rows_read: int
    bytes_read: int
    seconds: float

    def rows(self) -> list[list[Any]]:
        """The rows decoded."""
        return orjson.loads(b"[" + self.lines.replace(b"\n", b",") + b"]") if self.lines else []

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.lines.count(b"\n") + 1 if self.lines else 0


class ClickHouse:
    """One database in a data folder opened by this process, queried from any thread. A process has one folder open at a time."""

    def __init__(self, directory: Path, connections: int = 4, database: str = "sandbox") -> None:
        import chdb

        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        self._all = [chdb.connect(str(directory)) for _ in range(connections)]
        for connection in self._all:
            connection.query(f"CREATE DATABASE IF NOT EXISTS {database}")
            connection.query(f"USE {database}")
            connection.query(_SESSION)
            self._idle.put(connection)
        for statement in _TABLES.split(";"):
            self.execute(statement)

    def close(self) -> None:
        """Closes every connection; the folder may then be opened by another process."""
        for connection in self._all:
            connection.close()

    @contextmanager
    def _borrowed(self) -> Generator[Any]:
        connection = self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def execute(self, sql: str) -> None:
        """A statement without rows. Raises ClickHouseError."""
        with self._borrowed() as connection:
            _run(connection, "SET max_execution_time = 0, max_bytes_to_read = 0", "CSV")
            _run(connection, sql, "CSV")

    def query(self, sql: str, max_seconds: float = 0.0, max_bytes: int = 0) -> Answer:
        """A SELECT within a time limit (0: none) and a limit of bytes read. Raises ClickHouseError."""
        started = time.perf_counter()
        with self._borrowed() as connection:
            _run(connection, f"SET max_execution_time = {max_seconds}, max_bytes_to_read = {max_bytes}", "CSV")
            result = _run(connection, sql, _ROWS_FORMAT)
            names, types, lines = [*bytes(result.bytes()).rstrip(b"\n").split(b"\n", 2), b"", b""][:3]
            read_rows, read_bytes = int(result.storage_rows_read()), int(result.storage_bytes_read())
        named, typed = orjson.loads(names or b"[]"), orjson.loads(types or b"[]")
        return Answer(tuple(named), tuple(typed), lines, read_rows, read_bytes, time.perf_counter() - started)

    def column(self, sql: str) -> list[Any]:
        """The first column of a SELECT."""
        return [row[0] for row in self.query(sql).rows()]


def _run(connection: Any, sql: str, output: str) -> Any:
    """One statement on one connection; chdb reports every failure as a RuntimeError with ClickHouse's text."""
    try:
        return connection.query(sql, output)
    except RuntimeError as error:
        raise _understood(str(error)) from error


def _understood(message: str) -> ClickHouseError:
    match = _ERROR.search(message)
    if match is None:
        return ClickHouseError(0, "UNKNOWN", message)
    return ClickHouseError(int(match[1]), match[3] or "UNKNOWN", match[2].strip())

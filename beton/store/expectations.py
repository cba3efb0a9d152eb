"""What SQLite is to expect of the tables, so that it takes the same indexes whether a database is empty or holds a million signals.

Without figures it takes every column for equally telling, and answers "these 25 ids, of this workspace" by walking through the whole workspace.
Figures that it gathers itself would be those of the day on which somebody asked for them; these are fixed, for a large workspace beside few others.
PostgreSQL keeps figures of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

MANY = 1_000_000
ROWS = {
    "workspace": 3, "account": 50, "member": 50, "access_link": 50, "session": 100, "api_key": 50, "connection": 5, "route": 5,
    "hypothesis": 5_000, "hypothesis_version": 5_000, "backtest": 20_000, "run": 5_000, "question": 5, "taxonomy_snapshot": 100,
}  # fmt: skip
"""Rows of tables that stay small; the others have `MANY`."""

VALUES = {
    "workspace_id": 1, "connection_id": 3, "route_id": 3, "hypothesis_id": 1_000, "run_id": 1_000, "owner_id": 20, "status": 5, "type": 4, "kind": 4,
    "verdict": 3, "role": 4, "scope": 4, "surface": 3, "atom": 1_000, "hypothesis_version": 2,
}  # fmt: skip
"""How many values columns have that do not tell their rows apart by themselves."""

TELLING = 250_000


def expect(connection: sa.Connection) -> None:
    """Write the figures down, unless they are there. They count for connections that are opened afterwards."""
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # nothing is counted; it makes the table that holds the figures
    wanted = set(_figures(connection))
    if wanted == {tuple(row) for row in connection.exec_driver_sql("SELECT tbl, idx, stat FROM sqlite_stat1")}:
        return
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    for row in sorted(wanted):
        connection.exec_driver_sql("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", row)
    connection.exec_driver_sql("ANALYZE sqlite_schema")


def _figures(connection: sa.Connection) -> Iterator[tuple[str, str, str]]:
    indexes = (
        "SELECT m.tbl_name, m.name, l.\"unique\" FROM sqlite_master m, pragma_index_list(m.tbl_name) l WHERE m.type = 'index' AND l.name = m.name"
    )
    for table, index, unique in connection.exec_driver_sql(indexes).all():
        columns = [name for (name,) in connection.exec_driver_sql("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))]
        yield table, index, " ".join(map(str, _figure(ROWS.get(table, MANY), columns, unique=bool(unique))))


def _figure(rows: int, columns: Sequence[str], *, unique: bool) -> Iterator[int]:
    """The rows of the table, then those with the same first column, the same first two, and so on."""
    yield rows
    left = rows
    for place, column in enumerate(columns, 1):
        left = max(1, left // min(rows, VALUES.get(column, TELLING)))
        yield 1 if unique and place == len(columns) else left

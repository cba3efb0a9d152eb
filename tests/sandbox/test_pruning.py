"""A slice of time reads its own partitions and days only, and the client's main query runs as written."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.sandbox.table import Table, make_table, row

PACKED = """SELECT unit, arrayStringConcat(arraySort(groupArray(hex(code * 1099511627776 + us + 72057594037927936))), '') AS packed,
 min(us) AS first, max(us) AS last, count() AS n FROM (SELECT person_id AS unit, uuid,
 min(dateDiff('microsecond', toDateTime64({lo}, 6, 'UTC'), timestamp)) AS us, min(transform(event, ['a', 'b'], [1, 2], 0)) AS code
 FROM events WHERE timestamp >= toDateTime64({lo}, 6, 'UTC') AND timestamp < toDateTime64({hi}, 6, 'UTC')
 GROUP BY unit, uuid) GROUP BY unit ORDER BY unit LIMIT 50000"""


@pytest.fixture(scope="module")
def months(folder: Path) -> Table:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    events = [row(f"u{i % 7}", "a" if i % 2 else "b", (start + timedelta(minutes=2 * i)).isoformat()) for i in range(60_000)]
    return make_table(folder, events)


def test_a_slice_reads_little_more_than_itself(months: Table) -> None:
    answer = months.answer(PACKED, {"lo": "2026-02-10 00:00:00", "hi": "2026-02-20 00:00:00"}, timezone="Europe/Berlin")
    assert sum(line[4] for line in answer.rows()) == 7200
    assert answer.rows_read < 25_000


def test_packed_histories_unpack_to_the_events(months: Table) -> None:
    rows = months.ask(PACKED, {"lo": "2026-01-01 00:00:00", "hi": "2026-01-01 01:00:00"})
    unit, packed, first, last, count = rows[0]
    codes = [int(packed[i : i + 16], 16) - 72057594037927936 for i in range(0, len(packed), 16)]
    minute = 60_000_000
    assert (unit, count, first, last) == ("u0", 5, 0, 28 * 2 * minute)
    assert [(code >> 40, (code & (2**40 - 1)) // minute) for code in codes] == [(1, 14), (1, 42), (2, 0), (2, 28), (2, 56)]


def test_a_wrapped_column_would_have_read_more(months: Table) -> None:
    narrow = months.answer("SELECT count() FROM events WHERE timestamp >= '2026-02-10' AND timestamp < '2026-02-11'")
    wide = months.answer("SELECT count() FROM events WHERE toStartOfDay(timestamp) + INTERVAL 0 SECOND = toDateTime('2026-02-10')")
    assert narrow.rows_read < wide.rows_read

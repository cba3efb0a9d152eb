"""Event files of every kind become the same events."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from beton.sandbox.clickhouse import ClickHouse
from beton.sandbox.load import UnreadableEvents, load_events
from tests.sandbox.table import make_table, open_database, row

MOMENT = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def clickhouse(folder: Path) -> Any:
    opened = open_database(folder)
    yield opened
    opened.close()


def _parquet(path: Path, **columns: Any) -> Path:
    base = {"person_id": ["007"], "event": ["a"], "timestamp": [MOMENT], "properties": ['{"n":1}']}
    pl.DataFrame({**base, **columns}).write_parquet(path)
    return path


def _csv(path: Path) -> Path:
    path.write_text('person_id,event,timestamp,properties\n007,a,2026-03-01T10:00:00.123456Z,"{""n"":1}"\n')
    return path


def _lines(path: Path) -> Path:
    event = {"person_id": "007", "event": "a", "timestamp": "2026-03-01T11:00:00.123456+01:00", "properties": {"n": 1}}
    path.write_text(json.dumps(event, separators=(",", ":")))
    return path


@pytest.mark.parametrize("make", [lambda d: _parquet(d / "e.parquet"), lambda d: _csv(d / "e.csv"), lambda d: _lines(d / "e.jsonl")])
def test_parquet_csv_and_json_lines_say_the_same(clickhouse: ClickHouse, tmp_path: Path, make: Any) -> None:
    load_events(clickhouse, 1, [make(tmp_path)])
    sql = "SELECT person_id, distinct_id, event, toString(timestamp), properties FROM events"
    assert clickhouse.query(sql).rows() == [["007", "007", "a", "2026-03-01 10:00:00.123456", '{"n":1}']]


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_integer_times_are_told_apart_by_size(clickhouse: ClickHouse, tmp_path: Path, scale: int) -> None:
    load_events(clickhouse, 1, [_parquet(tmp_path / "e.parquet", timestamp=[1_767_225_600 * scale])])
    assert clickhouse.column("SELECT toString(timestamp) FROM events") == ["2026-01-01 00:00:00.000000"]


def test_missing_uuids_are_made_once_and_for_all(clickhouse: ClickHouse, tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    twins = {"person_id": ["a", "a"], "event": ["x", "x"], "timestamp": [MOMENT, MOMENT], "properties": ["{}", "{}"]}
    pl.DataFrame(twins).write_parquet(path)
    load_events(clickhouse, 1, [path])
    load_events(clickhouse, 1, [path])
    made = sorted(clickhouse.column("SELECT toString(uuid) FROM events"))
    assert made[0] == made[1]
    assert made[2] == made[3]
    assert made[0] != made[2]
    assert all(text[14] == "7" and text[19] in "89ab" for text in made)


def test_given_uuids_are_kept_and_may_repeat(clickhouse: ClickHouse, tmp_path: Path) -> None:
    given = ["018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000001", "not a uuid", None]
    base = {"person_id": list("abcd"), "event": ["x"] * 4, "timestamp": [MOMENT] * 4, "properties": ["{}"] * 4}
    pl.DataFrame({**base, "uuid": given}).write_parquet(tmp_path / "e.parquet")
    load_events(clickhouse, 1, [tmp_path / "e.parquet"])
    made = clickhouse.column("SELECT toString(uuid) FROM events ORDER BY person_id")
    assert made[:2] == given[:2]
    assert len(set(made)) == 3


def test_other_columns_are_group_types_in_order(clickhouse: ClickHouse, tmp_path: Path) -> None:
    path = _parquet(tmp_path / "e.parquet", organization=["acme"], team=["t1"], distinct_id=["d"])
    assert load_events(clickhouse, 1, [path]).group_types == ("organization", "team")
    assert clickhouse.query("SELECT `$group_0`, `$group_1`, distinct_id FROM events").rows() == [["acme", "t1", "d"]]


def test_a_file_without_the_columns_is_refused_by_name(clickhouse: ClickHouse, tmp_path: Path) -> None:
    pl.DataFrame({"person_id": ["a"], "event": ["x"]}).write_parquet(tmp_path / "e.parquet")
    with pytest.raises(UnreadableEvents, match=r"e\.parquet has no column timestamp"):
        load_events(clickhouse, 1, [tmp_path / "e.parquet"])
    with pytest.raises(UnreadableEvents, match="not a Parquet"):
        load_events(clickhouse, 1, [tmp_path / "missing.parquet"])


def test_a_mixture_of_types_is_text_and_the_latest_set_wins(folder: Path) -> None:
    events = [
        row("a", "x", "2026-01-01T00:00:00Z", {"m": 1, "n": 1, "$set": {"plan": "free"}, "$set_once": {"first": "x", "plan": "none"}}),
        row("a", "x", "2026-01-02T00:00:00Z", {"m": "1", "n": None, "$set": {"plan": "pro"}, "$set_once": {"first": "y"}}),
    ]
    table = make_table(folder, events)
    assert (table.taxonomy.kinds()["event", "m"], table.taxonomy.kinds()["event", "n"]) == ("String", "Numeric")
    assert table.ask("SELECT properties FROM persons") == [['{"first":"x","plan":"pro"}']]
    table.clickhouse.close()

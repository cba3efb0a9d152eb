"""Events from files: every format gives the engine the same log, and what cannot be read is told, not guessed."""

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pytest

from backtest.durations import DAY
from backtest.engine import Backtest
from backtest.events import Window
from backtest.language import Group, Hypothesis
from backtest.plan import plan_reads
from backtest.report import published
from beton.errors import BadInput
from beton.event_files import ColumnMap, EventFile, group_columns, open_event_file
from beton.event_files.buckets import choose_buckets
from beton.event_files.instants import instant
from tests.backtest.engine_log import engine_log
from tests.backtest.random_logs import TYPES, Log, random_case

FORMS = ["parquet", "csv", "jsonl", "csv.gz", "csv.zst", "jsonl.gz"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).isoformat()


def micros(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Rows whose instants are microseconds and whose properties are objects, in the format that the name says."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    texts = [{**row, "timestamp": iso(row["timestamp"])} for row in rows]
    if path.suffix == ".parquet":
        columns = {key: [row.get(key) for row in rows] for key in keys}
        columns["properties"] = [None if one is None else json.dumps(one) for one in columns.get("properties", [None] * len(rows))]
        pl.DataFrame(columns, infer_schema_length=None).cast({"timestamp": pl.Datetime("us", "UTC")}).write_parquet(path)
    elif ".csv" in path.name:
        plain = path.parent / "plain.csv"
        with plain.open("w", newline="") as file:
            writer = csv.DictWriter(file, keys)
            writer.writeheader()
            for row in texts:
                writer.writerow({**row, "properties": json.dumps(row["properties"]) if row.get("properties") is not None else ""})
        _pack(plain, path)
    else:
        plain = path.parent / "plain.jsonl"
        plain.write_text("".join(json.dumps(row) + "\n" for row in texts))
        _pack(plain, path)
    return str(path)


def _pack(plain: Path, path: Path) -> None:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    elif path.suffix == ".zst":
        pl.read_csv(plain, infer_schema=False).write_csv(path, compression="zstd")
        plain.unlink()
    elif plain != path:
        plain.rename(path)


def numbers(file: EventFile, hypotheses: list[Hypothesis], window: Window, **more: Any) -> list[tuple[dict[str, Any], list[Any]]]:
    """Published numbers and fires of each hypothesis."""
    whole = Backtest(hypotheses, keep_fires=True)
    for plan in plan_reads(hypotheses, window):
        for log in file.logs(plan, TYPES, **more):
            whole.add(plan.unit, log)
    return [(published(score, window), sorted(whole.fires.get(index, []))) for index, score in enumerate(whole.scores())]


# --- the same log, whatever the format and the number of buckets ------------------------------------------------------


def rows_of(log: Log) -> list[dict[str, Any]]:
    named = "company" if log.accounts else "person_id"
    also = ["person_id"] if log.accounts else []
    return [
        {named: row.unit, "event": row.event, "timestamp": row.at, "properties": row.properties, "uuid": row.uuid} | dict.fromkeys(also, row.person)
        for row in log.rows
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_gives_the_numbers_and_fires_of_the_log_that_was_written_to_it(form: str, tmp_path: Path) -> None:
    compared = 0
    for seed in range(FORMS.index(form), 120, len(FORMS)):
        case = random_case(seed)
        if not case.log.rows:
            continue
        window = Window(case.log.start, case.log.end)
        path = tmp_path / f"{seed}.{form}"
        groups = {"company": "company"} if case.log.accounts else {}
        file = open_event_file(write(path, rows_of(case.log)), ColumnMap(groups=groups))
        wanted = Backtest([case.hypothesis], keep_fires=True)
        wanted.add(case.hypothesis.unit, engine_log(case.log, case.hypothesis))
        (expected,) = wanted.scores()
        for buckets in (1, 1 + seed % 7):
            ((found, fires),) = numbers(file, [case.hypothesis], window, buckets=buckets, cohorts=case.log.cohorts)
            assert (seed, found) == (seed, published(expected, window))
            assert (seed, fires) == (seed, sorted(wanted.fires.get(0, [])))
        compared += 1
    assert compared > 10


TOY = """
e01 signed_up 26-01-05T10:00, invited 26-01-07, paid 26-01-15
e02 signed_up 26-01-05T10:00, invited 26-01-07, paid 26-01-09
e03 signed_up 26-01-05T10:00, paid 26-01-06, invited 26-01-08
e04 signed_up 26-01-05T10:00, invited 26-01-07, paid 26-01-07
e05 signed_up 26-01-05, invited 26-01-12
e06 signed_up 26-01-05, invited 26-01-11T23:59:59.999, paid 26-01-26
e07 signed_up 26-03-20, invited 26-03-21, paid 26-03-25
e08 signed_up 25-12-28, invited 26-01-02, paid 26-01-10
e09 paid 25-12-01, signed_up 26-01-05, invited 26-01-06, paid 26-01-20
e10 signed_up 26-02-01, paid 26-02-12
e11 signed_up 26-02-01, page 26-02-02
e12 signed_up 26-02-01, invited 26-02-03
e13 signed_up 26-03-01, invited 26-03-02, paid 26-04-02
e14 invited 26-01-31, signed_up 26-02-01
e15 signed_up 26-02-01, paid 26-02-04
e16 page 26-02-01, invited 26-02-02, paid 26-02-10
"""
"""One unit for each edge: a tie, an event exactly at entry + 7 d, an outcome after the as-of instant, an entry before the window, …"""

AS_OF = micros("2026-04-01")
TOY_WINDOW = Window(AS_OF - 90 * DAY, AS_OF)


def hypothesis(**more: Any) -> Hypothesis:
    clauses = [{"kind": "did", "match": "invited", "span": {"first": "7d"}}]
    outcome = {"kind": "event", "match": "paid", "horizon": "14d"}
    return Hypothesis.model_validate({"entry": "signed_up", "clauses": clauses, "outcome": outcome} | more)


def toy_rows() -> list[dict[str, Any]]:
    rows = []
    for line in TOY.strip().splitlines():
        unit, events = line.split(" ", 1)
        for event in events.split(", "):
            name, at = event.split(" ")
            rows.append({"person_id": unit, "event": name, "timestamp": micros(f"20{at}"), "properties": {"to": unit, "n": len(rows)}})
    return rows


@pytest.mark.parametrize("form", FORMS[:3])
@pytest.mark.parametrize("buckets", [None, 1, 2, 7, 64])
def test_the_toy_log_counts_as_worked_out_by_hand(form: str, buckets: int | None, tmp_path: Path) -> None:
    file = open_event_file(write(tmp_path / f"toy.{form}", toy_rows()))
    ((found, fires),) = numbers(file, [hypothesis()], TOY_WINDOW, buckets=buckets)
    counts = {name: found["counts"][name] for name in ("fires_total", "excluded_converted", "pending", "sample_size", "true_positives")}
    assert counts == {"fires_total": 9, "excluded_converted": 3, "pending": 1, "sample_size": 5, "true_positives": 2}
    assert [found["counts"]["recall_converters"], found["counts"]["recall_hits"]] == [8, 3]
    assert [found["closed"][cell] for cell in ("tp", "fp", "fn", "tn")] == [2, 2, 1, 3]
    assert fires[4] == ("e06", micros("2026-01-11T23:59:59.999"), 1)


def busy_rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    start = TOY_WINDOW.start - 20 * DAY
    names, plans = ["invited", "viewed", "shared", "paid"], ["free", "pro", None]
    rows = []
    for unit in range(300):
        entry = start + int(rng.integers(90)) * DAY
        rows.append({"person_id": f"u{unit}", "event": "signed_up", "timestamp": entry, "properties": {"plan": "free"}})
        for _ in range(int(rng.integers(12))):
            at = entry + int(rng.integers(30 * DAY))
            properties = {"plan": plans[rng.integers(3)], "amount": float(rng.integers(1, 99)) / 10}
            rows.append({"person_id": f"u{unit}", "event": names[rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])], "timestamp": at, "properties": properties})
    return rows


BUSY = [
    hypothesis(),
    hypothesis(clauses=[{"kind": "did", "match": {"any_event": True}, "count": "days", "at_least": 2, "span": {"last": "7d"}}]),
    hypothesis(clauses=[{"kind": "state", "property": "plan", "op": "equals", "value": "pro"}], entry=None),
    hypothesis(clauses=[{"kind": "total", "match": "shared", "property": "amount", "measure": "sum", "at_least": 7.3, "span": {"last": "30d"}}]),
    hypothesis(clauses=[{"kind": "did_not", "match": "viewed", "span": {"last": "14d"}}]),
]


def test_the_number_of_buckets_changes_no_published_digit(tmp_path: Path) -> None:
    file = open_event_file(write(tmp_path / "busy.parquet", busy_rows()))
    once = numbers(file, BUSY, TOY_WINDOW, buckets=1)
    assert all(found["counts"]["fires_total"] > 20 for found, _ in once)
    assert once[0][0]["lift_vs_baseline"] is not None
    for buckets in (2, 7, 64):
        assert json.dumps(numbers(file, BUSY, TOY_WINDOW, buckets=buckets)) == json.dumps(once)


def test_units_ascend_and_no_two_buckets_share_one(tmp_path: Path) -> None:
    file = open_event_file(write(tmp_path / "busy.csv", busy_rows()))
    (plan,) = plan_reads(BUSY, TOY_WINDOW)
    logs = list(file.logs(plan, buckets=5))
    everyone = [unit for log in logs for unit in log.units]
    assert len(logs) == 5
    assert sorted(everyone) == sorted({row["person_id"] for row in busy_rows() if row["timestamp"] < AS_OF})
    assert all(list(log.units) == sorted(log.units) and list(log.names) == sorted(log.names) for log in logs)


def test_buckets_follow_from_the_rows_and_the_memory_limit() -> None:
    def chosen(rows: int, *, every_row: bool = False, values: int = 0, memory_limit_mb: int = 1500) -> int:
        return choose_buckets(rows, 2, values, every_row=every_row, memory_limit_mb=memory_limit_mb)

    assert chosen(1_000_000) == 1
    assert 1 < chosen(100_000_000) < chosen(100_000_000, every_row=True)
    assert chosen(100_000_000) < chosen(100_000_000, memory_limit_mb=1200)
    assert chosen(100_000_000) < chosen(100_000_000, values=50_000_000)


# --- instants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", "2026-01-31T00:00:00"),
        ("2026-01-31T09:00", "2026-01-31T09:00:00"),
        ("2026-01-31 09:00:00.123456+02:00", "2026-01-31T07:00:00.123456"),
        ("2026-01-31T09:00:00.1239999999Z", "2026-01-31T09:00:00.123999"),
        ("2026-01-31T09:00:00-0330", "2026-01-31T12:30:00"),
        ("1767225600", "2026-01-01T00:00:00"),
        ("1767225600.000001", "2026-01-01T00:00:00.000001"),
        ("1767225600123", "2026-01-01T00:00:00.123000"),
        ("1767225600123456", "2026-01-01T00:00:00.123456"),
        ("1767225600123456789", "2026-01-01T00:00:00.123456"),
        ("2026-02-30", None),
        ("2026-01-31T25:00:00", None),
        ("soon", None),
        ("", None),
    ],
)
def test_text_of_any_common_form_is_an_instant_and_nothing_else_is(text: str, expected: str | None) -> None:
    # All forms in one column: none decides how the others are read.
    column = pl.DataFrame({"t": ["2026-01-01T00:00:00Z", text, "1", None]}).lazy()
    found = column.select(instant("t", pl.String())).collect()["t"].to_list()
    assert found == [micros("2026-01-01"), None if expected is None else micros(expected), 1_000_000, None]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series([1767225600123], dtype=pl.Datetime("ms")), 1767225600123000),
        (pl.Series([1767225600123456], dtype=pl.Datetime("us", "America/New_York")), 1767225600123456),
        (pl.Series([1767225600123456999], dtype=pl.Datetime("ns", "UTC")), 1767225600123456),
        (pl.Series([date(2026, 1, 1)]), 1767225600000000),
        (pl.Series([1767225600], dtype=pl.UInt32), 1767225600000000),
        (pl.Series([1767225600.123456]), 1767225600123456),
        (pl.Series([float("nan")]), None),
        (pl.Series([2**62], dtype=pl.Datetime("ms")), None),
    ],
)
def test_typed_columns_keep_their_precision(column: pl.Series, expected: int | None) -> None:
    assert column.to_frame("t").lazy().select(instant("t", column.dtype)).collect()["t"].to_list() == [expected]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_the_last_instant_before_as_of_is_read_and_as_of_itself_is_not(unit: Any, tmp_path: Path) -> None:
    scale = {"ms": 1000, "us": 1, "ns": 1}[unit]
    at = [AS_OF - scale, AS_OF, AS_OF + scale]
    frame = pl.DataFrame({"person_id": ["a", "b", "c"], "event": ["paid"] * 3, "timestamp": pl.Series(at, dtype=pl.Datetime("us"))})
    frame.cast({"timestamp": pl.Datetime(unit)}).write_parquet(tmp_path / "edge.parquet")
    file = open_event_file(str(tmp_path / "edge.parquet"))
    (plan,) = plan_reads([hypothesis()], TOY_WINDOW)
    (log,) = file.logs(plan)
    assert list(log.units) == ["a"]
    assert file.skipped("person", TOY_WINDOW).later == 2


def test_nanoseconds_are_cut_and_told(tmp_path: Path) -> None:
    at = [AS_OF * 1000 - 1, AS_OF * 1000 - 1000]
    frame = pl.DataFrame({"person_id": ["a", "b"], "event": ["paid"] * 2, "timestamp": pl.Series(at, dtype=pl.Datetime("ns"))})
    frame.write_parquet(tmp_path / "ns.parquet")
    file = open_event_file(str(tmp_path / "ns.parquet"))
    (plan,) = plan_reads([hypothesis()], TOY_WINDOW)
    (log,) = file.logs(plan)
    assert log.at.tolist() == [AS_OF - 1, AS_OF - 1]
    assert file.skipped("person", TOY_WINDOW).cut_instants == 1


# --- rows that cannot be used -----------------------------------------------------------------------------------------


def lines(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


GOOD = {"person_id": "a", "event": "signed_up", "timestamp": "2026-02-01T00:00:00Z"}


def read_all(file: EventFile, *, unit: Any = "person", **more: Any) -> list[Any]:
    (plan,) = plan_reads([hypothesis(unit=unit, **more)], TOY_WINDOW)
    return list(file.logs(plan))


def test_unusable_rows_are_skipped_counted_and_shown(tmp_path: Path) -> None:
    rows = [GOOD, GOOD | {"person_id": ""}, GOOD | {"event": None}, GOOD | {"timestamp": "soon"}, GOOD | {"person_id": None}]
    rows += [GOOD | {"timestamp": "2026-05-01T00:00:00Z", "person_id": ""}, {"timestamp": None}]
    file = open_event_file(lines(tmp_path / "odd.jsonl", rows))
    (log,) = read_all(file)
    skipped = file.skipped("person", TOY_WINDOW)
    assert (list(log.units), len(log.at)) == (["a"], 1)
    assert (skipped.no_unit, skipped.no_event, skipped.no_instant, skipped.later, skipped.total) == (2, 1, 2, 1, 5)
    assert skipped.examples == {"no_unit": ("row 2", "row 5"), "no_event": ("row 3",), "no_instant": ("row 4", "row 7")}


def test_at_most_five_examples_each_with_its_file(tmp_path: Path) -> None:
    lines(tmp_path / "day1.jsonl", [GOOD, *[GOOD | {"event": ""}] * 3])
    lines(tmp_path / "day2.jsonl", [GOOD | {"event": None}] * 4)
    file = open_event_file(str(tmp_path))
    read_all(file)
    skipped = file.skipped("person", TOY_WINDOW)
    assert skipped.no_event == 7
    assert skipped.examples["no_event"] == ("day1.jsonl row 2", "day1.jsonl row 3", "day1.jsonl row 4", "day2.jsonl row 1", "day2.jsonl row 2")


def test_keys_with_quotes_spoil_no_json_line(tmp_path: Path) -> None:
    rows = [{"person_id": f"u{index}", "event": "x", "timestamp": AS_OF - DAY, "properties": {'a"b': index, "plan": "pro"}} for index in range(3)]
    for form in ("jsonl", "jsonl.gz", "csv", "parquet"):
        file = open_event_file(write(tmp_path / f"q.{form}", rows))
        assert values(file, "plan") == ["pro"] * 3
        assert values(file, 'a"b') == [0, 1, 2]
        assert file.skipped("person", TOY_WINDOW).broken_properties == 0


def test_a_line_that_is_no_json_is_a_row_without_anything(tmp_path: Path) -> None:
    file = open_event_file(lines(tmp_path / "torn.jsonl", [GOOD, '{"person_id": "b", "ev', GOOD | {"person_id": "c"}, ""]))
    (log,) = read_all(file)
    assert list(log.units) == ["a", "c"]
    assert file.skipped("person", TOY_WINDOW).no_instant == 1
    assert file.skipped("person", TOY_WINDOW).examples == {"no_instant": ("row 2",)}


def test_broken_properties_keep_their_row_and_are_counted_apart(tmp_path: Path) -> None:
    texts = ['{"plan": "pro"}', '{"plan": ', "[1]", "", None, "null", "{}"]
    frame = pl.DataFrame({"person_id": list("abcdefg"), "event": "invited", "timestamp": iso(AS_OF - DAY), "properties": texts})
    frame.write_parquet(tmp_path / "broken.parquet")
    file = open_event_file(str(tmp_path / "broken.parquet"))
    where = [{"property": "plan", "op": "is_not_set"}]
    clauses = [{"kind": "did", "match": {"events": ["invited"], "where": where}, "span": {"last": "7d"}}]
    (log,) = read_all(file, clauses=clauses, entry=None)
    assert log.units == list("abcdefg")
    assert log.columns[("plan",)].codes.tolist() == [0, -1, -1, -1, -1, -1, -1]
    skipped = file.skipped("person", TOY_WINDOW)
    assert (skipped.broken_properties, skipped.total) == (2, 0)
    assert skipped.examples["broken_properties"] == ("row 2", "row 3")


def test_copies_of_one_event_count_once_as_the_earliest_whatever_unit_they_name(tmp_path: Path) -> None:
    first = GOOD | {"uuid": "1"}
    rows = [
        first,
        first,
        first | {"person_id": "z", "timestamp": "2026-02-01T00:00:01Z"},  # after a merge of persons
        GOOD | {"uuid": "2", "timestamp": "2026-02-03T00:00:00Z"},
        GOOD | {"uuid": "2", "timestamp": "2026-02-02T00:00:00Z"},
        GOOD | {"uuid": ""},
        GOOD,
    ]
    (plan,) = plan_reads([hypothesis(clauses=[{"kind": "did", "match": {"any_event": True}, "span": "ever"}])], TOY_WINDOW)
    for buckets in (1, 3):
        file = open_event_file(lines(tmp_path / "twice.jsonl", rows))
        logs = list(file.logs(plan, buckets=buckets))
        assert [(list(log.units), log.at.tolist()) for log in logs] == [
            (["a"], [micros("2026-02-01")] * 3 + [micros("2026-02-02")]),
        ]
        assert file.skipped("person", TOY_WINDOW).duplicates == 3
    without = [{key: value for key, value in row.items() if key != "uuid"} for row in rows]
    (log,) = open_event_file(lines(tmp_path / "once.jsonl", without)).logs(plan)
    assert len(log.at) == 7


# --- columns, units, properties ---------------------------------------------------------------------------------------


def test_missing_columns_are_all_named_with_the_nearest(tmp_path: Path) -> None:
    pl.DataFrame({"Person_ID": ["a"], "event_name": ["x"], "time": ["2026-01-01"]}).write_csv(tmp_path / "other.csv")
    with pytest.raises(BadInput) as caught:
        open_event_file(str(tmp_path / "other.csv"))
    assert caught.value.exit_code == 2
    assert {fault.field: fault.nearest[:1] for fault in caught.value.faults} == {
        "person": ("Person_ID",),
        "event": ("event_name",),
        "timestamp": ("time",),
    }
    assert "Person_ID, event_name, time" in caught.value.faults[0].message
    named = ColumnMap(person="Person_ID", event="event_name", timestamp="time")
    assert open_event_file(str(tmp_path / "other.csv"), named).kinds == ("person",)


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (None, "nowhere.parquet", "no such file"),
        (b"person_id,event\n", "wrong.parquet", "cannot be read"),
        (b"a", "events.xlsx", "no file of events by its name"),
        (b"a", "events.jsonl.br", "cannot be unpacked"),
        (b"\n\n", "empty.jsonl", "holds no rows"),
        (b"", "empty.csv", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_bad_input(content: bytes | None, name: str, told: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=told):
        open_event_file(str(tmp_path / name))


def test_addresses_of_the_web_are_refused_and_other_stores_are_read_through_fsspec(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not read over https"):
        open_event_file("https://example.com/events.parquet")
    lines(tmp_path / "a.jsonl", [GOOD])
    lines(tmp_path / "b.csv", ["person_id"])
    with pytest.raises(BadInput, match="mixes csv, jsonl"):
        open_event_file(str(tmp_path))
    write(tmp_path / "toy.parquet", toy_rows())
    fsspec.filesystem("memory").pipe("/lake/toy.parquet", (tmp_path / "toy.parquet").read_bytes())
    ((found, _),) = numbers(open_event_file("memory://lake"), [hypothesis()], TOY_WINDOW)
    assert found["counts"]["fires_total"] == 9


def test_a_glob_reads_its_files_in_order_and_a_missing_column_is_empty_there(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [{"person_id": "a", "event": "signed_up", "timestamp": AS_OF - DAY, "properties": {}, "uuid": "1"}])
    write(tmp_path / "b.parquet", [{"person_id": "b", "event": "signed_up", "timestamp": AS_OF - DAY, "properties": {}}])
    (tmp_path / ".hidden.parquet").write_bytes(b"")
    (log,) = read_all(open_event_file(str(tmp_path / "*.parquet")))
    assert list(log.units) == ["a", "b"]


def test_group_options_name_a_type_and_its_column() -> None:
    assert group_columns(["company=account_id", "team"]) == {"company": "account_id", "team": "team"}
    for wrong in (["company="], ["=account"], ["a=b", "a=c"]):
        with pytest.raises(BadInput, match="--group"):
            group_columns(wrong)


def test_accounts_are_their_column_or_a_place_in_the_properties(tmp_path: Path) -> None:
    rows = [
        {"person_id": "p1", "account_id": "c1", "properties": {"$groups": {"company": "c1"}}},
        {"person_id": "p2", "account_id": "c1", "properties": {"$groups": {"company": "c1"}}},
        {"person_id": "p3", "account_id": "", "properties": {"$groups": {}}},
        {"person_id": "p4", "account_id": "7", "properties": {"$groups": {"company": 7}}},
        {"person_id": "p5", "account_id": None, "properties": None},
    ]
    rows = [{"event": "invited", "timestamp": AS_OF - DAY} | row for row in rows]
    clauses = [{"kind": "did", "match": "invited", "count": "persons", "at_least": 2, "span": "ever"}]
    (plan,) = plan_reads([hypothesis(unit={"group": "company"}, clauses=clauses, entry=None)], TOY_WINDOW)
    for form in ("parquet", "csv", "jsonl"):
        for place in ("account_id", "properties.$groups.company"):
            file = open_event_file(write(tmp_path / f"g.{form}", rows), ColumnMap(groups=group_columns([f"company={place}"])))
            (log,) = file.logs(plan)
            assert list(log.units) == ["7", "c1"]
            assert log.persons is not None
            assert len(set(log.persons.tolist())) == 3
            assert file.skipped(Group(group="company"), TOY_WINDOW).no_unit == 2
            assert file.skipped("person", TOY_WINDOW).no_unit == 0
    with pytest.raises(BadInput, match="accounts of type 'team'") as caught:
        list(file.logs(plan_reads([hypothesis(unit={"group": "team"})], TOY_WINDOW)[0]))
    assert "--group team=" in caught.value.fix


def test_distinct_id_is_the_person_where_there_is_no_person_id(tmp_path: Path) -> None:
    (log,) = read_all(open_event_file(lines(tmp_path / "d.jsonl", [{"distinct_id": 7, "event": "signed_up", "timestamp": 1769904000}])))
    assert list(log.units) == ["7"]


def values(file: EventFile, *path: str) -> list[Any]:
    """The value of each event, by unit."""
    clauses = [{"kind": "did", "match": {"any_event": True}, "count": {"values_of": list(path)}, "span": "ever"}]
    (log,) = read_all(file, clauses=clauses, entry=None)
    column = log.columns[path]
    return [None if code < 0 else column.values[code] for code in column.codes[np.argsort(log.unit, kind="stable")]]


def test_properties_may_be_text_a_struct_a_map_or_plain_columns(tmp_path: Path) -> None:
    base = {"person_id": ["a", "b", "c"], "event": ["x"] * 3, "timestamp": [iso(AS_OF - DAY)] * 3}
    path = tmp_path / "p.parquet"

    def file(**columns: Any) -> EventFile:
        pl.DataFrame(base | columns).write_parquet(path)
        return open_event_file(str(path))

    struct = pl.Series([{"plan": "pro", "seats": 3, "deep": {"k": True}}, {"plan": None, "seats": 2, "deep": None}, None])
    assert values(file(properties=struct), "plan") == ["pro", None, None]
    assert values(file(properties=struct), "seats") == [3, 2, None]
    assert values(file(properties=struct), "deep", "k") == [True, None, None]
    entries = pl.Series([{"plan": "pro"}, {"other": "x"}, None], dtype=pl.Map(pl.String(), pl.String()))
    assert values(file(properties=entries), "plan") == ["pro", None, None]
    assert values(file(plan=["pro", None, "5"]), "plan") == ["pro", None, "5"]
    mixed = file(properties=['{"plan":"own"}', '{"plan":null}', "{}"], plan=["column"] * 3)
    assert values(mixed, "plan") == ["own", None, "column"]
    assert values(file(seen=[date(2026, 1, 1), None, None]), "seen") == ["2026-01-01", None, None]


def test_cells_of_a_csv_are_json_where_they_read_so(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(
        "person_id,event,timestamp,seats\n"
        + "".join(f"{unit},x,2026-02-01,{cell}\n" for unit, cell in zip("abcd", ["5", "free", "true", ""], strict=True))
    )
    assert values(open_event_file(str(tmp_path / "c.csv")), "seats") == [5, "free", True, None]


def test_json_types_survive_every_format(tmp_path: Path) -> None:
    kinds = [1, 1.5, "1", True, [1, "x"], {"k": None}, 'é"\n', None]
    rows = [{"person_id": f"u{index}", "event": "x", "timestamp": AS_OF - DAY, "properties": {"v": value}} for index, value in enumerate(kinds)]
    for form in FORMS:
        assert json.dumps(values(open_event_file(write(tmp_path / f"t.{form}", rows)), "v")) == json.dumps(kinds)


# --- what the file knows ----------------------------------------------------------------------------------------------


def test_the_taxonomy_has_names_from_before_as_of_and_volumes_of_the_window(tmp_path: Path) -> None:
    late = {"person_id": "x", "event": "tomorrow", "timestamp": AS_OF, "properties": {"late": 1}}
    old = {"person_id": "x", "event": "ancient", "timestamp": TOY_WINDOW.start - 1, "properties": {}}
    file = open_event_file(write(tmp_path / "toy.jsonl", [*toy_rows(), late, old]), ColumnMap(groups={"company": "person_id"}))
    taxonomy = file.taxonomy(TOY_WINDOW)
    assert {event.name: event.volume for event in taxonomy.events} == {"ancient": 0, "invited": 13, "page": 2, "paid": 11, "signed_up": 14}
    assert {prop.name: prop.type for prop in taxonomy.properties} == {"n": "numeric", "to": "string"}
    assert taxonomy.carries("paid", "to")
    assert [group.name for group in taxonomy.group_types] == ["company"]


def test_a_property_of_a_single_late_row_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beton.event_files.survey.ROWS_SAMPLED", 3)
    rows = [*toy_rows()[:10], {"person_id": "x", "event": "rare", "timestamp": AS_OF - 1, "properties": {'a"b': 1, "straße": 2}}]
    for form in ("parquet", "jsonl"):
        file = open_event_file(write(tmp_path / f"late.{form}", rows))
        known = {prop.name for prop in file.taxonomy(TOY_WINDOW, ['a"b', "straße", "never"]).properties}
        assert known == {"to", "n", 'a"b', "straße"}


def test_skipped_rows_print_as_json(tmp_path: Path) -> None:
    file = open_event_file(lines(tmp_path / "odd.jsonl", [GOOD, GOOD | {"event": ""}]))
    skipped = file.skipped("person", TOY_WINDOW)
    assert json.loads(json.dumps(skipped.as_json())) == json.loads(json.dumps(asdict(skipped)))

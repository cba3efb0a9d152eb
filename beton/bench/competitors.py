"""The same hypotheses in what one would reach for otherwise: DuckDB and ClickHouse (chdb) with one query each, DuckDB with one query for all, polars
and pandas over the raw table. Each is loaded first, in the order that suits it, and only its queries are timed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from backtest.intervals import FOREVER
from backtest.kernel.layout import first_instants
from beton.bench import sql
from beton.bench.evaluated import Counts, hypotheses_of, logs_of
from beton.bench.history import PLANS, WINDOW, History, read_history
from beton.bench.mix import matched_first

SAMPLES = {"duckdb": 100, "duckdb_combined": None, "chdb": 60, "polars_per_hypothesis": 60, "pandas": 30}
"""Hypotheses that each runs unless all are asked for: every so many-th, so that kinds keep their shares. None: always all."""


MEMORY_GB = 8
"""What DuckDB may take before it writes to disk: the query for all hypotheses at once would take twice as much."""


def measure(
    competitor: str, path: Path, hypotheses: int, seed: int, threads: int, full: bool, frequency: Sequence[int] | None = None
) -> dict[str, Any]:
    """`seconds` for `ran` hypotheses, and their `counts` by place in the batch."""
    history = read_history(path)
    batch = hypotheses_of(history, hypotheses, seed, frequency)
    sample = None if full else SAMPLES[competitor]
    places = list(range(0, len(batch), max(1, len(batch) // sample))) if sample else list(range(len(batch)))
    numbers = {name: code for code, name in enumerate(history.names)}, {name: code for code, name in enumerate(PLANS)}
    questions = [sql.Question(batch[place], WINDOW, *numbers) for place in places]
    counts, seconds = RUNS[competitor](questions, history, threads)
    return {"seconds": seconds, "ran": len(places), "counts": dict(zip(places, counts, strict=True))}


def _events(history: History) -> dict[bool, pl.DataFrame]:
    name, plan = history.name.astype(np.int16), history.plan.astype(np.int8)
    events = pl.DataFrame({"unit": history.person, "name": name, "ts": history.at, "plan": plan, "account": history.account})
    accounts = events.filter(pl.col("account") >= 0).select(unit="account", name="name", ts="ts", person="unit")
    return {False: events.drop("account"), True: accounts}


def _units(history: History, threads: int) -> dict[bool, pl.DataFrame]:
    tables = {}
    for of_accounts, log in zip((False, True), logs_of(history, threads), strict=True):
        firsts = dict(zip(("first_at", "signed_at", "paid_at"), (first_instants(log, match) for match in matched_first().values()), strict=True))
        frame = pl.DataFrame({"unit": np.arange(len(log.units), dtype=np.int32)} | firsts)
        tables[of_accounts] = frame.with_columns(pl.when(pl.col(name) < int(FOREVER)).then(pl.col(name)).alias(name) for name in firsts)
    return tables


def _duckdb(history: History, threads: int) -> Any:
    import duckdb

    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")  # it would stand in the JSON where no script's name tells that nobody watches
    connection.execute(f"set threads = {threads}")
    connection.execute(f"set memory_limit = '{MEMORY_GB}GB'")
    for of_accounts, prefix in ((False, ""), (True, "account_")):
        connection.register("raw", _events(history)[of_accounts].to_arrow())
        connection.execute(f"create table {prefix}events as select * from raw order by name, unit, ts")
        connection.register("firsts", _units(history, threads)[of_accounts].to_arrow())
        connection.execute(f"create table {prefix}units as select * from firsts")
    return connection


def in_duckdb(questions: Sequence[sql.Question], history: History, threads: int) -> tuple[list[Counts], float]:
    connection = _duckdb(history, threads)
    queries = [sql.query(one) for one in questions]
    began = perf_counter()
    found = [_whole(connection.execute(one).fetchone()) for one in queries]
    return found, perf_counter() - began


def in_duckdb_combined(questions: Sequence[sql.Question], history: History, threads: int) -> tuple[list[Counts], float]:
    from beton.bench import combined

    connection = _duckdb(history, threads)
    atoms, hypotheses = combined.tables([one.hypothesis for one in questions], WINDOW, questions[0].names, questions[0].plans)
    for name, frame in (("atoms", atoms), ("hypotheses", hypotheses)):
        connection.register("given", frame.to_arrow())
        connection.execute(f"create table {name} as select * from given")
    query = combined.query(atoms, WINDOW)
    began = perf_counter()
    found = {row[0]: _whole(row[1:]) for row in connection.execute(query).fetchall()}
    seconds = perf_counter() - began
    return [found.get(place, (0,) * len(sql.COUNTS)) for place in range(len(questions))], seconds


def in_polars(questions: Sequence[sql.Question], history: History, threads: int) -> tuple[list[Counts], float]:
    from beton.bench import by_polars

    tables = by_polars.Tables(_events(history), _units(history, threads))
    began = perf_counter()
    found = [by_polars.counts(one, tables) for one in questions]
    return found, perf_counter() - began


def in_pandas(questions: Sequence[sql.Question], history: History, threads: int) -> tuple[list[Counts], float]:
    from beton.bench import by_pandas

    units = {kind: frame.fill_null(int(FOREVER)).to_pandas() for kind, frame in _units(history, threads).items()}
    frames = by_pandas.Frames({kind: frame.to_pandas() for kind, frame in _events(history).items()}, units)
    began = perf_counter()
    found = [by_pandas.counts(one, frames) for one in questions]
    return found, perf_counter() - began


def in_chdb(questions: Sequence[sql.Question], history: History, threads: int) -> tuple[list[Counts], float]:
    from chdb import session

    folder = Path(tempfile.mkdtemp(prefix="beton-bench-"))
    server = session.Session(str(folder / "server"))
    server.query("create database if not exists bench")
    server.query("use bench")
    for of_accounts, prefix in ((False, ""), (True, "account_")):
        last = "person Int32" if of_accounts else "plan Int8"
        _put(server, folder, f"{prefix}events", _events(history)[of_accounts], f"unit Int32, name Int16, ts Int64, {last}", "name, unit, ts")
        firsts = ", ".join(f"{name} Nullable(Int64)" for name in ("first_at", "signed_at", "paid_at"))
        _put(server, folder, f"{prefix}units", _units(history, threads)[of_accounts], f"unit Int32, {firsts}", "unit")
    settings = f"settings join_use_nulls = 1, prefer_column_name_to_alias = 1, max_threads = {threads}"
    queries = [f"{sql.query(one, clickhouse=True)} {settings}" for one in questions]
    began = perf_counter()
    found = [_whole(str(server.query(one, "CSV")).strip().split(",")) for one in queries]
    seconds = perf_counter() - began
    server.close()
    shutil.rmtree(folder, ignore_errors=True)
    return found, seconds


def _put(server: Any, folder: Path, name: str, frame: pl.DataFrame, columns: str, key: str) -> None:
    path = folder / f"{name}.parquet"
    frame.write_parquet(path)
    server.query(f"create table bench.{name} ({columns}) engine = MergeTree order by ({key})")
    server.query(f"insert into bench.{name} select * from file('{path}', Parquet)")


def _whole(row: Any) -> Counts:
    return tuple(int(value) for value in row)


RUNS = {
    "duckdb": in_duckdb,
    "duckdb_combined": in_duckdb_combined,
    "chdb": in_chdb,
    "polars_per_hypothesis": in_polars,
    "pandas": in_pandas,
}

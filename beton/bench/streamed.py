"""The kernel over a history that need not fit into memory: streamed from Parquet, dealt out to buckets of units, evaluated bucket by bucket.

People and accounts fall into the bucket of a hash (of the account where there is one, else of the person), so that both kinds of unit are whole
within their bucket. Each pass over the file fills some of the buckets; a row waits in its bucket as 18 bytes, and counts are all that leaves one.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from backtest.intervals import Codes, Ints
from backtest.kernel.buffers import Scratch
from beton.bench.evaluated import counts_of, evaluate_both, logs_of
from beton.bench.history import History, names_of
from beton.bench.mix import make_hypotheses

ROWS_WAITING = 20_000_000
"""At most so many rows wait in buckets; a longer history is read in several passes."""

SPREAD = 0x9E3779B97F4A7C
"""An odd number that spreads consecutive ids over the buckets (Fibonacci hashing)."""

Part = tuple[Ints, Codes, Codes, Codes]
"""Instants, people, accounts, and event name and plan in one number."""


def measure(path: Path, hypotheses: int, seed: int, threads: int, buckets: int) -> dict[str, Any]:
    """Wall seconds from the closed file to all counts, and where they went. `counts`: those of `counts_of`, then the closed table."""
    began = perf_counter()
    table = pl.scan_parquet(path)
    names = names_of(table.collect_schema()["event"])
    by_name = table.group_by(pl.col("event").to_physical()).len().collect(engine="streaming")
    frequency = np.zeros(len(names), np.int64)
    frequency[by_name["event"].to_numpy()] = by_name["len"].to_numpy()
    batch = [one for _, one in make_hypotheses(hypotheses, names, frequency.tolist(), seed)]
    totals, spent = np.zeros((hypotheses, 10), np.int64), {"read": 0.0, "prepare": 0.0, "evaluate": 0.0}
    scratch, passes = Scratch(), max(1, -(-int(frequency.sum()) // ROWS_WAITING))
    for first in range(passes):
        here = range(first, buckets, passes)
        start = perf_counter()
        waiting = _read(table, buckets, here)
        spent["read"] += perf_counter() - start
        for bucket in here:
            start = perf_counter()
            people, accounts = logs_of(_history(waiting.pop(bucket), names), threads)
            laid = perf_counter()
            for place, one in enumerate(evaluate_both(batch, people, accounts, threads, scratch)):
                closed = one.closed
                totals[place] += (*counts_of(one), closed.tp, closed.fp, closed.fn, closed.tn)
            spent["prepare"] += laid - start
            spent["evaluate"] += perf_counter() - laid
    return {
        "seconds": round(perf_counter() - began, 3),
        **{f"{name}_seconds": round(seconds, 3) for name, seconds in spent.items()},
        "buckets": buckets,
        "passes": passes,
        "fires": int(totals[:, 0].sum()),
        "counts": totals.tolist(),
    }


def _read(table: pl.LazyFrame, buckets: int, wanted: range) -> dict[int, list[Part]]:
    """The rows of the wanted buckets."""
    waiting: dict[int, list[Part]] = {bucket: [] for bucket in wanted}
    kind = pl.col("event").to_physical().cast(pl.Int32) * 8 + pl.col("plan") + 1
    rows = table.select(pl.col("ts").to_physical(), "person", "account", kind.alias("kind"))
    for frame in rows.collect_batches(engine="streaming", maintain_order=False):
        columns = tuple(frame[name].to_numpy() for name in ("ts", "person", "account", "kind"))
        bucket = _bucket(columns[1].astype(np.int32), columns[2].astype(np.int32), buckets)
        by = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[by], np.arange(buckets + 1))
        for number in wanted:
            rows_here = by[ends[number] : ends[number + 1]]
            ts, person, account, kind_ = (column[rows_here] for column in columns)
            waiting[number].append((ts, person, account, kind_.astype(np.int16)))
    return waiting


@njit(cache=True, nogil=True)
def _bucket(person: Codes, account: Codes, buckets: int) -> NDArray[np.uint8]:
    found = np.empty(len(person), np.uint8)
    for row in range(len(person)):
        unit = 2 * np.int64(account[row]) + 1 if account[row] >= 0 else 2 * np.int64(person[row])
        found[row] = ((unit * SPREAD) >> 32) % buckets
    return found


def _history(parts: list[Part], names: tuple[str, ...]) -> History:
    """One bucket's rows, its people and accounts numbered from 0 on."""
    ts, person, account, kind = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    parts.clear()
    people, person = _numbered(person)
    accounts, account = _numbered(account)
    kind = kind.astype(np.int32)
    return History(people, max(accounts, 1), names, person, kind // 8, ts, kind % 8 - 1, account)


def _numbered(ids: Codes) -> tuple[int, Codes]:
    """How many ids there are, and each one's number among them; -1 stays -1."""
    seen = np.zeros(int(ids.max(initial=0)) + 2, np.bool_)
    seen[ids] = True
    seen[-1] = False
    number = (np.cumsum(seen) - 1).astype(np.int32)
    number[-1] = -1
    return int(seen.sum()), number[ids]

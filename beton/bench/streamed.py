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

ROWS_WAITING = 17_000_000
"""At most so many rows wait in buckets; a longer history is read in several passes."""

SPREAD = 0x9E3779B97F4A7C
"""An odd number that spreads consecutive ids over the buckets (Fibonacci hashing)."""

Bytes = NDArray[np.uint8]
Shorts = NDArray[np.int16]


def measure(path: Path, hypotheses: int, seed: int, threads: int, buckets: int) -> dict[str, Any]:
    """Wall seconds from the closed file to all counts, and where they went. `counts`: those of `counts_of`, then the closed table."""
    began = perf_counter()
    table = pl.scan_parquet(path)
    names = names_of(table.collect_schema()["event"])
    sizes, frequency = _count(table, buckets, len(names))
    batch = [one for _, one in make_hypotheses(hypotheses, names, frequency.tolist(), seed)]
    totals, spent = np.zeros((hypotheses, 10), np.int64), {"read": perf_counter() - began, "prepare": 0.0, "evaluate": 0.0}
    scratch, passes = Scratch(), max(1, -(-int(sizes.sum()) // ROWS_WAITING))
    for first in range(passes):
        here = range(first, buckets, passes)
        start = perf_counter()
        waiting = _read(table, sizes, here)
        spent["read"] += perf_counter() - start
        for bucket in here:
            start = perf_counter()
            people, accounts = logs_of(waiting.history(bucket, names), threads)
            laid = perf_counter()
            for place, one in enumerate(evaluate_both(batch, people, accounts, threads, scratch)):
                closed = one.closed
                totals[place] += (*counts_of(one), closed.tp, closed.fp, closed.fn, closed.tn)
            spent["prepare"] += laid - start
            spent["evaluate"] += perf_counter() - laid
            del people, accounts, one
        del waiting
    return {
        "seconds": round(perf_counter() - began, 3),
        **{f"{name}_seconds": round(seconds, 3) for name, seconds in spent.items()},
        "buckets": buckets,
        "passes": passes,
        "fires": int(totals[:, 0].sum()),
        "counts": totals.tolist(),
    }


class Waiting:
    """The rows of the wanted buckets, bucket after bucket, in arrays that are exactly as long."""

    def __init__(self, sizes: Ints, wanted: range) -> None:
        self.starts = np.zeros(len(sizes), np.int64)
        self.starts[wanted] = np.concatenate(([0], np.cumsum(sizes[wanted])[:-1]))
        self.sizes, total = sizes, int(sizes[wanted].sum())
        self.next = np.full(len(sizes), -1, np.int64)
        self.next[wanted] = self.starts[wanted]
        self.ts, self.person, self.account = np.empty(total, np.int64), np.empty(total, np.int32), np.empty(total, np.int32)
        self.kind = np.empty(total, np.int16)

    def history(self, bucket: int, names: tuple[str, ...]) -> History:
        """One bucket's rows, its people and accounts numbered from 0 on."""
        here = slice(self.starts[bucket], self.starts[bucket] + self.sizes[bucket])
        people, person = _numbered(self.person[here])
        accounts, account = _numbered(self.account[here])
        kind = self.kind[here].astype(np.int32)
        return History(people, max(accounts, 1), names, person, kind // 8, self.ts[here], kind % 8 - 1, account)


def _count(table: pl.LazyFrame, buckets: int, names: int) -> tuple[Ints, Ints]:
    """Rows of each bucket, and of each name."""
    sizes, frequency = np.zeros(buckets, np.int64), np.zeros(names, np.int64)
    for frame in table.select("person", "account", pl.col("event").to_physical()).collect_batches(engine="streaming", maintain_order=False):
        bucket = _bucket(frame["person"].to_numpy().astype(np.int32), frame["account"].to_numpy().astype(np.int32), buckets)
        sizes += np.bincount(bucket, minlength=buckets)
        frequency += np.bincount(frame["event"].to_numpy(), minlength=names)
    return sizes, frequency


def _read(table: pl.LazyFrame, sizes: Ints, wanted: range) -> Waiting:
    """The rows of the wanted buckets; a row's name and plan become one number."""
    waiting = Waiting(sizes, wanted)
    kind = (pl.col("event").to_physical().cast(pl.Int16) * 8 + pl.col("plan") + 1).cast(pl.Int16)
    rows = table.select(pl.col("ts").to_physical(), "person", "account", kind.alias("kind"))
    for frame in rows.collect_batches(engine="streaming", maintain_order=False):
        ts, person, account, both = (frame[name].to_numpy() for name in ("ts", "person", "account", "kind"))
        ts, person, account, both = ts.astype(np.int64), person.astype(np.int32), account.astype(np.int32), both.astype(np.int16)
        bucket = _bucket(person, account, len(sizes))
        _deal(bucket, ts, person, account, both, waiting.next, waiting.ts, waiting.person, waiting.account, waiting.kind)
    return waiting


@njit(cache=True, nogil=True)
def _bucket(person: Codes, account: Codes, buckets: int) -> Bytes:
    found = np.empty(len(person), np.uint8)
    for row in range(len(person)):
        unit = 2 * np.int64(account[row]) + 1 if account[row] >= 0 else 2 * np.int64(person[row])
        found[row] = ((unit * SPREAD) >> 32) % buckets
    return found


@njit(cache=True, nogil=True)
def _deal(
    bucket: Bytes,
    ts: Ints,
    person: Codes,
    account: Codes,
    kind: Shorts,
    next_place: Ints,
    out_ts: Ints,
    out_person: Codes,
    out_account: Codes,
    out_kind: Shorts,
) -> None:
    """Each row to the next place of its bucket; -1 for buckets that are not wanted in this pass."""
    for row in range(len(bucket)):
        place = next_place[bucket[row]]
        if place >= 0:
            next_place[bucket[row]] = place + 1
            out_ts[place], out_person[place], out_account[place], out_kind[place] = ts[row], person[row], account[row], kind[row]


def _numbered(ids: Codes) -> tuple[int, Codes]:
    """How many ids there are, and each one's number among them; -1 stays -1."""
    seen = np.zeros(int(ids.max(initial=0)) + 2, np.bool_)
    seen[ids] = True
    seen[-1] = False
    number = (np.cumsum(seen) - 1).astype(np.int32)
    number[-1] = -1
    return int(seen.sum()), number[ids]

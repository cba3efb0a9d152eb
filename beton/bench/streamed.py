"""The kernel over a history that need not fit into memory: streamed from Parquet once, dealt out to buckets of units, evaluated bucket by bucket.

People and accounts fall into the bucket of a hash (of the account where there is one, else of the person), so that both kinds of unit are whole
within their bucket. A row waits for its bucket's turn in a temporary file, as 18 bytes: so the memory needed does not grow with the history. Workers
take a bucket each, and counts are all that leaves one.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from backtest.intervals import Codes, Ints
from backtest.kernel.buffers import Scratch
from backtest.language import Hypothesis
from beton.bench.evaluated import counts_of, evaluate_both, logs_of
from beton.bench.history import History, events_in, names_of
from beton.bench.mix import make_hypotheses

SPREAD = 0x9E3779B97F4A7C
"""An odd number that spreads consecutive ids over the buckets (Fibonacci hashing)."""

Shorts = NDArray[np.int16]


def measure(path: Path, folder: Path, hypotheses: int, seed: int, threads: int, buckets: int) -> dict[str, Any]:
    """Wall seconds from the closed file to all counts, and where they went: `prepare` and `evaluate` are what a worker spent, on average.

    `counts` are those of `counts_of`, then the closed table; `counts_of_sample` those of the first bucket alone, whose rows stay in `folder`.
    """
    began = perf_counter()
    table = events_in(path)
    names = names_of(table.collect_schema()["event"])
    waiting = Waiting(folder, buckets, names)
    frequency = waiting.fill(table)
    batch = [one for _, one in make_hypotheses(hypotheses, names, frequency.tolist(), seed)]
    read, scratch = perf_counter() - began, Scratch()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda bucket: _bucket_of(waiting, bucket, batch, scratch), range(buckets)))
    totals = np.sum([one.counts for one in found], axis=0)
    return {
        "seconds": round(perf_counter() - began, 3),
        "read_seconds": round(read, 3),
        "prepare_seconds": round(sum(one.prepare for one in found) / threads, 3),
        "evaluate_seconds": round(sum(one.evaluate for one in found) / threads, 3),
        "buckets": buckets,
        "names": names,
        "frequency": frequency.tolist(),
        "fires": int(totals[:, 0].sum()),
        "counts": totals.tolist(),
        "counts_of_sample": found[0].counts.tolist(),
    }


@dataclass(frozen=True)
class _Counted:
    counts: Ints
    prepare: float
    evaluate: float


def _bucket_of(waiting: Waiting, bucket: int, batch: Sequence[Hypothesis], scratch: Scratch) -> _Counted:
    """On one thread: several buckets at once need no waiting for one another, several threads in one do."""
    start = perf_counter()
    people, accounts = logs_of(waiting.history(bucket, keep=bucket == 0), 1)
    laid = perf_counter()
    counts = np.empty((len(batch), 10), np.int64)
    for place, one in enumerate(evaluate_both(batch, people, accounts, 1, scratch)):
        counts[place] = (*counts_of(one), one.closed.tp, one.closed.fp, one.closed.fn, one.closed.tn)
    return _Counted(counts, laid - start, perf_counter() - laid)


def sample_of(folder: Path, names: Sequence[str]) -> History:
    """The first bucket of what `measure` left in the folder."""
    return Waiting(folder, 1, tuple(names)).history(0, keep=True)


class Waiting:
    """Rows in files, two per bucket: instants beside persons and accounts, and what happened (a row's name and plan as one number)."""

    def __init__(self, folder: Path, buckets: int, names: tuple[str, ...]) -> None:
        self.names = names
        self.files = [(folder / f"{bucket}.when", folder / f"{bucket}.what") for bucket in range(buckets)]

    def fill(self, table: pl.LazyFrame) -> Ints:
        """Reads the table once; returns how many rows each name has."""
        frequency, buckets = np.zeros(len(self.names), np.int64), len(self.files)
        columns = [pl.col("ts").to_physical(), "person", "account", pl.col("event").to_physical().cast(pl.Int16), pl.col("plan").cast(pl.Int16)]
        with ExitStack() as open_files:
            files = [tuple(open_files.enter_context(path.open("wb", buffering=0)) for path in pair) for pair in self.files]
            for frame in table.select(columns).collect_batches(engine="streaming", maintain_order=True):
                ts, person, account, name, plan = (frame[column].to_numpy() for column in ("ts", "person", "account", "event", "plan"))
                frequency += np.bincount(name, minlength=len(frequency))
                when, what, ends = np.empty((len(ts), 2), np.int64), np.empty(len(ts), np.int16), np.empty(buckets, np.int64)
                _deal(_writeable(ts), _writeable(person), _writeable(account), _writeable(name), _writeable(plan), ends, when, what)
                for start, end, (when_file, what_file) in zip(np.append(0, ends[:-1]), ends, files, strict=True):
                    when_file.write(when[start:end].data)
                    what_file.write(what[start:end].data)
        return frequency

    def history(self, bucket: int, *, keep: bool) -> History:
        """One bucket's rows, its people and accounts numbered from 0 on. The files go unless they are kept."""
        when, what = np.fromfile(self.files[bucket][0], np.int64), np.fromfile(self.files[bucket][1], np.int16)
        if not keep:
            for path in self.files[bucket]:
                path.unlink()
        at, person, account, name, plan = np.empty(len(what), np.int64), *(np.empty(len(what), np.int32) for _ in range(4))
        _split(when.reshape(-1, 2), what, at, person, account, name, plan)
        people, person = _numbered(person)
        accounts, account = _numbered(account)
        return History(people, max(accounts, 1), self.names, person, name, at, plan, account)


def _writeable(column: np.ndarray) -> np.ndarray:
    """Compiled signatures are told apart by it; a view of a frame's column is not, and a batch's columns are small."""
    return column.copy()


@njit(cache=True, nogil=True)
def _deal(ts: Ints, person: Codes, account: Codes, name: Shorts, plan: Shorts, ends: Ints, when: Ints, what: Shorts) -> None:
    """Rows in order of their bucket, and of the input within it; a bucket's rows end before `ends[bucket]`."""
    bucket = np.empty(len(ts), np.int64)
    ends[:] = 0
    for row in range(len(ts)):
        unit = 2 * np.int64(account[row]) + 1 if account[row] >= 0 else 2 * np.int64(person[row])
        bucket[row] = ((unit * SPREAD) >> 32) % len(ends)
        ends[bucket[row]] += 1
    before = 0
    for one in range(len(ends)):
        before, ends[one] = before + ends[one], before
    for row in range(len(ts)):
        place = ends[bucket[row]]
        ends[bucket[row]] += 1
        when[place, 0] = ts[row]
        when[place, 1] = (np.int64(person[row]) << 32) | (np.int64(account[row]) & 0xFFFFFFFF)
        what[place] = name[row] * 8 + plan[row] + 1


@njit(cache=True, nogil=True)
def _split(when: Ints, what: Shorts, at: Ints, person: Codes, account: Codes, name: Codes, plan: Codes) -> None:
    for row in range(len(what)):
        at[row], person[row], account[row] = when[row, 0], when[row, 1] >> 32, np.int32(when[row, 1] & 0xFFFFFFFF)
        name[row], plan[row] = what[row] >> 3, (what[row] & 7) - 1


def _numbered(ids: Codes) -> tuple[int, Codes]:
    """How many ids there are, and each one's number among them; -1 stays -1."""
    seen = np.zeros(int(ids.max(initial=0)) + 2, np.bool_)
    seen[ids] = True
    seen[-1] = False
    number = (np.cumsum(seen) - 1).astype(np.int32)
    number[-1] = -1
    return int(seen.sum()), number[ids]

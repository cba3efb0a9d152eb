"""The kernel over one whole history: how long the layout takes, how long the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from backtest.events import Column
from backtest.kernel.buffers import Scratch
from backtest.kernel.evaluation import Result, evaluate
from backtest.kernel.layout import sorted_log
from backtest.kernel.prepared import Prepared
from backtest.language import Hypothesis
from beton.bench.history import PLANS, WINDOW, History, read_history
from beton.bench.mix import make_hypotheses, matched_first

Counts = tuple[int, ...]


def measure(path: Path, hypotheses: int, seed: int, threads: int, rounds: int, frequency: Sequence[int] | None = None) -> dict[str, Any]:
    """Medians of `rounds`, the first of which (numba compiles, or loads what it compiled) is told apart as `first_seconds`.

    `frequency` of the names decides which events are asked about; the file's own unless given (a sample asks about what the whole does)."""
    history = read_history(path)
    batch = hypotheses_of(history, hypotheses, seed, frequency)
    prepared, evaluated = [], []
    scratch, cpu = Scratch(), []
    for _ in range(rounds + 1):
        results = people = accounts = None  # what the round before left would count as this one's memory
        began = perf_counter()
        people, accounts = logs_of(history, threads)
        laid, busy = perf_counter(), process_time()
        results = evaluate_both(batch, people, accounts, threads, scratch)
        prepared.append(laid - began)
        evaluated.append(perf_counter() - laid)
        cpu.append(process_time() - busy)
    counts = [(counts_of(one), one.closed) for one in results]
    fires = sum(one.fires_total for one in results)
    del results
    again = evaluate_both(batch, people, accounts, 1, scratch)
    return {
        "first_seconds": prepared[0] + evaluated[0],
        "prepare_seconds": median(prepared[1:]),
        "evaluate_seconds": median(evaluated[1:]),
        "best_evaluate_seconds": min(evaluated[1:]),
        "evaluate_cpu_seconds": median(cpu[1:]),
        "counts": [one for one, _ in counts],
        "same_on_one_thread": [(counts_of(one), one.closed) for one in again] == counts,
        "fires": fires,
    }


def hypotheses_of(history: History, count: int, seed: int, frequency: Sequence[int] | None = None) -> list[Hypothesis]:
    often = np.bincount(history.name, minlength=len(history.names)).tolist() if frequency is None else frequency
    return [one for _, one in make_hypotheses(count, history.names, often, seed)]


def logs_of(history: History, threads: int) -> tuple[Prepared, Prepared]:
    """People, and accounts with the people behind each event."""
    people = sorted_log(
        window=WINDOW,
        units=range(history.persons),  # ty: ignore[invalid-argument-type]
        names=history.names,
        unit=history.person,
        name=history.name,
        at=history.at,
        columns={("plan",): Column(history.plan, PLANS)},
        firsts=matched_first(),
        threads=threads,
    )
    grouped = np.flatnonzero(history.account >= 0)
    accounts = sorted_log(
        window=WINDOW,
        units=range(history.accounts),  # ty: ignore[invalid-argument-type]
        names=history.names,
        unit=history.account[grouped],
        name=history.name[grouped],
        at=history.at[grouped],
        persons=history.person[grouped],
        firsts=matched_first(),
        threads=threads,
    )
    return people, accounts


def evaluate_both(batch: Sequence[Hypothesis], people: Prepared, accounts: Prepared, threads: int, scratch: Scratch) -> list[Result]:
    """In the order of the batch."""
    of_people = [place for place, one in enumerate(batch) if one.unit == "person"]
    of_accounts = [place for place, one in enumerate(batch) if one.unit != "person"]
    found: dict[int, Result] = {}
    for places, log in ((of_people, people), (of_accounts, accounts)):
        found |= dict(zip(places, evaluate([batch[place] for place in places], log, threads, scratch, keep_fires=False), strict=True))
    return [found[place] for place in range(len(batch))]


def counts_of(one: Result) -> Counts:
    """In the order of `beton.bench.sql.COUNTS`."""
    return one.fires_total, one.excluded_converted, one.pending, one.sample_size, one.true_positives, one.recall_hits

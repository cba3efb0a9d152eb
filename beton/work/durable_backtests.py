"""Backtests as durable workflows: hash buckets of units on a queue that all workers share.

One workflow per run says how many buckets there are, queues one workflow for each, waits and adds up. A bucket is read whole by one worker, which
keeps its counts in one transaction; whoever has time takes the next. A worker that dies costs the bucket under way: the others take it over
(`store.durable`), and a bucket that is read twice all the same is kept once, so nothing is counted twice. Counts are whole numbers and ages, added
up in the order of the buckets: the result is that of one process to the last digit.

A run is about a connection (its kept hypotheses get the results) or about an event file (the results stand in the run). Where memory allows one
bucket, the reading of a connection is one pass by one worker: its slices stay in memory, so the pass is what a crash costs.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

from dbos import DBOS, SetEnqueueOptions

from backtest import Backtest, Hypothesis, Window, published
from backtest.portable import add, dump
from backtest.verdict import judge
from beton.errors import BetonError
from beton.store import backtests, connections, hypotheses, runs
from beton.store.records import Connection, HypothesisVersion, NewBacktest, Run, RunStatus
from beton.work.backtesting import add_bucket, count_buckets, window_of
from beton.work.file_backtests import FileBacktest, FileRequest, open_file_backtest
from beton.work.firing import Collected, keep_fires
from beton.work.this_process import the_place, working_for
from beton.work.workplace import Reading, Workplace, instant

BACKTESTS, BUCKETS = "backtests", "buckets"
"""Queues: of runs, asked for from outside the workers, and of their buckets."""

AT_ONCE = 4
"""Runs that one worker may hold open; holding one is waiting for its buckets."""

POLL = 0.25
"""Seconds between two looks for the next bucket, or for its end."""


def register_queues() -> None:
    """To be called once the engine runs. A worker reads one bucket at a time: a bucket is as large as memory allows."""
    DBOS.register_queue(BACKTESTS, worker_concurrency=AT_ONCE, polling_interval_sec=POLL)
    DBOS.register_queue(BUCKETS, worker_concurrency=1, polling_interval_sec=POLL)


@DBOS.workflow()
def backtest_run(run_id: str, workspace_id: str | None = None) -> None:
    """Bucket by bucket; each finished one is kept, so that a crash costs the unfinished ones only."""
    with working_for(workspace_id):
        try:
            buckets = backtest_begin(run_id)
            problem = _shared(run_id, buckets, workspace_id) if buckets > 1 else backtest_bucket(run_id, 0, 1)
            if problem is None:
                backtest_finish(run_id)
            else:
                fail(run_id, problem)
        except BetonError as error:
            fail(run_id, error.as_problem())


def _shared(run_id: str, buckets: int, workspace_id: str | None) -> dict[str, Any] | None:
    """Queue all buckets, the first first, and wait for them. The first problem ends the run, and with it the buckets that have not begun."""
    handles = []
    for number in range(buckets):
        with SetEnqueueOptions(priority=number + 1):
            handles.append(DBOS.enqueue_workflow(BUCKETS, bucket_run, run_id, number, buckets, workspace_id))
    for handle in handles:
        problem = handle.get_result(polling_interval_sec=POLL)
        if problem is not None:
            return problem
    return None


@DBOS.workflow()
def bucket_run(run_id: str, number: int, buckets: int, workspace_id: str | None = None) -> dict[str, Any] | None:
    """One bucket, by whichever worker is free; what went wrong, if anything."""
    with working_for(workspace_id):
        try:
            return backtest_bucket(run_id, number, buckets)
        except BetonError as error:
            return error.as_problem()


@DBOS.step()
def backtest_begin(run_id: str) -> int:
    """How many buckets."""
    place = the_place()
    with place.store.transaction() as tx:
        run = runs.begin(tx, run_id, workflow_id=run_id)
    if of_file(run):
        shared = _opened(run)
        shared.check()
        buckets, counts = shared.buckets(place.settings.memory_limit_mb), shared.facts()
    else:
        mine = replace(place, reading=Reading())
        connection, batch = _asked(place, run)
        buckets = asyncio.run(count_buckets(mine, connection, [meaning for _, meaning in batch], _window(run)))
        counts = mine.reading.to_json()
    with place.store.transaction() as tx:
        runs.progress(tx, run_id, done=0, total=buckets, message="Reading and scoring", counts=counts)
    return buckets


@DBOS.step()
def backtest_bucket(run_id: str, number: int, buckets: int) -> None:
    """Read one bucket and keep its counts, unless the run has ended meanwhile."""
    place = the_place()
    run = _run(place, run_id)
    if run.status.over:
        return
    collected: Collected | None = None
    if of_file(run):
        shared = _opened(run)
        shared.compare(run.counts)
        part = Backtest(shared.batch)
        more: dict[str, Any] = {"dropped": shared.add_bucket(part, (number, buckets))}
    else:
        mine = replace(place, reading=Reading())
        connection, batch = _asked(place, run)
        meanings = tuple(meaning for _, meaning in batch)
        part = Backtest(meanings, on_fires=(collected := Collected(meanings)))
        asyncio.run(add_bucket(mine, connection, part, _window(run), (number, buckets)))
        more = {"reading": mine.reading.to_json()}
    with place.store.transaction() as tx:
        done = runs.save_bucket(tx, run_id, number, dump(part) | more)
        if collected is not None:
            keep_fires(tx, connection, run_id, run.request["hypothesis_ids"], collected.by_place, last=False)
        runs.progress(tx, run_id, done=done, total=buckets, message="Reading and scoring")


@DBOS.step()
def backtest_finish(run_id: str) -> None:
    """Add the buckets up and write the results. Nothing is left to do where a crash came just after that."""
    place = the_place()
    run = _run(place, run_id)
    if run.status.over:
        return
    with place.store.reading() as tx:
        parts = [part for _, part in sorted(runs.finished_buckets(tx, run_id).items())]
    if of_file(run):
        _finish_file(place, run, parts)
    else:
        _finish_connection(place, run, parts)


def _finish_file(place: Workplace, run: Run, parts: list[dict[str, Any]]) -> None:
    """The results in the order of the hypotheses, and the rows: what a backtest in one process tells."""
    shared = _opened(run)
    results = [published(score, shared.window) for score in _whole(shared.batch, parts).scores()]
    counts = run.counts | {"results": results, "skipped_rows": shared.skipped(part["dropped"] for part in parts)}
    with place.store.transaction() as tx:
        runs.finish(tx, run.id, RunStatus.DONE, counts=counts)


def _finish_connection(place: Workplace, run: Run, parts: list[dict[str, Any]]) -> None:
    """Results go to the versions that were tested; the run keeps what reading them cost."""
    connection, batch = _asked(place, run)
    window = _window(run)
    scores = _whole(tuple(meaning for _, meaning in batch), parts).scores()
    counts = {name: count + sum(part["reading"][name] for part in parts) for name, count in run.counts.items()}
    with place.store.transaction() as tx:
        results = []
        for (said, _), score in zip(batch, scores, strict=True):
            told = published(score, window)
            selected = hypotheses.get(tx, said.hypothesis_id).selected
            results.append(
                NewBacktest(
                    hypothesis_id=said.hypothesis_id,
                    hypothesis_version=said.version,
                    run_id=run.id,
                    as_of=instant(window.end),
                    window_days=run.request["window_days"],
                    fingerprint=said.fingerprint,
                    result=told,
                    clears=judge(told, place.bar, selected=selected).clears,
                )
            )
        backtests.record(tx, results)
        keep_fires(tx, connection, run.id, run.request["hypothesis_ids"], {}, last=True)
        runs.finish(tx, run.id, RunStatus.DONE, counts=counts)


@DBOS.step()
def fail(run_id: str, problem: dict[str, Any]) -> None:
    """Write down why a run ended early, unless it had ended (a person cancelled it)."""
    with the_place().store.transaction() as tx:
        if not runs.get(tx, run_id).status.over:
            runs.finish(tx, run_id, RunStatus.FAILED, error=problem)


def _whole(batch: tuple[Hypothesis, ...], parts: list[dict[str, Any]]) -> Backtest:
    whole = Backtest(batch)
    for part in parts:
        add(whole, part)
    return whole


def of_file(run: Run) -> bool:
    """Whether a run reads an event file, not a connection."""
    return "events" in run.request


_OPENED: dict[str, FileBacktest] = {}


def _opened(run: Run) -> FileBacktest:
    """The file of a run, surveyed once per process; the latest run's alone is remembered."""
    found = _OPENED.get(run.id)
    if found is None:
        found = open_file_backtest(FileRequest.model_validate(run.request))
        _OPENED.clear()
        _OPENED[run.id] = found
    return found


def _run(place: Workplace, run_id: str) -> Run:
    with place.store.reading() as tx:
        return runs.get(tx, run_id)


def _asked(place: Workplace, run: Run) -> tuple[Connection, list[tuple[HypothesisVersion, Hypothesis]]]:
    """Buckets of one run are added up, so all of them test what was asked for, whoever revises it meanwhile."""
    with place.store.reading() as tx:
        connection = connections.get(tx, run.connection_id or "")
        asked = zip(run.request["hypothesis_ids"], run.request["versions"], strict=True)
        said = [hypotheses.version(tx, hypothesis_id, version) for hypothesis_id, version in asked]
    return connection, [(one, Hypothesis.model_validate(one.definition)) for one in said]


def _window(run: Run) -> Window:
    return window_of(datetime.fromisoformat(run.request["as_of"]), run.request["window_days"])

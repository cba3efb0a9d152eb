"""The jobs as durable workflows: what a crash interrupts goes on where it stopped, and schedules fire once, whatever the number of workers.

A workflow's checkpoints hold ids and counts, never an event. The job engine knows functions by name and there is one engine per process, so the
workplace of this process is set once (`start_jobs`) and looked up here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dbos import DBOS, SetWorkflowID

from agent.search import Question
from backtest import Backtest, Hypothesis, published
from backtest.portable import add, dump
from backtest.verdict import judge
from beton.errors import BetonError, StoreError
from beton.store import backtests, connections, hypotheses, runs
from beton.store.durable import Durable, start_durable, stop_durable
from beton.store.records import Connection, HypothesisVersion, NewBacktest, Run, RunStatus
from beton.work.backtesting import add_bucket, count_buckets, window_of
from beton.work.delivering import deliver_signals
from beton.work.housekeeping import tidy
from beton.work.observing import observe
from beton.work.proposing import propose
from beton.work.sweeping import sweep
from beton.work.workplace import Workplace, instant

DELIVER_EVERY = "*/10 * * * * *"
"""Seconds matter to sales; the engine's cron takes them."""

TIDY_AT = "17 3 * * *"
"""Once a day, in UTC, at a minute that others rarely choose."""


@dataclass
class Jobs:
    """The running jobs of this process; what the API starts work with."""

    place: Workplace
    durable: Durable

    def start_backtest(self, connection: Connection, hypothesis_ids: Sequence[str], as_of: datetime, window_days: float) -> Run:
        """Queue a backtest of kept hypotheses, in the versions that they have now."""
        with self.place.store.reading() as tx:
            versions = [hypotheses.get(tx, one).version for one in hypothesis_ids]
        request = {"hypothesis_ids": list(hypothesis_ids), "versions": versions, "as_of": as_of.isoformat(), "window_days": window_days}
        return self._queue("backtest", connection, request, backtest_run)

    def start_proposals(self, connection: Connection, question: dict[str, Any], as_of: datetime, window_days: float) -> Run:
        """Queue a search. `question` holds unit, entry and outcome in the language's JSON form."""
        request = {"question": question, "as_of": as_of.isoformat(), "window_days": window_days}
        return self._queue("propose", connection, request, propose_run)

    def _queue(self, kind: Any, connection: Connection, request: dict[str, Any], workflow: Any) -> Run:
        with self.place.store.transaction() as tx:
            run = runs.queue(tx, kind, connection_id=connection.id, request=request)
        with SetWorkflowID(run.id):
            DBOS.start_workflow(workflow, run.id)
        return run


_PLACE: list[Workplace] = []


def start_jobs(place: Workplace) -> Jobs:
    """Start the job engine and its schedules."""
    _PLACE[:] = [place]
    durable = start_durable(place.settings)
    minutes = place.settings.sweep_interval_minutes
    DBOS.apply_schedules(
        [
            {"schedule_name": "sweep", "workflow_fn": sweep_tick, "schedule": _every(minutes), "context": None},
            {"schedule_name": "deliver", "workflow_fn": deliver_tick, "schedule": DELIVER_EVERY, "context": None},
            {"schedule_name": "tidy", "workflow_fn": tidy_tick, "schedule": TIDY_AT, "context": None},
        ]
    )
    return Jobs(place, durable)


def stop_jobs(jobs: Jobs) -> None:
    """Stop within seconds; what is unfinished resumes at the next start."""
    stop_durable(jobs.durable)
    _PLACE.clear()


def _every(minutes: int) -> str:
    """A cron line; intervals that do not divide an hour run at the nearest that does."""
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{max(1, round(minutes / 60))} * * *" if minutes < 1440 else "0 0 * * *"


def _place() -> Workplace:
    if not _PLACE:
        raise StoreError("The jobs of this process have not been started.", fix="Call start_jobs first.")
    return _PLACE[0]


# --- a backtest ------------------------------------------------------------------------------------------------------


@DBOS.workflow()
def backtest_run(run_id: str) -> None:
    """Bucket by bucket; each finished one is kept, so that a crash costs the unfinished bucket only."""
    try:
        buckets = backtest_begin(run_id)
        for number in range(buckets):
            backtest_bucket(run_id, number, buckets)
        backtest_finish(run_id)
    except BetonError as error:
        fail(run_id, error.as_problem())


@DBOS.step()
def backtest_begin(run_id: str) -> int:
    """How many buckets."""
    place = _place()
    connection, batch, run = _asked(place, run_id)
    with place.store.transaction() as tx:
        runs.begin(tx, run_id, workflow_id=run_id)
    meanings = [meaning for _, meaning in batch]
    return asyncio.run(count_buckets(place, connection, meanings, _window(run)))


@DBOS.step()
def backtest_bucket(run_id: str, number: int, buckets: int) -> None:
    """Read one bucket and keep its counts."""
    place = _place()
    connection, batch, run = _asked(place, run_id)
    part = Backtest(tuple(meaning for _, meaning in batch))
    asyncio.run(add_bucket(place, connection, part, _window(run), (number, buckets)))
    with place.store.transaction() as tx:
        runs.save_bucket(tx, run_id, number, dump(part))
        runs.progress(tx, run_id, done=number + 1, total=buckets, message="Reading and scoring", counts=place.reading.to_json())


@DBOS.step()
def backtest_finish(run_id: str) -> None:
    """Add the buckets up and write the results. Nothing is left to do where a crash came just after that."""
    place = _place()
    _, batch, run = _asked(place, run_id)
    if run.status.over:
        return
    window = _window(run)
    whole = Backtest(tuple(meaning for _, meaning in batch))
    with place.store.transaction() as tx:
        for _, part in sorted(runs.finished_buckets(tx, run_id).items()):
            add(whole, part)
        results = []
        for (said, _), score in zip(batch, whole.scores(), strict=True):
            told = published(score, window)
            selected = hypotheses.get(tx, said.hypothesis_id).selected
            clears = judge(told, place.bar, selected=selected).clears
            results.append(
                NewBacktest(
                    hypothesis_id=said.hypothesis_id,
                    hypothesis_version=said.version,
                    run_id=run_id,
                    as_of=instant(window.end),
                    window_days=run.request["window_days"],
                    fingerprint=said.fingerprint,
                    result=told,
                    clears=clears,
                )
            )
        backtests.record(tx, results)
        runs.finish(tx, run_id, RunStatus.DONE)


def _asked(place: Workplace, run_id: str) -> tuple[Connection, list[tuple[HypothesisVersion, Hypothesis]], Run]:
    """Buckets of one run are added up, so all of them test what was asked for, whoever revises it meanwhile."""
    with place.store.reading() as tx:
        run = runs.get(tx, run_id)
        connection = connections.get(tx, run.connection_id or "")
        asked = zip(run.request["hypothesis_ids"], run.request["versions"], strict=True)
        said = [hypotheses.version(tx, hypothesis_id, version) for hypothesis_id, version in asked]
    return connection, [(one, Hypothesis.model_validate(one.definition)) for one in said], run


def _window(run: Run) -> Any:
    return window_of(datetime.fromisoformat(run.request["as_of"]), run.request["window_days"])


# --- proposals, sweeps, deliveries -----------------------------------------------------------------------------------


@DBOS.workflow()
def propose_run(run_id: str) -> None:
    """A search with the taxonomy read anew."""
    try:
        propose_all(run_id)
    except BetonError as error:
        fail(run_id, error.as_problem())


@DBOS.step()
def propose_all(run_id: str) -> None:
    """Read once, try everything, keep the finds."""
    place = _place()
    with place.store.transaction() as tx:
        run = runs.begin(tx, run_id, workflow_id=run_id)
        connection = connections.get(tx, run.connection_id or "")

    def tell(what: str, done: int, total: int) -> None:
        if done == total or done % 50 == 0:
            with place.store.transaction() as tx:
                runs.progress(tx, run_id, done=done, total=total, message=what)

    async def work() -> None:
        await observe(place, connection, as_of=instant(_window(run).end))
        await propose(place, connection, question_from(run.request["question"]), _window(run), progress=tell, run_id=run_id)

    asyncio.run(work())


def question_from(told: dict[str, Any]) -> Question:
    """The question in a run's request: unit, entry and outcome as a hypothesis file writes them."""
    shape = Hypothesis.model_validate(told | {"clauses": [{"kind": "age", "at_least": "1d"}]})
    return Question(shape.unit, shape.entry, shape.outcome)


@DBOS.step()
def fail(run_id: str, problem: dict[str, Any]) -> None:
    """Write down why a run ended early, unless it had ended (a person cancelled it)."""
    with _place().store.transaction() as tx:
        if not runs.get(tx, run_id).status.over:
            runs.finish(tx, run_id, RunStatus.FAILED, error=problem)


@DBOS.workflow()
def sweep_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001 - the engine calls it so
    """What was snoozed until now, then every connection in turn; one that fails does not keep the others waiting."""
    wake_snoozed()
    for connection_id in connection_ids():
        sweep_connection(connection_id)


@DBOS.step()
def wake_snoozed() -> list[str]:
    """Back to review, those whose date has come."""
    with _place().store.transaction() as tx:
        return [one.id for one in hypotheses.wake_due(tx)]


@DBOS.step()
def connection_ids() -> list[str]:
    """All connections."""
    with _place().store.reading() as tx:
        return [one.id for one in connections.every(tx)]


@DBOS.step()
def sweep_connection(connection_id: str) -> dict[str, Any]:
    """One sweep; how it failed is kept with the connection and shown by `beton doctor`."""
    place = _place()
    connection = place.connection(connection_id)
    problem: BetonError | None = None
    try:
        told = asyncio.run(sweep(place, connection)).to_json()
    except BetonError as error:
        problem, told = error, error.as_problem()
    if problem is not None or connection.status == "failing":
        with place.store.transaction() as tx:
            connections.checked(tx, connection_id, "failing" if problem else "working", problem=problem.message if problem else None)
    return told


@DBOS.workflow()
def deliver_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001
    """Send what is due."""
    deliver_once()


@DBOS.step()
def deliver_once() -> int:
    """How many attempts were made."""
    return asyncio.run(deliver_signals(_place(), random.SystemRandom())).attempts


@DBOS.workflow()
def tidy_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001
    """Remove what may be kept no longer."""
    tidy_once()


@DBOS.step()
def tidy_once() -> dict[str, int]:
    """How much of each class was removed."""
    return tidy(_place())

"""The jobs as durable workflows: what a crash interrupts goes on where it stopped, and schedules fire once, whatever the number of workers.

A workflow's checkpoints hold ids and counts, never an event. Backtests are in `durable_backtests`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dbos import DBOS, SetWorkflowID

from beton.errors import BetonError
from beton.store import connections, hypotheses, runs
from beton.store.durable import Durable, start_durable, stop_durable
from beton.store.escalating import escalate
from beton.store.records import Connection, Run
from beton.work.asking import question_from
from beton.work.broken_runs import end_broken_runs
from beton.work.delivering import deliver_signals
from beton.work.durable_backtests import backtest_run, register_queues
from beton.work.durable_inbound import GO_THROUGH_EVERY, SILENCE_EVERY, arrived_tick, silence_tick
from beton.work.durable_proposals import PROPOSE_AT, propose_run, propose_tick
from beton.work.housekeeping import tidy
from beton.work.proof_jobs import PROVE_AT, SURVEY_AT, prove_tick, survey_tick
from beton.work.reviewer_jobs import CALL_AT, call_tick
from beton.work.sweeping import Swept, sweep
from beton.work.this_process import close_for_work, open_for_work, the_place, working_for, workspace_ids
from beton.work.workplace import Workplace

__all__ = ["Jobs", "question_from", "start_jobs", "stop_jobs"]

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
        with self.place.of(connection.workspace_id).store.reading() as tx:
            versions = [hypotheses.get(tx, one).version for one in hypothesis_ids]
        request = {"hypothesis_ids": list(hypothesis_ids), "versions": versions, "as_of": as_of.isoformat(), "window_days": window_days}
        return self._queue("backtest", connection, request, backtest_run)

    def start_proposals(self, connection: Connection, question: dict[str, Any], as_of: datetime, window_days: float) -> Run:
        """Queue a search. `question` holds unit, entry and outcome in the language's JSON form."""
        request = {"question": question, "as_of": as_of.isoformat(), "window_days": window_days}
        return self._queue("propose", connection, request, propose_run)

    def _queue(self, kind: Any, connection: Connection, request: dict[str, Any], workflow: Any) -> Run:
        with self.place.of(connection.workspace_id).store.transaction() as tx:
            run = runs.queue(tx, kind, connection_id=connection.id, request=request)
        with SetWorkflowID(run.id):
            DBOS.start_workflow(workflow, run.id, connection.workspace_id)
        return run


def start_jobs(place: Workplace) -> Jobs:
    """Start the job engine and its schedules."""
    open_for_work(place)
    durable = start_durable(place.settings)
    register_queues()
    minutes = place.settings.sweep_interval_minutes
    DBOS.apply_schedules(
        [
            {"schedule_name": "sweep", "workflow_fn": sweep_tick, "schedule": _every(minutes), "context": None},
            {"schedule_name": "arrived", "workflow_fn": arrived_tick, "schedule": GO_THROUGH_EVERY, "context": None},
            {"schedule_name": "silence", "workflow_fn": silence_tick, "schedule": SILENCE_EVERY, "context": None},
            {"schedule_name": "deliver", "workflow_fn": deliver_tick, "schedule": DELIVER_EVERY, "context": None},
            {"schedule_name": "propose", "workflow_fn": propose_tick, "schedule": PROPOSE_AT, "context": None},
            {"schedule_name": "prove", "workflow_fn": prove_tick, "schedule": PROVE_AT, "context": None},
            {"schedule_name": "survey", "workflow_fn": survey_tick, "schedule": SURVEY_AT, "context": None},
            {"schedule_name": "call", "workflow_fn": call_tick, "schedule": CALL_AT, "context": None},
            {"schedule_name": "tidy", "workflow_fn": tidy_tick, "schedule": TIDY_AT, "context": None},
        ]
    )
    return Jobs(place, durable)


def stop_jobs(jobs: Jobs) -> None:
    """Stop within seconds; what is unfinished resumes at the next start."""
    stop_durable(jobs.durable)
    close_for_work()


def _every(minutes: int) -> str:
    """A cron line; intervals that do not divide an hour run at the nearest that does."""
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{max(1, round(minutes / 60))} * * *" if minutes < 1440 else "0 0 * * *"


# --- sweeps, deliveries ----------------------------------------------------------------------------------------------


@DBOS.workflow()
def sweep_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001 - the engine calls it so
    """What was snoozed until now, then every connection in turn; one that fails does not keep the others waiting."""
    for workspace_id in all_workspaces():
        with working_for(workspace_id):
            wake_snoozed()
            escalate_unclaimed()
            end_broken_runs()
            for connection_id in connection_ids():
                sweep_connection(connection_id)


@DBOS.step()
def all_workspaces() -> list[str]:
    """All workspaces, one after the other."""
    return workspace_ids()


@DBOS.step()
def wake_snoozed() -> list[str]:
    """Back to review, those whose date has come."""
    with the_place().store.transaction() as tx:
        return [one.id for one in hypotheses.wake_due(tx)]


@DBOS.step()
def escalate_unclaimed() -> int:
    """To whom their routes name next, those that nobody has claimed in time."""
    with the_place().store.transaction() as tx:
        return escalate(tx)


@DBOS.step()
def connection_ids() -> list[str]:
    """All connections of the workspace."""
    with the_place().store.reading() as tx:
        return [one.id for one in connections.every(tx)]


@DBOS.step()
def sweep_connection(connection_id: str) -> dict[str, Any]:
    """One sweep; how it failed is kept with the connection and shown by `beton doctor`."""
    place = the_place()
    connection = place.connection(connection_id)
    problem: BetonError | None = None
    try:
        swept = asyncio.run(sweep(place, connection))
        told, problem = swept.to_json(), partly_failed(swept)
    except BetonError as error:
        problem, told = error, error.as_problem()
    if problem is not None or connection.status == "failing":
        with place.store.transaction() as tx:
            connections.checked(tx, connection_id, "failing" if problem else "working", problem=problem.message if problem else None)
    return told


def partly_failed(swept: Swept) -> BetonError | None:
    """What to say of a connection of which some hypotheses could not be swept; the others were."""
    if not swept.failed:
        return None
    first = swept.failed[0]
    return BetonError(f"{len(swept.failed)} live hypotheses could not be swept, {first.hypothesis_id} because: {first.message}", code=first.code)


@DBOS.workflow()
def deliver_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001
    """Send what is due."""
    deliver_once()


@DBOS.step()
def deliver_once() -> int:
    """How many attempts were made."""
    places = [the_place().of(one) for one in workspace_ids()]
    return sum(asyncio.run(deliver_signals(place, random.SystemRandom())).attempts for place in places)


@DBOS.workflow()
def tidy_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001
    """Remove what may be kept no longer."""
    tidy_once()


@DBOS.step()
def tidy_once() -> dict[str, int]:
    """How much of each class was removed."""
    found: Counter[str] = Counter()
    for one in workspace_ids():
        found.update(tidy(the_place().of(one)))
    return dict(found)

"""Searches as durable workflows: on demand, once in so many days, and when a project's names have changed.

A search of the schedule has an id made of its connection and its day, so however many workers tick, one search runs.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from dbos import DBOS, SetWorkflowID

from backtest import Window
from backtest.taxonomy import TaxonomyChange
from beton.errors import BetonError
from beton.store import connections, questions, runs
from beton.store.records import Connection, Run
from beton.work.asking import question_from
from beton.work.backtesting import default_as_of, window_of
from beton.work.durable_backtests import fail
from beton.work.observing import observe
from beton.work.proposing import propose
from beton.work.the_model import chosen_model
from beton.work.this_process import the_place, working_for, workspace_ids
from beton.work.workplace import Workplace, instant

PROPOSE_AT = "41 4 * * *"
"""Once a day, in UTC, it is looked at whether a search is due."""

STUCK = timedelta(days=1)
"""A search that has been under way for so long was killed with the command that ran it."""

EVERY = 50
"""Steps of the search between two reports."""


@DBOS.workflow()
def propose_run(run_id: str, workspace_id: str | None = None) -> None:
    """A search with the taxonomy read anew."""
    with working_for(workspace_id):
        try:
            propose_all(run_id)
        except BetonError as error:
            fail(run_id, error.as_problem())


@DBOS.step()
def propose_all(run_id: str) -> None:
    """Read once, try everything, let a model take part if there is one, keep the finds."""
    place = the_place()
    with place.store.transaction() as tx:
        run = runs.begin(tx, run_id, workflow_id=DBOS.workflow_id)
        connection = connections.get(tx, run.connection_id or "")

    def tell(what: str, done: int, total: int) -> None:
        if done == total or done % EVERY == 0 or total < EVERY:
            with place.store.transaction() as tx:
                runs.progress(tx, run_id, done=done, total=total, message=what)

    async def work() -> None:
        window = _window(run)
        await observe(place, connection, as_of=instant(window.end))
        model = await chosen_model(place.settings)
        await propose(place, connection, question_from(run.request["question"]), window, progress=tell, run_id=run_id, model=model)

    asyncio.run(work())


def _window(run: Run) -> Window:
    return window_of(datetime.fromisoformat(run.request["as_of"]), run.request["window_days"])


@DBOS.workflow()
def propose_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001 - the engine calls it so
    """Begin a search of every connection where one is due; one that fails does not keep the others waiting."""
    for workspace_id, connection_id in with_questions():
        with working_for(workspace_id):
            run_id = begin_if_due(connection_id, scheduled_at.isoformat())
        if run_id is not None:
            with SetWorkflowID(slot_of(connection_id, scheduled_at)):
                DBOS.start_workflow(propose_run, run_id, workspace_id)


@DBOS.step()
def with_questions() -> list[list[str]]:
    """Workspace and id of connections whose question a person has confirmed: nothing is searched for on a guess."""
    found = []
    for workspace_id in workspace_ids():
        with the_place().of(workspace_id).store.reading() as tx:
            found += [[workspace_id, one.id] for one in connections.every(tx) if questions.confirmed(tx, one.id) is not None]
    return found


@DBOS.step()
def begin_if_due(connection_id: str, scheduled_at: str) -> str | None:
    """The queued run, where one is due; the same one however often this is asked for the same day."""
    place, at = the_place(), datetime.fromisoformat(scheduled_at)
    connection = place.connection(connection_id)
    try:
        return queue_if_due(place, connection, at)
    except BetonError:  # PostHog is away or the key has gone; the sweep tells it, and tomorrow is another day
        return None


def queue_if_due(place: Workplace, connection: Connection, at: datetime) -> str | None:
    """Queue a search where the last one is old enough, or names have changed since; its run's id."""
    every = timedelta(days=place.settings.propose_every_days)
    if not every:
        return None
    with place.store.reading() as tx:
        question = questions.confirmed(tx, connection.id)
        last = next(iter(runs.listing(tx, kind="propose", connection_id=connection.id, limit=1).data), None)
    if question is None or (last is not None and not last.status.over and at - last.created_at < STUCK):
        return None
    why = "schedule" if last is None or at - last.created_at >= every - timedelta(hours=1) else None
    if why is None and worth_a_search(asyncio.run(observe(place, connection))[1]):
        why = "taxonomy"
    if why is None:
        return None
    as_of = default_as_of(place.clock()).isoformat()
    request = {"question": question.definition, "as_of": as_of, "window_days": question.window_days, "because": why}
    with place.store.transaction() as tx:
        return runs.queue(tx, "propose", connection_id=connection.id, request=request, workflow_id=slot_of(connection.id, at)).id


def slot_of(connection_id: str, at: datetime) -> str:
    """The id of a connection's scheduled search of a day."""
    return f"propose-{connection_id}-{at.date().isoformat()}"


def worth_a_search(change: TaxonomyChange) -> bool:
    """New events or properties may predict, types decide comparisons; what fell silent only makes the list shorter."""
    return bool(change.events_added or change.properties_added or change.properties_retyped)

"""Proof as durable workflows: outcomes and drift every hour, names four times a day. A connection that fails does not keep the others waiting."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from dbos import DBOS

from beton.errors import BetonError
from beton.store import connections
from beton.work.drifting import watch
from beton.work.observing import survey
from beton.work.proving import read_outcomes
from beton.work.this_process import the_place, working_for, workspace_ids

PROVE_AT = "37 * * * *"
SURVEY_AT = "52 */6 * * *"
"""In UTC, at minutes that others rarely choose. A busy name that stops coming is missed after six to twelve hours."""


@DBOS.workflow()
def prove_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001 - the engine calls it so
    """Outcomes of all connections, then the watch."""
    for workspace_id in proof_workspaces():
        with working_for(workspace_id):
            for connection_id in proof_connections():
                prove_connection(connection_id)
            watch_live()


@DBOS.workflow()
def survey_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001 - the engine calls it so
    """The names of all connections."""
    for workspace_id in proof_workspaces():
        with working_for(workspace_id):
            for connection_id in proof_connections():
                survey_connection(connection_id)


@DBOS.step()
def proof_workspaces() -> list[str]:
    """All workspaces, one after the other."""
    return workspace_ids()


@DBOS.step()
def proof_connections() -> list[str]:
    """All connections of the workspace."""
    with the_place().store.reading() as tx:
        return [one.id for one in connections.every(tx)]


@DBOS.step()
def prove_connection(connection_id: str) -> dict[str, Any]:
    """How many signals were asked about and what came; a failure is the sweep's to report, which meets it minutes later."""
    place = the_place()
    try:
        return asyncio.run(read_outcomes(place, place.connection(connection_id))).to_json()
    except BetonError as error:
        return error.as_problem()


@DBOS.step()
def watch_live() -> list[str]:
    """Hypotheses that were found to have drifted."""
    return [one.hypothesis_id for one in watch(the_place())]


@DBOS.step()
def survey_connection(connection_id: str) -> dict[str, Any]:
    """How many events the project has."""
    place = the_place()
    try:
        return {"events": len(asyncio.run(survey(place, place.connection(connection_id))).events)}
    except BetonError as error:
        return error.as_problem()

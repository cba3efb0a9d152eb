"""Going through what came in, and looking into silences, as durable workflows.

Whichever worker ticks, one at a time has a source: see `inbound.take`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from dbos import DBOS

from beton.store.records import Connection
from beton.work.arriving import go_through
from beton.work.receiving import receive
from beton.work.silence import ask_posthog, look_into_silence
from beton.work.this_process import the_place, working_for, workspace_ids

GO_THROUGH_EVERY = "*/3 * * * * *"
"""Seconds matter to sales; the engine's cron takes them."""

SILENCE_EVERY = "*/5 * * * *"


@DBOS.workflow()
def arrived_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001 - the engine calls it so
    """Go through what waits, until nothing does."""
    worker = str(DBOS.workflow_id)
    for workspace_id in inbound_workspaces():
        with working_for(workspace_id):
            while some_arrived(worker):
                pass


@DBOS.step()
def inbound_workspaces() -> list[str]:
    """All workspaces, one after the other."""
    return workspace_ids()


@DBOS.step()
def some_arrived(worker: str) -> int:
    """How many were gone through."""
    return asyncio.run(go_through(the_place(), receive, worker)).total()


@DBOS.workflow()
def silence_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001
    """Look into sources that have been silent."""
    for workspace_id in inbound_workspaces():
        with working_for(workspace_id):
            silent_sources()


@DBOS.step()
def silent_sources() -> int:
    """How many are thought to be cut off."""
    place = the_place()

    async def counted(connection: Connection, names: Any, start: datetime, end: datetime) -> int:
        return await ask_posthog(place, connection, names, start, end)

    return asyncio.run(look_into_silence(place, counted))

"""Going through what came in, and looking into silences, as durable workflows.

Whichever worker ticks, one at a time has a source: see `inbound.take`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dbos import DBOS

from beton.store.records import Connection
from beton.work.arrived import Arrived
from beton.work.arriving import go_through
from beton.work.silence import ask_posthog, look_into_silence
from beton.work.this_process import the_place, working_for, workspace_ids
from beton.work.workplace import Workplace

GO_THROUGH_EVERY = "*/3 * * * * *"
"""Seconds matter to sales; the engine's cron takes them."""

SILENCE_EVERY = "*/5 * * * *"


@dataclass(frozen=True)
class LeftToSweeps:
    """What becomes of an event whose signals are found by the sweeps: it is in the log, and the next one looks at it."""

    status: str = "ignored"
    code: str | None = "source.left_to_sweeps"
    why: str | None = "The next sweep looks at it."
    signal_ids: tuple[str, ...] = ()


async def leave_to_sweeps(place: Workplace, connection: Connection, arrived: Sequence[Arrived], /) -> Sequence[LeftToSweeps]:
    """Note events, and match none."""
    del place, connection
    return [LeftToSweeps() for _ in arrived]


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
    return asyncio.run(go_through(the_place(), leave_to_sweeps, worker)).total()


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

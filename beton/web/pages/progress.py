"""A run while it goes on: a page that moves by itself, and the stream that moves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from beton.roles import Permission
from beton.store import backtests, runs
from beton.store.records import Run
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import HEADERS, ThePage
from beton.work import reviewing
from beton.work.workplace import Workplace

EVERY = 1.0
LONGEST = 900
"""Looks until the stream ends by itself; the browser then asks again."""


@get("/runs/{run_id:str}", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def show_run(page: ThePage, place: ThePlace, run_id: FromPath[str]) -> Response[str]:
    """How far it is, what it has cost, and when it is over what came of it."""
    with place.store.reading() as tx:
        run = runs.get(tx, run_id)
        results = backtests.of_run(tx, run_id)
    ids = [one.hypothesis_id for one in results] or [one for one in run.request.get("hypothesis_ids", []) if isinstance(one, str)]
    found = reviewing.proposals(place, ids[:50])
    return page.render("hypotheses/run.html", title=f"{run.kind.capitalize()} run", at="hypotheses", run=run, found=found)


@get("/runs/{run_id:str}/progress", opt=needs(Permission.READ), include_in_schema=False)
async def stream(place: ThePlace, run_id: FromPath[str]) -> ServerSentEvent:
    """Each change of a run as an event `progress`; `over` at the end."""
    first = await asyncio.to_thread(_run, place, run_id)
    return ServerSentEvent(_told(place, first), headers={"Cache-Control": HEADERS["Cache-Control"], "X-Accel-Buffering": "no"})


async def _told(place: Workplace, run: Run) -> AsyncGenerator[ServerSentEventMessage]:
    shown = ""
    for _ in range(LONGEST):
        now = json.dumps({"status": run.status, **run.progress, "so_far": run.counts.get("so_far", [])})
        if now != shown:
            shown = now
            yield ServerSentEventMessage(event="progress", data=now)
        if run.status.over:
            yield ServerSentEventMessage(event="over", data=run.status)
            return
        await asyncio.sleep(EVERY)
        run = await asyncio.to_thread(_run, place, run.id)


def _run(place: Workplace, run_id: str) -> Run:
    with place.store.reading() as tx:
        return runs.get(tx, run_id)


HANDLERS: list[HTTPRouteHandler] = [show_run, stream]

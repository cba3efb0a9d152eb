"""Around everything that is served: each request has its id, is counted, and leaves a line in the log."""

from __future__ import annotations

import logging
import time
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Send

from beton.logs import FACTS, REQUEST_ID
from beton.telemetry import span
from beton.web.metrics import note
from beton.web.problems import request_id

_LOG = logging.getLogger("beton.asked")
_QUIET = ("/healthz", "/readyz", "/metrics", "/static/")
"""What machines ask every few seconds is counted and not written down."""

_MANY = "/in/"
"""Of events that came in well, a thousand a second perhaps, the event log has a line each."""

_PATH = 300


class Observed:
    """An application with a witness. `paths` says whether addresses are written down: they carry ids, never the unit's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), [500]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
            await send(message)

        token = REQUEST_ID.set(request_id(scope))
        try:
            with span("http", method=scope["method"]):
                await self._app(scope, receive, answer)
        finally:
            took = time.perf_counter() - began
            note(scope["method"], scope["path"], status[0], took)
            if not scope["path"].startswith(_QUIET) and not (status[0] < 400 and scope["path"].startswith(_MANY)):
                told = {"method": scope["method"][:16], "path": shown(scope["path"]), "status": status[0], "ms": round(took * 1000, 1)}
                _LOG.info("answered", extra={FACTS: told})
            REQUEST_ID.reset(token)


def shown(path: str) -> str:
    """A path without the tokens that some carry."""
    parts = path[:_PATH].split("/")
    hidden = {"link", "in", "unsubscribe", "u"}
    return "/".join("…" if place and parts[place - 1] in hidden else part for place, part in enumerate(parts))

"""Stands around the whole server: records every request and lets queued faults strike."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from beton.sandbox.faults import Fault, fault_of
from beton.sandbox.project import Sandbox
from beton.sandbox.recorder import Record

FAULT_HEADER = b"x-sandbox-fault"
RECORD = "sandbox_record"
_HTML = "<html><head><title>Just a moment...</title></head><body>Checking your browser.</body></html>"


class Witness:
    """ASGI middleware. `X-Sandbox-Fault` carries one fault as JSON for its own request."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app, self._sandbox = app, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, recorded, perhaps faultily."""
        if scope["type"] != "http" or "/sandbox/" in scope["path"]:
            await self._app(scope, receive, send)
            return
        record = self._sandbox.recorder.begin(scope["method"], scope["path"], self._sandbox.wall().isoformat())
        vars_of(scope)[RECORD] = record
        started = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            elif message["type"] == "http.response.body":
                record.bytes_out += len(message["body"])
            await send(message)

        try:
            fault = self._fault(scope)
            if fault is None:
                await self._app(scope, receive, counted)
            else:
                record.fault = fault.kind
                await self._struck(fault, scope, receive, counted)
        finally:
            record.seconds = round(time.perf_counter() - started, 6)
            self._sandbox.recorder.end()

    def _fault(self, scope: Scope) -> Fault | None:
        own = dict(scope["headers"]).get(FAULT_HEADER)
        return fault_of(orjson.loads(own)) if own else self._sandbox.faults.strike(scope["path"])

    async def _struck(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.delay and fault.kind != "slow":
            await asyncio.sleep(fault.delay)
        if fault.kind == "delay":
            await self._app(scope, receive, send)
        elif fault.kind == "reset":
            await _reset(receive, send)
        elif fault.kind == "html":
            await _whole(send, 200, (fault.body or _HTML).encode(), {"content-type": "text/html; charset=utf-8"})
        elif fault.kind in ("truncated", "slow"):
            await self._cut(fault, scope, receive, send)
        else:
            refusal = fault.refusal()
            headers = {"content-type": "application/json", **{name.lower(): value for name, value in refusal.headers.items()}}
            await _whole(send, refusal.status, fault.body.encode() or orjson.dumps(refusal.body()), headers)

    async def _cut(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """The real answer, half of it as if it were whole, or in small pieces over `delay` seconds."""
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message["body"])

        await self._app(scope, receive, kept)
        body = b"".join(parts)
        headers = {name.decode(): value.decode() for name, value in start["headers"] if name.lower() != b"content-length"}
        if fault.kind == "truncated":
            await _whole(send, start["status"], body[: len(body) // 2], headers)
            return
        await send(_start(start["status"], {**headers, "content-length": str(len(body))}))
        size = max(1, -(-len(body) // 20))
        pieces = [body[position : position + size] for position in range(0, len(body), size)]
        for piece in pieces:
            await asyncio.sleep(fault.delay / len(pieces))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def vars_of(scope: Scope) -> dict[str, Any]:
    """The request's own state, shared with the handlers."""
    return scope.setdefault("state", {})


def record_of(scope: Scope) -> Record:
    """The record of the request being answered."""
    return vars_of(scope).get(RECORD) or Record("", scope["path"], "", 0)


def _start(status: int, headers: dict[str, str]) -> Any:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _whole(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    await send(_start(status, {**headers, "content-length": str(len(body))}))
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _reset(receive: Receive, send: Send) -> None:
    """Drops the connection without an answer; where the transport is out of reach, in the middle of one."""
    await receive()
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
        return
    await send(_start(200, {"content-type": "application/json", "content-length": "1000"}))
    await send({"type": "http.response.body", "body": b'{"results": [', "more_body": False})

"""Requests that are sent twice, because the first answer was lost: with an `Idempotency-Key`, the second gets the answer of the first.

A POST may carry one. What was asked is known by a digest over method, address and body; the answer is kept for a day. A refusal or failure is not
kept: nothing was done, and the same request may be sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re

from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

from beton.errors import BadInput, Fault
from beton.store import kept_answers
from beton.store.kept_answers import Answer
from beton.store.store import Store

HEADER = b"idempotency-key"
_FORM = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT = (b"content-type", b"location", b"etag")


class Repeats(ASGIMiddleware):
    """Answers a repeated POST as the first time."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on what is new, and answer what is not."""
        key = next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), None)
        caller = scope["user"]
        if key is None or caller is None or scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
            await next_app(scope, receive, send)
            return
        if not _FORM.fullmatch(key):
            raise BadInput("The Idempotency-Key has no usable form.", [Fault("Idempotency-Key", "is not 1 to 255 visible characters")])
        handler = scope["route_handler"]
        body = await _read(receive, handler.resolve_request_max_body_size() if isinstance(handler, HTTPRouteHandler) else None)
        told = b"\0".join((scope["method"].encode(), scope["path"].encode(), scope["query_string"], body))
        once = Once(self._store.of(caller.workspace_id), caller.id, key)
        known = await asyncio.to_thread(once.begin, hashlib.sha256(told).hexdigest())
        if known is not None:
            await _answer(send, known)
            return
        seen = Seen(send)
        try:
            await next_app(scope, _again(body), seen)
        finally:
            await asyncio.to_thread(once.end, seen.answer)


class Once:
    """One caller's use of one key."""

    def __init__(self, store: Store, caller_id: str, key: str) -> None:
        self._store, self._caller_id, self._key = store, caller_id, key

    def begin(self, asked: str) -> Answer | None:
        """The answer that was given, if any."""
        with self._store.transaction() as tx:
            return kept_answers.begin(tx, self._caller_id, self._key, asked)

    def end(self, answer: Answer | None) -> None:
        """Keep what was answered, unless it was a refusal."""
        with self._store.transaction() as tx:
            if answer is None or answer.status >= 400:
                kept_answers.forget(tx, self._caller_id, self._key)
            else:
                kept_answers.keep(tx, self._caller_id, self._key, answer)


class Seen:
    """Sends an answer on, and remembers it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status, self._headers, self._body = 0, {}, b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.decode(): value.decode() for name, value in message["headers"] if name.lower() in _KEPT}
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
        await self._send(message)

    @property
    def answer(self) -> Answer | None:
        """What was sent; `None` when nothing was."""
        return Answer(self._status, self._headers, self._body.decode()) if self._status else None


async def _read(receive: Receive, limit: int | None) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message.get("body", b"")
        if limit is not None and len(body) > limit:
            raise BadInput("The body is too large.", code="input.too_large", status=413, fix="Send at most 1 MB.")
        if not message.get("more_body"):
            return body


def _again(body: bytes) -> Receive:
    """The body once more, for the handler."""
    waiting: list[HTTPReceiveMessage] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> HTTPReceiveMessage:
        return waiting.pop() if waiting else {"type": "http.disconnect"}  # type: ignore[return-value]

    return receive


async def _answer(send: Send, known: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in known.headers.items()] + [(b"idempotency-replayed", b"true")]
    body = known.body.encode()
    await send({"type": "http.response.start", "status": known.status, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body, "more_body": False})

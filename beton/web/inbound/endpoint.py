"""Where events come in: `POST /in/<token>`, which answers when the event is safe and not before, and does nothing else with it.

It stands in front of the application, not in it: whoever sends here has no account, no session and no page, and a thousand may come in a second.
What every answer of Beton has, these have too: a request's id, the protective headers, and errors of one shape.

PostHog tries three times, counts what takes longer than 100 ms and what fails, and switches a destination off that does so for long
(github.com/PostHog/posthog, `nodejs/src/cdp/services/monitoring/hog-watcher.service.ts`). So there is no 5xx here: when nothing more can be taken, it
is asked to come again (429).
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from litestar.types import ASGIApp, Receive, Send

from beton.errors import BadInput, BetonError, NotFound, StoreError, TooMany
from beton.routing.signing import verify
from beton.store import inbound
from beton.store.inbound_records import Listener, Taken
from beton.web.access.doorkeeper import Door
from beton.web.access.limits import Limiter
from beton.web.inbound.answers import accepted, refusal
from beton.work.intake import Intake
from beton.work.mapping import compiled, events_in, uuid_of

PATH = "/in/"
LARGEST = 1_000_000
"""Bytes of a body."""

DEEPEST = 32
"""Objects and lists within each other."""

FRESH = timedelta(seconds=5)
"""For so long what is known of an address is not asked of the database again."""

STALE = timedelta(minutes=10)
"""For so long it is believed while the database cannot be asked."""

MOST_KNOWN = 2000
STRANGERS = 120
"""Unknown addresses that one caller may try in a minute; each costs a look into the database."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Inbound:
    """Takes events in, and passes everything else on to the application."""

    def __init__(self, app: ASGIApp, intake: Intake, door: Door, clock: Callable[[], datetime], *, fresh: timedelta = FRESH) -> None:
        self._app, self._intake, self._door, self._clock = app, intake, door, clock
        self._addresses = Addresses(intake, fresh)
        self._strangers = Limiter(STRANGERS, 60)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PATH) and _TOKEN.fullmatch(scope["path"], len(PATH)):
            await self._take(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _take(self, scope: Any, receive: Receive, send: Send) -> None:
        now = self._clock()
        try:
            headers: dict[bytes, str] = {name: value.decode("latin-1") for name, value in scope["headers"]}
            self._door.names.check(headers.get(b"host", ""))
            listener = await self._listener(scope, headers, now)
            if scope["method"] != "POST":
                raise BadInput("Events are sent here with POST.", code="http.405", status=405)
            try:
                await self._intake.take(_events(listener, await _body(headers, receive), headers, now))
            except BadInput as error:
                self._intake.refuse(listener, now, error.message)
                raise
        except StoreError:
            await refusal(scope, send, TooMany("Nobody can be asked at the moment whose address this is.", retry_after=2, code="source.overloaded"))
        except BetonError as error:
            await refusal(scope, send, error)
        else:
            await accepted(scope, send)

    async def _listener(self, scope: Any, headers: dict[bytes, str], now: datetime) -> Listener:
        token = scope["path"][len(PATH) :]
        caller = self._door.proxies.client_of(scope, headers)
        if not self._addresses.knows(token) and not self._strangers.take(caller, now.timestamp(), cost=0).allowed:
            raise TooMany("Too many unknown addresses were tried from here.", retry_after=60)
        found = await self._addresses.find(token, now)
        if found is None:
            self._strangers.take(caller, now.timestamp())
            raise NotFound("There is no such address.", fix="Copy the address of the source once more.")
        if found.ends_at is not None and found.ends_at <= now:
            raise NotFound("This address has been replaced by another.", fix="Put the new one into PostHog.", code="source.gone", status=410)
        if found.status == "off":
            raise NotFound("This source is switched off.", fix="Switch it on, or stop sending.", code="source.off", status=410)
        return found


@dataclass(frozen=True)
class _Known:
    listener: Listener | None
    asked_at: datetime


class Addresses:
    """Whose address is whose, by the hash of its token; unknown ones too, so that guessing costs the database little."""

    def __init__(self, intake: Intake, fresh: timedelta) -> None:
        self._intake, self._fresh = intake, fresh
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Future[Listener | None]] = {}

    def knows(self, token: str) -> bool:
        """Whether it has been asked for lately."""
        return inbound.digest_of(token) in self._known

    async def find(self, token: str, now: datetime) -> Listener | None:
        """Whose it is. Raises StoreError where that is not known and cannot be asked."""
        digest = inbound.digest_of(token)
        known = self._known.get(digest)
        if known is not None and now - known.asked_at < self._fresh:
            return known.listener
        asking = self._asking.get(digest)
        if asking is None:  # one asks for all who want to know at the same time
            asking = self._asking[digest] = asyncio.ensure_future(asyncio.to_thread(inbound.listener, self._intake.store, token))
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        elif known is not None:
            return known.listener
        try:
            found = _Known(await asyncio.shield(asking), now)
        except StoreError:
            if known is None or now - known.asked_at > STALE:
                raise
            return known.listener
        self._remember(digest, found)
        return found.listener

    def _remember(self, digest: str, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


async def _body(headers: dict[bytes, str], receive: Receive) -> bytes:
    """The whole body; `BadInput` for one that is larger than allowed, as soon as that is known."""
    told = headers.get(b"content-length", "")
    if told.isascii() and told.isdigit() and int(told[:12]) > LARGEST:
        raise _too_large()
    parts, size = [], 0
    while True:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise BadInput("The body did not arrive whole.", code="input.malformed", status=400)
        part = message.get("body", b"")
        size += len(part)
        if size > LARGEST:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _events(listener: Listener, body: bytes, headers: dict[bytes, str], now: datetime) -> list[Taken]:
    """The events of a request, after all checks that need no database."""
    if listener.secret is not None:
        verify(listener.secret, {name.decode("latin-1"): value for name, value in headers.items()}, body, now=now)
    try:
        told = orjson.loads(body)
        text = body.decode()
    except ValueError:
        raise BadInput("The body is not JSON.", code="input.malformed", status=400, fix="Send one JSON object in UTF-8.") from None
    if body.count(b"{") + body.count(b"[") > DEEPEST and _deeper(told, DEEPEST):
        raise BadInput("The body is nested too deeply.", code="input.malformed", status=400, fix=f"Nest at most {DEEPEST} levels.")
    events = events_in(told)
    if not all(isinstance(one, dict) for one in events):
        raise BadInput("The body is neither a JSON object nor a list of such.", code="input.malformed", status=400)
    mapped = compiled(listener.mapping)
    whose = (listener.workspace_id, listener.source_id, listener.connection_id)
    if len(events) == 1 and events[0] is told:
        return [Taken(*whose, uuid_of(mapped, told, body), now, text)]
    each = [(one, orjson.dumps(one)) for one in events]
    # A microsecond apart, so that they stay in the order in which they were sent.
    return [Taken(*whose, uuid_of(mapped, one, raw), now + timedelta(microseconds=n), raw.decode()) for n, (one, raw) in enumerate(each)]


def _deeper(told: Any, levels: int) -> bool:
    """Whether a value is nested more deeply; goes level by level, so that depth costs no stack."""
    level = [told]
    for _ in range(levels):
        level = [inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def _too_large() -> BadInput:
    return BadInput("The body is too large.", code="input.too_large", status=413, fix="Send at most 1 MB.")

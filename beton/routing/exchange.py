"""Requests to a service's API, each with every way it can end read into a `Reply` or a `Silence`.

A service is a stranger like any receiver: its name is resolved once for each request and every address judged, redirects are not followed, 64 KB are
read at most and never decompressed, and all requests of one attempt together have `SECONDS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx
import orjson

from beton.errors import BadInput, DestinationBadStatus, DestinationError, DestinationGone, DestinationRefused, excerpt
from beton.routing.addresses import Resolve, allowed_addresses, check_url, host_of, resolve
from beton.routing.destinations import ChannelSettings
from beton.routing.outcomes import Kind, Outcome
from beton.routing.pinned import Reach
from beton.routing.schedule import seconds_wished
from beton.routing.webhook import NO_ANSWER, Patience, kind_of_status, shown, silence

Method = Literal["GET", "POST", "PUT", "PATCH"]

LARGEST = 64 * 1024
"""Bytes of an answer; a longer one is not `whole`."""

SECONDS = 40.0
"""For all requests of one attempt: less than the lease of a delivery."""

UNHURRIED = Patience(head=5.0)
"""An answer that has to be understood may take longer than one of which the status is all."""

_MOST_ADDRESSES = 3
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)
_AGAIN = (409, 423)
"""Statuses that services give while somebody else changes the same thing."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` is its beginning, all of it where `whole`."""

    where: str
    status: int
    latency_ms: int
    at: datetime
    headers: httpx.Headers
    body: bytes = field(repr=False)
    whole: bool
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def good(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def content(self) -> Any:
        """The JSON in it; `None` where it is cut off, compressed, or none."""
        if not self.whole:
            return None
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @property
    def object(self) -> dict[str, Any]:
        """The JSON object in it; an empty one where it holds anything else."""
        found = self.content
        return found if isinstance(found, dict) else {}

    @property
    def head(self) -> str | None:
        """Its beginning as text, for the log."""
        encoding = self.headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            return f"(at least {len(self.body)} bytes, {excerpt(encoding, limit=40)})"
        return shown(self.body, self.secrets) if self.body else None

    def outcome(self, kind: Kind | None = None, said: str | None = None) -> Outcome:
        """What the attempt came to: as the status says, unless the service's own words (`said`) tell otherwise."""
        kind = kind or self.kind
        wish = seconds_wished(self.headers.get("retry-after"), self.at) if kind == "retry" else None
        failure = None if kind == "delivered" else self._no(kind, said)
        return Outcome(kind, self.latency_ms, self.status, self.head, failure, wish)

    @property
    def kind(self) -> Kind:
        """What the status means."""
        return "retry" if self.status in _AGAIN else kind_of_status(self.status)

    def _no(self, kind: Kind, said: str | None) -> DestinationError:
        words = f": {excerpt(said, self.secrets, limit=300)}" if said else "."
        message, details = f"{self.where} answered {self.status}{words}", {"status": self.status}
        if kind == "gone":
            return DestinationGone(message, details=details)
        if self.good and said:
            return DestinationError(message, code="destination.not_done", details=details)
        if self.good:
            return DestinationError(
                f"{self.where} answered {self.status}, but not in its own words.", code="destination.not_understood", details=details
            )
        return DestinationBadStatus(message, details=details)


@dataclass(frozen=True, slots=True)
class Silence:
    """No status came. `sent` says whether the request may have arrived."""

    failure: DestinationError
    latency_ms: int
    kind: Kind
    sent: bool

    def outcome(self, *, uncertain: bool = False) -> Outcome:
        """What the attempt came to; where a repetition would be seen (`uncertain`), a request that may have arrived leaves it in doubt."""
        return Outcome("in_doubt" if uncertain and self.sent else self.kind, self.latency_ms, failure=self.failure)


@dataclass
class Service:
    """One service's API for the time of one attempt. `base` ends without a slash; `secrets` are kept out of all that is said of it."""

    base: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    reach: Reach
    client: httpx.AsyncClient
    clock: Callable[[], datetime]
    resolve: Resolve = resolve
    patience: Patience = UNHURRIED
    seconds: float = SECONDS
    _until: float | None = field(default=None, init=False)

    async def ask(self, method: Method, path: str, content: Any = None) -> Reply | Silence:
        """One request, with `content` as its JSON. Raises nothing about the service."""
        loop = asyncio.get_running_loop()
        self._until = self._until or loop.time() + self.seconds
        left = self._until - loop.time()
        began, trace = self.clock(), _Trace()
        try:
            async with asyncio.timeout(min(left, self.patience.status)):
                response = await self._status(method, path, None if content is None else orjson.dumps(content), trace)
        except (BadInput, DestinationRefused) as failure:
            return Silence(_refusal(failure), self._since(began), _kind_of(failure), sent=False)
        except NO_ANSWER as error:
            sent = trace.sent or not isinstance(error, (*_NOT_SENT, TimeoutError))
            return Silence(silence(error, self.where), self._since(began), "retry", sent)
        latency, answered = self._since(began), self.clock()
        body, whole = await _read(response, min(self.patience.head, max(0.0, self._until - loop.time())))
        return Reply(self.where, response.status_code, latency, answered, response.headers, body, whole, self.secrets)

    @property
    def where(self) -> str:
        """The host alone: paths may carry tokens."""
        try:
            return host_of(httpx.URL(self.base)) or "The address"
        except httpx.InvalidURL:
            return "The address"

    async def _status(self, method: Method, path: str, content: bytes | None, trace: _Trace) -> httpx.Response:
        """The response with its body unread, from the first address that can be connected to."""
        reach = {"allow_insecure": self.reach.allow_insecure, "allow_local": self.reach.allow_local}
        url = check_url(self.base + path, **reach)
        headers = {**self.headers, "Accept-Encoding": "identity", "Host": url.netloc.decode("ascii")}
        if content is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        extensions = {"sni_hostname": host_of(url), "trace": trace}
        unreachable: httpx.TransportError | None = None
        for address in (await allowed_addresses(url, resolve=self.resolve, **reach))[:_MOST_ADDRESSES]:
            request = self.client.build_request(method, url.copy_with(host=address), content=content, headers=headers, extensions=extensions)
            try:
                return await self.client.send(request, stream=True, follow_redirects=False)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreachable = error
        raise unreachable or httpx.ConnectError("no address")

    def _since(self, began: datetime) -> int:
        return max(0, round((self.clock() - began).total_seconds() * 1000))


def with_token(
    base: str,
    token: str,
    destination: ChannelSettings,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve,
    patience: Patience,
) -> Service:
    """A service that is asked with a bearer token."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    return Service(base.rstrip("/"), headers, (token,), Reach(destination.allow_insecure, destination.allow_local), client, clock, resolve, patience)


class _Trace:
    """Notes whether a request began to leave this machine."""

    def __init__(self) -> None:
        self.sent = False

    async def __call__(self, event: str, info: Any) -> None:
        del info
        self.sent = self.sent or event.endswith("send_request_headers.started")


async def _read(response: httpx.Response, seconds: float) -> tuple[bytes, bool]:
    """The beginning of the body, and whether that is all of it, as it is."""
    body, ended = b"", False
    try:
        async with asyncio.timeout(seconds):
            async for part in response.aiter_raw():
                body += part[: LARGEST + 1 - len(body)]
                if len(body) > LARGEST:
                    break
            else:
                ended = True
    except NO_ANSWER:
        pass
    finally:
        await response.aclose()
    return body[:LARGEST], ended and response.headers.get("content-encoding", "identity").lower() == "identity"


def _refusal(failure: BadInput | DestinationRefused) -> DestinationRefused:
    return failure if isinstance(failure, DestinationRefused) else DestinationRefused(failure.message, fix=failure.fix, code=failure.code)


def _kind_of(failure: BadInput | DestinationRefused) -> Kind:
    """A name that does not resolve may do so later; all else has to be changed by a person."""
    return "retry" if failure.code == "destination.unknown_host" else "refused"

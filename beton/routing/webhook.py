"""One attempt to hand a message to a webhook receiver, with every way it can end read into an `Outcome`.

A receiver is a stranger: it may be slow, endless, lying or hostile. It has 15 seconds to give a status and one more for the beginning of its
answer, of which 64 KB are read at most, never decompressed, and 2 KB kept. Redirects are not followed, since the next address was not checked.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy

import httpx

from beton.errors import BadInput, DestinationBadStatus, DestinationError, DestinationGone, DestinationRefused, DestinationTimeout, excerpt
from beton.routing.addresses import Resolve, allowed_addresses, check_headers, check_url, host_of, resolve
from beton.routing.destinations import WebhookSettings
from beton.routing.messages import Message
from beton.routing.outcomes import Destination, Kind, Outcome
from beton.routing.schedule import seconds_wished
from beton.routing.signing import signed_headers

RESPONSE_HEAD = 2048
_MOST_READ = 64 * 1024
_MOST_ADDRESSES = 3
NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)  # OSError: also time


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to connect, for all until the status, and then for the beginning of the answer."""

    connect: float = 5.0
    status: float = 15.0
    head: float = 1.0


@cache
def trusted() -> ssl.SSLContext:
    """The authorities that httpx trusts, or those of SSL_CERT_FILE. Read once: it takes longer than many a delivery."""
    return httpx.create_ssl_context()


def open_client(patience: Patience | None = None, verify: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """A client for one destination, to be closed by the caller.

    One each, because connections are made to addresses instead of names: two names behind one address must not share a connection that was
    verified for the other. Neither proxies nor passwords are taken from the environment, and no cookie is kept.
    """
    patience = patience or Patience()
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(patience.status, connect=patience.connect),
        follow_redirects=False,
        trust_env=False,
        verify=verify or trusted(),
        headers={"User-Agent": "beton/0.1", "Accept": "*/*"},
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


async def send(
    destination: WebhookSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience | None = None,
) -> Outcome:
    """Post the message's payload once; see `deliver`."""
    body = message.payload or b"{}"
    return await deliver(destination.destination(), message.message_id, body, client=client, clock=clock, resolve=resolve, patience=patience)


async def deliver(
    destination: Destination,
    message_id: str,
    body: bytes,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience | None = None,
) -> Outcome:
    """Post `body` once. Returns an outcome whatever the receiver does; nothing about a receiver is raised.

    `message_id` and `body` have to be the same in every attempt, so that a receiver that keeps ids acts once. A missing answer is therefore
    a `retry` even if the message was sent in full.
    """
    patience = patience or Patience()
    began = clock()
    try:
        async with asyncio.timeout(patience.status):
            response = await _status(destination, message_id, body, client, began, resolve)
    except (BadInput, DestinationRefused) as failure:
        refusal = failure if isinstance(failure, DestinationRefused) else DestinationRefused(failure.message, fix=failure.fix, code=failure.code)
        return Outcome(_kind_of(refusal), _milliseconds(began, clock()), failure=refusal)
    except NO_ANSWER as error:
        return Outcome("retry", _milliseconds(began, clock()), failure=silence(error, _where(destination)))
    answered = clock()
    head = await _head(response, destination, patience.head)
    return _judged(response, head, _milliseconds(began, answered), answered, destination)


async def _status(
    destination: Destination, message_id: str, body: bytes, client: httpx.AsyncClient, now: datetime, resolve: Resolve
) -> httpx.Response:
    """The response with its body unread, from the first address that can be connected to."""
    reach = {"allow_insecure": destination.allow_insecure, "allow_local": destination.allow_local}
    url = check_url(destination.url, **reach)
    own = check_headers(destination.headers)
    headers = dict(own) | signed_headers(destination.secret, message_id, now, body)
    headers |= {"Content-Type": "application/json", "Accept-Encoding": "identity", "Host": url.netloc.decode("ascii")}
    addresses = await allowed_addresses(url, resolve=resolve, **reach)
    extensions = {"sni_hostname": host_of(url)}
    unreachable: httpx.TransportError | None = None
    for address in addresses[:_MOST_ADDRESSES]:
        request = client.build_request("POST", url.copy_with(host=address), content=body, headers=headers, extensions=extensions)
        try:
            return await client.send(request, stream=True, follow_redirects=False)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            unreachable = error
    raise unreachable or httpx.ConnectError("no address")


async def _head(response: httpx.Response, destination: Destination, seconds: float) -> str | None:
    """The beginning of the answer as text. Its status is known by now: however the body ends, it changes nothing."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in response.aiter_raw():
                parts.append(part[: max(0, RESPONSE_HEAD - size)])
                size += len(part)
                if size > _MOST_READ:
                    break
    except NO_ANSWER:
        pass
    finally:
        await response.aclose()
    if not size:
        return None
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        return f"(at least {size} bytes, {excerpt(encoding, limit=40)})"
    return shown(b"".join(parts), (destination.secret,))


def shown(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of an answer as text without secrets.

    No receiver may write into a log or a terminal what is not text; NUL is refused by PostgreSQL besides.
    """
    text = body[:RESPONSE_HEAD].decode("utf-8", "replace")
    return excerpt("".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text), secrets, limit=RESPONSE_HEAD)


def _judged(response: httpx.Response, head: str | None, latency_ms: int, now: datetime, destination: Destination) -> Outcome:
    status = response.status_code
    kind = kind_of_status(status)
    wish = seconds_wished(response.headers.get("retry-after"), now) if kind == "retry" else None
    failure = None if kind == "delivered" else _no(kind, status, destination)
    return Outcome(kind, latency_ms, status, head, failure, wish)


def kind_of_status(status: int) -> Kind:
    """What a status means. A redirect is a refusal: its target was never checked."""
    if 200 <= status < 300:
        return "delivered"
    if status == 410:
        return "gone"
    return "retry" if status in (408, 425, 429) or 500 <= status < 600 else "refused"


def _no(kind: Kind, status: int, destination: Destination) -> DestinationError:
    where = _where(destination)
    if kind == "gone":
        return DestinationGone(f"{where} answered 410: it wants no more deliveries.", details={"status": status})
    moved = " A redirect is not followed; give the route the new address." if 300 <= status < 400 else ""
    return DestinationBadStatus(f"{where} answered {status}.{moved}", details={"status": status})


def silence(error: Exception, where: str) -> DestinationError:
    """Why there is no status from the host `where`. httpx reports a refused certificate as a failed connection and keeps the reason in the chain."""
    cause = type(error).__name__
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return DestinationTimeout(f"{where} did not answer in time.", details={"cause": cause})
    if any(isinstance(link, ssl.SSLError) for link in _chain(error)):
        return DestinationRefused(f"No secure connection to {where} is possible: {error}.", code="destination.tls", details={"cause": cause})
    if isinstance(error, httpx.ConnectError):
        return DestinationRefused(f"Nobody listens at {where}: {error}.", code="destination.unreachable", details={"cause": cause})
    return DestinationError(f"{where} broke the connection off.", code="destination.broken", details={"cause": cause})


def _kind_of(refusal: DestinationRefused) -> Kind:
    """A name that does not resolve may do so later; all else has to be changed by a person."""
    return "retry" if refusal.code == "destination.unknown_host" else "refused"


def _where(destination: Destination) -> str:
    """The host alone: paths and queries of webhook URLs carry tokens."""
    return host_of(httpx.URL(destination.url))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _milliseconds(began: datetime, ended: datetime) -> int:
    return max(0, round((ended - began).total_seconds() * 1000))

"""A way to a stranger's server for any client: every request goes to an address that was checked, and to no other.

The name is resolved once for each request, every address of the answer is judged, and the connection made to one of them by number, while TLS and the
`Host` header still speak of the name. A name that resolves differently a moment later gains nothing. Nothing is taken from the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from beton.errors import BadInput, BetonError, DestinationRefused
from beton.routing.addresses import Resolve, allowed_addresses, check_url, host_of, resolve
from beton.routing.webhook import trusted

_MOST_ADDRESSES = 3


@dataclass(frozen=True)
class Reach:
    """What may be called besides public addresses: private ones and plain http, and this machine."""

    allow_insecure: bool = False
    allow_local: bool = True


class Pinned(httpx.AsyncBaseTransport):
    """A transport for one host. `refused` turns the refusal of an address into the error of whoever asks."""

    def __init__(self, reach: Reach, refused: Callable[[BetonError], BetonError] = lambda error: error, resolve: Resolve = resolve) -> None:
        self._reach, self._refused, self._resolve = reach, refused, resolve
        self._inner: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport(verify=trusted(), trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first of the allowed addresses that can be connected to."""
        unreachable: httpx.TransportError | None = None
        for address in (await self._allowed(request.url))[:_MOST_ADDRESSES]:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions | {"sni_hostname": host_of(request.url)},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreachable = error
        raise unreachable or httpx.ConnectError("no address", request=request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _allowed(self, url: httpx.URL) -> list[str]:
        allowed = {"allow_insecure": self._reach.allow_insecure, "allow_local": self._reach.allow_local}
        try:
            check_url(str(url.copy_with(path="/", query=None, fragment=None)), **allowed)
            return await allowed_addresses(url, resolve=self._resolve, **allowed)
        except (BadInput, DestinationRefused) as error:
            if error.code == "destination.unknown_host":
                raise httpx.ConnectError(error.message) from error
            raise self._refused(error) from error

"""The way to a model: a client that connects to the addresses which were checked, and to nothing else, for the library that speaks to it.

The name was resolved once, when the model was chosen; what it resolves to later is not asked. TLS and the `Host` header still speak of the name.
Nothing is taken from the environment (no proxy either), and nobody is followed elsewhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import httpx2

from beton.routing.webhook import trusted

MOST_ADDRESSES = 3


class Checked(httpx2.BaseTransport):
    """A transport for the origin of `url` alone, by way of its checked `addresses`. Another origin is refused, as one that cannot be reached."""

    def __init__(self, url: str, addresses: Sequence[str], verify: ssl.SSLContext | None = None) -> None:
        self._origin, self._addresses = _origin(httpx2.URL(url)), tuple(addresses[:MOST_ADDRESSES])
        self._inner: httpx2.BaseTransport = httpx2.HTTPTransport(verify=verify or trusted(), trust_env=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to the first of the addresses that can be connected to."""
        if _origin(request.url) != self._origin:
            raise httpx2.ConnectError(f"{request.url.host} is not the model's address.", request=request)
        unreachable: httpx2.TransportError | None = None
        for address in self._addresses:
            pinned = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions | {"sni_hostname": self._origin[1]},
            )
            try:
                return self._inner.handle_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                unreachable = error
        raise unreachable or httpx2.ConnectError("no address", request=request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def open_model_client(url: str, addresses: Sequence[str], *, timeout: float, verify: ssl.SSLContext | None = None) -> httpx2.Client:
    """A client for the model at `url`, whose name led to these `addresses` when they were checked. `timeout` in seconds."""
    return httpx2.Client(transport=Checked(url, addresses, verify), timeout=timeout, follow_redirects=False, trust_env=False)


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    name = url.raw_host.decode("ascii").rstrip(".").lower().strip("[]")
    return url.scheme, name, url.port or (443 if url.scheme == "https" else 80)

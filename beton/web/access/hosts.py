"""By which names the server is called, and from where.

The `Host` header must name this machine. A page on the internet can point its own name at 127.0.0.1 and have a browser ask us (DNS rebinding);
the browser then still sends the page's name. `X-Forwarded-Host` is not looked at, because such a page can set it. The other forwarding headers are
believed only from proxies that the operator trusts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping

from litestar.types import Scope

from beton.errors import Forbidden

Headers = Mapping[bytes, str]


class Names:
    """What this server is called."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = {"localhost", *(name.lower().strip("[]") for name in names)}

    def check(self, host: str) -> None:
        """`Forbidden` (421) for a `Host` header that names somebody else."""
        name = name_of(host)
        if name not in self._names and not is_loopback(name):
            raise Forbidden(
                "This server does not answer to the name it was called by.",
                code="forbidden.host_name",
                status=421,
                fix="Call it by localhost or 127.0.0.1, or add the name to BETON_ALLOWED_HOSTS.",
            )


class Proxies:
    """The reverse proxies whose word is believed."""

    def __init__(self, networks: Collection[str]) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]

    def client_of(self, scope: Scope, headers: Headers) -> str:
        """The address of whoever asks: the last one that no trusted proxy has."""
        address = _direct(scope)
        hops = [part.strip() for part in headers.get(b"x-forwarded-for", "").split(",") if part.strip()]
        while hops and self.trusted(address):
            address = hops.pop()
        return address

    def secure(self, scope: Scope, headers: Headers) -> bool:
        """Whether the browser speaks https, to us or to the proxy before us."""
        forwarded = headers.get(b"x-forwarded-proto", "").lower()
        return forwarded == "https" if forwarded and self.trusted(_direct(scope)) else scope.get("scheme") == "https"

    def trusted(self, address: str) -> bool:
        """Whether this is one of them."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)


def _direct(scope: Scope) -> str:
    """The address at the other end of the connection."""
    client = scope.get("client")
    return client[0] if client else ""


def is_loopback(name: str) -> bool:
    """Whether this is an address of this machine itself, written as a number."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def name_of(host: str) -> str:
    """The host of a `Host` header without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()

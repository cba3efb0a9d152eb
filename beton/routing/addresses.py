"""Which addresses may be called, decided when a route is saved and again for every attempt.

A webhook's URL is chosen by a person and its name resolved by a stranger's server: it could point at this machine, at its network, or at
the place where clouds keep machine credentials. So the text is checked (`check_url`), its name resolved once, every address of the answer
checked (`allowed_addresses`), and the connection made to a checked address: a name that resolves differently a moment later gains nothing.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpx

from beton.errors import BadInput, DestinationRefused, Fault

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Name and port to addresses as texts, the preferred first. Raises OSError when the name is unknown."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Not public either, though the library calls some of them global: assignments of the IETF, IPv4 in its oldest wrapping, translation within a site,
# site-local addresses, documentation, segment routing.
_NEVER_PUBLIC = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "::/96", "64:ff9b:1::/48", "fec0::/10", "2001:db8::/32", "3fff::/20", "5f00::/16"))
)
# Where clouds keep the credentials of machines, besides the link-local addresses: not even for an operator who allows private networks.
_CREDENTIALS = frozenset(map(ipaddress.ip_address, ("192.0.0.192", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")))
_LONGEST = 2048
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "te", "upgrade"})

# Its own threads: names that never resolve would otherwise take those that everything else in the process waits for.
_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="beton-resolve")


async def resolve(name: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_threads, lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_url(url: str, *, allow_insecure: bool = False, allow_local: bool = True) -> httpx.URL:
    """The URL of a receiver, or `BadInput` (`route.url_invalid`, `route.url_insecure`) that says what is wrong with it.

    https is asked for, except on this machine (`localhost` and loopback addresses) or where the operator allows insecure hosts. `allow_local` is
    for a server that only this machine can reach: for others, what listens on its loopback is none of theirs.
    """
    if not url or len(url) > _LONGEST or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise _refused("The URL is empty, too long, or contains spaces or control characters.", "Give one URL such as https://example.com/hooks.")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _refused(f"This is not a URL: {error}.", "Give one URL such as https://example.com/hooks.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _refused("A webhook is called over https.", "Start the URL with https:// and the name of a host.")
    if parsed.userinfo:
        raise _refused("The URL contains a user name or password.", "Send them as an Authorization header instead.")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise _refused(f"{parsed.port} is not a port.", "Give a port from 1 to 65535, or none.")
    name = host_of(parsed)
    address = _address(name)
    if address is None and re.fullmatch(r"\d+|0x[0-9a-f]*", name.rsplit(".", 1)[-1]):
        raise _refused("The host is a number in disguise.", "Write an IP address as four decimal numbers.")
    local = allow_local and is_local(name)
    if parsed.scheme == "http" and not (allow_insecure or local):
        raise _refused("http would send signals unencrypted.", "Use https, or let the operator allow insecure hosts.", "route.url_insecure")
    if address is not None and not local and not _may_call(address, allow_insecure):
        raise _refused(f"{address} is not a public address.", "Use a public address, or let the operator allow insecure hosts.", "route.url_insecure")
    return parsed


def check_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The operator's own headers, or `BadInput` (`route.header_invalid`) with every one that cannot be sent. Values are not repeated."""
    kept = tuple(headers)
    faults = [Fault(f"headers[{index}]", fault) for index, (name, value) in enumerate(kept) if (fault := _header_fault(name, value))]
    if faults:
        raise BadInput("Some headers cannot be sent.", faults, code="route.header_invalid")
    return kept


async def allowed_addresses(url: httpx.URL, *, allow_insecure: bool, resolve: Resolve, allow_local: bool = True) -> list[str]:
    """The addresses behind a checked URL. `DestinationRefused` when the name is unknown or any of its addresses may not be called."""
    name = host_of(url)
    local = allow_local and is_local(name)
    try:
        found = [name] if _address(name) is not None else await resolve(name, url.port or (443 if url.scheme == "https" else 80))
    except (OSError, UnicodeError):  # UnicodeError: a label that cannot be a name
        found = []
    if not found:
        raise DestinationRefused(f"The name {name} cannot be resolved.", code="destination.unknown_host")
    for text in found:
        address = _address(text)
        if address is None or not (_may_call(address, allow_insecure) or (local and address.is_loopback)):
            raise DestinationRefused(
                f"{name} leads to {text}, which is not a public address.",
                code="destination.address_forbidden",
                fix="Use a receiver with a public address, or let the operator allow insecure hosts.",
            )
    return found


def host_of(url: httpx.URL) -> str:
    """The host's name as the resolver wants it: lower case, no final dot, international names in ASCII."""
    return url.raw_host.decode("ascii").rstrip(".").lower().strip("[]")


def is_local(name: str) -> bool:
    """Whether a host is this machine by its very name."""
    address = _address(name)
    return address.is_loopback if address is not None else name == "localhost" or name.endswith(".localhost")


def _may_call(address: _Address, allow_insecure: bool) -> bool:
    if address.is_multicast or address.is_unspecified or address.is_link_local or address in _CREDENTIALS:
        return False
    return allow_insecure or (address.is_global and not any(address in network for network in _NEVER_PUBLIC))


def _address(text: str) -> _Address | None:
    """The address that is meant: an IPv4 address wrapped in an IPv6 one is judged as what it leads to."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address


def _header_fault(name: str, value: str) -> str | None:
    if not _HEADER_NAME.fullmatch(name):
        return "is not a header name"
    if name.lower() in _OURS or name.lower().startswith(("webhook-", "x-beton-")):
        return "is set by Beton itself"
    if len(value) > _LONGEST or not re.fullmatch(r"[\x20-\x7e\t]*", value):
        return "has a value with line breaks, control characters or non-ASCII letters, or one that is too long"
    return None


def _refused(message: str, fix: str, code: str = "route.url_invalid") -> BadInput:
    return BadInput(message, [Fault("url", message)], fix=fix, code=code)

"""Some three hundred ways to write an address that may not be called: none of them leads to a connection, at save, at test or at use."""

import asyncio
import itertools
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from beton.errors import BadInput, BetonError, DestinationRefused
from beton.posthog.client import PostHogClient
from beton.posthog.hosts import normalise_host
from beton.posthog.limits import Limits
from beton.routing.addresses import check_url
from beton.routing.outcomes import Destination
from beton.routing.pinned import Pinned, Reach
from beton.routing.signing import new_secret
from beton.routing.webhook import deliver, open_client

NOW = datetime(2026, 3, 2, tzinfo=UTC)
PRIVATE = (
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1",  # noqa: S104
    "192.168.255.255", "169.254.169.254", "169.254.170.2", "169.254.0.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "192.0.2.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
)  # fmt: skip


def disguised(address: str) -> list[str]:
    """The same address as resolvers and sloppy parsers also read it."""
    octets = [int(part) for part in address.split(".")]
    number = int.from_bytes(bytes(octets), "big")
    high, low = number >> 16, number & 0xFFFF
    return [
        address, f"{address}.", str(number), hex(number), f"0{number:o}", ".".join(f"0{part:o}" for part in octets), ".".join(map(hex, octets)),
        f"{octets[0]}.{number & 0xFFFFFF}", f"[::ffff:{address}]", f"[::ffff:{high:x}:{low:x}]", f"[::{address}]", f"[64:ff9b::{address}]",
        f"[2002:{high:x}:{low:x}::1]",
    ]  # fmt: skip


NAMES = [
    "localhost", "LOCALHOST.", "a.localhost", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd00:ec2::254]",
    "[ff02::1]", "[fec0::1]", "[2001:db8::1]", "[64:ff9b:1::a00:1]", "[100::1]", "[3fff::1]", "[5f00::1]",
]  # fmt: skip
RESOLVED = [
    "metadata.google.internal",
    "metadata",
    "instance-data",
    "kubernetes.default.svc",
    "127.0.0.1.nip.io",
    "rebinding.example",
    "intranet",
    "db.internal",
]
TRICKS = [
    "https://public.example@127.0.0.1/", "https://127.0.0.1#@public.example/", "https://127.0.0.1\\@public.example/", "https://public.example:80@10.0.0.1/",
    "https://127.0.0.1%2f@public.example", "https://\u2460\u2461\u2466.0.0.1/", "https://\uff11\uff12\uff17.0.0.1/", "https://127\u30020\u30020\u30021/",
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "ftp://127.0.0.1/", "unix:///var/run/docker.sock", "https:///127.0.0.1/", "https://127.0.0.1:0/",
    "https://127.0.0.1:99999/", "https://[::1", "https://", "//127.0.0.1/", "https://127.0.0.1\t/", "https://127.0.0.1\n.public.example/",
    "data:text/plain,x",
    "https://user:secret@127.0.0.1/", "https://0/", "https://0x0/", "https://127.1/", "https://127.0.1/",
]  # fmt: skip
HOSTILE = [f"https://{host}/" for host in [*itertools.chain.from_iterable(map(disguised, PRIVATE)), *NAMES]] + TRICKS
BEHIND_NAMES = [
    (name, address) for name in RESOLVED for address in ("127.0.0.1", "169.254.169.254", "10.0.0.7", "::1", "fd00:ec2::254", "::ffff:10.0.0.7")
]
STRANGERS = Reach(allow_insecure=False, allow_local=False)


def resolving(address: str) -> Callable[[str, int], Any]:
    async def resolve(name: str, port: int) -> list[str]:
        return [address]

    return resolve


@pytest.fixture(autouse=True)
def no_connection(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every connection that is tried fails the test, wherever it is made."""
    tried: list[Any] = []

    async def refuse(*where: Any, **more: Any) -> Any:
        tried.append(where)
        raise AssertionError(f"a connection was made to {where}")

    monkeypatch.setattr("anyio.connect_tcp", refuse)
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", lambda *where: refuse(*where))
    return tried


def posthog(url: str, transport: Pinned) -> PostHogClient:
    host = normalise_host(url)
    return PostHogClient(
        host, 1, SecretStr("phx_" + "a" * 40), Limits.for_cloud(1.0, clock=lambda: NOW), clock=lambda: NOW, transport=transport, attempts=1
    )


def test_there_are_three_hundred_of_them() -> None:
    assert len(set(HOSTILE)) + len(BEHIND_NAMES) >= 300


@pytest.mark.parametrize("url", HOSTILE)
def test_no_hostile_text_leads_to_a_connection(url: str, no_connection: list[Any]) -> None:
    async def all_ways() -> None:
        with pytest.raises((BetonError, httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.ConnectError)):
            async with httpx.AsyncClient(transport=Pinned(STRANGERS, resolve=resolving("127.0.0.1"))) as client:
                await client.get(url)
        with pytest.raises(BetonError):  # at save, or at the test before it
            async with posthog(url, Pinned(STRANGERS, resolve=resolving("127.0.0.1"))) as reader:
                await reader.query("SELECT 1", name="test")
        async with open_client() as client:
            told = await deliver(
                Destination(url, new_secret(), allow_local=False), "m", b"{}", client=client, clock=lambda: NOW, resolve=resolving("127.0.0.1")
            )
        assert isinstance(told.failure, DestinationRefused)

    asyncio.run(all_ways())
    assert no_connection == []


def test_nearly_all_are_refused_before_they_are_kept() -> None:
    """The few that are not are names, of which only the resolver knows more."""
    kept = []
    for url in HOSTILE:
        try:
            kept.append(check_url(url, allow_local=False).host)
        except BadInput:
            continue
    assert {name.rstrip(".").lower() for name in kept} <= {"localhost", "a.localhost", "public.example"}


@pytest.mark.parametrize(("name", "address"), BEHIND_NAMES)
def test_no_name_leads_inside(name: str, address: str, no_connection: list[Any]) -> None:
    async def ask() -> None:
        transport = Pinned(STRANGERS, resolve=resolving(address))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(DestinationRefused):
                await client.get(f"https://{name}/")

    asyncio.run(ask())
    assert no_connection == []


def test_a_name_is_resolved_once_and_the_answer_is_what_is_called() -> None:
    asked, called = [], []

    async def rebinding(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    class Inner(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            called.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
            return httpx.Response(302, headers={"location": "https://127.0.0.1/"})

    async def ask() -> int:
        transport = Pinned(STRANGERS, resolve=rebinding)
        transport._inner = Inner()
        async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
            with pytest.raises(BetonError):  # even a client that would follow gets nowhere
                await client.get("https://rebinding.example/")
            with pytest.raises(DestinationRefused):
                await client.get("https://rebinding.example/")
        return len(called)

    assert asyncio.run(ask()) == 1
    assert called == [("93.184.216.34", "rebinding.example", "rebinding.example")]


def test_the_operator_may_allow_private_addresses_but_not_those_of_credentials() -> None:
    allowed = Reach(allow_insecure=True, allow_local=False)
    for address, may in (
        ("10.0.0.7", True),
        ("127.0.0.1", True),
        ("169.254.169.254", False),
        ("fd00:ec2::254", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
    ):
        found = asyncio.run(_outcome(Pinned(allowed, resolve=resolving(address))))
        assert found is may, address


async def _outcome(transport: Pinned) -> bool:
    class Inner(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(204)

    transport._inner = Inner()
    async with httpx.AsyncClient(transport=transport) as client:
        try:
            return (await client.get("https://intranet.example/")).status_code == 204
        except DestinationRefused:
            return False

"""What only a real connection shows: names that do not resolve, certificates, silence, answers that break off."""

import asyncio
import gzip
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from beton.errors import PostHogError
from beton.posthog.client import PostHogClient, QueryResult
from beton.posthog.hosts import Host, normalise_host
from beton.posthog.limits import Limits
from tests.posthog.fake_posthog import KEY, SimulatedTime

BODY = b'{"results": [[1]], "columns": ["a"], "types": [["a", "UInt8"]]}'


def answer(head: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {head}\r\n".encode() + b"\r\n" + body


WHOLE = answer(f"200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}", BODY)
PACKED = gzip.compress(BODY)


async def ask(host: Host, longest: float = 20.0) -> QueryResult:
    time = SimulatedTime()
    limits = Limits.for_cloud(clock=time, sleep=time.sleep)
    async with PostHogClient(host, 7, SecretStr(KEY), limits, clock=time, sleep=time.sleep, attempts=1, longest_request=longest) as client:
        return await client.query("SELECT 1", name="test")


def against(content: bytes, *, context: ssl.SSLContext | None = None) -> QueryResult:
    """Ask a server that says exactly these bytes, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()
        writer.close()

    async def story() -> QueryResult:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await ask(normalise_host(f"{'https' if context else 'http'}://127.0.0.1:{port}"))

    return asyncio.run(story())


@pytest.mark.parametrize(
    "content",
    [WHOLE, answer(f"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(PACKED)}", PACKED)],
    ids=["plain", "gzip"],
)
def test_a_whole_answer_is_read(content: bytes) -> None:
    assert against(content).rows == [[1]]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "posthog.connection_broken"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "posthog.connection_broken"),
        (answer("200 OK\r\nContent-Length: 5000", BODY), "posthog.connection_broken"),
        (answer("200 OK\r\nTransfer-Encoding: chunked", b'5\r\n{"res'), "posthog.connection_broken"),
        (answer("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9", b"not gzip!"), "posthog.bad_json"),
        (answer("200 OK\r\nContent-Length: 0", b""), "posthog.bad_json"),
        (answer("200 OK\r\nContent-Type: text/html\r\nContent-Length: 6", b"<html>"), "posthog.not_json_wrong_region"),
        (answer("307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0", b""), "posthog.redirected"),
        (answer("407 Proxy\r\nContent-Length: 0", b""), "posthog.unexpected_status"),
    ],
)
def test_a_broken_answer_has_its_code(content: bytes, code: str) -> None:
    with pytest.raises(PostHogError) as failure:
        against(content)
    assert failure.value.code == code


@pytest.mark.parametrize(
    ("address", "code"),
    [("http://127.0.0.1:1", "posthog.host_unreachable"), ("https://posthog.nowhere.invalid", "posthog.dns")],
)
def test_a_server_that_is_not_there_has_its_code(address: str, code: str) -> None:
    with pytest.raises(PostHogError) as failure:
        asyncio.run(ask(normalise_host(address)))
    assert failure.value.code == code


def test_a_trickle_of_bytes_cannot_hold_a_place_for_ever() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def story() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            await ask(normalise_host(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), longest=0.3)

    with pytest.raises(PostHogError) as failure:
        asyncio.run(story())
    assert failure.value.code == "posthog.query_timeout"


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "posthog.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(encoded + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


def test_a_certificate_nobody_vouches_for_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(PostHogError) as failure:
        against(WHOLE, context=self_signed(tmp_path))
    assert failure.value.code == "posthog.tls"
    assert "self-signed certificate" in failure.value.message


def test_https_to_a_server_without_tls_is_a_matter_of_tls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE)
        await writer.drain()
        writer.close()

    async def story() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            await ask(normalise_host(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))

    with pytest.raises(PostHogError) as failure:
        asyncio.run(story())
    assert failure.value.code == "posthog.tls"

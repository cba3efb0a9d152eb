"""Real sockets, every fault of the list: a typed outcome, soon, and without taking in what is sent."""

import asyncio
import gzip
import socket
import time
import tracemalloc
from datetime import UTC, datetime

import pytest

from beton.errors import DestinationBadStatus, DestinationError, DestinationGone, DestinationRefused, DestinationTimeout
from beton.routing.outcomes import Destination
from beton.routing.webhook import RESPONSE_HEAD, Patience, deliver, open_client
from tests.routing.fakes import SECRET
from tests.routing.servers import answer, forever, raw, request_read, reset_at_once, serving, silence

PATIENCE = Patience(connect=0.5, status=0.5, head=0.2)
OK_ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def sent_to(url, patience=PATIENCE):
    async def once():
        async with open_client(patience) as client:
            return await deliver(Destination(url, SECRET), "msg_1", b'{"a":1}', client=client, clock=lambda: datetime.now(UTC), patience=patience)

    began = time.monotonic()
    outcome = asyncio.run(once())
    assert time.monotonic() - began < 2.5, "an attempt must end within its patience"
    assert "T0KEN" not in (outcome.failure.message if outcome.failure else ""), "paths and queries carry tokens"
    return outcome


def met(script, patience=PATIENCE):
    with serving(script) as url:
        return sent_to(url, patience)


STATUSES = {
    "delivered": [200, 201, 202, 204, 206, 226, 299],
    "retry": [408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599],
    "refused": [300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 409, 411, 413, 415, 418, 421, 422, 451, 499, 600, 999],
    "gone": [410],
}


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind, statuses in STATUSES.items() for status in statuses])
def test_every_status_has_its_meaning(kind, status):
    outcome = met(answer(status, body=b"" if status in (204, 304) else b"so it is"))

    assert (outcome.kind, outcome.status_code) == (kind, status)
    assert outcome.response_head == (None if status in (204, 304) else "so it is")
    expected = {"delivered": type(None), "gone": DestinationGone}.get(kind, DestinationBadStatus)
    assert type(outcome.failure) is expected


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status):
    followed = []

    def target(connection):
        followed.append(request_read(connection))

    with serving(target) as elsewhere:
        outcome = met(answer(status, f"Location: {elsewhere}"))

    assert (outcome.kind, followed) == ("refused", [])
    assert "redirect is not followed" in outcome.failure.message


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    outcome = sent_to(f"http://127.0.0.1:{port}/T0KEN")

    assert (outcome.kind, outcome.status_code) == ("retry", None)
    assert isinstance(outcome.failure, DestinationRefused)
    assert outcome.failure.code == "destination.unreachable"


@pytest.mark.parametrize(
    ("script", "failure", "code"),
    [
        (reset_at_once, DestinationError, "destination.broken"),
        (raw(b""), DestinationError, "destination.broken"),
        (raw(b"", then_reset=True), DestinationError, "destination.broken"),
        (raw(b"HTTP/1.1 200"), DestinationError, "destination.broken"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Le", then_reset=True), DestinationError, "destination.broken"),
        (raw(b"\x16\x03\x01\x02\x00 not http at all\r\n\r\n"), DestinationError, "destination.broken"),
        (raw(b"220 smtp.example.com ESMTP\r\n"), DestinationError, "destination.broken"),
        (raw(b"HTTP/1.1 abc OK\r\n\r\n"), DestinationError, "destination.broken"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n"), DestinationError, "destination.broken"),
        (raw(b"HTTP/1.1 200 OK\r\nBad\x00Header: 1\r\n\r\n"), DestinationError, "destination.broken"),
        (forever(b"HTTP/1.1 200 OK\r\n", b"X-Long: " + b"a" * 8000 + b"\r\n"), DestinationError, "destination.broken"),
        (silence, DestinationTimeout, "destination.timeout"),
        (forever(b"HTTP/1.1 200 OK\r\n", b"X", pause=0.05), DestinationTimeout, "destination.timeout"),
        (forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01), DestinationTimeout, "destination.timeout"),
    ],
)
def test_no_status_is_tried_again(script, failure, code):
    outcome = met(script)

    assert (outcome.kind, outcome.status_code, outcome.response_head) == ("retry", None, None)
    assert type(outcome.failure) is failure
    assert outcome.failure.code == code


@pytest.mark.parametrize(
    ("script", "head"),
    [
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut sho"), "cut sho"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nreset", then_reset=True), "reset"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), None),
        (forever(OK_ENDLESS, b"drip ", pause=0.15), "drip "),
        (answer(200, body=b'{"truncated": '), '{"truncated": '),
        (answer(200, "Content-Type: text/html", body=b"<html>sign in</html>"), "<html>sign in</html>"),
        (answer(200, body=b"\xff\xfe\x00\x1b[31m"), "����[31m"),
        (answer(200, "Set-Cookie: a=b", "Retry-After: soon", body=b"fine"), "fine"),
        (raw(b"HTTP/1.0 200 OK\r\n\r\nold"), "old"),
        (raw(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), "ok"),
    ],
)
def test_after_a_good_status_nothing_in_the_body_changes_it(script, head):
    outcome = met(script)

    assert (outcome.kind, outcome.status_code, outcome.failure) == ("delivered", 200, None)
    assert outcome.response_head is None if head is None else outcome.response_head.startswith(head)


def test_a_gibibyte_is_not_read():
    written = 0

    def endless(connection):
        nonlocal written
        request_read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        part = b"x" * 65536
        for _ in range(16384):
            connection.sendall(part)
            written += len(part)

    tracemalloc.start()
    outcome = met(endless)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outcome.kind == "delivered"
    assert outcome.response_head == "x" * RESPONSE_HEAD
    assert peak < 8 * 1024 * 1024
    assert written < 16 * 1024 * 1024, "what the kernel's buffers hold, but no more"


def test_a_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(20 * 1024 * 1024))

    tracemalloc.start()
    outcome = met(answer(500, "Content-Encoding: gzip", body=bomb))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outcome.kind == "retry"
    assert outcome.response_head is not None
    assert outcome.response_head.endswith("bytes, gzip)")
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("wish", ["7", "Mon, 02 Mar 2099 09:31:30 GMT"])
def test_a_wish_is_kept_with_the_outcome(wish):
    assert met(answer(429, f"Retry-After: {wish}")).retry_after == (7.0 if wish == "7" else 86400.0)
    assert met(answer(503, f"Retry-After: {wish}")).retry_after is not None
    assert met(answer(404, f"Retry-After: {wish}")).retry_after is None


def test_the_answer_cannot_echo_the_secret_into_the_log():
    assert SECRET not in (met(answer(400, body=f"bad key {SECRET}".encode())).response_head or "")

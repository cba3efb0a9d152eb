"""Every client against every fault, on real sockets: a typed outcome, soon, without taking in what is sent, and without its secrets in any text.

The webhook has its own, finer matrix beside this one; here it stands with the others for the sake of what they share.
"""

import asyncio
import gzip
import json
import socket
import time
import tracemalloc
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from beton.errors import DestinationError, PostHogError
from beton.posthog.client import PostHogClient
from beton.posthog.hosts import normalise_host
from beton.posthog.limits import Limits
from beton.routing import attio, hubspot, posthog_writes, slack
from beton.routing.outcomes import Outcome
from beton.routing.webhook import Patience, deliver, open_client
from tests.posthog.fake_posthog import SimulatedTime
from tests.routing import fake_attio, fake_hubspot, fake_posthog_writes, fake_slack
from tests.routing.apis import a_message
from tests.routing.certificates import self_signed
from tests.routing.fakes import SECRET, a_destination
from tests.routing.servers import answer, forever, raw, request_read, reset_at_once, serving, silence

PATIENCE = Patience(connect=2.0, status=2.0, head=1.0)
SHORT = Patience(connect=0.5, status=0.3, head=0.15)
"""Where the server is waited for in vain."""
ADDRESS = "http://127.0.0.1:{port}"
PERSON = a_message(unit_kind="person", unit=str(uuid.UUID(int=7)))
MEBI = 1024 * 1024
BOMB = gzip.compress(bytes(64 * MEBI), 1)


async def nowhere(name: str, port: int) -> list[str]:
    raise OSError(name)


async def here(name: str, port: int) -> list[str]:
    return ["127.0.0.1"]


Send = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Client:
    """A way to send one message to a server at an address, with what must never be told of it."""

    settings: Callable[[str], Any]
    send: Send
    secret: str
    uncertain: bool = False
    """Whether a lost answer leaves it in doubt."""
    believes_the_status: bool = False
    """Whether a 200 says all, whatever its body."""


async def _webhook(destination: Any, message: Any, *, client: Any, clock: Any, resolve: Any, patience: Any) -> Outcome:
    return await deliver(destination, message.message_id, b"{}", client=client, clock=clock, resolve=resolve, patience=patience)


async def _several(destination: Any, message: Any, **how: Any) -> Outcome:
    outcomes = await hubspot.send_many(destination, [message, a_message(2)], **how)
    assert {one.kind for one in outcomes} == {outcomes[0].kind}
    return outcomes[0]


CLIENTS = {
    "webhook": Client(lambda url: a_destination(f"{url}/T0KEN"), _webhook, SECRET, believes_the_status=True),
    "slack webhook": Client(
        lambda url: slack.SlackSettings(webhook_url=f"{url}/services/T0/B0/T0KEN-of-a-hook"),
        slack.send,
        "T0KEN-of-a-hook",
        uncertain=True,
        believes_the_status=True,
    ),
    "slack api": Client(
        lambda url: slack.SlackSettings(token=fake_slack.TOKEN, channel="C0123456789", api_url=f"{url}/api"),
        slack.send,
        fake_slack.TOKEN,
        uncertain=True,
    ),
    "hubspot": Client(lambda url: hubspot.HubSpotSettings(token=fake_hubspot.TOKEN, base_url=url), hubspot.send, fake_hubspot.TOKEN),
    "hubspot, several": Client(lambda url: hubspot.HubSpotSettings(token=fake_hubspot.TOKEN, base_url=url), _several, fake_hubspot.TOKEN),
    "attio": Client(lambda url: attio.AttioSettings(token=fake_attio.TOKEN, base_url=url), attio.send, fake_attio.TOKEN),
    "annotation": Client(
        lambda url: posthog_writes.AnnotationSettings(host=url, project_id=7, key=fake_posthog_writes.KEY),
        posthog_writes.annotate,
        fake_posthog_writes.KEY,
    ),
    "cohort": Client(
        lambda url: posthog_writes.CohortSettings(host=url, project_id=7, key=fake_posthog_writes.KEY, cohort_id=1),
        posthog_writes.add_to_cohort,
        fake_posthog_writes.KEY,
    ),
}


@pytest.fixture(params=CLIENTS, ids=lambda name: name.replace(" ", "-"))
def client(request):
    return CLIENTS[request.param]


def sent(client: Client, url: str, resolve: Any = here, verify: Any = None, patience: Patience = PATIENCE) -> Outcome:
    destination = client.settings(url)

    async def once() -> Outcome:
        async with open_client(patience, verify) as http:
            return await client.send(destination, PERSON, client=http, clock=lambda: datetime.now(UTC), resolve=resolve, patience=patience)

    began = time.monotonic()
    outcome = asyncio.run(once())
    assert time.monotonic() - began < 2.5, "an attempt must end within its patience"
    told = (outcome.failure.message if outcome.failure else "") + (outcome.response_head or "") + str(outcome.failure and outcome.failure.details)
    assert client.secret not in told
    assert (outcome.failure is None) is (outcome.kind == "delivered")
    assert outcome.failure is None or isinstance(outcome.failure, DestinationError)
    return outcome


def met(client: Client, script: Any, **how: Any) -> Outcome:
    with serving(script) as url:
        return sent(client, url.partition("/hooks")[0], **how)


def origin(port: int) -> str:
    return ADDRESS.format(port=port)


def test_nobody_listens_a_name_that_nobody_knows_and_an_address_that_may_not_be_called(client):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def inside(name: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    refused = sent(client, origin(port))
    unknown = sent(client, "https://nowhere.example", resolve=nowhere)
    forbidden = sent(client, "https://inside.example", resolve=inside)

    codes = [(one.kind, one.failure and one.failure.code) for one in (refused, unknown, forbidden)]
    assert codes == [("retry", "destination.unreachable"), ("retry", "destination.unknown_host"), ("refused", "destination.address_forbidden")]


def test_a_certificate_for_another_name_and_no_tls_at_all(client, tmp_path):
    server, trusting = self_signed("api.localhost", tmp_path)

    def encrypted(connection):
        with server.wrap_socket(connection, server_side=True) as wrapped:
            answer(200)(wrapped)

    with serving(encrypted) as url:
        port = int(url.split(":")[2].split("/")[0])
        wrong = sent(client, f"https://other.localhost:{port}", verify=trusting)
    plain = met(client, raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))

    def in_the_clear(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with serving(in_the_clear) as url:
        none = sent(client, f"https://127.0.0.1:{int(url.split(':')[2].split('/')[0])}")

    assert [(one.kind, one.failure and one.failure.code) for one in (wrong, none)] == [("retry", "destination.tls")] * 2
    assert plain.kind == "refused"


BEFORE_A_STATUS = {
    "reset at once": reset_at_once,
    "closed": raw(b""),
    "reset": raw(b"", then_reset=True),
    "half a status": raw(b"HTTP/1.1 200"),
    "half a header": raw(b"HTTP/1.1 200 OK\r\nContent-Le", then_reset=True),
    "not http": raw(b"\x16\x03\x01\x02\x00 not http at all\r\n\r\n"),
    "smtp": raw(b"220 smtp.example.com ESMTP\r\n"),
    "bad length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n"),
    "endless headers": forever(b"HTTP/1.1 200 OK\r\n", b"X-Long: " + b"a" * 8000 + b"\r\n"),
    "silence": silence,
    "trickle": forever(b"HTTP/1.1 200 OK\r\n", b"X", pause=0.05),
    "endless continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01),
}


@pytest.mark.parametrize("fault", BEFORE_A_STATUS)
def test_no_status_is_tried_again_or_in_doubt_where_a_repetition_would_be_seen(client, fault):
    outcome = met(client, BEFORE_A_STATUS[fault], patience=SHORT)

    assert outcome.kind == ("in_doubt" if client.uncertain else "retry")
    assert outcome.status_code is None
    assert outcome.failure is not None
    assert outcome.failure.code in ("destination.broken", "destination.timeout")


IN_OTHER_WORDS = {
    "cut": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"ok": tru'),
    "reset": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"ok": tru', then_reset=True),
    "bad chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "trickle": forever(b"HTTP/1.1 200 OK\r\n\r\n", b" ", pause=0.05),
    "half json": answer(200, body=b'{"ok": tru'),
    "html": answer(200, "Content-Type: text/html", body=b"<html>sign in</html>"),
    "binary": answer(200, body=b"\xff\xfe\x00\x1b[31m"),
    "deep": answer(200, body=b"[" * 60_000),
    "gzip": answer(200, "Content-Encoding: gzip", body=gzip.compress(b'{"ok": true, "results": [], "data": []}')),
}


@pytest.mark.parametrize("fault", IN_OTHER_WORDS)
def test_a_good_status_with_a_body_that_cannot_be_understood_is_not_believed_where_the_body_matters(client, fault):
    outcome = met(client, IN_OTHER_WORDS[fault], patience=SHORT)

    expected = "delivered" if client.believes_the_status else "in_doubt" if client.uncertain else "retry"
    assert (outcome.kind, outcome.status_code) == (expected, 200)


@pytest.mark.parametrize(
    "content", ["null", "[]", "{}", '"text"', "1e999", '{"results": 7, "data": 7, "ok": 7}', '{"results": [[]], "data": [[]], "id": ""}']
)
def test_json_of_another_shape_is_never_a_crash(client, content):
    outcome = met(client, answer(200, body=content.encode()))

    assert outcome.kind in ("delivered", "retry", "refused", "in_doubt")
    assert outcome.kind != "in_doubt" or client.uncertain


LATER = [408, 409, 423, 425, 429, 500, 501, 502, 503, 504, 507, 512, 599]
NEVER = [300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 411, 413, 415, 422, 451, 499, 600]


@pytest.mark.parametrize("status", [*LATER, *NEVER, 410])
def test_every_status_has_its_meaning(client, status):
    outcome = met(client, answer(status, "Retry-After: 7", body=b"" if status == 304 else b'{"message": "so it is", "detail": "so it is"}'))

    expected = {"gone"} if status == 410 else {"retry"} if status in LATER else {"refused"}
    if client.uncertain and status >= 500 and status not in (503, 600):
        expected = {"in_doubt"}
    if client.uncertain and status == 600:
        expected = {"in_doubt", "refused"}
    if client is CLIENTS["webhook"] and status in (409, 423):
        expected = {"refused"}
    assert outcome.kind in expected
    assert outcome.status_code == status
    assert outcome.retry_after == (7.0 if outcome.kind == "retry" else None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(client, status):
    followed = []

    def target(connection):
        followed.append(request_read(connection))

    with serving(target) as elsewhere:
        outcome = met(client, answer(status, f"Location: {elsewhere}"))

    assert (outcome.kind, followed) == ("refused", [])


def test_a_gibibyte_is_not_read(client):
    written = 0

    def endless(connection):
        nonlocal written
        request_read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        part = b" " * 65536
        for _ in range(16384):
            connection.sendall(part)
            written += len(part)

    tracemalloc.start()
    outcome = met(client, endless)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outcome.kind == ("delivered" if client.believes_the_status else "in_doubt" if client.uncertain else "retry")
    assert peak < 8 * MEBI
    assert written < 16 * MEBI, "what the kernel's buffers hold, but no more"


@pytest.mark.parametrize("status", [200, 500])
def test_a_gzip_bomb_is_not_unpacked(client, status):
    tracemalloc.start()
    outcome = met(client, answer(status, "Content-Encoding: gzip", body=BOMB))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outcome.status_code == status
    assert peak < 8 * MEBI


def test_an_answer_that_echoes_the_secret_does_not_carry_it_into_the_log(client):
    echo = json.dumps({"ok": False, "error": f"x {client.secret}", "message": client.secret, "detail": client.secret, "category": client.secret})
    for status in (200, 400, 500):
        met(client, answer(status, body=echo.encode()))


# The client that reads from PostHog has errors of its own room.

KEY = "phx_canaryCANARYcanary0123"
READING = {**BEFORE_A_STATUS, **{name: script for name, script in IN_OTHER_WORDS.items() if name != "gzip"}}


async def _read(url: str, largest: int) -> None:
    simulated = SimulatedTime()
    limits = Limits.for_cloud(clock=simulated, sleep=simulated.sleep)
    how: dict[str, Any] = {"clock": simulated, "sleep": simulated.sleep, "attempts": 1, "longest_request": 0.4, "largest_body": largest}
    async with PostHogClient(normalise_host(url, allow_insecure=True), 7, SecretStr(KEY), limits, **how) as reader:
        await reader.query("SELECT 1", name="matrix")


def read(script: Any, largest: int = 4 * MEBI) -> PostHogError:
    with serving(script) as url:
        began = time.monotonic()
        with pytest.raises(PostHogError) as failure:
            asyncio.run(_read(url.partition("/hooks")[0], largest))
        assert time.monotonic() - began < 2.5
    assert KEY not in failure.value.message + str(failure.value.details)
    return failure.value


@pytest.mark.parametrize("fault", READING)
def test_reading_from_posthog_fails_in_its_own_words_and_in_time(fault):
    assert read(READING[fault]).code.startswith("posthog.")


@pytest.mark.parametrize("status", [*LATER, *NEVER, 410])
def test_every_status_of_posthog_is_a_typed_failure(status):
    assert read(answer(status, body=b"")).code.startswith("posthog.")


def test_nobody_listens_where_posthog_should():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PostHogError):
        asyncio.run(_read(origin(port), MEBI))


@pytest.mark.parametrize("status", [200, 500])
def test_a_bomb_from_posthog_is_unpacked_no_further_than_it_may_be_long(status):
    tracemalloc.start()
    failure = read(answer(status, "Content-Encoding: gzip", body=BOMB))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (
        failure.code in ("posthog.response_too_large", "posthog.busy", "posthog.server_error", "posthog.timeout", "posthog.query_timeout")
        or status == 500
    )
    assert peak < 16 * MEBI


def test_a_gibibyte_from_posthog_is_read_no_further_than_it_may_be_long():
    def endless(connection):
        request_read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(16384):
            connection.sendall(b" " * 65536)

    tracemalloc.start()
    failure = read(endless)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert failure.code == "posthog.response_too_large"
    assert peak < 16 * MEBI

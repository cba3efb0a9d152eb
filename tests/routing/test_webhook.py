"""What a receiver gets to see, and what a sender refuses to send."""

import asyncio
import ssl
from dataclasses import replace

import httpx
import pytest

from beton.errors import DestinationRefused
from beton.routing.outcomes import Destination
from beton.routing.signing import verify
from beton.routing.webhook import Patience, deliver, open_client
from tests.routing.certificates import self_signed
from tests.routing.fakes import SECRET, START, Clock, a_destination
from tests.routing.servers import answer, request_read, serving

BODY = '{"name":"Zoë"}'.encode()


def sent(destination, *, addresses=("127.0.0.1",), client=open_client, patience=None):
    async def resolve(name, port):
        return list(addresses)

    async def once():
        async with client() as opened:
            return await deliver(destination, "msg_1", BODY, client=opened, clock=Clock(), resolve=resolve, patience=patience)

    return asyncio.run(once())


def recorded(destination_of, **how):
    requests = []

    def script(connection):
        requests.append(request_read(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    with serving(script) as url:
        outcome = sent(destination_of(url), **how)
    assert outcome.kind == "delivered", outcome
    head, _, body = requests[0].partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    return first, {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}, body


def test_a_receiver_gets_one_signed_post():
    first, headers, body = recorded(a_destination)

    assert first == "POST /hooks/T0KEN?key=T0KEN HTTP/1.1"
    assert body == BODY
    assert headers["content-type"] == "application/json"
    assert headers["host"].startswith("127.0.0.1:")
    assert headers["accept-encoding"] == "identity"
    assert verify(SECRET, headers, body, now=START) == "msg_1"
    assert "cookie" not in headers


def test_a_receivers_own_headers_are_sent():
    _, headers, _ = recorded(lambda url: Destination(url, SECRET, (("Authorization", "Basic YTpi"),)))

    assert headers["authorization"] == "Basic YTpi"


def test_a_named_receiver_keeps_its_name_in_the_host_header():
    _, headers, _ = recorded(lambda url: a_destination(url.replace("127.0.0.1", "hooks.localhost")))

    assert headers["host"].startswith("hooks.localhost:")


def test_the_second_address_is_tried_when_nobody_listens_at_the_first():
    recorded(lambda url: a_destination(url.replace("127.0.0.1", "localhost")), addresses=("::1", "127.0.0.1"))


def test_no_proxy_of_the_environment_is_used(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    recorded(a_destination)


def test_cookies_are_neither_kept_nor_sent():
    async def twice(url):
        async with open_client() as client:
            for _ in range(2):
                await deliver(a_destination(url), "msg_1", BODY, client=client, clock=Clock())
            return len(client.cookies.jar)

    with serving(answer(200, "Set-Cookie: tracked=yes; Path=/")) as url:
        assert asyncio.run(twice(url)) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "http://hooks.example.com/"}, "route.url_insecure"),
        ({"url": "https://10.0.0.1/"}, "route.url_insecure"),
        ({"url": "https://hooks.example.com/"}, "destination.address_forbidden"),
        ({"url": "not a url"}, "route.url_invalid"),
        ({"headers": (("X", "a\r\nb"),)}, "route.header_invalid"),
        ({"secret": "short"}, "route.secret_invalid"),
    ],
)
def test_what_may_not_be_sent_is_a_refusal_and_not_a_crash(change, code):
    outcome = sent(replace(a_destination("http://127.0.0.1:9/"), **change))

    assert (outcome.kind, outcome.status_code) == ("refused", None)
    assert isinstance(outcome.failure, DestinationRefused)
    assert outcome.failure.code == code


def test_an_unknown_name_is_tried_again():
    outcome = sent(a_destination("https://nowhere.example/"), addresses=())

    assert (outcome.kind, outcome.failure.code) == ("retry", "destination.unknown_host")


def test_a_name_that_never_resolves_is_given_up_in_time():
    async def never(name, port):
        await asyncio.sleep(60)

    async def once():
        async with open_client() as client:
            patience = Patience(status=0.1)
            return await deliver(a_destination("https://slow.example/"), "m", BODY, client=client, clock=Clock(), resolve=never, patience=patience)

    outcome = asyncio.run(once())
    assert (outcome.kind, outcome.failure.code) == ("retry", "destination.timeout")


def over_tls(server, script):
    def encrypted(connection):
        with server.wrap_socket(connection, server_side=True) as wrapped:
            script(wrapped)

    return serving(encrypted)


def test_the_certificate_is_checked_for_the_name_although_the_address_is_called(tmp_path):
    server, trusting = self_signed("hooks.localhost", tmp_path)

    with over_tls(server, answer(200)) as url:
        good = url.replace("http://127.0.0.1", "https://hooks.localhost")
        assert sent(a_destination(good), client=lambda: open_client(verify=trusting)).kind == "delivered"

        for wrong, client in ((good.replace("hooks.", "other."), lambda: open_client(verify=trusting)), (good, open_client)):
            outcome = sent(a_destination(wrong), client=client)
            assert (outcome.kind, outcome.failure.code) == ("retry", "destination.tls")
            assert "certificate" in outcome.failure.message.lower()


def test_http_at_an_https_address_is_told_as_such():
    def plain(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with serving(plain) as url:
        outcome = sent(a_destination(url.replace("http:", "https:")))

    assert (outcome.kind, outcome.failure.code) == ("retry", "destination.tls")


def test_every_exception_of_httpx_becomes_an_outcome():
    """Whatever httpx may raise while sending is raised once by a transport; nothing escapes."""
    silent: list[type[Exception]] = [
        one for one in vars(httpx).values() if isinstance(one, type) and issubclass(one, (httpx.TransportError, httpx.DecodingError))
    ]
    silent += [httpx.InvalidURL, ssl.SSLError, ConnectionResetError, TimeoutError, OSError]
    assert len(silent) > 15

    for kind in silent:

        def broken(request, kind=kind):
            raise kind("as it happens")

        outcome = sent(a_destination("http://127.0.0.1:9/"), client=lambda broken=broken: httpx.AsyncClient(transport=httpx.MockTransport(broken)))
        assert (outcome.kind, outcome.status_code) == ("retry", None), kind
        assert outcome.failure is not None


def test_the_secret_and_the_path_are_in_no_text_of_the_destination():
    assert "T0KEN" not in repr(a_destination("https://example.com/T0KEN"))
    assert SECRET not in repr(a_destination("https://example.com/T0KEN"))

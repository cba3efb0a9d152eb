"""The receiver believes only what is signed, keeps each message once, and fails when told to."""

import ast
import http.client
import socket
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from beton.demo import receiver as module
from beton.demo.receiver import Receiver
from beton.routing.signing import new_secret, signed_headers

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SECRET = new_secret()


@pytest.fixture
def receiver():
    with Receiver(SECRET, clock=lambda: NOW) as listening:
        yield listening


def posted(receiver, body=b'{"a":1}', message_id="msg_1", secret=SECRET, at=NOW, **changes):
    connection = http.client.HTTPConnection(urlsplit(receiver.url).netloc, timeout=5)
    connection.request("POST", "/signals", body, signed_headers(secret, message_id, at, body) | changes)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_a_signed_message_is_kept_once_however_often_it_comes(receiver):
    assert [posted(receiver), posted(receiver), posted(receiver, message_id="msg_2")] == [200, 200, 200]

    assert [message.id for message in receiver.received] == ["msg_1", "msg_2"]
    assert receiver.received[0].content == {"a": 1}
    assert (receiver.duplicates, receiver.verified_signatures) == (1, 6)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"secret": new_secret()}, 401),
        ({"at": datetime(2026, 3, 2, 9, 20, tzinfo=UTC)}, 401),
        ({"X-Beton-Signature": "sha256=00"}, 401),
        ({"webhook-signature": "v1,AAAA"}, 401),
        ({"body": b"not json"}, 400),
        ({"body": b"[]"}, 400),
        ({"Content-Length": "99999999"}, 413),
        ({"Content-Length": "many"}, 413),
    ],
)
def test_what_is_not_right_is_not_kept(receiver, wrong, status):
    assert posted(receiver, **wrong) == status
    assert receiver.received == []
    assert receiver.verified_signatures == 0


def test_it_fails_as_often_as_it_was_told(receiver):
    receiver.fail_with(500, 429)

    assert [posted(receiver) for _ in range(3)] == [500, 429, 200]
    assert (receiver.failed_on_request, len(receiver.received), receiver.duplicates) == (2, 1, 0)


@pytest.mark.parametrize("sent", [b"", b"POST /sig", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", b"\x16\x03 nonsense\r\n\r\n"])
def test_a_sender_that_dies_in_mid_sentence_leaves_no_trace(sent, capfd):
    with Receiver(SECRET, clock=lambda: NOW) as receiver:
        parts = urlsplit(receiver.url)
        with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=5) as connection:
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert posted(receiver) == 200

    assert (receiver.rejected, len(receiver.received)) == (0, 1)
    assert capfd.readouterr().err == ""


def test_it_uses_nothing_of_beton():
    tree = ast.parse(Path(module.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names

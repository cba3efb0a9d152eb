"""A webhook receiver on this machine, as a customer might write one: the standard library and `docs/how-to/verify-webhooks.md`, nothing of Beton's.

    with Receiver(secret) as receiver:
        ...                       # a route to receiver.url
        receiver.received         # each message once, in the order of arrival

It checks both signatures itself, so that a demo or a test which counts `verified_signatures` proves the documentation as well.
"""

import base64
import hashlib
import hmac
import json
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOLERANCE_SECONDS = 300
_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class Message:
    """A message that was accepted: its id, its JSON content, and the body it came in."""

    id: str
    content: dict[str, Any] = field(repr=False)
    body: bytes = field(repr=False)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Receiver:
    """Listens on loopback while used as a context manager. `url` is where it listens, on `port` or a free one.

    `statuses` are answered to the first requests instead of accepting them, one each. `duplicates` counts repetitions of a message that had
    been accepted (answered 200, as the sender should hear), `rejected` requests with a wrong signature, an old time or an unreadable body.
    """

    def __init__(self, secret: str, *, statuses: Iterable[int] = (), port: int = 0, clock: Callable[[], datetime] = _utc_now) -> None:
        self.received: list[Message] = []
        self.duplicates = 0
        self.rejected = 0
        self.failed_on_request = 0
        self.verified_signatures = 0
        """Signatures found right: two for every message that carries both."""
        self._secret, self._clock = secret, clock
        self._statuses = list(statuses)
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="beton-receiver", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/signals"

    def fail_with(self, *statuses: int) -> None:
        """Answer the next requests with these statuses."""
        with self._lock:
            self._statuses.extend(statuses)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer a request with; `headers` with names in lower case."""
        with self._lock:
            if self._statuses:
                self.failed_on_request += 1
                return self._statuses.pop(0)
            right = signatures_right(self._secret, headers, body, self._clock().timestamp())
            content = _object(body)
            if not right or content is None:
                self.rejected += 1
                return 401 if not right else 400
            self.verified_signatures += right
            message_id = headers["webhook-id"]
            if message_id in self._ids:
                self.duplicates += 1
                return 200
            self._ids.add(message_id)
            self.received.append(Message(message_id, content, body))
            return 200


def signatures_right(secret: str, headers: dict[str, str], body: bytes, now: float) -> int:
    """How many of the two signatures are there and right; 0 as soon as one is wrong, missing or too old. `now` in Unix seconds."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return 0
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    if not any(hmac.compare_digest(expected, given) for given in headers.get("webhook-signature", "").split(" ") if given.isascii()):
        return 0
    own = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = headers.get("x-beton-signature", "")
    return 2 if given.isascii() and hmac.compare_digest(own, given) else 0


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that goes away is no error of the receiver's; the demo must not print a traceback for it."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > _LARGEST:
                self.close_connection = True
                self._answer(413)
                return
            body = self.rfile.read(int(length))
            if len(body) < int(length):  # the sender died in mid-sentence; there is nobody to answer
                self.close_connection = True
                return
            self._answer(receiver.take({name.lower(): value for name, value in self.headers.items()}, body))

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the demo prints its own lines."""

    return Handler

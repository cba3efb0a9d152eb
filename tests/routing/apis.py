"""What the fakes of services have in common: a real HTTP server on loopback in front of an object that answers, and that may be told to misbehave."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict

from beton.routing.messages import Message
from beton.signals import Receipt
from tests.routing.fakes import SENTENCE, START


class Strict(BaseModel):
    """A documented shape: what it does not name is refused, as the real one does."""

    model_config = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    content: Any


@dataclass(frozen=True)
class Answered:
    """One answer."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Api:
    """Answers requests one at a time. `instead` are answers for the next ones in place of its own; the answers of the next `lose` get lost after
    what was asked is done, and so do those of the next `lose_writes` that change something."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.instead: deque[Answered] = deque()
        self.lose = 0
        self.lose_writes = 0
        self.lock = threading.Lock()

    def answer(self, asked: Asked) -> Answered:
        raise NotImplementedError

    def writes(self) -> list[Asked]:
        """What was asked that changes something."""
        return [one for one in self.asked if self.changes(one)]

    def changes(self, asked: Asked) -> bool:
        """Whether a request changes something."""
        return asked.method in ("PUT", "PATCH") or (asked.method == "POST" and not asked.path.endswith(self.READING))

    READING: ClassVar[tuple[str, ...]] = ("/query", "/search", "/batch/read")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer in one piece: its reader waits for no acknowledgement
    api: Api

    def _take(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            content = json.loads(body) if body else None
        except ValueError:
            content = body
        asked = Asked(self.command, parts.path, {name: values[-1] for name, values in parse_qs(parts.query).items()}, dict(self.headers), content)
        with self.api.lock:
            self.api.asked.append(asked)
            given = self.api.instead.popleft() if self.api.instead else self.api.answer(asked)
            unwritten = self.api.lose_writes > 0 and self.api.changes(asked)
            lost = self.api.lose > 0 or unwritten
            self.api.lose_writes -= unwritten
            self.api.lose -= self.api.lose > 0
        if lost:
            self.close_connection = True
            return
        text = given.content.encode() if isinstance(given.content, str) else json.dumps(given.content).encode()
        self.send_response(given.status)
        self.send_header("Content-Type", "text/plain" if isinstance(given.content, str) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in given.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815  what http.server calls

    def log_message(self, format: str, *arguments: Any) -> None:
        del format, arguments


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def listening(api: Api) -> Generator[str]:
    """The address of a server in front of an API."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def a_message(number: int = 1, **changes: object) -> Message:
    """A signal about an account, as routing hands it to a channel."""
    fields: dict[str, object] = {
        "message_id": f"msg_{number:04d}",
        "kind": "signal",
        "workspace": "Acme's workspace",
        "title": f"Invited a teammate: company{number}.com",
        "sentence": SENTENCE,
        "url": f"https://beton.example.com/signals/sig_{number}",
        "unit_kind": "account",
        "unit": f"group-{number}",
        "account": f"Company {number}",
        "account_domain": f"company{number}.com",
        "type": "pql",
        "confidence": 0.71,
        "confidence_low": 0.68,
        "confidence_high": 0.73,
        "promise": "37 of 52 like this converted",
        "receipts": (Receipt(event="teammate_invited", at=START, event_id="e-1"),),
        "fired_at": START,
        "owner": "Ada",
        "signal_id": f"sig_{number}",
        "hypothesis_id": "hyp_1",
        "hypothesis_version": 2,
    }
    return Message.model_validate(fields | changes)

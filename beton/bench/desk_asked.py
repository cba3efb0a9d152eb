"""Asking a server over its own sockets: at a fixed rate whatever the answers take, or one after the other.

At a fixed rate, how long an answer took counts from the instant at which it was due to be asked for: a server that falls behind cannot slow the
questions down, and waiting in line is part of what people wait for.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from urllib.parse import urlsplit

ASKERS = 32
"""Connections that are kept open, and threads that wait on them."""

PATIENCE = 30


@dataclass(frozen=True)
class Asked:
    """One address of a kind, and the headers that let one in."""

    kind: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Answered:
    """`seconds` from when it was due to the last byte; `late` of them before it was sent."""

    kind: str
    path: str
    status: int
    seconds: float
    late: float
    size: int


class Wire:
    """One kept connection."""

    def __init__(self, url: str) -> None:
        told = urlsplit(url)
        self._host, self._port = told.hostname or "", told.port or 80
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, path: str, headers: dict[str, str]) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Status, body and headers. A connection that the server has closed meanwhile is opened once more."""
        for again in (True, False):
            self._connection = self._connection or http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)
            try:
                self._connection.request("GET", path, headers=headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read(), answer.headers
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                if not again:
                    raise
        raise AssertionError

    def close(self) -> None:
        """Give the socket back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def at_rate(url: str, asked: Sequence[Asked], rate: float) -> list[Answered]:
    """Ask these in their order, `rate` a second."""
    waiting: SimpleQueue[tuple[float, Asked] | None] = SimpleQueue()
    answers: list[Answered] = []
    crew = [threading.Thread(target=_answer, args=(url, waiting, answers), daemon=True) for _ in range(ASKERS)]
    for one in crew:
        one.start()
    began = time.perf_counter() + 0.05
    for number, question in enumerate(asked):
        due = began + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        waiting.put((due, question))
    for _ in crew:
        waiting.put(None)
    for one in crew:
        one.join()
    return answers


def one_by_one(url: str, asked: Sequence[Asked]) -> list[Answered]:
    """Ask each when the one before has been answered."""
    wire = Wire(url)
    try:
        return [_asked(wire, question, time.perf_counter()) for question in asked]
    finally:
        wire.close()


def _answer(url: str, waiting: SimpleQueue[tuple[float, Asked] | None], answers: list[Answered]) -> None:
    wire = Wire(url)
    while (told := waiting.get()) is not None:
        due, question = told
        answers.append(_asked(wire, question, due))
    wire.close()


def _asked(wire: Wire, question: Asked, due: float) -> Answered:
    begun = time.perf_counter()
    try:
        status, body, _ = wire.ask(question.path, question.headers)
    except OSError:
        wire.close()
        status, body = 0, b""
    return Answered(question.kind, question.path, status, time.perf_counter() - due, begun - due, len(body))

"""A sender of events that costs little: `python -m beton.bench.inbound_load HOST PORT PATH RATE SECONDS CONNECTIONS OUT FIRST`.

One thread, kept connections, requests made beforehand but for the event's uuid. Each is due at a fixed instant, whatever the answers take, and how
long an answer took counts from then: a receiver that falls behind cannot slow the sender down. What came back is written to a file of numbers: for
each request seconds since the beginning at which it was due, milliseconds, status.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from array import array
from collections import deque
from pathlib import Path

AFTER = 10.0
"""Seconds to wait for the last answers."""

UUID = "01930000-0000-7000-8000-{:012x}"


def body_of() -> tuple[bytes, bytes]:
    """PostHog's default body, before and behind the uuid; about as large as real ones."""
    properties: dict[str, object] = {f"property_{number}": f"a value of some length {number}" for number in range(20)}
    properties |= {"$current_url": "https://shop.example.com/pricing?plan=team", "$browser": "Chrome", "$groups": {"company": "acme"}, "seats": 12}
    event = {
        "event": "invited_teammate",
        "distinct_id": "somebody@example.com",
        "properties": properties,
        "timestamp": "2026-01-01T00:00:00Z",
        "elements_chain": "",
        "url": "https://us.posthog.com/projects/1/events/1",
        "uuid": "UUID",
    }
    person = {"id": "01930000-0000-7000-8000-00000000abcd", "name": "Somebody", "properties": {"email": "somebody@example.com", "plan": "team"}}
    before, behind = json.dumps({"event": event, "person": person}).encode().split(b"UUID", 1)
    return before, behind


class Sender:
    """The connections, and what each waits for."""

    def __init__(self, host: str, port: int, path: str, connections: int) -> None:
        before, behind = body_of()
        length = len(before) + 36 + len(behind)
        head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        self._before, self._behind = head.encode() + before, behind
        self._address, self._poll = (host, port), select.epoll()
        self._wires: dict[int, socket.socket] = {}
        self._asked: dict[int, tuple[int, float]] = {}
        self._heard: dict[int, bytes] = {}
        self.free: deque[int] = deque()
        self.due, self.ms, self.status = array("d"), array("d"), array("i")
        for _ in range(connections):
            self._connect()

    def send(self, number: int, due: float) -> None:
        """The event of this number, on a free connection."""
        wire = self.free.popleft()
        self._asked[wire] = (number, due)
        self._heard[wire] = b""
        self._wires[wire].sendall(self._before + UUID.format(number).encode() + self._behind)

    def hear(self, began: float, wait: float) -> None:
        """Take what has come, after waiting for it at most so long."""
        for wire, _ in self._poll.poll(wait):
            heard = self._wires[wire].recv(65536)
            if not heard:
                self._lost(wire, began)
                continue
            self._heard[wire] += heard
            told = self._heard[wire]
            end = told.find(b"\r\n\r\n")
            if end >= 0 and len(told) >= end + 4 + _length(told[:end]):
                self._note(wire, began, int(told[9:12]))
                self.free.append(wire)

    def close(self) -> None:
        """Close every connection."""
        for wire in self._wires.values():
            wire.close()
        self._poll.close()

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return len(self._asked)

    def _note(self, wire: int, began: float, status: int) -> None:
        _, due = self._asked.pop(wire)
        self.due.append(due)
        self.ms.append((time.perf_counter() - began - due) * 1000)
        self.status.append(status)

    def _lost(self, wire: int, began: float) -> None:
        if wire in self._asked:
            self._note(wire, began, 0)
        else:
            self.free.remove(wire)
        self._poll.unregister(wire)
        self._wires.pop(wire).close()
        self._connect()

    def _connect(self) -> None:
        wire = socket.create_connection(self._address)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wires[wire.fileno()] = wire
        self._poll.register(wire.fileno(), select.EPOLLIN)
        self.free.append(wire.fileno())


def _length(head: bytes) -> int:
    found = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0].strip()
    return int(found) if found.isdigit() else 0


def run(sender: Sender, rate: float, seconds: float, first: int) -> None:
    """Send at the rate for so long, numbered from the first on, then wait for the last answers."""
    count, sent, began = round(rate * seconds), 0, time.perf_counter()
    while sent < count:
        now = time.perf_counter() - began
        while sent < count and sent / rate <= now and sender.free:
            sender.send(first + sent, sent / rate)
            sent += 1
        sender.hear(began, max(0.0, min(0.05, sent / rate - (time.perf_counter() - began))) if sender.free else 0.05)
    until = time.perf_counter() + AFTER
    while sender.waiting and time.perf_counter() < until:
        sender.hear(began, 0.05)


def main(host: str, port: str, path: str, rate: str, seconds: str, connections: str, out: str, first: str) -> None:
    """As the command line has it."""
    sender = Sender(host, int(port), path, int(connections))
    run(sender, float(rate), float(seconds), int(first))
    told = {"due": list(sender.due), "ms": list(sender.ms), "status": list(sender.status), "cpu_s": time.process_time()}
    Path(out).write_text(json.dumps(told), encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])

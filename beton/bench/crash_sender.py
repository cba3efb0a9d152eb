"""PostHog's webhook destination, as far as kills are concerned: it sends each event until somebody has taken it, and keeps what was acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from beton.bench.crash_crew import PATIENCE

AGAIN = 0.05
"""Seconds between two tries."""

ASKED_SECONDS = 5.0


@dataclass
class Sender:
    """Sends to one address. `acknowledged` are the ids of the events that the server said it had taken."""

    address: str
    acknowledged: set[str] = field(default_factory=set)
    sent: int = 0
    """Requests, repeated ones too."""
    _threads: list[threading.Thread] = field(default_factory=list, repr=False)

    def begin(self, events: Sequence[dict[str, Any]]) -> None:
        """Send these from now on, one after the other, each until it is taken."""
        thread = threading.Thread(target=self._send_all, args=(list(events),), name="bench-sender", daemon=True)
        self._threads.append(thread)
        thread.start()

    def finish(self) -> None:
        """Wait until everything is taken, or patience is at its end."""
        until = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._threads.clear()

    def _send_all(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            until = time.monotonic() + PATIENCE
            while not self._taken(event) and time.monotonic() < until:
                time.sleep(AGAIN)

    def _taken(self, event: dict[str, Any]) -> bool:
        parts = urlsplit(self.address)
        self.sent += 1
        try:
            with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASKED_SECONDS)) as asking:
                asking.request("POST", parts.path, json.dumps(_body(event)), {"Content-Type": "application/json"})
                if not 200 <= asking.getresponse().status < 300:
                    return False
        except (OSError, http.client.HTTPException):  # nobody there, or no more
            return False
        self.acknowledged.add(event["uuid"])
        return True


def happened(world: Path) -> list[dict[str, Any]]:
    """The events of a world, in their order."""
    return [json.loads(line) for line in world.read_text().splitlines()]


def _body(event: dict[str, Any]) -> dict[str, Any]:
    """PostHog's default body of a webhook destination."""
    told = {"event": event["event"], "distinct_id": event["person_id"], "timestamp": event["timestamp"], "uuid": event["uuid"], "properties": {}}
    return {"event": told, "person": {"id": event["person_id"], "properties": {}}}

"""A worker that is there to be killed. What it imports is imported once, by the process that it is forked from, so that a start costs no imports.

Nothing else differs from `beton serve` and `beton worker`: the same jobs, the same engine. Only the clock is the bench's.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from beton.app import serve, work
from beton.settings import Settings
from beton.store.store import open_store
from beton.work import schedules  # noqa: F401 - what `work` imports when it begins
from beton.work.workplace import Workplace

_LAYOUT = "=d"


@dataclass(frozen=True)
class SharedClock:
    """Simulated time of all processes: real time, moved by what a small file says. Moving it moves it for everybody at once."""

    path: Path

    def __call__(self) -> datetime:
        """The instant."""
        return datetime.fromtimestamp(time.time() + self._offset(), UTC)

    def set(self, now: datetime) -> None:
        """It is `now`; time goes on from there."""
        self._write(now.timestamp() - time.time())

    def advance(self, by: timedelta) -> None:
        """Later, for everybody."""
        self._write(self._offset() + by.total_seconds())

    def _offset(self) -> float:
        return struct.unpack(_LAYOUT, self.path.read_bytes())[0]

    def _write(self, seconds: float) -> None:
        # In one piece: a reader that finds half of it would live in another century.
        draft = self.path.with_suffix(".new")
        draft.write_bytes(struct.pack(_LAYOUT, seconds))
        draft.replace(self.path)


def begin(kind: str, settings: Settings, clock: SharedClock, log: Path, ready: Connection) -> None:
    """The process's whole life: says when it takes work, and works until it is ended."""
    with log.open("a") as errors:
        os.dup2(errors.fileno(), sys.stderr.fileno())
    if kind == "server":
        serve(settings, clock=clock, tell=ready.send)
        return
    store = open_store(settings, clock)
    work(Workplace(settings, store, clock), tell=lambda executor_id, _: ready.send(executor_id))
    store.close()


def nothing() -> None:
    """What the first process does, whose start takes the imports."""

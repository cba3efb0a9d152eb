"""The processes of a round: forked from one that has imported everything, killed, and started anew."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import signal
import time
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random
from typing import Literal
from urllib.parse import urlsplit

from beton.bench.crash_worker import SharedClock, begin, nothing
from beton.bench.measured import MeasurementFailed
from beton.settings import Settings

LOOK = 0.02
PATIENCE = 180.0
"""Real seconds that a process may take to begin, or a piece of work to end, before the bench gives up."""


def preloaded() -> ForkServerContext:
    """The process that workers are forked from, with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["beton.bench.crash_worker"])
    first = context.Process(target=nothing)
    first.start()
    first.join()
    return context


Kind = Literal["server", "worker"]


@dataclass(frozen=True)
class Hand:
    """One process."""

    kind: Kind
    process: ForkServerProcess

    def is_executor(self, executor_id: str | None) -> bool:
        """Whether a workflow is its own; on PostgreSQL the id says the process, on SQLite there is one process."""
        return executor_id is not None and f"-{self.process.pid}-" in f"{executor_id}-"


@dataclass
class Crew:
    """Processes on one database, one of them a server. `restarts` are the seconds from each start after the first ones until it took work."""

    settings: Settings
    clock: SharedClock
    home: Path
    context: ForkServerContext
    alive: list[Hand] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)

    def start(self, kind: Kind) -> float:
        """One more, and how long it took until it did its work."""
        began = time.perf_counter()
        here, there = self.context.Pipe(duplex=False)
        process = self.context.Process(target=begin, args=(kind, self.settings, self.clock, self.log, there))
        process.start()
        there.close()
        self.alive.append(Hand(kind, process))
        self._ready(here, kind)
        here.close()
        return time.perf_counter() - began

    def kill(self, executor_id: str | None, dice: Random, kind: Kind | None = None) -> Hand:
        """End the process whose workflow it is, or any (of a kind), with SIGKILL; which one it was."""
        some = [one for one in self.alive if kind is None or one.kind == kind]
        chosen = next((one for one in some if one.is_executor(executor_id)), None) or dice.choice(some)
        self.alive.remove(chosen)
        os.kill(int(chosen.process.pid or 0), signal.SIGKILL)
        chosen.process.join()
        return chosen

    def replace(self, former: Hand) -> None:
        """Start one in the place of a killed one."""
        self.restarts.append(self.start(former.kind))

    def end(self) -> None:
        """All of them; what they would still do does not count any more."""
        for one in self.alive:
            one.process.kill()
            one.process.join()
        self.alive.clear()

    @property
    def log(self) -> Path:
        """What the processes complain of."""
        return self.home / "workers.log"

    def said(self) -> str:
        """The end of it."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def _ready(self, here: Pipe, kind: Kind) -> None:
        until = time.monotonic() + PATIENCE
        try:
            if here.poll(PATIENCE):
                here.recv()
                while kind == "server" and not answers(self.settings.address):
                    if time.monotonic() > until:
                        raise EOFError
                    time.sleep(LOOK)
                return
        except EOFError:
            pass
        raise MeasurementFailed(f"A process did not begin: {self.said()}")


def answers(address: str) -> bool:
    """Whether the server at this address lives."""
    parts = urlsplit(address)
    try:
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)) as asking:
            asking.request("GET", "/healthz")
            return asking.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False

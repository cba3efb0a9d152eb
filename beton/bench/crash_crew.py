"""The processes of a round: forked from one that has imported everything, killed, and started anew."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random

from beton.bench.crash_worker import SharedClock, begin, nothing
from beton.bench.measured import MeasurementFailed
from beton.settings import Settings

PATIENCE = 60.0
"""Real seconds that a process may take to begin, or a piece of work to end, before the bench gives up."""


def preloaded() -> ForkServerContext:
    """The process that workers are forked from, with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["beton.bench.crash_worker"])
    first = context.Process(target=nothing)
    first.start()
    first.join()
    return context


@dataclass
class Crew:
    """Workers on one database. `restarts` are the seconds from each start after the first ones until the worker took work."""

    settings: Settings
    clock: SharedClock
    home: Path
    context: ForkServerContext
    alive: dict[str, ForkServerProcess] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)

    def start(self) -> float:
        """One more, and how long it took."""
        began = time.perf_counter()
        here, there = self.context.Pipe(duplex=False)
        process = self.context.Process(target=begin, args=(self.settings, self.clock, self.log, there))
        process.start()
        there.close()
        self.alive[self._ready(here)] = process
        here.close()
        return time.perf_counter() - began

    def kill(self, executor_id: str | None, dice: Random) -> str:
        """End the named worker, or any, with SIGKILL; which one it was."""
        chosen = executor_id if executor_id in self.alive else dice.choice(sorted(self.alive))
        process = self.alive.pop(chosen)
        os.kill(int(process.pid or 0), signal.SIGKILL)
        process.join()
        return chosen

    def replace(self) -> None:
        """Start one in the place of a killed one."""
        self.restarts.append(self.start())

    def end(self) -> None:
        """All of them; what they would still do does not count any more."""
        for process in self.alive.values():
            process.kill()
            process.join()
        self.alive.clear()

    @property
    def log(self) -> Path:
        """What the processes complain of."""
        return self.home / "workers.log"

    def said(self) -> str:
        """The end of it."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def _ready(self, here: Pipe) -> str:
        try:
            if here.poll(PATIENCE):
                return str(here.recv())
        except EOFError:
            pass
        raise MeasurementFailed(f"A worker did not begin: {self.said()}")

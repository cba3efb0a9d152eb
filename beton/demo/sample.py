"""The sample project of the first run: a generated product, served to this installation by a local PostHog in a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

from pydantic import SecretStr

from beton.errors import Conflict, NotFound
from beton.store.records import Connection
from beton.work.connecting import connect
from beton.work.workplace import Workplace

NAME = "sample"
WORLD = "freemium"
COMMAND = "from beton.cli import main; raise SystemExit(main())"
SHARE = 1.0
"""Nobody else uses it."""


@dataclass
class Sample:
    """Started when it is first asked for; it ends with this process. Asked for again after a restart, it is served where it was."""

    world: str = WORLD
    scale: float = 1.0
    running: subprocess.Popen[str] | None = None
    told: dict[str, str] = field(default_factory=dict)
    closing: ExitStack = field(default_factory=ExitStack)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, place: Workplace, actor: str) -> Connection:
        """The connection to it. Raises `PostHogError` when it does not answer."""
        with self.lock:
            known = self._known(place)
            self._start(place, urlsplit(known.host).port if known else 0)
        if known is not None:
            return known
        key = SecretStr(str(self.told["api_key"]))
        return asyncio.run(
            connect(place, name=NAME, host=self.told["url"], project_id=str(self.told["project_id"]), api_key=key, share=SHARE, actor=actor)
        )

    def close(self) -> None:
        """End it."""
        self.closing.close()

    def _known(self, place: Workplace) -> Connection | None:
        try:
            return place.connection(NAME)
        except NotFound:
            return None

    def _start(self, place: Workplace, port: int | None) -> None:
        if self.running is not None and self.running.poll() is None:
            return
        end = place.clock().isoformat()
        asked = ["--world", self.world, "--scale", str(self.scale), "--as-of", end, "--port", str(port or 0), "--leash", "--no-throttling", "--json"]
        made = subprocess.Popen(  # noqa: S603 - our own command, with values of our own
            [sys.executable, "-c", COMMAND, "sandbox", *asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.closing.callback(_end, made)
        line = made.stdout.readline() if made.stdout else ""
        if not line.startswith("{"):
            raise Conflict("The sample project did not start.", code="sandbox.failed", fix="Look at the server's output; or run: beton demo")
        self.running, self.told = made, json.loads(line)


def _end(process: subprocess.Popen[str]) -> None:
    """The leash is its standard input."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()

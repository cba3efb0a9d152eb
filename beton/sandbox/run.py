"""Starting a sandbox: in this process, or as a process of its own for tests and the demo."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import uvicorn
from pydantic import TypeAdapter

from beton.sandbox.settings import Settings

_SETTINGS = TypeAdapter(Settings)
_STOPPING = 10.0
_DEPTH = 20_000


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers. `url` is the address a client would be given, prefix included, no slash at the end."""

    url: str
    project_id: int
    api_key: str


class SandboxFailed(Exception):
    """The sandbox's process ended before it was ready; the text is what it said."""


class _Announcing(uvicorn.Server):
    """A server that prints one line when it listens."""

    def __init__(self, config: uvicorn.Config, announce: IO[str] | None, line: str) -> None:
        super().__init__(config)
        self._announce, self._line = announce, line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, then prints."""
        await super().startup(sockets)
        if self._announce is not None:
            print(self._line, file=self._announce, flush=True)


def run_sandbox(settings: Settings, announce: IO[str] | None = None, leash: IO[str] | None = None) -> None:
    """Loads, listens and serves until interrupted, or until `leash` reaches its end.

    One JSON line with url, project_id and api_key goes to `announce` once requests are answered.
    """
    from beton.sandbox.server import create_sandbox

    # The translator walks a query's tree by recursion, and a generated query may be deep.
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _DEPTH))
    app = create_sandbox(settings)
    listener = _listening(settings.host, settings.port)
    url = f"http://{settings.host}:{listener.getsockname()[1]}{settings.path_prefix}"
    line = json.dumps({"url": url, "project_id": settings.project_id, "api_key": settings.keys[0].value})
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    server = _Announcing(config, announce, line)
    if leash is not None:
        threading.Thread(target=_follow, args=(leash, server), daemon=True).start()
    server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """asyncio switches Nagle's algorithm off only for sockets that say they are TCP; without it every answer waits 40 ms."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


def _follow(leash: IO[str], server: uvicorn.Server) -> None:
    leash.read()
    server.should_exit = True


def settings_from_json(text: str) -> Settings:
    """Settings as `running_sandbox` hands them to its process."""
    return _SETTINGS.validate_json(text)


@contextmanager
def running_sandbox(events: Path | str | Sequence[Path | str] = (), **settings: Any) -> Generator[Running]:
    """A sandbox in a process of its own, stopped and its data removed on leaving.

    `settings` are fields of Settings (`limits=LimitSettings(...)`, `timezone=...`, `group_types=...`). Raises SandboxFailed.
    """
    paths = (events,) if isinstance(events, Path | str) else tuple(events)
    directory = Path(tempfile.mkdtemp(prefix="beton-sandbox-"))
    made = replace(Settings(**settings), events=tuple(Path(path).resolve() for path in paths), data_directory=directory)
    command = [sys.executable, "-m", "beton.sandbox", "--settings", _SETTINGS.dump_json(made).decode(), "--json", "--leash"]
    try:
        with (directory / "stderr.txt").open("w+b") as errors:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
            try:
                yield _ready(process, directory / "stderr.txt")
            finally:
                _stop(process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _ready(process: subprocess.Popen[str], errors: Path) -> Running:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        process.wait()
        raise SandboxFailed(errors.read_text(errors="replace")[-2000:])
    return Running(**json.loads(line))


def _stop(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

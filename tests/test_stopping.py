"""Told to stop, a process ends within ten seconds, whatever holds it; what was in hand is not lost."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from beton.settings import Settings
from beton.signals import DeliveryStatus
from beton.store import connections, deliveries, routes, signals
from beton.store.store import Store, open_store
from tests.store.steps import a_webhook, approved, finding

ROOT = Path(__file__).parents[1]
KEY = base64.b64encode(bytes(range(100, 132))).decode()
SECRET = "whsec_" + base64.b64encode(b"a canary of thirty-two bytes, ok").decode()
START = "import sys; from beton.cli import main; sys.exit(main(sys.argv[1:]))"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def silent() -> Generator[tuple[str, threading.Event]]:
    """A receiver that takes every request and never answers; and whether it has been asked."""
    listening, asked, held = socket.create_server(("127.0.0.1", 0)), threading.Event(), []

    def take() -> None:
        with suppress(OSError):
            while True:
                taken, _ = listening.accept()
                held.append(taken)
                taken.recv(65536)
                asked.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/", asked
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for one in held:
        one.close()
    thread.join(5)


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    opened = open_store(Settings(data_dir=tmp_path, secret_key=SecretStr(KEY)), now)
    yield opened
    opened.close()


@pytest.fixture
def started(tmp_path: Path) -> Generator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that is ended with the test, whatever becomes of it."""
    made: list[subprocess.Popen[str]] = []
    yield lambda *command, **more: _started(made, tmp_path, *command, **more)
    for one in made:
        if one.poll() is None:
            one.kill()
            one.communicate()


def _started(made: list[subprocess.Popen[str]], folder: Path, *command: str, **more: str) -> subprocess.Popen[str]:
    told = {"DATA_DIR": str(folder), "SECRET_KEY": KEY, "SWEEP_INTERVAL_MINUTES": "1440", **more}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BETON_")}
    environment |= {f"BETON_{name}": value for name, value in told.items()} | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", START, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    made.append(process)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("{"), process.communicate()[1]
    return process


def stopped(process: subprocess.Popen[str]) -> tuple[float, Any]:
    """Seconds from the word to the end, and what was complained of."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    return time.monotonic() - began, errors


def waited_until_ready(port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, timeout=10)) as asking:
            asking.request("GET", "/healthz")
            if asking.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not come up")


@pytest.mark.long
def test_a_worker_whose_receiver_never_answers_ends_in_time_and_loses_nothing(
    started: Callable[..., subprocess.Popen[str]], store: Store, silent: tuple[str, threading.Event]
) -> None:
    url, asked = silent
    with store.transaction() as tx:
        shop = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")
        routes.add(tx, name="crm", destination=a_webhook(url, SECRET), actor="ada")
    live = approved(store, shop)
    with store.transaction() as tx:
        signals.record(tx, live.id, live.version, [finding(f"p{number}", now()) for number in range(3)])
    worker = started("worker", "--json", ALLOW_INSECURE_HOSTS="true")
    assert asked.wait(120), "a delivery is under way"
    seconds, errors = stopped(worker)
    assert seconds < 10, errors
    with store.reading() as tx:
        waiting = deliveries.listing(tx).data
    assert [one.status for one in waiting] == [DeliveryStatus.PENDING] * 3


def test_a_server_under_a_request_that_never_ends_ends_in_time(started: Callable[..., subprocess.Popen[str]]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    server = started("serve", "--port", str(port), "--json", LOG_FORMAT="json")
    waited_until_ready(port)
    slow = socket.create_connection(("127.0.0.1", port))
    with closing(slow):
        slow.sendall(b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf")
        time.sleep(0.5)
        seconds, errors = stopped(server)
    assert seconds < 10, errors
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert all({"at", "level", "message"} <= set(line) for line in lines)

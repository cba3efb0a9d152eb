"""The composition root: where it listens, when it is ready, and how it stops."""

import base64
import hashlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from beton.app import Prefixed, create_app, listen, serve
from beton.errors import SettingsError
from beton.settings import Settings, load_or_create_local_key
from beton.store.engines import open_engine
from beton.store.migrate import downgrade
from beton.store.records import Connection
from beton.store.sealing import Sealer
from beton.store.store import Store
from beton.work.workplace import Workplace
from tests.web.conftest import URL, FakeJobs
from tests.web.contract import Contract
from tests.web.steps import definition, fired

SERVE = """
from beton.app import serve
from beton.settings import load_settings
serve(load_settings(), tell=lambda address: print(address, flush=True))
"""


KEY = SecretStr(base64.b64encode(hashlib.sha256(b"a test").digest()).decode())


def serve_there(tmp_path: Path, **settings: Any) -> str:
    """The code with which a server refuses to start; nothing where it does not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told: list[str] = []

    def stop(address: str) -> None:
        told.append(address)
        raise KeyboardInterrupt

    try:
        serve(Settings(data_dir=tmp_path, port=port, **settings), tell=stop)
    except SettingsError as error:
        return error.code
    except KeyboardInterrupt:
        return ""
    raise AssertionError("it served")


def test_others_are_served_only_when_it_is_ready_for_them(tmp_path: Path, clock):
    host = {"host": "0.0.0.0"}  # noqa: S104
    named = host | {"public_url": "https://beton.example"}
    assert serve_there(tmp_path, secret_key=KEY, **host) == "settings.no_host_name"
    assert serve_there(tmp_path, **named) == "settings.secret_key_missing"
    assert serve_there(tmp_path, secret_key=KEY, **named) == "settings.no_accounts"
    load_or_create_local_key(tmp_path)
    assert serve_there(tmp_path, **named) == "settings.secret_key_missing"  # that one lies beside the database


def test_a_server_makes_no_key_and_takes_no_weak_one(tmp_path: Path):
    assert serve_there(tmp_path) == "settings.secret_key_missing"
    assert serve_there(tmp_path, secret_key=SecretStr(base64.b64encode(b"a" * 32).decode())) == "settings.secret_key_weak"
    assert not list(tmp_path.iterdir())


def test_it_works_under_the_path_of_a_proxy_that_keeps_it_and_of_one_that_takes_it_away(place: Workplace, jobs: FakeJobs):
    under = Workplace(Settings(data_dir=place.settings.data_dir, public_url="https://example.test/beton"), place.store, place.clock)
    with TestClient(Prefixed(create_app(under, jobs=jobs), "/beton"), base_url="http://example.test") as client:
        client.follow_redirects = False
        for path in ("/beton/healthz", "/healthz"):
            assert client.get(path).status_code == 200
        for path in ("/beton/review?x=1", "/review?x=1", "/beton"):
            assert client.get(path).headers["location"].startswith("/beton/sign-in?next=%2F"), path
        assert client.get("/betonic/healthz").status_code == 404
        assert 'action="/beton/sign-in"' in client.get("/beton/sign-in").text


def test_loopback_has_several_names():
    for host in ("127.0.0.1", "127.0.0.9", "localhost", "::1"):
        listen(host, 0).close()


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path):
    with listen("127.0.0.1", 0) as taken, pytest.raises(SettingsError) as caught:
        serve(Settings(data_dir=tmp_path, port=taken.getsockname()[1], secret_key=KEY))
    assert caught.value.code == "settings.port_taken"
    assert not (tmp_path / "beton.sqlite").exists()


def test_a_database_of_another_schema_is_not_ready(place: Workplace, stranger: TestClient):
    downgrade(place.store.engine, "base")
    response = stranger.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "store.schema_differs")
    assert stranger.get("/healthz").status_code == 200


def test_a_database_that_is_away_is_not_ready_and_not_described(tmp_path: Path, clock):
    store = Store(open_engine("postgresql://ada:canary@127.0.0.1:1/secretname"), Sealer({"k1": bytes(range(32))}), clock)
    place = Workplace(Settings(data_dir=tmp_path), store, clock)
    with TestClient(create_app(place, jobs=FakeJobs(place)), base_url=URL, raise_server_exceptions=False) as client:
        response = client.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "store.unavailable")
    assert "canary" not in response.text
    assert "127.0.0.1" not in response.text


def test_what_was_opened_is_closed_when_the_application_stops(place: Workplace, jobs: FakeJobs):
    closed: list[bool] = []
    with TestClient(create_app(place, jobs=jobs, on_stop=lambda: closed.append(True)), base_url=URL) as client:
        client.get("/healthz")
        assert closed == []
    assert closed == [True]


def test_a_real_server_answers_and_stops_when_told(database_dir: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "BETON_DATA_DIR": str(database_dir / "data"), "BETON_PORT": str(port), "BETON_SECRET_KEY": KEY.get_secret_value()}
    with subprocess.Popen([sys.executable, "-c", SERVE], env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            assert address == f"http://127.0.0.1:{port}"
            assert httpx.get(f"{address}/readyz", trust_env=False, timeout=10).json() == {"status": "ready", "queue_age_seconds": None}
            answer = httpx.get(f"{address}/api/v1/runs", trust_env=False)
            assert answer.status_code == 401
            assert "server" not in answer.headers
            server.send_signal(signal.SIGTERM)
            assert server.wait(10) in (0, -signal.SIGTERM)
        finally:
            server.kill()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz", trust_env=False)


def test_a_request_holds_one_connection_at_a_time(api: Contract, store: Store, connection: Connection):
    """Otherwise as many requests as the pool has connections could wait for each other."""
    row = fired(store, connection)
    held: list[int] = []
    pool = store.engine.pool
    assert isinstance(pool, QueuePool)
    event.listen(pool, "checkout", lambda *_: held.append(pool.checkedout()))
    for path in ("hypotheses", f"hypotheses/{row.id}", f"hypotheses/{row.id}/history", "signals", "deliveries?route=crm", "runs?connection=shop"):
        assert api.get(path).status_code == 200
    for path, body in ((f"hypotheses/{row.id}/pause", None), ("hypotheses", {"connection": "shop", "definition": definition(days=9)})):
        assert api.post(path, body).status_code in (200, 201)
    assert set(held) == {1}

"""One table and one server for all tests of the sandbox: ClickHouse is slow to start."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

from beton.sandbox.run import running_sandbox
from beton.sandbox.settings import ApiKey, LimitSettings
from tests.sandbox.table import EVENTS, Table, make_table

KEYS = (
    ApiKey("phx_all"),
    ApiKey("phx_reader", ("query:read", "project:read")),
    ApiKey("phx_elsewhere", projects=(99,)),
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ClickHouse's folder in this process."""
    return tmp_path_factory.mktemp("clickhouse")


@pytest.fixture(scope="session")
def table(folder: Path) -> Generator[Table]:
    made = make_table(folder)
    yield made
    made.clickhouse.close()


@dataclass
class Api:
    """Asks the running sandbox; every call is a real HTTP request."""

    http: httpx.Client

    def query(self, text: str, refresh: str = "force_blocking", **extra: Any) -> httpx.Response:
        options = {name: extra.pop(name) for name in ("client_query_id", "name") if name in extra}
        body = {"query": {"kind": "HogQLQuery", "query": text, **extra}, "refresh": refresh, **options}
        return self.http.post("/api/projects/@current/query/", json=body)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(f"/api/projects/1/{path}", params=params)

    def faults(self, *faults: dict[str, Any]) -> None:
        self.http.post("/sandbox/faults", json=list(faults)).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        return self.http.get("/sandbox/requests").json()["requests"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    path: Path = tmp_path_factory.mktemp("server") / "events.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(event) for event in EVENTS))
    limits = LimitSettings(max_execution_seconds=1.0, queue_seconds=0.3)
    with running_sandbox(path, keys=KEYS, limits=limits, path_prefix="/some/prefix", timezone="Europe/Berlin") as running:
        yield running.url


@pytest.fixture
def ask(server: str) -> Generator[Callable[[str], Api]]:
    """A client per key, the sandbox's memory emptied first."""
    opened: list[httpx.Client] = []

    def client(key: str) -> Api:
        http = httpx.Client(base_url=server, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=20)
        opened.append(http)
        return Api(http)

    client("").http.post("/sandbox/reset").raise_for_status()
    yield client
    for http in opened:
        http.close()


@pytest.fixture
def api(ask: Callable[[str], Api]) -> Api:
    return ask("phx_all")

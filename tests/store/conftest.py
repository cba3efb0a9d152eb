"""Every test of the store runs on both databases."""

from collections.abc import Generator

import pytest

from beton.store import connections, routes
from beton.store.engines import open_engine
from beton.store.records import Connection, Route
from beton.store.sealing import Sealer
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import a_webhook


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def store(database_url: str, clock: Clock) -> Generator[Store]:
    opened = Store(open_engine(database_url), Sealer({"k1": bytes(range(32))}), clock)
    yield opened
    opened.close()


@pytest.fixture
def connection(store: Store) -> Connection:
    with store.transaction() as tx:
        return connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_canaryCANARYcanary", actor="ada")


@pytest.fixture
def route(store: Store) -> Route:
    to = a_webhook(url="https://hooks.example.com/T0/canaryPATH", secret="whsec_canaryCANARY")
    with store.transaction() as tx:
        return routes.add(tx, name="crm", destination=to, actor="ada")

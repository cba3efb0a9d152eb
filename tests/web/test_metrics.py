"""Figures for Prometheus: who may read them, that they are true, and that they tell nobody apart."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from beton.app import create_app
from beton.store import signals, workspaces
from beton.store.records import Connection
from beton.store.store import Store
from beton.web.observed import Observed, shown
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.store import steps
from tests.web.conftest import URL, FakeJobs

KEY = "metricsKEYmetricsKEY"


def figures(text: str) -> dict[str, float]:
    """Name and labels → value."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value for sample in samples}


def called_from(address: str, app: Any) -> Any:
    """The application as somebody with this address calls it."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"client": (address, 5000)}, receive, send)

    return called


@pytest.fixture
def here(app: Litestar) -> Generator[TestClient]:
    """A process of this machine."""
    with TestClient(called_from("127.0.0.1", Observed(app)), base_url=URL) as client:
        yield client


def test_another_machine_needs_the_key(place: Workplace, jobs: FakeJobs) -> None:
    settings = place.settings.model_copy(update={"metrics_key": SecretStr(KEY)})
    app = create_app(Workplace(settings, place.store, place.clock), jobs=jobs)
    with TestClient(called_from("192.0.2.7", app), base_url=URL, raise_server_exceptions=False) as far:
        assert far.get("/metrics").status_code == 401
        assert far.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert far.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_a_proxy_on_this_machine_speaks_for_others(here: TestClient) -> None:
    assert here.get("/metrics").status_code == 200
    for name in ("X-Forwarded-For", "Forwarded", "Via"):
        assert here.get("/metrics", headers={name: "192.0.2.7"}).status_code == 401


def test_the_figures_are_those_of_all_workspaces_and_name_none(here: TestClient, store: Store) -> None:
    second = workspaces.add(store, "Canary team", actor="ada")
    here.get("/healthz")
    text = here.get("/metrics").text
    found = figures(text)
    assert found["beton_workspaces"] == 2
    assert found["beton_http_requests_total kind=probe method=GET status=200"] >= 1
    assert second.id not in text
    assert "Canary" not in text


def test_no_caller_can_make_new_series(here: TestClient) -> None:
    before = len(figures(here.get("/metrics").text))
    here.get("/metrics")
    settled = len(figures(here.get("/metrics").text))
    for number in range(20):
        here.request(f"ODD{number}", f"/nowhere/{number}")
        here.get(f"/nowhere/{number}")
    assert len(figures(here.get("/metrics").text)) <= settled + 30
    assert before <= settled
    assert not [name for name in figures(here.get("/metrics").text) if "nowhere" in name or "ODD" in name]


def test_work_that_waits_has_an_age(here: TestClient, token: str, store: Store, connection: Connection, clock: Clock) -> None:
    assert here.get("/readyz").json()["queue_age_seconds"] is None
    new = {"name": "sales", "url": "https://hooks.example.com/"}
    assert here.post("/api/v1/routes", json=new, headers={"Authorization": f"Bearer {token}"}).status_code == 201
    live = steps.approved(store, connection)
    with store.transaction() as tx:
        signals.record(tx, live.id, live.version, [steps.finding("ada", clock.now)])
    clock.advance(timedelta(minutes=3))
    assert here.get("/readyz").json() == {"status": "ready", "queue_age_seconds": 180.0}
    assert figures(here.get("/metrics").text)["beton_outbox_oldest_seconds"] == 180


def test_tokens_in_addresses_are_not_written_down() -> None:
    assert shown("/link/abcdef") == "/link/…"
    assert shown("/in/abc/def") == "/in/…/def"
    assert shown("/hypotheses/hyp_1") == "/hypotheses/hyp_1"

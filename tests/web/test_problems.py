"""Every refusal has one shape; what nobody foresaw tells nothing but an id."""

import json
import logging

import pytest
from litestar import get
from litestar.testing import TestClient

from beton.app import create_app
from beton.errors import BadInput, Fault, PostHogBusy
from beton.roles import Permission
from beton.store.api_keys import issue
from beton.store.store import Store
from beton.web.problems import pointer
from beton.work.workplace import Workplace
from tests.web.conftest import URL, FakeJobs
from tests.web.contract import Contract, check


def test_what_is_not_there_is_a_problem_too(api: Contract):
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("GET", "/api/v1/runs/run_a/b", 404, "not_found"),
        ("DELETE", "/api/v1/hypotheses/hyp_a", 405, "http.405"),
        ("HEAD", "/api/v1/hypotheses", 405, "http.405"),
        ("GET", "/api/v1/routes/crm/test", 405, "http.405"),
    ):
        response = api.client.request(method, path, headers=api.headers)
        assert response.status_code == status, path
        if method != "HEAD":
            assert response.json()["code"] == code
            assert response.headers["content-type"] == "application/problem+json"
    assert "GET" in api.client.delete("/api/v1/hypotheses/hyp_a", headers=api.headers).headers["allow"]


def test_bodies_that_are_no_json_are_malformed(api: Contract):
    for body in (b"{", b"\xff\xfe", b"nonsense", b'{"a": "\\ud800"}', b"[" * 200_000, b'{"a":' * 50_000, b"1e", b"{}{}"):
        response = api.ask("POST", "hypotheses", content=body)
        assert (response.status_code, response.json()["code"]) == (400, "input.malformed"), body[:20]
    for body in (b"", b"null", b"[]", b"3", b'"text"', b"true"):
        response = api.ask("POST", "hypotheses", content=body)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, ""), body


def test_a_host_that_is_none_is_told_as_such(api: Contract):
    response = api.client.get("/healthz", headers={"Host": "local/host"})
    assert (response.status_code, response.json()["detail"]) == (400, "Invalid host header.")


def test_a_body_over_a_megabyte_is_not_read(api: Contract):
    big = json.dumps({"connection": "shop", "definition": {"name": "x" * 1_000_000}}).encode()
    response = api.ask("POST", "hypotheses", content=big)
    assert (response.status_code, response.json()["code"]) == (413, "input.too_large")


def test_texts_and_numbers_that_no_database_holds_are_refused(api: Contract, connection):
    for value in ("a\x00b", {"a\x00": 1}, [10**30], -(10**19)):
        response = api.post("hypotheses", {"connection": "shop", "definition": {"name": value}})
        assert response.status_code == 422, value
    for path in ("hypotheses/hyp_%00", "connections/a%00b/taxonomy"):
        assert api.get(path).status_code == 400
    assert api.get("signals", params={"hypothesis_id": "a\x00"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", ""), ("clauses[1].event", "/clauses/1/event"), ("clauses.1.event", "/clauses/1/event"), ("a~b/c.d", "/a~0b~1c/d")],
)
def test_a_path_becomes_a_json_pointer(path: str, expected: str):
    assert pointer(path) == expected


@get("/api/v1/broken", sync_to_thread=False)
def broken() -> str:
    raise KeyError("canary phx_canaryCANARYcanary")


@get("/api/v1/busy", sync_to_thread=False)
def busy() -> str:
    raise PostHogBusy("PostHog asks for patience.", retry_after=2.5)


@get("/api/v1/faulty", sync_to_thread=False)
def faulty() -> str:
    raise BadInput("Wrong.", [Fault("clauses[0].span", "is missing", 3, ("ever",))])


@pytest.fixture
def breaking(place: Workplace, store: Store, jobs: FakeJobs):
    app = create_app(place, jobs=jobs)
    for handler in (broken, busy, faulty):
        app.register(handler)
    with store.transaction() as tx:
        _, token = issue(tx, "Ada", list(Permission), actor="set-up")
    with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_a_fault_of_our_own_tells_an_id_and_the_log_the_rest(breaking: TestClient, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, logger="beton.web"):
        response = breaking.get("/api/v1/broken")
    assert response.status_code == 500
    told = response.json()
    check({"$ref": "#/components/schemas/Problem"}, told)
    assert told["code"] == "beton.unexpected"
    assert "canary" not in response.text
    assert "KeyError" not in response.text
    assert told["request_id"] == response.headers["x-request-id"]
    assert told["request_id"] in caplog.text
    assert "KeyError" in caplog.text
    assert "CANARY" not in caplog.text


def test_a_wish_of_posthogs_is_passed_on(breaking: TestClient):
    response = breaking.get("/api/v1/busy")
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")


def test_faults_have_one_shape(breaking: TestClient):
    (fault,) = breaking.get("/api/v1/faulty").json()["errors"]
    assert fault == {"field": "clauses[0].span", "pointer": None, "message": "is missing", "line": 3, "nearest": ["ever"]}

"""Faults strike as they were asked for, once each, and only where they were asked for."""

import json

import httpx
import pytest

from tests.sandbox.conftest import Api


def test_an_error_strikes_once_with_its_body_and_headers(api: Api) -> None:
    api.faults({"kind": "error", "status": 429, "code": "throttled", "detail": "Slow down.", "retry_after": 7, "path": "/query"})
    assert api.get("").status_code == 200
    reply = api.query("SELECT 1")
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")
    assert reply.json() == {"type": "throttled_error", "code": "throttled", "detail": "Slow down.", "attr": None}
    assert api.query("SELECT 1").status_code == 200


def test_faults_wait_their_turn_and_repeat(api: Api) -> None:
    api.faults({"kind": "busy", "after": 1, "times": 2})
    assert [api.query("SELECT 1").status_code for _ in range(4)] == [200, 503, 503, 200]


@pytest.mark.parametrize(("kind", "status"), [("timeout", 504), ("busy", 503), ("too_long", 512)])
def test_posthogs_own_failures_have_names(api: Api, kind: str, status: int) -> None:
    api.faults({"kind": kind})
    reply = api.query("SELECT 1")
    assert (reply.status_code, reply.json()["type"], "Retry-After" in reply.headers) == (status, "server_error", False)


def test_a_retry_after_may_be_a_date(api: Api) -> None:
    api.faults({"kind": "error", "status": 503, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert api.query("SELECT 1").headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"


def test_html_comes_with_200(api: Api) -> None:
    api.faults({"kind": "html"})
    reply = api.query("SELECT 1")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_truncated_json_looks_whole_until_it_is_parsed(api: Api) -> None:
    api.faults({"kind": "truncated"})
    reply = api.query("SELECT 1")
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()


def test_a_reset_drops_the_connection(api: Api) -> None:
    api.faults({"kind": "reset"})
    with pytest.raises(httpx.TransportError):
        api.query("SELECT 1")
    assert api.query("SELECT 1").status_code == 200


def test_slow_and_delayed_answers_arrive_whole(api: Api) -> None:
    api.faults({"kind": "slow", "delay": 0.2}, {"kind": "delay", "delay": 0.2})
    for _ in range(2):
        reply = api.query("SELECT 1")
        assert reply.json()["results"] == [[1]]
    assert all(record["seconds"] >= 0.2 for record in api.requests()[-2:])


def test_a_header_brings_a_fault_of_its_own(api: Api) -> None:
    reply = api.http.get("/api/projects/1/", headers={"X-Sandbox-Fault": json.dumps({"kind": "error", "status": 500})})
    assert (reply.status_code, reply.json()["detail"]) == (500, "A server error occurred.")
    assert api.requests()[-1]["fault"] == "error"


def test_a_misspelt_fault_is_refused(api: Api) -> None:
    for fault in ({"kind": "nonsense"}, {"kind": "error", "statsu": 500}, {"kind": "error", "status": "many"}):
        assert api.http.post("/sandbox/faults", json=fault).status_code == 400

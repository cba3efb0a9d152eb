"""The client against a fake PostHog: what it sends, what it repeats, what it refuses, what it tells."""

import asyncio
import gzip
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from beton.errors import BadInput, PostHogBusy, PostHogDenied, PostHogError, PostHogTooHeavy, PostHogWrongAddress
from beton.posthog.client import PostHogClient, QueryResult, is_truncated
from beton.posthog.connection import ConnectionReport, check_connection
from beton.posthog.hosts import normalise_host
from beton.posthog.limits import Limits
from tests.posthog.fake_posthog import ALL_SCOPES, KEY, FakePostHog, Recorder, SimulatedTime, problem

THROTTLED = "Request was throttled. Expected available in 9 seconds."


def ask(posthog: FakePostHog, hogql: str = "SELECT 1", values: dict[str, Any] | None = None, **others: Any) -> QueryResult:
    """One query with a client of its own."""

    async def asking() -> QueryResult:
        async with posthog.client(**others) as client:
            return await client.query(hogql, values, name="test")

    return asyncio.run(asking())


def pages(posthog: FakePostHog, path: str = "event_definitions/", limit: int = 100) -> list[dict[str, Any]]:
    async def reading() -> list[dict[str, Any]]:
        async with posthog.client() as client:
            return [row async for page in client.get_pages(path, {"limit": limit}) for row in page]

    return asyncio.run(reading())


def test_a_query_travels_as_posthog_documents_it(posthog: FakePostHog) -> None:
    result = ask(posthog, "SELECT {x}", {"x": 1})
    (request,) = posthog.requests
    body = orjson.loads(request.content)
    assert (request.method, str(request.url)) == ("POST", "https://us.posthog.com/api/projects/7/query/")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["user-agent"].startswith("beton/")
    assert body["query"] == {"kind": "HogQLQuery", "query": "SELECT {x}", "values": {"x": 1}, "modifiers": {"convertToProjectTimezone": False}}
    assert (body["name"], body["refresh"]) == ("test", "force_blocking")
    assert body["client_query_id"].startswith("beton-")
    assert (result.rows, result.columns, result.types, result.cached) == ([[1]], ("c0",), ("String",), False)
    assert list(result.records()) == [{"c0": 1}]


def test_a_closed_day_may_come_from_the_cache(posthog: FakePostHog) -> None:
    async def asking() -> QueryResult:
        async with posthog.client() as client:
            return await client.query("SELECT 1", name="test", refresh="blocking", client_query_id="mine")

    assert asyncio.run(asking()).cached
    assert orjson.loads(posthog.requests[0].content)["client_query_id"] == "mine"


def test_the_bytes_of_an_answer_are_there_for_a_faster_parser(posthog: FakePostHog) -> None:
    async def asking() -> bytes:
        async with posthog.client() as client:
            return await client.query_bytes("SELECT 1", name="test")

    assert orjson.loads(asyncio.run(asking()))["results"] == [[1]]


def test_large_whole_numbers_survive(posthog: FakePostHog) -> None:
    posthog.tables["test"] = lambda values: [[18446744073709551615]]
    assert ask(posthog).rows == [[18446744073709551615]]


@pytest.mark.parametrize(
    "fault",
    [
        problem(429, "throttled", THROTTLED),
        problem(503, "error", "Queries are a little too busy right now."),
        problem(500, "error", "A server error occurred."),
        httpx.Response(502, html="<html>bad gateway</html>"),
        httpx.Response(200, text='{"results": [[1'),
        httpx.Response(202, json={"query_status": {"complete": False}}),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    ],
    ids=lambda fault: str(fault),
)
def test_what_may_pass_is_tried_again(posthog: FakePostHog, fault: httpx.Response | Exception) -> None:
    posthog.faults.append(fault)
    assert ask(posthog).rows == [[1]]
    assert len(posthog.requests) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (problem(400, "hogql_query_error", "Unable to resolve field: bla"), "posthog.query_refused"),
        (problem(401, "authentication_failed", "invalid"), "posthog.key_invalid"),
        (problem(402, "quota_limit_exceeded", "limit"), "posthog.quota"),
        (problem(403, "permission_denied", "API key missing required scope 'query:read'"), "posthog.scope_missing"),
        (problem(404, "not_found", "Not found."), "posthog.project_not_found"),
        (problem(504, "error", "Query has hit the max execution time before completing."), "posthog.query_timeout"),
        (httpx.ReadTimeout("no word for 65 seconds"), "posthog.query_timeout"),
        (problem(512, "error", "Estimated query execution time is too long"), "posthog.query_too_slow"),
        (problem(504, "error", "max memory limit"), "posthog.query_memory"),
        (httpx.Response(200, html="<html>Sign in</html>"), "posthog.not_json_wrong_region"),
        (httpx.Response(301, headers={"location": "https://eu.posthog.com/api/projects/7/query/"}), "posthog.redirected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_pass_is_asked_once(posthog: FakePostHog, time: SimulatedTime, fault: httpx.Response, code: str) -> None:
    posthog.faults.append(fault)
    with pytest.raises(PostHogError) as failure:
        ask(posthog)
    assert failure.value.code == code
    assert len(posthog.requests) == 1
    assert time.slept == []


def test_a_query_that_is_too_heavy_asks_its_caller_to_shrink(posthog: FakePostHog) -> None:
    posthog.faults.append(problem(504, "error", "Query has hit the max execution time before completing."))
    with pytest.raises(PostHogTooHeavy) as failure:
        ask(posthog)
    assert failure.value.shrink


@pytest.mark.parametrize("form", ["seconds", "date", "sentence"])
def test_the_named_wait_is_kept_in_every_form(posthog: FakePostHog, time: SimulatedTime, form: str) -> None:
    headers = {
        "seconds": {"Retry-After": "40"},
        "date": {"Retry-After": format_datetime(time() + timedelta(seconds=40), usegmt=True)},
        "sentence": {},
    }[form]
    posthog.faults.append(problem(429, "throttled", "Request was throttled. Expected available in 40 seconds.", headers))
    began = time()
    ask(posthog)
    assert 40 <= (time() - began).total_seconds() <= 42


def test_attempts_are_capped_and_spread(posthog: FakePostHog, time: SimulatedTime) -> None:
    posthog.faults.extend(problem(500, "error", "A server error occurred.") for _ in range(20))
    with pytest.raises(PostHogBusy) as failure:
        ask(posthog)
    assert len(posthog.requests) == 6
    assert failure.value.details["attempts"] == 6
    assert [low <= wait <= 2 * low for low, wait in zip((0.5, 1, 2, 4, 8), time.slept, strict=True)] == [True] * 5


def test_the_time_for_all_attempts_is_capped(posthog: FakePostHog, time: SimulatedTime) -> None:
    posthog.faults.extend(problem(429, "throttled", "x", {"Retry-After": "250"}) for _ in range(20))
    began = time()
    with pytest.raises(PostHogBusy):
        ask(posthog)
    assert (time() - began).total_seconds() <= 600
    assert len(posthog.requests) == 3


def test_a_refusal_makes_the_limits_take_less(posthog: FakePostHog, time: SimulatedTime) -> None:
    limits = Limits.for_cloud(1.0, clock=time, sleep=time.sleep)
    posthog.faults.append(problem(429, "throttled", THROTTLED, {"Retry-After": "9"}))
    ask(posthog, limits=limits)
    assert asyncio.run(limits.describe()).effective_share < 0.6


def test_a_revoked_key_costs_one_request(posthog: FakePostHog) -> None:
    posthog.key = None
    with pytest.raises(PostHogDenied, match="does not accept"):
        ask(posthog)
    assert len(posthog.requests) == 1


def test_every_request_is_told_with_its_costs(posthog: FakePostHog, recorder: Recorder) -> None:
    posthog.query_headers = {"X-PostHog-Query-Bytes-Read": "1234", "X-PostHog-Query-Budget-Remaining-Bytes": "99"}
    posthog.faults.append(problem(503, "error", "busy"))
    result = ask(posthog, on_request=recorder)
    refused, answered = recorder.records
    assert (refused.status, refused.code, refused.attempt, refused.read) == (503, "posthog.busy", 1, None)
    assert (answered.status, answered.code, answered.attempt, answered.read) == (200, None, 2, 1234)
    assert answered.received > 0
    assert (answered.surface, answered.name, answered.path) == ("query", "test", "projects/7/query/")
    assert result.read == 1234


def test_an_answer_that_is_too_large_is_dropped_while_it_arrives(posthog: FakePostHog) -> None:
    posthog.tables["test"] = lambda values: [["x" * 2000]]
    with pytest.raises(PostHogTooHeavy) as failure:
        ask(posthog, largest_body=1000)
    assert failure.value.code == "posthog.response_too_large"


def test_a_small_answer_that_unpacks_to_a_large_one_counts_as_large(posthog: FakePostHog) -> None:
    packed = gzip.compress(b'{"results": [["' + b"x" * 500_000 + b'"]]}')
    posthog.faults.append(httpx.Response(200, content=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}))
    with pytest.raises(PostHogTooHeavy) as failure:
        ask(posthog, largest_body=100_000)
    assert failure.value.code == "posthog.response_too_large"
    assert len(packed) < 2000


def test_an_endless_error_page_is_cut(posthog: FakePostHog) -> None:
    posthog.faults.append(httpx.Response(401, content=b"z" * 5_000_000))
    with pytest.raises(PostHogDenied):
        ask(posthog)


def test_an_answer_without_results_is_a_refusal(posthog: FakePostHog) -> None:
    posthog.faults.append(httpx.Response(200, json={"results": None, "error": "Unknown table"}))
    with pytest.raises(PostHogError, match="Unknown table") as failure:
        ask(posthog)
    assert failure.value.code == "posthog.query_refused"


@pytest.mark.parametrize(
    ("hogql", "values", "rows", "has_more", "truncated"),
    [
        ("SELECT 1", None, 100, True, True),
        ("SELECT 1", None, 100, False, False),
        ("SELECT 1", None, 100, None, True),
        ("SELECT 1", None, 99, None, False),
        ("SELECT 1 LIMIT 10", None, 10, None, True),
        ("SELECT 1 LIMIT 10", None, 9, None, False),
        ("SELECT 1\nLIMIT 10;\n", None, 10, None, True),
        ("SELECT 1 LIMIT 900000", None, 50_000, None, True),
        ("SELECT 1 limit {n}", {"n": 5}, 5, None, True),
        ("SELECT 1 FROM (SELECT 1 LIMIT 3) LIMIT 10", None, 3, None, False),
    ],
)
def test_a_table_that_may_lack_rows_says_so(hogql: str, values: dict[str, Any] | None, rows: int, has_more: bool | None, truncated: bool) -> None:
    assert is_truncated(hogql, values, rows, has_more) is truncated


def test_a_list_is_read_to_its_last_page_on_our_host_only(posthog: FakePostHog) -> None:
    posthog.events = [{"name": f"event {i}"} for i in range(2345)]
    assert pages(posthog, limit=500) == posthog.events
    assert {request.url.host for request in posthog.requests} == {"us.posthog.com"}
    assert {request.url.scheme for request in posthog.requests} == {"https"}
    assert len(posthog.requests) == 5


def test_a_capped_count_does_not_end_the_list(posthog: FakePostHog) -> None:
    posthog.events = [{"name": f"event {i}"} for i in range(950)]
    posthog.count_cap = 300
    assert pages(posthog) == posthog.events


def test_pages_that_never_end_are_noticed(posthog: FakePostHog) -> None:
    page = {"count": 9, "next": "https://us.posthog.com/api/projects/7/event_definitions/?limit=100", "results": [{"name": "a"}]}
    posthog.faults.extend(httpx.Response(200, json=page) for _ in range(5))
    with pytest.raises(PostHogError) as failure:
        pages(posthog)
    assert failure.value.code == "posthog.bad_json"
    assert len(posthog.requests) == 1


def test_a_next_page_of_another_list_is_refused(posthog: FakePostHog) -> None:
    page = {"count": 9, "next": "https://evil.example/api/projects/7/persons/?limit=100&offset=100", "results": [{"name": "a"}]}
    posthog.faults.append(httpx.Response(200, json=page))
    with pytest.raises(PostHogWrongAddress):
        pages(posthog)
    assert len(posthog.requests) == 1


def test_the_project_and_the_user_can_be_read(posthog: FakePostHog) -> None:
    async def reading() -> tuple[str, str, int]:
        async with posthog.client() as client:
            project, me = await client.project(), await client.me()
            return project.timezone, me["email"], project.id

    assert asyncio.run(reading()) == ("Europe/Berlin", "someone@example.com", 7)


def test_only_reading_requests_are_ever_made(posthog: FakePostHog) -> None:
    ask(posthog)
    pages(posthog)
    asyncio.run(check(posthog))
    assert {(request.method, request.url.path.endswith("/query/")) for request in posthog.requests} == {("POST", True), ("GET", False)}


@pytest.mark.parametrize("project", ["", "abc", "7/../8", "@me", "-1"])
def test_a_project_is_a_number(time: SimulatedTime, project: str) -> None:
    with pytest.raises(BadInput):
        PostHogClient(normalise_host("us"), project, SecretStr(KEY), Limits.for_cloud(clock=time), clock=time)


def test_the_key_is_in_no_error_even_when_posthog_echoes_it(posthog: FakePostHog) -> None:
    old = "canaryKeyWithoutPrefix0123456789"
    posthog.faults.extend([httpx.Response(500, text=f"trace: {old}"), httpx.ConnectError(f"cannot send {old}")])
    posthog.key = old

    async def asking() -> PostHogError:
        limits = Limits.for_cloud(1.0, clock=posthog.time, sleep=posthog.time.sleep)
        async with PostHogClient(
            normalise_host("us"), 7, SecretStr(old), limits, clock=posthog.time, transport=posthog.transport, sleep=posthog.time.sleep, attempts=2
        ) as client:
            with pytest.raises(PostHogError) as failure:
                await client.query("SELECT 1", name="test")
            assert old not in repr(vars(failure.value))
            return failure.value

    failure = asyncio.run(asking())
    assert "canary" not in f"{failure!s} {failure!r} {failure.as_problem()}"


async def check(posthog: FakePostHog, key: str = KEY, project: int = 7) -> ConnectionReport:
    limits = Limits.for_cloud(clock=posthog.time, sleep=posthog.time.sleep)
    return await check_connection(
        normalise_host("us"), project, SecretStr(key), limits, clock=posthog.time, transport=posthog.transport, sleep=posthog.time.sleep
    )


def test_a_good_connection_passes_every_check(posthog: FakePostHog) -> None:
    report = asyncio.run(check(posthog))
    assert report.ok
    assert [check.name for check in report.checks] == ["key", "project", "queries", "events", "properties", "groups", "cohorts"]
    assert report.project is not None
    assert report.project.timezone == "Europe/Berlin"
    assert len(posthog.requests) == 6


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES - {"user:read"}))
def test_a_missing_scope_is_found_without_hiding_the_others(posthog: FakePostHog, scope: str) -> None:
    posthog.scopes.discard(scope)
    report = asyncio.run(check(posthog))
    (failure,) = report.failures
    assert failure.code == "posthog.scope_missing"
    assert scope in failure.fix
    assert report.ok == (scope == "cohort:read")
    assert all(check.ok is not None for check in report.checks)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (httpx.ConnectError("[Errno -2] Name or service not known"), "posthog.dns"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (x)"), "posthog.tls"),
        (httpx.ConnectTimeout("x"), "posthog.timeout"),
        (httpx.Response(200, html="<html>Sign in</html>"), "posthog.not_json_wrong_region"),
        (problem(401, "authentication_failed", "invalid"), "posthog.key_invalid"),
        (problem(404, "not_found", "Not found."), "posthog.project_not_found"),
        (problem(403, "permission_denied", "API key does not have access to the requested project: ID 7."), "posthog.project_forbidden"),
        (problem(429, "throttled", THROTTLED), "posthog.throttled"),
        (problem(503, "error", "busy"), "posthog.busy"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_connection_costs_one_request_and_has_one_code(posthog: FakePostHog, fault: httpx.Response | Exception, code: str) -> None:
    posthog.faults.append(fault)
    report = asyncio.run(check(posthog))
    assert [failure.code for failure in report.failures] == [code]
    assert not report.ok
    assert len(posthog.requests) == 1
    assert report.failures[0].sentence
    assert report.failures[0].fix


@pytest.mark.parametrize(("key", "code"), [("phc_abcdefghijkl", "posthog.key_is_project_key"), ("phs_abcdefghijkl", "posthog.key_unknown_kind")])
def test_a_key_of_the_wrong_kind_is_told_without_any_request(posthog: FakePostHog, key: str, code: str) -> None:
    report = asyncio.run(check(posthog, key))
    assert [failure.code for failure in report.failures] == [code]
    assert posthog.requests == []


def test_the_line_for_the_shell_repeats_the_request_without_the_key(posthog: FakePostHog) -> None:
    report = asyncio.run(check(posthog))
    assert report.curl.startswith("curl -sS -X POST 'https://us.posthog.com/api/projects/7/query/' -H 'Authorization: Bearer phx_…'")
    assert KEY not in repr(report)

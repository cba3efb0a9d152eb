"""The server from outside: real HTTP to a process of its own, below a path prefix."""

import threading
import time
from collections.abc import Callable

import httpx
import pytest

from tests.sandbox.conftest import Api

SLOW = "SELECT count() FROM numbers(100000000000) WHERE cityHash64(number) = {salt}"


def test_a_query_answers_with_posthogs_fields(api: Api) -> None:
    reply = api.query("SELECT event, count() FROM events GROUP BY event ORDER BY event", name="mine")
    body = reply.json()
    assert reply.status_code == 200
    assert body["results"] == [["$groupidentify", 1], ["page", 3], ["paid", 1], ["signed_up", 3]]
    assert body["columns"] == ["event", "count()"]
    assert body["types"] == [["event", "String"], ["count()", "UInt64"]]
    assert (body["hasMore"], body["limit"], body["offset"], body["timezone"]) == (False, 100, 0, "Europe/Berlin")
    expected = "cache_key clickhouse error explain hogql is_cached last_refresh metadata modifiers query query_status timings"
    assert set(expected.split()) <= set(body)
    assert int(reply.headers["X-PostHog-Query-Bytes-Read"]) > 0
    assert int(reply.headers["X-PostHog-Query-Budget-Remaining-Bytes"]) > 479_000_000_000


def test_has_more_is_told_only_without_a_limit_of_ones_own(api: Api) -> None:
    paged, own = api.query("SELECT number FROM numbers(150)").json(), api.query("SELECT number FROM numbers(150) LIMIT 120").json()
    assert (len(paged["results"]), paged["hasMore"], paged["limit"]) == (100, True, 100)
    assert (len(own["results"]), own["hasMore"], own["limit"], own["offset"]) == (120, None, None, None)


def test_more_than_50000_rows_are_cut_silently(api: Api) -> None:
    body = api.query("SELECT number FROM numbers(60000) LIMIT 60000").json()
    assert (len(body["results"]), body["hasMore"]) == (50_000, None)


def test_environments_and_projects_are_the_same_door(api: Api) -> None:
    names = {api.http.get(f"/api/{kind}/{number}/").json()["name"] for kind in ("projects", "environments") for number in ("1", "@current")}
    assert names == {"Sandbox"}


@pytest.mark.parametrize(
    ("key", "path", "status", "code", "detail"),
    [
        ("", "projects/1/", 401, "not_authenticated", "Authentication credentials were not provided."),
        ("phx_wrong", "projects/1/", 401, "authentication_failed", "Personal API key found in request Authorization header is invalid."),
        ("phc_sandbox", "projects/1/", 401, "authentication_failed", "Personal API key found in request Authorization header is invalid."),
        ("phx_reader", "projects/1/groups_types/", 403, "permission_denied", "API key missing required scope 'group:read'"),
        ("phx_elsewhere", "projects/1/", 403, "permission_denied", "API key does not have access to the requested project: ID 1."),
        ("phx_elsewhere", "projects/", 403, "permission_denied", "API keys with scoped projects are only supported on project-based endpoints."),
        ("phx_all", "projects/7/", 404, "not_found", "Not found."),
        ("phx_all", "projects/1/nothing/", 404, "not_found", "Not found."),
    ],
)
def test_keys_and_addresses_are_refused_in_posthogs_words(
    ask: Callable[[str], Api], key: str, path: str, status: int, code: str, detail: str
) -> None:
    reply = ask(key).http.get(f"/api/{path}")
    body = reply.json()
    assert (reply.status_code, body["code"], body["detail"], body["attr"]) == (status, code, detail, None)
    assert ("WWW-Authenticate" in reply.headers) == (status == 401)


def test_a_key_may_come_in_the_query_string(ask: Callable[[str], Api]) -> None:
    http = ask("").http
    assert http.get("/api/users/@me/", params={"personal_api_key": "phx_all"}).json()["team"]["timezone"] == "Europe/Berlin"
    wrong = http.get("/api/users/@me/", params={"personal_api_key": "no"}).json()
    assert wrong["detail"] == "Personal API key found in request query string is invalid."


def test_a_key_tells_its_scopes(ask: Callable[[str], Api]) -> None:
    assert ask("phx_reader").http.get("/api/personal_api_keys/@current/").json()["scopes"] == ["query:read", "project:read"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT noway()", "hogql_query_error"),
        ("SELECT bla FROM events", "invalid_input"),
        ("SELECT FROM events WHERE", "hogql_syntax_error"),
        ("SELECT event + 1 FROM events", "illegal_type_of_argument"),
        ("SELECT event, count() FROM events", "not_an_aggregate"),
    ],
)
def test_bad_queries_are_400_with_their_code(api: Api, text: str, code: str) -> None:
    reply = api.query(text)
    assert (reply.status_code, reply.json()["type"], reply.json()["code"]) == (400, "validation_error", code)


def test_a_body_that_is_no_query_is_a_parse_error(api: Api) -> None:
    for body in (b"{", b"[]", b'{"query": {"kind": "TrendsQuery"}}'):
        reply = api.http.post("/api/projects/1/query/", content=body)
        assert (reply.status_code, reply.json()["code"]) == (400, "parse_error")


def test_blocking_answers_come_from_the_cache_and_cost_nothing(api: Api) -> None:
    first, second = (api.query("SELECT count() FROM events", refresh="blocking") for _ in range(2))
    assert (first.json()["is_cached"], second.json()["is_cached"]) == (False, True)
    assert second.headers["X-PostHog-Query-Bytes-Read"] == "0"
    assert api.query("SELECT count() FROM events").json()["is_cached"] is False


def test_an_async_query_is_polled_to_its_results(api: Api) -> None:
    started = api.query("SELECT count() FROM events", refresh="force_async", client_query_id="mine")
    status = started.json()["query_status"]
    assert (started.status_code, status["id"], status["complete"], status["query_async"]) == (202, "mine", False, True)
    reply = _polled(api, "mine")
    assert reply.status_code == 200
    assert reply.json()["query_status"]["results"]["results"] == [[8]]


def test_an_async_query_that_fails_says_so_when_polled(api: Api) -> None:
    number = api.query("SELECT noway()", refresh="async").json()["query_status"]["id"]
    reply = _polled(api, number)
    assert reply.status_code == 400
    assert reply.json()["query_status"]["error_message"].startswith("Unsupported function call 'noway(...)'")


def test_unknown_queries_are_404_and_known_ones_can_be_cancelled(api: Api) -> None:
    assert api.get("query/unknown/").status_code == 404
    number = api.query("SELECT 1", refresh="async").json()["query_status"]["id"]
    assert "message" in api.http.delete(f"/api/projects/1/query/{number}/").json()


def _polled(api: Api, number: str) -> httpx.Response:
    for _ in range(100):
        reply = api.get(f"query/{number}/")
        if reply.status_code != 202:
            return reply
        time.sleep(0.02)
    raise AssertionError("the query never completed")


def test_a_query_that_takes_too_long_is_504_and_rests_after_three(api: Api) -> None:
    replies = [api.query(SLOW, values={"salt": 1}) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [504] * 4
    assert "Retry-After" not in replies[0].headers
    assert replies[0].json()["detail"].startswith("Query has hit the max execution time before completing.")
    assert "failed the same way 3 times in a row" in replies[3].json()["detail"]
    assert replies[3].elapsed.total_seconds() < 0.5


def test_three_queries_run_at_once_and_a_fourth_is_refused(api: Api) -> None:
    replies: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda n=n: replies.append(api.query(SLOW, values={"salt": 100 + n}))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status_code for reply in replies) == [429, 504, 504, 504]
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert "Retry-After" not in refused.headers
    assert max(record["running"] for record in api.requests()) == 3


def test_an_empty_budget_refuses_the_next_query_with_retry_after(api: Api) -> None:
    cached = api.query("SELECT count() FROM events", refresh="blocking").json()["results"]
    api.http.post("/sandbox/budget", json={"remaining": -200_000_000})
    reply = api.query("SELECT count() FROM events")
    assert (reply.status_code, reply.json()["code"], int(reply.headers["Retry-After"])) == (429, "api_queries_budget_exceeded", 36)
    assert api.query("SELECT count() FROM events", refresh="blocking").json()["results"] == cached


def test_event_definitions_are_paged_and_searched(api: Api) -> None:
    first = api.get("event_definitions/", limit=3, ordering="name").json()
    assert (first["count"], [item["name"] for item in first["results"]]) == (4, ["$groupidentify", "page", "paid"])
    second = api.http.get(first["next"]).json()
    assert ([item["name"] for item in second["results"]], second["next"]) == (["signed_up"], None)
    assert [item["name"] for item in api.get("event_definitions/", search="PA", ordering="-name").json()["results"]] == ["paid", "page"]
    assert api.get("event_definitions/", event_type="event_posthog").json()["count"] == 1


def test_property_definitions_have_types_and_the_last_page_is_longer(api: Api) -> None:
    kinds = {item["name"]: item["property_type"] for item in api.get("property_definitions/").json()["results"]}
    assert (kinds["n"], kinds["ok"], kinds["at"], kinds["path"]) == ("Numeric", "Boolean", "DateTime", "String")
    assert "$set" not in kinds
    persons = api.get("property_definitions/", type="person", limit=1, offset=1).json()
    assert len(persons["results"]) > 1
    assert persons["count"] == 2 + sum(item.get("virtual", False) for item in persons["results"])
    groups = api.get("property_definitions/", type="group", group_type_index=0).json()
    assert groups["results"][0]["name"] == "name"
    assert api.get("property_definitions/", type="group").status_code == 400
    seen = api.get("property_definitions/", event_names='["paid"]', filter_by_event_names="true").json()
    assert {item["name"] for item in seen["results"]} == {"amount", "at"}


def test_groups_types_are_a_bare_array_and_groups_a_cursor(api: Api) -> None:
    assert [(item["group_type"], item["group_type_index"]) for item in api.get("groups_types/").json()] == [("organization", 0)]
    rows = api.get("groups/", group_type_index=0).json()["results"]
    assert [(item["group_key"], item["group_properties"]) for item in rows] == [("acme", {}), ("zeta", {"name": "Zeta"})]


def test_persons_and_values_are_listed(api: Api) -> None:
    found = api.get("persons/", search="ann@example").json()["results"]
    assert [(item["distinct_ids"], item["properties"]["age"]) for item in found] == [(["ann"], 31)]
    api.http.post("/sandbox/clock", json={"now": "2026-03-06T00:00:00Z"})
    assert api.get("events/values/", key="path", event_name="page").json()["results"] == [{"name": "/a"}, {"name": "/b"}]
    assert api.get("events/values/", key="path").status_code == 400


def test_a_cohorts_members_are_read_by_hogql(api: Api) -> None:
    number = api.http.post("/sandbox/cohorts", json={"name": f"best {time.time_ns()}", "person_ids": ["ann", "bob"]}).json()["id"]
    cohort = next(item for item in api.get("cohorts/").json()["results"] if item["id"] == number)
    assert (cohort["count"], cohort["is_static"]) == (2, True)
    rows = api.query(f"SELECT person_id FROM cohort_people WHERE cohort_id = {number} ORDER BY person_id").json()["results"]
    assert rows == [["ann"], ["bob"]]
    assert api.query(f"SELECT uniq(person_id) FROM events WHERE person_id IN COHORT {number}").json()["results"] == [[2]]


def test_events_and_the_clock_can_be_moved_while_it_runs(api: Api) -> None:
    person = f"new-{time.time_ns()}"
    event = {"person_id": person, "event": "late", "timestamp": "2020-01-01T00:00:00.000001Z", "properties": {"fresh": 1}}
    assert api.http.post("/sandbox/events", json=[event]).json() == {"added": 1}
    text = f"SELECT toTimeZone(timestamp, 'UTC'), properties.fresh, now() FROM events WHERE person_id = '{person}'"
    api.http.post("/sandbox/clock", json={"now": "2026-03-09T00:00:00Z"})
    assert api.query(text).json()["results"] == [["2020-01-01T00:00:00.000001Z", 1.0, "2026-03-09T00:00:00Z"]]


def test_answers_are_compressed_when_asked_for(api: Api) -> None:
    plain = api.http.post("/api/projects/1/query/", json=_numbers(), headers={"Accept-Encoding": "identity"})
    packed = api.http.post("/api/projects/1/query/", json=_numbers(), headers={"Accept-Encoding": "gzip"})
    assert (plain.headers.get("content-encoding"), packed.headers.get("content-encoding")) == (None, "gzip")
    assert plain.json()["results"] == packed.json()["results"]


def _numbers() -> dict[str, object]:
    return {"query": {"kind": "HogQLQuery", "query": "SELECT number FROM numbers(5000) LIMIT 5000"}, "refresh": "force_blocking"}


def test_every_request_is_recorded(api: Api) -> None:
    api.query("SELECT count() FROM events WHERE properties != ''", name="counted")
    record = api.requests()[-1]
    assert (record["method"], record["status"], record["name"], record["rows_out"]) == ("POST", 200, "counted", 1)
    assert record["rows_read"] >= 8
    assert record["bytes_out"] > 0
    assert record["query"].startswith("SELECT count()")

"""The map from what can go wrong to what is said about it: total, exact, and silent about the key."""

import inspect
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import orjson
import pytest

from beton.errors import PostHogBusy, PostHogError, PostHogTooHeavy
from beton.posthog.codes import FAILURES, Asked
from beton.posthog.failures import Answer, from_answer, from_exception, read_json, retry_after
from beton.posthog.keys import check_key

KEY = "canaryWithoutAnyPrefix0123456789"
ASKED = Asked("https://us.posthog.com", "7", "projects/7/query/", (KEY,))
LISTED = Asked("https://us.posthog.com", "7", "projects/7/event_definitions/", (KEY,))
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"

EXCEPTIONS = [
    value
    for value in vars(httpx).values()
    if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, httpx.HTTPStatusError)
]


def body(code: str, detail: str) -> bytes:
    return orjson.dumps({"type": "x", "code": code, "detail": detail, "attr": None})


def raised(kind: type[Exception]) -> Exception:
    """An instance, whatever its constructor wants."""
    wanted = [name for name, p in inspect.signature(kind.__init__).parameters.items() if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD]
    return kind(*["went wrong"] * (len(wanted) - 1))


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_becomes_one_known_code(kind: type[Exception]) -> None:
    failure = from_exception(raised(kind), ASKED, NOW)
    assert failure.code in FAILURES
    assert type(failure) is FAILURES[failure.code].kind


def test_httpx_has_the_exceptions_we_think_of() -> None:
    assert {kind.__name__ for kind in EXCEPTIONS} >= {"ConnectError", "ReadTimeout", "ProxyError", "DecodingError", "InvalidURL", "StreamClosed"}
    assert len(EXCEPTIONS) >= 25


@pytest.mark.parametrize(
    "content", [b"", PAGE, b"not json", b"[1]", body("error", "A server error occurred.")], ids=["empty", "page", "text", "list", "json"]
)
@pytest.mark.parametrize("asked", [ASKED, LISTED], ids=["query", "list"])
def test_every_status_becomes_one_known_code(content: bytes, asked: Asked) -> None:
    for status in range(300, 600):
        failure = from_answer(Answer(status, {}, content), asked, NOW)
        assert failure.code in FAILURES, status
        assert type(failure) is FAILURES[failure.code].kind
        assert failure.message.strip()
        assert "{" not in failure.message
        assert failure.fix
        wrapped = httpx.HTTPStatusError("x", request=httpx.Request("GET", "https://us.posthog.com"), response=httpx.Response(status, content=content))
        assert from_exception(wrapped, asked, NOW).code == failure.code


@pytest.mark.parametrize(
    ("status", "posthog_code", "detail", "code"),
    [
        (400, "hogql_query_error", "Unable to resolve field: bla", "posthog.query_refused"),
        (400, "too_many_bytes", "Limit for bytes to read exceeded: 1.20 TB, maximum: 1.00 TB", "posthog.query_too_many_bytes"),
        (401, "authentication_failed", "Personal API key found in request Authorization header is invalid.", "posthog.key_invalid"),
        (402, "quota_limit_exceeded", "You have reached your limit.", "posthog.quota"),
        (403, "permission_denied", "API key missing required scope 'query:read'", "posthog.scope_missing"),
        (403, "permission_denied", "API key does not have access to the requested project: ID 7.", "posthog.project_forbidden"),
        (403, "permission_denied", "You don't have access to the project.", "posthog.project_forbidden"),
        (403, "permission_denied", "This action does not support personal API key access", "posthog.forbidden"),
        (403, "permission_denied", "API keys with scoped projects are only supported on project-based endpoints.", "posthog.key_project_scoped"),
        (404, "not_found", "Not found.", "posthog.project_not_found"),
        (404, "not_found", "Endpoint not found.", "posthog.endpoint_not_found"),
        (429, "throttled", "Request was throttled. Expected available in 12 seconds.", "posthog.throttled"),
        (429, "throttled", "Too many queries are running right now — please try again in a moment.", "posthog.concurrency"),
        (429, "throttled", "Exceeded maximum concurrency limit: 3 for key: api_7", "posthog.concurrency"),
        (429, "api_queries_budget_exceeded", "Over budget", "posthog.budget_exceeded"),
        (500, "error", "A server error occurred.", "posthog.server_error"),
        (500, "error", "ClickHouse error: MEMORY_LIMIT_EXCEEDED", "posthog.query_memory"),
        (503, "error", "Queries are a little too busy right now.", "posthog.busy"),
        (504, "error", "Query has hit the max execution time before completing.", "posthog.query_timeout"),
        (504, "error", "Query has reached the max memory limit before completing.", "posthog.query_memory"),
        (512, "error", "Estimated query execution time is too long", "posthog.query_too_slow"),
        (504, "error", "Max time. This query failed the same way 3 times in a row, so it was not run again.", "posthog.failure_breaker"),
        (400, "too_many_bytes", "x This query failed the same way 3 times in a row, so it was not run again.", "posthog.failure_breaker"),
    ],
)
def test_posthogs_own_words_tell_causes_apart(status: int, posthog_code: str, detail: str, code: str) -> None:
    assert from_answer(Answer(status, {}, body(posthog_code, detail)), ASKED, NOW).code == code


def test_a_missing_scope_is_named_in_the_sentence_and_the_fix() -> None:
    failure = from_answer(Answer(403, {}, body("permission_denied", "API key missing required scope 'group:read'")), LISTED, NOW)
    assert "group:read" in failure.message
    assert "group:read" in failure.fix
    assert failure.details["scope"] == "group:read"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 418])
def test_a_page_with_a_refusal_means_another_server(status: int) -> None:
    assert from_answer(Answer(status, {"content-type": "text/html"}, PAGE), ASKED, NOW).code == "posthog.not_json_wrong_region"


def test_a_gateways_page_is_about_the_query_only_when_there_was_one() -> None:
    assert from_answer(Answer(504, {}, PAGE), ASKED, NOW).code == "posthog.query_timeout"
    assert from_answer(Answer(504, {}, PAGE), LISTED, NOW).code == "posthog.server_error"
    assert from_answer(Answer(502, {}, PAGE), ASKED, NOW).code == "posthog.server_error"


def test_a_page_with_a_good_status_means_the_wrong_region_and_half_an_answer_means_damage() -> None:
    with pytest.raises(PostHogError) as page:
        read_json(Answer(200, {"content-type": "text/html; charset=utf-8"}, PAGE), ASKED)
    with pytest.raises(PostHogError) as half:
        read_json(Answer(200, {"content-type": "application/json"}, b'{"results": [[1'), ASKED)
    assert (page.value.code, half.value.code) == ("posthog.not_json_wrong_region", "posthog.bad_json")
    assert (page.value.later, half.value.later) == (False, True)


def test_a_redirect_is_named_without_its_query() -> None:
    failure = from_answer(Answer(302, {"location": "https://login.example.com/sso?token=canary0123456789"}, b""), ASKED, NOW)
    assert failure.code == "posthog.redirected"
    assert "https://login.example.com/sso" in failure.message
    assert "canary" not in str(failure.as_problem())


def chained(reason: Exception) -> httpx.ConnectError:
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = reason
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (chained(socket.gaierror(-2, "Name or service not known")), "posthog.dns"),
        (httpx.ConnectError("[Errno 11001] getaddrinfo failed"), "posthog.dns"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)"), "posthog.tls"),
        (chained(ssl.SSLError("handshake")), "posthog.tls"),
        (chained(ConnectionRefusedError(111, "refused")), "posthog.host_unreachable"),
        (httpx.ReadError(""), "posthog.connection_broken"),
        (httpx.ConnectTimeout(""), "posthog.timeout"),
        (httpx.ReadTimeout(""), "posthog.query_timeout"),
        (TimeoutError(), "posthog.query_timeout"),
        (OSError("something"), "posthog.connection_broken"),
    ],
)
def test_name_certificate_and_silence_are_told_apart(error: Exception, code: str) -> None:
    assert from_exception(error, ASKED, NOW).code == code


def test_a_list_that_takes_too_long_is_not_a_heavy_query() -> None:
    assert from_exception(httpx.ReadTimeout(""), LISTED, NOW).code == "posthog.timeout"


@pytest.mark.parametrize(
    ("headers", "detail", "seconds"),
    [
        ({"retry-after": "12"}, "", 12),
        ({"retry-after": "0"}, "", 0),
        ({"retry-after": "999999"}, "", 3600),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, "", 90),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, "", 0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "soon"}, "Request was throttled. Expected available in 7 seconds.", 7),
        ({}, "Request was throttled. Expected available in 7 seconds.", 7),
        ({}, "It can run again in about 2 minutes.", 120),
        ({}, "Too many queries are running right now", None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], detail: str, seconds: float | None) -> None:
    assert retry_after(headers, detail, NOW) == seconds


def test_too_heavy_shrinks_busy_waits_and_nothing_else_is_repeated() -> None:
    policies = {code: row.kind.policy for code, row in FAILURES.items()}
    assert {code for code, policy in policies.items() if policy == "shrink"} == {
        "posthog.query_timeout",
        "posthog.query_memory",
        "posthog.query_too_slow",
        "posthog.query_too_many_bytes",
        "posthog.failure_breaker",
        "posthog.response_too_large",
    }
    for code in ("key_invalid", "scope_missing", "project_not_found", "quota", "query_refused", "redirected", "not_json_wrong_region", "tls"):
        assert policies[f"posthog.{code}"] == "never"
    assert FAILURES["posthog.throttled"].kind is PostHogBusy
    assert FAILURES["posthog.query_timeout"].kind is PostHogTooHeavy


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "posthog.key_missing"),
        ("   ", "posthog.key_missing"),
        ("phc_abcdefghijklmnop", "posthog.key_is_project_key"),
        ("phs_abcdefghijklmnop", "posthog.key_unknown_kind"),
        ("pha_abcdefghijklmnop", "posthog.key_unknown_kind"),
        ("phr_abcdefghijklmnop", "posthog.key_unknown_kind"),
        ("phz_abcdefghijklmnop", "posthog.key_unknown_kind"),
        ("short", "posthog.key_unknown_kind"),
        ("phx_abc def ghijkl", "posthog.key_unknown_kind"),
        ("phx_abcdefgh\nX-Evil: 1", "posthog.key_unknown_kind"),
        ("phx_abcdéfghijkl", "posthog.key_unknown_kind"),
    ],
)
def test_a_key_that_cannot_read_is_told_before_any_request(key: str, code: str) -> None:
    with pytest.raises(PostHogError) as refusal:
        check_key(key, ASKED)
    assert refusal.value.code == code
    assert "phx_…" in refusal.value.fix
    assert "abcdef" not in str(refusal.value.as_problem())


@pytest.mark.parametrize("text", ["phx_abcdefghijkl", "  phx_abcdefghijkl\n", "Bearer phx_abcdefghijkl", '"phx_abcdefghijkl"'])
def test_a_pasted_key_is_cleaned(text: str) -> None:
    assert check_key(text, ASKED) == "phx_abcdefghijkl"


def test_the_key_is_in_no_error_whatever_the_server_echoes() -> None:
    for status in (302, 400, 401, 403, 404, 429, 500, 504):
        for content in (body("x", f"bad key {KEY}"), f"echo {KEY}".encode(), orjson.dumps({"error": KEY})):
            failure = from_answer(Answer(status, {"location": f"https://x.example/{KEY}"}, content), ASKED, NOW)
            assert "canary" not in f"{failure!r} {failure.as_problem()}"


def test_a_long_body_is_cut() -> None:
    failure = from_answer(Answer(500, {}, b"y" * 60_000), ASKED, NOW)
    assert all(len(str(value)) <= 500 for value in failure.as_problem().values() if isinstance(value, str))
    assert len(failure.details["detail"]) <= 500


def test_braces_in_posthogs_words_are_only_words() -> None:
    assert "{host}" in from_answer(Answer(400, {}, body("x", "unfilled placeholder {host}")), ASKED, NOW).message

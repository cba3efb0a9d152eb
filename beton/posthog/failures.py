"""Everything that can go wrong between Beton and PostHog, read into exactly one typed error.

Two ways in, and together they are total (a test walks all of httpx's exceptions and all statuses):

    from_exception(error, asked)   no whole answer      DNS, TLS, time, a broken connection
    from_answer(answer, asked)     an answer, not ours  statuses 300 to 599; `read_json` for a 200 that is not JSON

Bodies follow PostHog's `{"type", "code", "detail", "attr"}`; what is in `detail` decides between causes that share a status.
"""

import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from beton.errors import PostHogError
from beton.posthog.codes import Asked, failed

LONGEST_WAIT = 3600.0
"""Seconds: no Retry-After is believed beyond an hour, PostHog's own longest."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response: `headers` with names in lower case, `body` decoded but not parsed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def from_exception(error: Exception, asked: Asked, now: datetime) -> PostHogError:
    """The typed error for anything httpx (or the wait around it) raises."""
    cause = type(error).__name__
    match error:
        case httpx.HTTPStatusError():
            return from_answer(Answer(error.response.status_code, dict(error.response.headers), error.response.content), asked, now)
        # The server may still be working on it: the same text again would only double the load.
        case httpx.ReadTimeout() | TimeoutError() if asked.is_query:
            return failed("posthog.query_timeout", asked, details={"cause": cause})
        case httpx.TimeoutException() | TimeoutError():
            return failed("posthog.timeout", asked, details={"cause": cause})
        case httpx.ProxyError():
            return failed("posthog.proxy", asked, cause=cause)
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return failed("posthog.address_invalid", asked)
        case httpx.TooManyRedirects():
            return failed("posthog.redirected", asked, location="somewhere else, again and again")
        case httpx.DecodingError():
            return failed("posthog.bad_json", asked, status="unreadable compression")
        case httpx.LocalProtocolError() | httpx.StreamError() | httpx.CookieConflict():
            return failed("posthog.request_invalid", asked, cause=cause)
        case _:
            return _broken(error, asked, cause)


def _broken(error: Exception, asked: Asked, cause: str) -> PostHogError:
    """Tell name, certificate and silence apart: httpx reports all three as a failed connection and keeps the reason in the chain."""
    chain = list(_chain(error))
    words = " ".join(str(link) for link in chain)
    if any(isinstance(link, ssl.SSLError) for link in chain) or "CERTIFICATE_VERIFY_FAILED" in words or "[SSL" in words:
        reason = next((str(link) for link in chain if isinstance(link, ssl.SSLCertVerificationError)), "") or words
        found = re.search(r"verify failed: ([^(]+)", reason)
        return failed("posthog.tls", asked, cause=found[1].strip() if found else "no secure connection is possible")
    unresolved = ("name or service not known", "nodename nor servname", "getaddrinfo", "name resolution", "no address associated")
    if any(isinstance(link, socket.gaierror) for link in chain) or any(sign in words.lower() for sign in unresolved):
        return failed("posthog.dns", asked)
    if isinstance(error, httpx.ConnectError):
        return failed("posthog.host_unreachable", asked, details={"cause": words})
    return failed("posthog.connection_broken", asked, cause=cause)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def read_json(answer: Answer, asked: Asked) -> Any:
    """The body of a good answer as values; raises when it is a page or cannot be parsed."""
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise unreadable(answer, asked) from None


def unreadable(answer: Answer, asked: Asked) -> PostHogError:
    """The typed error for a good status with something else than JSON: a page means another server, the rest a damaged answer."""
    code = "posthog.not_json_wrong_region" if _is_page(answer) else "posthog.bad_json"
    details = {"status": answer.status, "content_type": answer.headers.get("content-type", ""), "bytes": len(answer.body)}
    return failed(code, asked, status=str(answer.status), details=details)


def from_answer(answer: Answer, asked: Asked, now: datetime) -> PostHogError:
    """The typed error for an answer with a status that is not 200."""
    said = _said(answer.body)
    detail = said.get("detail") or (
        f"status {answer.status}" if _is_page(answer) or not answer.body else answer.body[:2000].decode("utf-8", "replace")
    )
    code = _code(answer, said, asked)
    scope = _SCOPE.search(detail)
    details = {"status": answer.status, "posthog_code": said.get("code", ""), "detail": detail}
    if "location" in answer.headers:
        details["location"] = _shown(answer.headers["location"])
    return failed(
        code,
        asked,
        retry_after=retry_after(answer.headers, detail, now),
        details=details | ({"scope": scope[1]} if scope else {}),
        status=str(answer.status),
        detail=detail,
        scope=scope[1] if scope else "",
        location=_shown(answer.headers.get("location", "an address it does not name")),
    )


_SCOPE = re.compile(r"missing required scopes? '([^']+)'")
_Rule = tuple[Callable[[int], bool], str, str]
# What PostHog writes in `detail` or `code` decides before the status does; the first row that fits counts.
_TELLING: tuple[_Rule, ...] = (
    (lambda s: s >= 400, r"failed the same way \d+ times", "posthog.failure_breaker"),
    (lambda s: s == 429, r"api_queries_budget_exceeded", "posthog.budget_exceeded"),
    (lambda s: s == 429, r"(?i)too many queries are running|concurren", "posthog.concurrency"),
    (lambda s: s == 403, _SCOPE.pattern, "posthog.scope_missing"),
    (lambda s: s in (401, 403), r"only supported on project-based endpoints", "posthog.key_project_scoped"),
    (lambda s: s == 403, r"access to the (?:requested )?(?:project|organization|team)", "posthog.project_forbidden"),
    (lambda s: s == 404, r"(?i)endpoint not found", "posthog.endpoint_not_found"),
    (lambda s: s in (400, 500, 512), r"(?i)too_many_bytes|limit for bytes to read exceeded", "posthog.query_too_many_bytes"),
    (lambda s: s >= 500, r"(?i)max memory limit|memory_limit", "posthog.query_memory"),
    (lambda s: s >= 500, r"(?i)max execution time|timeout_exceeded", "posthog.query_timeout"),
    (lambda s: s >= 500, r"(?i)estimated query execution time", "posthog.query_too_slow"),
)
_BY_STATUS = {
    400: "posthog.query_refused",
    401: "posthog.key_invalid",
    402: "posthog.quota",
    403: "posthog.forbidden",
    404: "posthog.project_not_found",
    408: "posthog.timeout",
    425: "posthog.busy",
    429: "posthog.throttled",
    503: "posthog.busy",
    512: "posthog.query_too_slow",
}


def _code(answer: Answer, said: Mapping[str, str], asked: Asked) -> str:
    status = answer.status
    if 300 <= status < 400:
        return "posthog.redirected"
    telling = f"{said.get('code', '')} {said.get('detail', '')}"
    for fits, pattern, code in _TELLING:
        if fits(status) and re.search(pattern, telling):
            return code
    # PostHog's API never refuses with a page: a page with a 4xx comes from another server. Gateways do answer 5xx with pages.
    if 400 <= status < 500 and status not in (408, 425, 429) and _is_page(answer):
        return "posthog.not_json_wrong_region"
    if status == 504 and asked.is_query:
        return "posthog.query_timeout"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "posthog.server_error" if 500 <= status < 600 else "posthog.unexpected_status"


def _said(body: bytes) -> dict[str, str]:
    """PostHog's own words: the texts of an error object, nothing when the body is something else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(value, dict):
        return {}
    texts = {key: value[key] for key in ("type", "code", "detail", "attr") if isinstance(value.get(key), str)}
    if "detail" not in texts and isinstance(value.get("error"), str):  # the form of some older endpoints
        texts["detail"] = value["error"]
    return texts


def _is_page(answer: Answer) -> bool:
    return answer.body.lstrip()[:1] == b"<" or "html" in answer.headers.get("content-type", "").lower()


def _shown(location: str) -> str:
    """Where a redirect points, without its query: that is where tokens travel."""
    return location.split("?", 1)[0].split("#", 1)[0]


def retry_after(headers: Mapping[str, str], detail: str, now: datetime) -> float | None:
    """Seconds PostHog asks us to wait: the header as seconds or as a date, else the number in its sentence, else None. At most an hour."""
    wish = headers.get("retry-after", "").strip()
    seconds: float | None = None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", wish):
        seconds = float(wish)
    elif wish:
        seconds = _until(wish, now)
    if seconds is None:
        named = re.search(r"available in (\d{1,9}) second", detail)
        minutes = re.search(r"run again in about (\d{1,4}) minute", detail)
        seconds = float(named[1]) if named else float(minutes[1]) * 60 if minutes else None
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT)


def _until(date: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return None
    return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()

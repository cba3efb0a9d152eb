"""The one client that talks to PostHog: asks politely, waits when told to, reads with bounds, and fails with one typed error.

It only reads: GET for lists and POST to `/query/`, nothing else. Every request waits for its turn in the shared limits, runs to a whole
answer or a typed error, and is reported to `on_request`. What may be repeated is repeated here; what must shrink (`error.shrink`) is left
to the caller, who alone knows how to ask for less. The key never leaves the header: not into errors, not to another host.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import orjson
from pydantic import SecretStr

from beton.errors import BadInput, Fault, PostHogError
from beton.posthog.codes import Asked, failed
from beton.posthog.failures import Answer, from_answer, from_exception, read_json, unreadable
from beton.posthog.hosts import Host
from beton.posthog.keys import check_key
from beton.posthog.ledger import Surface
from beton.posthog.limits import Clock, Limits, Sleep, Turn
from beton.posthog.unpacking import unpacked

Refresh = Literal["blocking", "force_blocking"]
"""`force_blocking` computes anew; `blocking` may answer from PostHog's cache, which costs no budget: right for days that are closed."""

MOST_ROWS = 50_000
"""PostHog lowers any larger LIMIT to this without a word."""

DEFAULT_ROWS = 100
"""What PostHog returns when a query has no LIMIT."""

LARGEST_BODY = 256 * 1024 * 1024
_LARGEST_ERROR = 64 * 1024
LONGEST_REQUEST = 300.0
"""Seconds for one request as a whole; PostHog's own gateway cuts there, and a trickle of bytes must not hold a place for ever."""

_TIMEOUT = httpx.Timeout(65.0, connect=5.0)
_MOST_PAGES = 10_000
_LIMIT = re.compile(r"\blimit\s+(?:(\d+)|\{(\w+)\})\s*;?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it went, for the counts of a run: `read` is what ClickHouse read for it, None when PostHog did not say."""

    at: datetime
    surface: Surface
    name: str
    path: str
    attempt: int
    status: int | None
    code: str | None
    seconds: float
    received: int
    read: int | None


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The table a query gave. `types` are ClickHouse's, in the order of `columns`; `truncated` means that there may be more rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[list[Any]]
    truncated: bool
    cached: bool
    timezone: str | None
    read: int | None

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows with their column names."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Project:
    """A PostHog project; `timezone` is its reporting time zone, in which naive texts in a query would be read."""

    id: int
    name: str
    timezone: str
    organization: str


@dataclass(frozen=True, slots=True)
class _Request:
    method: Literal["GET", "POST"]
    path: str
    name: str
    surface: Surface
    params: httpx.QueryParams | None = None
    body: bytes | None = None


class PostHogClient:
    """A reader of one project. Use as `async with`, or call `aclose`.

    `attempts` and `patience` (seconds, waits included) bound the repeats of one request; `rng` spreads them. Raises PostHogDenied at once
    when the key is of a kind that cannot read.
    """

    def __init__(
        self,
        host: Host,
        project_id: int | str,
        api_key: SecretStr,
        limits: Limits,
        *,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
        rng: random.Random | None = None,
        on_request: Callable[[RequestRecord], None] | None = None,
        attempts: int = 6,
        patience: float = 600.0,
        largest_body: int = LARGEST_BODY,
        longest_request: float = LONGEST_REQUEST,
    ) -> None:
        project = str(project_id).strip()
        if not re.fullmatch(r"\d{1,12}|@current", project):
            raise BadInput("The project is its number in PostHog.", [Fault("project_id", f"{project!r} is not a number")])
        self.host, self.project_id, self.limits = host, project, limits
        key = check_key(api_key.get_secret_value(), Asked(host.api_url, project, ""))
        self._secrets = (key,)
        self._clock, self._sleep, self._rng = clock, sleep, rng or random.SystemRandom()
        self._on_request = on_request
        self._attempts, self._patience = attempts, patience
        self._largest, self._longest = largest_body, longest_request
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "beton/0.1"}
        self._http = httpx.AsyncClient(transport=transport, headers=headers, timeout=_TIMEOUT, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def query(
        self,
        hogql: str,
        values: Mapping[str, Any] | None = None,
        *,
        name: str,
        refresh: Refresh = "force_blocking",
        client_query_id: str | None = None,
    ) -> QueryResult:
        """Run HogQL. `values` fill its `{placeholders}` and are escaped by PostHog; `name` shows in the project's query log."""
        asked = self._asked(self._path("query/"))
        answer = await self._run(hogql, values, name, refresh, client_query_id)
        content = read_json(answer, asked)
        if not isinstance(content, dict) or not isinstance(content.get("results"), list):
            detail = str(content.get("error")) if isinstance(content, dict) and content.get("error") else "the answer holds no results"
            raise failed("posthog.query_refused", asked, detail=detail)
        rows = content["results"]
        types = tuple(kind[1] if isinstance(kind, list) else str(kind) for kind in content.get("types") or ())
        return QueryResult(
            columns=tuple(content.get("columns") or ()),
            types=types,
            rows=rows,
            truncated=is_truncated(hogql, values, len(rows), content.get("hasMore")),
            cached=bool(content.get("is_cached")),
            timezone=content.get("timezone"),
            read=_read(answer),
        )

    async def query_bytes(
        self,
        hogql: str,
        values: Mapping[str, Any] | None = None,
        *,
        name: str,
        refresh: Refresh = "force_blocking",
        client_query_id: str | None = None,
    ) -> bytes:
        """As `query`, but the response body as it came (`{"results": [[…]], "columns": […], …}`), for a caller who parses faster."""
        return (await self._run(hogql, values, name, refresh, client_query_id)).body

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """The JSON behind a path below the project, such as `groups_types/`."""
        full = self._path(path)
        answer = await self._ask(_Request("GET", full, path.strip("/") or "project", "list", httpx.QueryParams(params or {})))
        return read_json(answer, self._asked(full))

    async def get_pages(self, path: str, params: Mapping[str, str | int] | None = None) -> AsyncIterator[list[dict[str, Any]]]:
        """All pages of a list below the project. Of a `next` address only the parameters are used: the key goes nowhere but to our host.

        Where PostHog caps the count of a long list, it may also stop announcing pages; then a full page is followed by asking on.
        """
        asked = self._asked(self._path(path))
        wanted = httpx.QueryParams(params or {})
        seen: set[str] = set()
        while str(wanted) not in seen and len(seen) < _MOST_PAGES:
            seen.add(str(wanted))
            page = await self.get(path, dict(wanted))
            if not isinstance(page, dict) or not isinstance(page.get("results"), list):
                raise failed("posthog.bad_json", asked, status="200, but not a list")
            yield page["results"]
            following = page.get("next")
            if following:
                wanted = self._params_of(following, asked)
            elif page.get("count_is_capped") and page["results"] and len(page["results"]) >= int(wanted.get("limit", DEFAULT_ROWS)):
                wanted = wanted.set("offset", int(wanted.get("offset", 0)) + len(page["results"]))
            else:
                return
        raise failed("posthog.bad_json", asked, status="200, but its pages never end")

    async def project(self) -> Project:
        """The project itself; needs the scope `project:read`."""
        content = await self.get("")
        if not isinstance(content, dict) or "id" not in content:
            raise failed("posthog.bad_json", self._asked(self._path("")), status="200, but not a project")
        return Project(
            id=int(content["id"]),
            name=str(content.get("name") or ""),
            timezone=str(content.get("timezone") or "UTC"),
            organization=str(content.get("organization") or ""),
        )

    async def me(self) -> dict[str, Any]:
        """The user whose key this is; keys limited to a project cannot read it (`posthog.key_project_scoped`)."""
        return read_json(await self._ask(_Request("GET", "users/@me/", "me", "list")), self._asked("users/@me/"))

    def _path(self, path: str) -> str:
        return f"projects/{self.project_id}/{path.lstrip('/')}"

    def _asked(self, path: str) -> Asked:
        return Asked(self.host.api_url, self.project_id, path, self._secrets)

    def _params_of(self, following: object, asked: Asked) -> httpx.QueryParams:
        try:
            url = httpx.URL(str(following))
        except httpx.InvalidURL:
            raise failed("posthog.bad_json", asked, status="200, but its next page has no address") from None
        if url.path and not url.path.rstrip("/").endswith(asked.path.split("/", 2)[2].rstrip("/")):
            raise failed("posthog.redirected", asked, location=url.path)
        return url.params

    async def _run(self, hogql: str, values: Mapping[str, Any] | None, name: str, refresh: Refresh, client_query_id: str | None) -> Answer:
        query: dict[str, Any] = {"kind": "HogQLQuery", "query": hogql, "modifiers": {"convertToProjectTimezone": False}}
        if values:
            query["values"] = dict(values)
        body = {"query": query, "refresh": refresh, "name": name, "client_query_id": client_query_id or f"beton-{self._rng.getrandbits(64):016x}"}
        return await self._ask(_Request("POST", self._path("query/"), name, "query", body=orjson.dumps(body)))

    async def _ask(self, request: _Request) -> Answer:
        began = self._clock()
        attempt = 1
        while True:
            try:
                return await self._once(request, attempt)
            except PostHogError as failure:
                wait = self._wait(failure, attempt)
                waited = (self._clock() - began).total_seconds()
                if wait is None or attempt >= self._attempts or waited + wait > self._patience:
                    failure.details["attempts"] = attempt
                    raise
            await self._sleep(wait)
            attempt += 1

    def _wait(self, failure: PostHogError, attempt: int) -> float | None:
        """Seconds before the same request may go again; None when it may not. Jitter keeps several readers from returning together."""
        if not failure.later or failure.code == "posthog.share_used":
            return None
        if failure.retry_after is not None:
            return failure.retry_after + self._rng.random()
        return min(60.0, 2.0 ** (attempt - 1)) * (0.5 + self._rng.random() / 2)

    async def _once(self, request: _Request, attempt: int) -> Answer:
        asked = self._asked(request.path)
        async with self.limits.turn(asked, request.surface) as turn:
            began = self._clock()
            answer: Answer | None = None
            failure: PostHogError | None = None
            try:
                answer = await self._receive(request, asked)
                self._judge(answer, asked)
                return answer
            except PostHogError as error:
                failure = error
                raise
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, OSError) as error:  # OSError: also time
                failure = from_exception(error, asked, self._clock())
                raise failure from error
            finally:
                await self._tell(request, attempt, began, turn, answer, failure)

    async def _receive(self, request: _Request, asked: Asked) -> Answer:
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        url = self.host.url(request.path)
        async with (
            asyncio.timeout(self._longest),
            self._http.stream(request.method, url, params=request.params, content=request.body, headers=headers) as response,
        ):
            good = response.is_success
            most = self._largest if good else _LARGEST_ERROR
            parts: list[bytes] = []
            size = 0
            async for part in unpacked(response):
                size += len(part)
                if size > most:
                    if good:
                        raise failed("posthog.response_too_large", asked, limit=f"{most / 1024 / 1024:,.0f} MB")
                    break
                parts.append(part)
            return Answer(response.status_code, {key.lower(): value for key, value in response.headers.items()}, b"".join(parts))

    def _judge(self, answer: Answer, asked: Asked) -> None:
        """Raise unless the answer is whole and ours. A 202 would mean that PostHog made our blocking query wait in a queue."""
        if answer.status == 202:
            raise failed("posthog.busy", asked)
        if not 200 <= answer.status < 300:
            raise from_answer(answer, asked, self._clock())
        trimmed = answer.body.strip()
        if trimmed[:1] + trimmed[-1:] not in (b"{}", b"[]"):
            raise unreadable(answer, asked)

    async def _tell(self, request: _Request, attempt: int, began: datetime, turn: Turn, answer: Answer | None, failure: PostHogError | None) -> None:
        """Let the limits and the run know, whatever came."""
        read = await turn.answered(answer.headers) if answer else None
        if failure is not None and answer is not None and answer.status == 429:
            self.limits.refused(request.surface, failure.retry_after)
        if self._on_request is not None:
            self._on_request(
                RequestRecord(
                    at=began,
                    surface=request.surface,
                    name=request.name,
                    path=request.path,
                    attempt=attempt,
                    status=answer.status if answer else None,
                    code=failure.code if failure else None,
                    seconds=(self._clock() - began).total_seconds(),
                    received=len(answer.body) if answer else 0,
                    read=read,
                )
            )


def is_truncated(hogql: str, values: Mapping[str, Any] | None, rows: int, has_more: bool | None) -> bool:
    """Whether rows may be missing. PostHog says so only for queries without a LIMIT; otherwise a full table is the only sign."""
    if has_more is not None:
        return has_more
    found = _LIMIT.search(hogql)
    if found is None:
        return rows >= DEFAULT_ROWS
    limit = found[1] if found[1] is not None else (values or {}).get(found[2], MOST_ROWS)
    return rows >= min(int(limit), MOST_ROWS)


def _read(answer: Answer) -> int | None:
    text = answer.headers.get("x-posthog-query-bytes-read", "")
    return int(text) if text.isdecimal() else None

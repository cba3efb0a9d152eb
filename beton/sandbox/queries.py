"""The query endpoint's work: cache, limits, translation, ClickHouse, the answer's fields."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from beton.sandbox.clickhouse import Answer, ClickHouseError
from beton.sandbox.encoding import encoded_rows
from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.translate import Translation, translate
from beton.sandbox.project import Sandbox
from beton.sandbox.recorder import Record
from beton.sandbox.refusals import Refusal, invalid, not_found, of_clickhouse, of_hogql

REFRESH = {"blocking", "force_blocking", "async", "force_async", "lazy_async", "async_except_on_cache_miss", "force_cache"}
_STATUS_KEYS = (
    "error_message",
    "error_code",
    "bytes_read",
    "budget_remaining_bytes",
    "pickup_time",
    "end_time",
    "results",
    "task_id",
    "insight_id",
    "dashboard_id",
    "query_progress",
    "labels",
    "cache_key",
    "query_scan",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON body with its status and headers."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Cached:
    fields: dict[str, Any]
    at: float


@dataclass(slots=True)
class _Status:
    fields: dict[str, Any]
    at: float
    cancelled: bool = False


class QueryDesk:
    """Answers HogQL queries of one sandbox, blocking or in the background."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._cache: dict[str, _Cached] = {}
        self._statuses: dict[str, _Status] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="async-query")

    def close(self) -> None:
        """Stops the background workers."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def forget(self) -> None:
        """Empties the cache and the list of background queries."""
        with self._lock:
            self._cache.clear()
            self._statuses.clear()

    def ask(self, body: bytes, record: Record) -> Reply:
        """POST /query/. Raises Refusal."""
        asked = _validated(body)
        query, refresh = asked["query"], _refresh(asked)
        record.query, record.name, record.refresh = query["query"], asked.get("name"), refresh
        key = cache_key(query)
        if refresh not in ("force_blocking", "force_async"):
            cached = self._cached(key, stale=refresh in ("lazy_async", "async_except_on_cache_miss"))
            if cached is not None:
                record.cached = True
                return Reply(200, orjson.dumps({**cached, "is_cached": True}), self._headers(0))
        if refresh in ("async", "force_async", "lazy_async"):
            return self._start(query, key, asked.get("client_query_id"))
        fields, read = self._run(query, key, record)
        return Reply(200, orjson.dumps(fields), self._headers(read))

    def _headers(self, read: int) -> dict[str, str]:
        remaining = self._sandbox.budget.spend(0)
        return {"X-PostHog-Query-Bytes-Read": str(read), "X-PostHog-Query-Budget-Remaining-Bytes": str(remaining)}

    def _cached(self, key: str, stale: bool) -> dict[str, Any] | None:
        with self._lock:
            cached = self._cache.get(key)
        if cached is None or (not stale and self._sandbox.seconds() - cached.at > self._sandbox.settings.limits.cache_seconds):
            return None
        return cached.fields

    def _run(self, query: Mapping[str, Any], key: str, record: Record) -> tuple[dict[str, Any], int]:
        sandbox, limits = self._sandbox, self._sandbox.settings.limits
        sandbox.breaker.check(key)
        sandbox.budget.check()
        translation = self._translated(query)
        with sandbox.slots.slot():
            record.running = sandbox.slots.in_use
            try:
                answer = sandbox.clickhouse.query(translation.sql, limits.max_execution_seconds, limits.max_bytes_to_read)
            except ClickHouseError as error:
                refusal = of_clickhouse(error)
                if refusal.deterministic:
                    sandbox.breaker.failed(key, refusal)
                raise refusal from error
        sandbox.breaker.succeeded(key)
        sandbox.budget.spend(answer.bytes_read)
        fields = self._fields(query, key, translation, answer, record)
        with self._lock:
            self._cache[key] = _Cached(fields, sandbox.seconds())
        return fields, answer.bytes_read

    def _translated(self, query: Mapping[str, Any]) -> Translation:
        limits = self._sandbox.settings.limits
        try:
            return translate(
                query["query"],
                self._sandbox.request(query),
                default_rows=limits.default_rows,
                max_rows=limits.max_rows,
                max_elements=limits.max_ast_elements,
                offset_allowed=limits.offset_allowed,
            )
        except HogQLError as error:
            raise of_hogql(error) from error

    def _fields(self, query: Mapping[str, Any], key: str, made: Translation, answer: Answer, record: Record) -> dict[str, Any]:
        rows, count, more = encoded_rows(answer.lines, answer.types, made.page)
        record.rows_read, record.bytes_read, record.rows_out = answer.rows_read, answer.bytes_read, count
        now = self._sandbox.wall()
        names = made.columns if len(made.columns) == len(answer.types) else answer.names
        return {
            "cache_key": key,
            "cache_target_age": _text(now + timedelta(seconds=self._sandbox.settings.limits.cache_seconds)),
            "clickhouse": made.sql,
            "columns": list(names),
            "error": None,
            "explain": None,
            "hasMore": more if made.page is not None else None,
            "hogql": made.hogql,
            "is_cached": False,
            "last_refresh": _text(now),
            "limit": made.page,
            "metadata": None,
            "modifiers": query.get("modifiers") or {},
            "next_allowed_client_refresh": _text(now + timedelta(seconds=60)),
            "offset": 0 if made.page is not None else None,
            "query": query["query"],
            "query_status": None,
            "results": orjson.Fragment(rows),
            "timezone": self._sandbox.settings.timezone,
            "timings": [{"k": "./clickhouse_execute", "t": round(answer.seconds, 6)}],
            "types": [[name, kind] for name, kind in zip(names, answer.types, strict=True)],
        }

    def _start(self, query: Mapping[str, Any], key: str, wanted: str | None) -> Reply:
        number = wanted or uuid.uuid4().hex
        fields = {
            "id": number,
            "team_id": self._sandbox.settings.project_id,
            "complete": False,
            "error": False,
            "query_async": True,
            "start_time": _text(self._sandbox.wall()),
            "expiration_time": _text(self._sandbox.wall() + timedelta(seconds=self._sandbox.settings.limits.status_seconds)),
            **dict.fromkeys(_STATUS_KEYS),
            "task_id": uuid.uuid4().hex,
        }
        status = _Status(fields, self._sandbox.seconds())
        with self._lock:
            self._statuses[number] = status
        self._workers.submit(self._finish, status, query, key)
        return Reply(202, orjson.dumps({"query_status": dict(status.fields)}))

    def _finish(self, status: _Status, query: Mapping[str, Any], key: str) -> None:
        if status.cancelled:
            return
        status.fields["pickup_time"] = _text(self._sandbox.wall())
        record = Record("ASYNC", "", _text(self._sandbox.wall()), 0)
        try:
            results, read = self._run(query, key, record)
            ended = {"results": results, "bytes_read": read, "budget_remaining_bytes": self._sandbox.budget.spend(0)}
        except Refusal as refusal:
            shown = refusal.detail if refusal.status != 500 else None
            ended = {"error": True, "error_message": shown, "error_code": refusal.code}
        status.fields = {**status.fields, **ended, "end_time": _text(self._sandbox.wall()), "complete": True}

    def _status(self, number: str) -> _Status:
        with self._lock:
            status = self._statuses.get(number)
        if status is None or self._sandbox.seconds() - status.at > self._sandbox.settings.limits.status_seconds:
            raise not_found(f"Query {number} not found for team {self._sandbox.settings.project_id}")
        return status

    def poll(self, number: str, progress: bool) -> Reply:
        """GET /query/:id/. Raises the 404 of an unknown or expired query."""
        fields = dict(self._status(number).fields)
        if progress and not fields["complete"]:
            zero = dict.fromkeys(("bytes_read", "rows_read", "estimated_rows_total", "time_elapsed", "active_cpu_time"), 0)
            fields["query_progress"] = zero
        code = 202 if not fields["complete"] else 200
        if fields["error"]:
            code = 400 if fields["error_message"] else 500
        return Reply(code, orjson.dumps({"query_status": fields}))

    def cancel(self, number: str) -> Reply:
        """DELETE /query/:id/."""
        status = self._status(number)
        status.cancelled = True
        if not status.fields["complete"]:
            status.fields = {**status.fields, "complete": True, "error": True, "error_message": "Query was cancelled"}
        return Reply(200, orjson.dumps({"message": "Query task revoked"}))


def cache_key(query: Mapping[str, Any]) -> str:
    """The same query object has the same key."""
    digest = hashlib.sha256(orjson.dumps(query, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"cache_{digest[:32]}"


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _refresh(asked: Mapping[str, Any]) -> str:
    wanted = asked.get("refresh")
    if asked.get("async"):
        return "force_async" if wanted in (True, "force_async") else "async"
    if wanted in (None, False, "force_cache"):
        return "blocking"
    return "force_blocking" if wanted is True else str(wanted)


def _validated(body: bytes) -> dict[str, Any]:
    """The request's JSON, refused in pydantic's words where it is not a HogQLQuery request."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "invalid_request", "parse_error", f"JSON parse error - {error}") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), dict):
        raise _parse_error("query", "Field required")
    query = asked["query"]
    if query.get("kind") != "HogQLQuery":
        raise _parse_error("query.kind", f"the sandbox answers HogQLQuery only, not {query.get('kind')!r}")
    if not isinstance(query.get("query"), str):
        raise _parse_error("query.HogQLQuery.query", "Field required")
    refresh = asked.get("refresh")
    if refresh is not None and refresh not in REFRESH and not isinstance(refresh, bool):
        raise _parse_error("refresh", "Input should be " + ", ".join(f"'{item}'" for item in sorted(REFRESH)))
    if asked.get("limit_context") not in (None, "posthog_ai"):
        raise invalid("limit_context accepts only 'posthog_ai'")
    return asked


def _parse_error(place: str, message: str) -> Refusal:
    return Refusal(400, "validation_error", "parse_error", f"1 validation error for QueryRequest\n{place}\n  {message}")

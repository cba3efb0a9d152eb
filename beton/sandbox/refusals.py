"""PostHog's error answers: status, type, code, detail and headers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from beton.sandbox.clickhouse import ClickHouseError
from beton.sandbox.hogql.errors import HogQLError

TIMEOUT = (
    "Query has hit the max execution time before completing. See our docs for how to improve your query performance. You may need to materialize."
)
MEMORY = (
    "Query has reached the max memory limit before completing. See our docs for how to improve your query memory footprint. "
    "You may need to narrow date range or materialize."
)
BUSY = "Queries are a little too busy right now. We're working to free up resources. Please try again later."
TOO_LONG = "Estimated query execution time is too long. Try reducing its scope by changing the time range."
_DETERMINISTIC = {"TIMEOUT_EXCEEDED", "MEMORY_LIMIT_EXCEEDED", "TOO_MANY_BYTES", "TOO_SLOW", "QUERY_IS_TOO_LARGE"}
_EXPOSED_NAMES = """
    ILLEGAL_TYPE_OF_ARGUMENT TYPE_MISMATCH NO_COMMON_TYPE NOT_AN_AGGREGATE TOO_MANY_BYTES UNKNOWN_FUNCTION ILLEGAL_AGGREGATION
    NUMBER_OF_ARGUMENTS_DOESNT_MATCH CANNOT_PARSE_TEXT CANNOT_PARSE_DATETIME CANNOT_PARSE_DATE CANNOT_PARSE_NUMBER CANNOT_PARSE_UUID
    CANNOT_PARSE_INPUT_ASSERTION_FAILED UNKNOWN_IDENTIFIER AMBIGUOUS_IDENTIFIER BAD_ARGUMENTS ARGUMENT_OUT_OF_BOUND SYNTAX_ERROR
    ILLEGAL_COLUMN ILLEGAL_DIVISION INVALID_JOIN_ON_EXPRESSION MULTIPLE_EXPRESSIONS_FOR_ALIAS SIZES_OF_ARRAYS_DONT_MATCH
    TOO_FEW_ARGUMENTS_FOR_FUNCTION TOO_MANY_ARGUMENTS_FOR_FUNCTION UNION_ALL_RESULT_STRUCTURES_MISMATCH CANNOT_CONVERT_TYPE
    INVALID_LIMIT_EXPRESSION UNSUPPORTED_METHOD NOT_IMPLEMENTED ZERO_ARRAY_OR_TUPLE_INDEX DECIMAL_OVERFLOW TOO_LARGE_ARRAY_SIZE
    INCORRECT_QUERY NUMBER_OF_COLUMNS_DOESNT_MATCH UNKNOWN_AGGREGATE_FUNCTION CANNOT_COMPILE_REGEXP TOO_DEEP_AST
    VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE AGGREGATE_FUNCTION_NOT_ALLOWED SETTING_CONSTRAINT_VIOLATION
"""
_EXPOSED = frozenset(_EXPOSED_NAMES.split())


@dataclass(slots=True, eq=False)
class Refusal(Exception):
    """An error answer. `deterministic` ones fail again when the same query is sent again.

    Not frozen: Python itself sets attributes of an exception on its way up.
    """

    status: int
    kind: str
    code: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] | None = None
    deterministic: bool = False

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"

    def body(self) -> dict[str, Any]:
        """The JSON body every PostHog error has."""
        body: dict[str, Any] = {"type": self.kind, "code": self.code, "detail": self.detail, "attr": None}
        return body if self.extra is None else {**body, "extra": self.extra}

    def worded(self, detail: str) -> Refusal:
        """The same refusal with another text."""
        return replace(self, detail=detail)


def not_found(detail: str = "Not found.") -> Refusal:
    """404."""
    return Refusal(404, "invalid_request", "not_found", detail)


def invalid(detail: str, code: str = "invalid_input") -> Refusal:
    """400 of a request PostHog does not accept."""
    return Refusal(400, "validation_error", code, detail)


def denied(detail: str) -> Refusal:
    """403."""
    return Refusal(403, "authentication_error", "permission_denied", detail)


def throttled(seconds: int) -> Refusal:
    """429 of a request throttle."""
    detail = f"Request was throttled. Expected available in {seconds} second{'' if seconds == 1 else 's'}."
    return Refusal(429, "throttled_error", "throttled", detail, {"Retry-After": str(seconds)})


def too_many_at_once() -> Refusal:
    """429 of the queries running at once: no Retry-After."""
    return Refusal(429, "throttled_error", "throttled", "Too many queries are running right now — please try again in a moment.")


def budget_exceeded(seconds: int) -> Refusal:
    """429 of the read budget."""
    detail = f"API queries read budget exceeded. Expected available in {seconds} second{'' if seconds == 1 else 's'}."
    return Refusal(429, "throttled_error", "api_queries_budget_exceeded", detail, {"Retry-After": str(seconds)})


def of_hogql(error: HogQLError) -> Refusal:
    """400 of a query that does not parse or resolve."""
    return invalid(error.message, error.code)


def of_clickhouse(error: ClickHouseError) -> Refusal:
    """What PostHog makes of ClickHouse's refusal: exposed ones are 400 with ClickHouse's text, the rest a fixed text."""
    steady = error.name in _DETERMINISTIC
    if error.name in ("TIMEOUT_EXCEEDED", "TOO_SLOW"):
        return Refusal(504, "server_error", "error", TIMEOUT, deterministic=True)
    if error.name == "MEMORY_LIMIT_EXCEEDED":
        return Refusal(504, "server_error", "error", MEMORY, deterministic=True)
    if error.name == "TOO_MANY_SIMULTANEOUS_QUERIES":
        return Refusal(503, "server_error", "error", BUSY)
    if error.name in _EXPOSED:
        return Refusal(400, "validation_error", error.name.lower(), error.text, deterministic=steady)
    return Refusal(500, "server_error", "error", "ClickHouse error while executing query.")

"""What PostHog says about a bad query."""

from __future__ import annotations


class HogQLError(Exception):
    """A query PostHog refuses with HTTP 400.

    `code` is the API's error code: `hogql_syntax_error`, `hogql_query_error`, or `invalid_input` for names that do not resolve.
    `start` and `end` are character offsets into the query text.
    """

    def __init__(self, message: str, code: str = "hogql_query_error", start: int | None = None, end: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.start = start
        self.end = end


class UnresolvedName(HogQLError):
    """A field or table that the query's scope does not know."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="invalid_input")

"""What a process says on standard error: one line each, as text or as JSON, with the id of the request that it is about.

Whatever a message contains, a line stays a line: control characters are written as escapes, so nothing that somebody sent can look like an entry of
its own. What looks like a key is masked, in messages, in tracebacks and in what was passed along. Ids of units are not logged at all.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any, Literal

from beton.errors import mask

Format = Literal["text", "json"]
REQUEST_ID: ContextVar[str | None] = ContextVar("beton_request_id", default=None)
"""Set where a request is first asked for its id; threads that work for the request inherit it."""

FACTS = "facts"
"""The key of `extra` under which a record carries values of its own: `log.info("asked", extra={FACTS: {"status": 200}})`."""

_LONGEST = 20_000
"""Characters of one text; a traceback is a few thousand."""


class Lines(logging.Formatter):
    """A record as one line of text, or as several where it carries a traceback; only whole lines of ours begin at the margin."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = {"at": _instant(record), "level": record.levelname, "logger": record.name, "message": _message(record)} | _facts(record)
        head = f"{said.pop('at')} {said.pop('level')} {said.pop('logger')}: {_visible(str(said.pop('message')))}"
        trace = str(said.pop("traceback", ""))
        more = "".join(f" {name}={_visible(str(value))}" for name, value in said.items())
        return head + more + "".join(f"\n    {_visible(line)}" for line in trace.splitlines())


class JsonLines(logging.Formatter):
    """A record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = {"at": _instant(record), "level": record.levelname, "logger": record.name, "message": _message(record)} | _facts(record)
        return json.dumps(said, ensure_ascii=True, default=str)


def set_up_logs(how: Format, stream: IO[str] | None = None) -> logging.Handler:
    """Let this process log so from now on, what libraries say as well; the handler, for whoever wants to take it away again.

    As text it is for somebody who watches, and tells what went wrong; as JSON it is for a machine, and tells of every request too.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if how == "json" else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("beton").setLevel(logging.INFO if how == "json" else logging.WARNING)
    return handler


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    return mask(record.getMessage()[:_LONGEST])


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """What goes beside the message: the request, the values of the caller, and a traceback where there is one."""
    found: dict[str, Any] = {}
    request_id = REQUEST_ID.get()
    if request_id is not None:
        found["request_id"] = request_id
    given = getattr(record, FACTS, None)
    if isinstance(given, dict):
        found |= {str(name): mask(value) if isinstance(value, str) else value for name, value in given.items()}
    if record.exc_info:
        found["traceback"] = mask(logging.Formatter().formatException(record.exc_info)[-_LONGEST:])
    return found


def _visible(text: str) -> str:
    """Control characters, line and paragraph separators and signs that turn the direction of writing as escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)

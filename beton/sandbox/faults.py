"""Faults on request: what a client must survive, asked for by tests.

A fault is an object: `kind` (error, html, truncated, slow, reset, timeout, busy, too_long), and optionally `path` (a part of the
request's path), `times` (how often it strikes, default 1), `after` (requests that pass first), `delay` (seconds before anything is
sent), `status`, `type`, `code`, `detail`, `headers`, `retry_after` (seconds or an HTTP date), `body`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from beton.sandbox.refusals import BUSY, TIMEOUT, TOO_LONG, Refusal, invalid

KINDS = ("error", "html", "truncated", "slow", "reset", "delay", "timeout", "busy", "too_long")
_TYPES = {400: "validation_error", 401: "authentication_error", 403: "authentication_error", 404: "invalid_request", 429: "throttled_error"}
_PRESETS = {
    "timeout": (504, "server_error", "error", TIMEOUT),
    "busy": (503, "server_error", "error", BUSY),
    "too_long": (512, "server_error", "error", TOO_LONG),
}


@dataclass(slots=True)
class Fault:
    """One fault in the queue."""

    kind: str
    path: str = "/"
    times: int = 1
    after: int = 0
    delay: float = 0.0
    status: int = 500
    type: str = ""
    code: str = "error"
    detail: str = "A server error occurred."
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: str | int | None = None
    body: str = ""

    def refusal(self) -> Refusal:
        """The error answer of this fault."""
        status, kind, code, detail = _PRESETS.get(self.kind, (self.status, self.type, self.code, self.detail))
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return Refusal(status, kind or _TYPES.get(status, "server_error"), code, detail, headers)


_FAULT = TypeAdapter(Fault)


def fault_of(item: Mapping[str, Any]) -> Fault:
    """A fault from its JSON object. Raises a 400 for an unknown kind or field."""
    if item.get("kind", "error") not in KINDS:
        raise invalid(f"Unknown fault kind: {item.get('kind')}")
    unknown = set(item) - set(Fault.__dataclass_fields__)
    if unknown:
        raise invalid(f"Unknown fault field: {', '.join(sorted(unknown))}")
    try:
        return _FAULT.validate_python({"kind": "error", **item})
    except ValidationError as error:
        raise invalid(f"Invalid fault: {error.errors()[0]['msg']}") from error


@dataclass(slots=True)
class Faults:
    """Faults waiting to strike, first come first served."""

    queued: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Queues one fault."""
        with self._lock:
            self.queued.append(fault)

    def strike(self, path: str) -> Fault | None:
        """The fault for a request to this path, used up once."""
        with self._lock:
            for fault in self.queued:
                if fault.path not in path:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.queued.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """Forgets every queued fault."""
        with self._lock:
            self.queued.clear()

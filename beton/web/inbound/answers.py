"""The answers of the addresses where events come in: what every answer of Beton has, with no framework in between."""

from __future__ import annotations

import json
import math
from typing import Any

from litestar.types import Send

from beton.errors import BetonError, TooMany
from beton.web.problems import HEADERS, MEDIA_TYPE, request_id

_ACCEPTED = b'{"status":"accepted"}'
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


async def accepted(scope: Any, send: Send) -> None:
    """The event is safe."""
    await _answer(scope, send, 202, "application/json", _ACCEPTED)


async def refusal(scope: Any, send: Send, error: BetonError) -> None:
    """It was not taken, and why."""
    problem = error.as_problem()
    faults = [one | {"pointer": None} for one in problem.get("errors", [])]
    told = json.dumps(problem | {"errors": faults, "request_id": request_id(scope)}, allow_nan=False).encode()
    more = [(b"retry-after", str(math.ceil(error.retry_after)).encode())] if isinstance(error, TooMany) else []
    if error.status == 405:
        more.append((b"allow", b"POST"))
    await _answer(scope, send, error.status, MEDIA_TYPE, told, more)


async def _answer(scope: Any, send: Send, status: int, kind: str, body: bytes, more: list[tuple[bytes, bytes]] | None = None) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id(scope).encode()),
        *_HEADERS,
        *(more or ()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

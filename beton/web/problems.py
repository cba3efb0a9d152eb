"""One way to say no: every error becomes `application/problem+json` of one shape, and carries the id under which the log knows the request.

What Beton understands (`BetonError`) is told in full. What the framework refuses (no such address, a body that is not JSON or has not the
shape) is told in the same words and fields. What nobody foresaw is a 500 that tells the request's id and nothing else.
"""

from __future__ import annotations

import json
import logging
import math
import re
import secrets
import traceback
from http import HTTPStatus
from typing import Any

from litestar import Response
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.types import ExceptionHandlersMap, Message, Scope

from beton.errors import BadInput, BetonError, Fault, NotFound, PostHogError, StoreError, TooMany, mask
from beton.web.access.doorkeeper import LIMIT_HEADERS
from beton.web.access.forms import is_page, to_sign_in
from beton.web.injected import Ask

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("beton.web")
_SENT_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_STEPS = re.compile(r"[^.\[\]]+")
_ID = "beton_request_id"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms without saying where they come from
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
}
"""On every answer that does not set its own. Nothing here may be framed, guessed at, kept by a cache or load anything."""


PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""The Content-Security-Policy of pages for people: nothing inline, nothing from elsewhere."""


def request_id(scope: Scope) -> str:
    """The id that the caller sent, where it has the form of one, or a fresh one; the same for the whole request."""
    state: dict[str, Any] = scope.setdefault("state", {})
    if _ID not in state:
        sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        state[_ID] = sent if _SENT_ID.fullmatch(sent) else f"req_{secrets.token_hex(10)}"
    return state[_ID]


async def add_headers(message: Message, scope: Scope) -> None:
    """The request's id and the protective headers, on every answer, the refused ones too."""
    if message["type"] != "http.response.start":
        return
    headers = list(message.get("headers", []))
    present = {name.lower() for name, _ in headers}
    wanted = {"X-Request-Id": request_id(scope), **HEADERS, **scope.get("state", {}).get(LIMIT_HEADERS, {})}
    headers += [(name.lower().encode(), value.encode()) for name, value in wanted.items() if name.lower().encode() not in present]
    message["headers"] = headers


def refused(request: Ask, error: BetonError) -> Response[Any]:
    """A refusal or failure that Beton understands."""
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        if is_page(request.scope):
            return to_sign_in(request)
        headers["WWW-Authenticate"] = 'Bearer realm="beton"'
    if isinstance(error, PostHogError | TooMany) and error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    problem = error.as_problem()
    errors = [one | {"pointer": None if request.method == "GET" else pointer(one["field"])} for one in problem.get("errors", [])]
    return _answer(request, problem | {"errors": errors}, headers)


def refused_by_framework(request: Ask, error: HTTPException) -> Response[Any]:
    """What Litestar refuses, as the error that Beton would have raised."""
    if isinstance(error, ValidationException):
        return refused(request, BadInput("The request has not the shape that is asked for.", _faults(error)))
    if error.status_code == HTTPStatus.NOT_FOUND:
        return refused(request, NotFound(f"There is nothing at {request.url.path}.", fix="The addresses are listed in /openapi.json."))
    if error.status_code == HTTPStatus.BAD_REQUEST:
        if isinstance(error.__cause__, SerializationException):
            return refused(request, BadInput("The body is not JSON.", code="input.malformed", status=400, fix="Send one JSON object in UTF-8."))
        return refused(request, BadInput(f"{error.detail}.", code="input.malformed", status=400))
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return refused(request, BadInput("The body is too large.", code="input.too_large", status=413, fix="Send at most 1 MB."))
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(request, error)
    phrase = HTTPStatus(error.status_code).phrase
    told = BetonError(f"{phrase}.", code=f"http.{error.status_code}", status=error.status_code, fix="See /openapi.json for what is possible here.")
    response = refused(request, told)
    response.headers.update(error.headers or {})
    return response


def too_deep(request: Ask, error: RecursionError) -> Response[Any]:
    """JSON nested so deeply that no parser here follows it."""
    del error
    return refused(request, BadInput("The body is nested too deeply.", code="input.malformed", status=400, fix="Send a body of ordinary depth."))


def unexpected(request: Ask, error: Exception) -> Response[bytes]:
    """A fault of Beton itself. The log has the rest."""
    del error
    found = BetonError("Something went wrong inside Beton.", code="beton.unexpected", fix="Look for the request's id in the log of the server.")
    return _answer(request, found.as_problem() | {"errors": []}, {})


def log_failure(error: Exception, scope: Scope) -> None:
    """Failures, to the log; refusals are answers. What others did wrong takes a line, what Beton or its database did the whole story."""
    status = error.status if isinstance(error, BetonError) else error.status_code if isinstance(error, HTTPException) else 500
    if status < HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, RecursionError):
        return
    asked = f"{request_id(scope)} {scope['method'] if scope['type'] == ScopeType.HTTP else scope['type']} {scope['path']!r}"
    if isinstance(error, BetonError) and not isinstance(error, StoreError):
        _LOG.warning("%s: %s: %s", asked, error.code, error.message)
    else:
        _LOG.error("%s\n%s", asked, mask("".join(traceback.format_exception(error))))


HANDLERS: ExceptionHandlersMap = {
    BetonError: refused,
    HTTPException: refused_by_framework,
    RecursionError: too_deep,
    HTTPStatus.INTERNAL_SERVER_ERROR.value: unexpected,
}


def pointer(path: str) -> str:
    """`clauses[1].event` or `clauses.1.event` as a JSON pointer (RFC 6901)."""
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in _STEPS.findall(path))


def _answer(request: Ask, problem: dict[str, Any], headers: dict[str, str]) -> Response[bytes]:
    from beton.web.pages.failing import failed, wants_page

    whole = problem | {"request_id": request_id(request.scope)}
    if wants_page(request):
        return failed(request, whole, headers)
    return Response(json.dumps(whole, allow_nan=False).encode(), status_code=problem["status"], media_type=MEDIA_TYPE, headers=headers)


def _faults(error: ValidationException) -> list[Fault]:
    """Pydantic's own errors where the body is at fault, because they name the place exactly; the framework's for parameters."""
    inner = getattr(error.__cause__, "errors", None)
    if isinstance(inner, list):
        return [Fault(".".join(map(str, one["loc"])), _sentence(one["msg"])) for one in inner]
    told = error.extra if isinstance(error.extra, list) else []
    return [_fault(one.get("key", ""), one["message"]) for one in told]


def _fault(key: str, message: str) -> Fault:
    return Fault("", "a JSON object is needed as body") if key == "data" else Fault(key, _sentence(message))


def _sentence(message: str) -> str:
    return mask(message.removeprefix("Value error, "))

"""Requests that a page elsewhere has made a browser send. Keys are not sent by browsers on their own, so only sessions are concerned."""

from __future__ import annotations

from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers import BaseRouteHandler

from beton.errors import Forbidden
from beton.web.access.cookies import CSRF_FIELD, CSRF_HEADER, is_csrf
from beton.web.access.hosts import name_of
from beton.web.access.policy import is_public

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = frozenset({RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART})


async def no_forgery(connection: ASGIConnection, handler: BaseRouteHandler) -> None:
    """`Forbidden` for a change that was asked for by another site, or in a session without its token."""
    if not isinstance(connection, Request) or connection.method in _SAFE:
        return
    caller = connection.scope["user"]
    if caller is not None and caller.via == "key":
        return
    _check_origin(connection)
    if (
        caller is not None
        and not is_public(handler.opt)
        and not is_csrf(connection.scope, connection.headers.get(CSRF_HEADER) or await _in_form(connection))
    ):
        raise Forbidden("The form does not belong to this session.", code="forbidden.forged", fix="Load the page again and send it once more.")


def _check_origin(request: Request) -> None:
    """What browsers say of themselves about where a request comes from; other programs say nothing."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    same_site = site in (None, "same-origin", "none")
    same_origin = origin is None or (origin != "null" and name_of(urlsplit(origin).netloc) == name_of(request.headers.get("host", "")))
    if not (same_site and same_origin):
        raise Forbidden("Another site has sent this.", code="forbidden.forged", fix="Open Beton itself and do it there.")


async def _in_form(request: Request) -> str:
    if request.content_type[0] not in _FORMS:
        return ""
    sent = (await request.form()).get(CSRF_FIELD)
    return sent if isinstance(sent, str) else ""

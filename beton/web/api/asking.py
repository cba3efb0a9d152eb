"""Parameters and answers that many handlers share: pages, versions, and the ways in which an address may refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import orjson
from litestar import Response
from litestar.connection import ASGIConnection
from litestar.datastructures import ResponseHeader
from litestar.enums import MediaType
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter

from beton.errors import BadInput, Fault, NotFound
from beton.store.paging import LARGEST_PAGE
from beton.store.records import Page
from beton.store.store import Store, Transaction
from beton.web.api.resources import Listing, Problem
from beton.web.problems import MEDIA_TYPE

Limit = Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE, description="Most entries of one page.")]
Cursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description='The ETag that was looked at, such as `"3"`.')]
_ETAG = re.compile(r'(?:W/)?"?(\d{1,9})"?')
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_REFUSALS = {
    400: "Malformed: not JSON, or nested too deeply.",
    401: "No session and no key, or not a valid one.",
    403: "The permission is missing, or another site has sent this.",
    404: "There is no such thing.",
    409: "Not possible in the present state, or somebody else was first.",
    410: "The receiver does not want deliveries any more.",
    422: "Well formed, but refused; `errors` lists every fault.",
    429: "Asked too often; `Retry-After` says how long to wait.",
    502: "The other side failed.",
    503: "Not now.",
    504: "The other side did not answer in time.",
}
PageType = TypeVar("PageType", bound=Listing)
T = TypeVar("T")


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """The documented refusals of a handler: those that every one has, and the named ones."""
    every = sorted({400, 401, 403, 422, 429, *statuses})
    return {status: ResponseSpec(Problem, False, _REFUSALS[status], MEDIA_TYPE) for status in every}


def listed(
    page_type: type[PageType], store: Store, cursor: str | None, read: Callable[[Transaction], Page[T]], show: Callable[[list[T]], list[Any]]
) -> PageType:
    """A page as it is sent, read and shown in one transaction. A cursor that leads nowhere is a fault of the request, not a missing thing."""
    with store.snapshot():
        found = _found(store, cursor, read)
        return page_type(data=show(list(found.data)), next_cursor=found.next_after, has_more=found.next_after is not None)


def listed_as_is(
    store: Store, cursor: str | None, read: Callable[[Transaction], Page[T]], show: Callable[[list[T]], list[dict[str, Any]]]
) -> Response[Any]:
    """The same where entries are large and already what is sent: checking each against its model would take longer than all else."""
    with store.snapshot():
        found = _found(store, cursor, read)
        told = {"data": show(list(found.data)), "next_cursor": found.next_after, "has_more": found.next_after is not None}
    return Response(orjson.dumps(told), media_type=MediaType.JSON)


def _found(store: Store, cursor: str | None, read: Callable[[Transaction], Page[T]]) -> Page[T]:
    try:
        with store.reading() as tx:
            return read(tx)
    except NotFound:
        if cursor is None:
            raise
        raise lost_cursor() from None


def lost_cursor() -> BadInput:
    """The refusal of a cursor that leads nowhere."""
    fault = Fault("cursor", "leads nowhere")
    return BadInput("The listing cannot go on from there.", [fault], code="input.cursor", fix="Begin again without a cursor.")


def as_described(connection: ASGIConnection, handler: BaseRouteHandler) -> None:
    """`BadInput` for parameters that the framework reads too kindly: `null` would be one that is missing, and a number seconds since 1970; the
    answer would be one to another question."""
    known = handler.parsed_fn_signature.parameters
    for name, value in connection.query_params.multi_items():
        kinds = known[name].args if name in known else (str,)
        if value.lower() == "null" and str not in kinds:
            raise _misshapen(name, "is null: leave it out instead")
        if datetime in kinds and not _DAY.match(value):
            raise _misshapen(name, "is not an instant in RFC 3339, such as 2026-01-31T09:00:00Z")


def _misshapen(name: str, why: str) -> BadInput:
    return BadInput("The request has not the shape that is asked for.", [Fault(name, why)])


ETAG = [ResponseHeader(name="ETag", documentation_only=True, description="The row version, in quotes.")]
LOCATION = [ResponseHeader(name="Location", documentation_only=True, description="Where to read it.")]


def etag(row_version: int) -> dict[str, str]:
    """The header that names a version."""
    return {"ETag": f'"{row_version}"'}


def expected_version(if_match: str | None, row_version: int | None) -> int | None:
    """The version that the caller has looked at, from the header or the body; `None` when they name none (or `*`)."""
    if if_match is None or if_match.strip() == "*":
        return row_version
    named = _ETAG.fullmatch(if_match.strip())
    if named is None:
        raise BadInput("If-Match is not an ETag of this API.", [Fault("If-Match", "is not a row version")], fix='Send it as: If-Match: "3"')
    if row_version is not None and row_version != int(named[1]):
        raise BadInput("If-Match and row_version name two versions.", [Fault("row_version", "differs from If-Match")], fix="Send one of the two.")
    return int(named[1])

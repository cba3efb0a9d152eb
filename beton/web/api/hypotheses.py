"""Hypotheses: listed, read, written down."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from backtest import Hypothesis
from backtest.reading import read_hypothesis
from beton.errors import BadInput, Fault
from beton.lifecycle import Status
from beton.roles import Permission
from beton.store import audit, hypotheses
from beton.web.access.policy import needs
from beton.web.api.asking import ETAG, LOCATION, Cursor, Limit, etag, listed_as_is, refusals
from beton.web.api.bodies import NewHypothesisBody
from beton.web.api.resources import History, HistoryEntry, HypothesisPage, HypothesisRead
from beton.web.injected import TheActor, ThePlace
from beton.work.deciding import resource, resources
from beton.work.writing import refuse, write_hypothesis

MOST_HISTORY = 500
Statuses = Annotated[list[Status] | None, QueryParameter(description="May be given several times.")]
ByConnection = Annotated[str | None, QueryParameter(description="Name or id.")]


@get("/hypotheses", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(404), operation_id="listHypotheses", tags=["hypotheses"])
def list_hypotheses(
    place: ThePlace, status: Statuses = None, connection: ByConnection = None, limit: Limit = 25, cursor: Cursor = None
) -> Response[HypothesisPage]:
    """Hypotheses with their newest numbers, newest first."""
    connection_id = None if connection is None else place.connection(connection).id
    return listed_as_is(
        place.store,
        cursor,
        lambda tx: hypotheses.listing(tx, connection_id=connection_id, statuses=status or (), limit=limit, after=cursor),
        lambda found: [one.to_json() for one in resources(place, found)],
    )


@get(
    "/hypotheses/{hypothesis_id:str}",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    response_headers=ETAG,
    operation_id="readHypothesis",
    tags=["hypotheses"],
)
def read_one(place: ThePlace, hypothesis_id: FromPath[str]) -> Response[HypothesisRead]:
    """One hypothesis. The ETag is its `row_version`."""
    found = resource(place, hypothesis_id)
    return Response(HypothesisRead.of(found), headers=etag(found.hypothesis.row_version))


@post(
    "/hypotheses",
    opt=needs(Permission.WRITE),
    sync_to_thread=True,
    responses=refusals(404) | {200: ResponseSpec(HypothesisRead, generate_examples=False, description="It was known already.")},
    response_headers=[*ETAG, *LOCATION],
    operation_id="addHypothesis",
    tags=["hypotheses"],
)
def add_hypothesis(place: ThePlace, actor: TheActor, data: JSONBody[NewHypothesisBody]) -> Response[HypothesisRead]:
    """Write a hypothesis down as proposed: 201. One that means the same is already known: 200, and it stays as it is."""
    written = definition(data.definition)
    row, is_new = write_hypothesis(place, place.connection(data.connection), written, actor, selected=data.selected, field="definition")
    headers = etag(row.row_version) | {"Location": f"/api/v1/hypotheses/{row.id}"}
    return Response(HypothesisRead.of(resource(place, row.id)), status_code=201 if is_new else 200, headers=headers)


@get(
    "/hypotheses/{hypothesis_id:str}/history",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readHistory",
    tags=["hypotheses"],
)
def read_history(place: ThePlace, hypothesis_id: FromPath[str]) -> History:
    """Who did what to it, newest first."""
    with place.store.reading() as tx:
        hypotheses.get(tx, hypothesis_id)
        found = audit.entries(tx, object_id=hypothesis_id, limit=MOST_HISTORY + 1)
    return History(data=[HistoryEntry.of(one) for one in found[:MOST_HISTORY]], has_more=len(found) > MOST_HISTORY)


def definition(data: object, field: str = "definition") -> Hypothesis:
    """A hypothesis in the language's JSON form; `BadInput` with every fault, each under the field that it came in."""
    read = read_hypothesis(data)
    if isinstance(read, Hypothesis):
        return read
    refuse(read, field)
    raise BadInput("This is not a hypothesis.", [Fault(field, "cannot be read")])


HANDLERS: list[HTTPRouteHandler] = [list_hypotheses, read_one, add_hypothesis, read_history]

"""Weighing a hypothesis: what it would set going, another beside it, a draft of one, a changed one, and a decision taken back."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from beton.roles import Permission
from beton.web.access.policy import needs
from beton.web.api.asking import ETAG, IfMatch, etag, expected_version, refusals
from beton.web.api.bodies import Decision, DraftBody, Revision
from beton.web.api.hypotheses import definition
from beton.web.api.resources import HypothesisRead
from beton.web.api.weighing_resources import ComparisonRead, OutlookRead, PreviewRead, UndoneRead
from beton.web.injected import TheActor, TheCaller, ThePlace
from beton.work import looking, reviewing, undoing
from beton.work.deciding import resource
from beton.work.drafting import read_definition, read_draft, revise

One = Annotated[str, QueryParameter(min_length=1, max_length=200, description="The id of a hypothesis.")]


@get(
    "/hypotheses/{hypothesis_id:str}/outlook",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readOutlook",
    tags=["hypotheses"],
)
def read_outlook(place: ThePlace, caller: TheCaller, hypothesis_id: FromPath[str]) -> OutlookRead:
    """What approving it would set going: where signals go, how many a week, and who would have fired lately."""
    units = caller.may(Permission.READ_SIGNALS)
    return OutlookRead.of(reviewing.outlook(place, hypothesis_id, units=units), units=units)


@get(
    "/hypotheses/compare",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="compareHypotheses",
    tags=["hypotheses"],
)
def compare(place: ThePlace, a: One, b: One) -> ComparisonRead:
    """Two hypotheses side by side. Intervals that do not overlap are surely different; overlapping ones may be all the same."""
    first, second = reviewing.proposal(place, a), reviewing.proposal(place, b)
    return ComparisonRead.of(first, second, looking.differences(first, second, looking.COMPARED))


@post(
    "/hypotheses/preview",
    status_code=200,
    opt=needs(Permission.WRITE),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="previewHypothesis",
    tags=["hypotheses"],
)
def preview(place: ThePlace, data: JSONBody[DraftBody]) -> PreviewRead:
    """What a draft says as a sentence, or every fault of it. Nothing is kept."""
    chosen = None if data.connection is None else place.connection(data.connection)
    if isinstance(data.definition, str):
        return PreviewRead.of(read_draft(place, chosen, data.definition), as_text=True)
    return PreviewRead.of(read_definition(place, chosen, data.definition), as_text=False)


@patch(
    "/hypotheses/{hypothesis_id:str}",
    opt=needs(Permission.WRITE),
    sync_to_thread=True,
    responses=refusals(404, 409),
    response_headers=ETAG,
    operation_id="reviseHypothesis",
    tags=["hypotheses"],
)
def change(
    place: ThePlace, actor: TheActor, hypothesis_id: FromPath[str], data: JSONBody[Revision], if_match: IfMatch = None
) -> Response[HypothesisRead]:
    """Let it say something else: its next version, which has to be tested and approved anew."""
    version = expected_version(if_match, data.row_version)
    revise(place, hypothesis_id, definition(data.definition), actor=actor, expected_row_version=version, field="definition")
    found = resource(place, hypothesis_id)
    return Response(HypothesisRead.of(found), headers=etag(found.hypothesis.row_version))


@post(
    "/hypotheses/{hypothesis_id:str}/undo",
    status_code=200,
    opt=needs(Permission.DECIDE),
    sync_to_thread=True,
    responses=refusals(404, 409),
    response_headers=ETAG,
    operation_id="undoDecision",
    tags=["decisions"],
)
def undo(
    place: ThePlace, actor: TheActor, hypothesis_id: FromPath[str], data: JSONBody[Decision | None] = None, if_match: IfMatch = None
) -> Response[UndoneRead]:
    """Take one's own last decision back, within ten minutes. What an approval has sent stays sent, and is counted."""
    version = expected_version(if_match, None if data is None else data.row_version)
    undone = undoing.undo(place, hypothesis_id, actor=actor, expected_row_version=version)
    told = UndoneRead(**undone.resource.to_json(), signals=undone.signals)
    return Response(told, headers=etag(undone.resource.hypothesis.row_version))


HANDLERS: list[HTTPRouteHandler] = [read_outlook, compare, preview, change, undo]

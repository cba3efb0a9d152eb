"""Where events come in, and what became of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from litestar import delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from beton.errors import NotFound
from beton.roles import Permission
from beton.store import inbound, inbound_events
from beton.store.inbound_records import EventStatus
from beton.web.access.policy import needs
from beton.web.api.asking import Cursor, Limit, listed, refusals
from beton.web.api.source_resources import (
    InboundEventPage,
    InboundEventRead,
    InboundEventRevealed,
    NewSourceBody,
    NewSourceRead,
    RotationBody,
    SignatureBody,
    SourceChange,
    SourcePage,
    SourceRead,
    SourceSampleRead,
)
from beton.web.injected import TheActor, ThePlace
from beton.work import listening

BySource = Annotated[str | None, QueryParameter(description="Name or id.")]
ByFate = Annotated[EventStatus | None, QueryParameter()]
READ, MANAGE = needs(Permission.READ), needs(Permission.MANAGE_CONNECTIONS)


@get("/sources", opt=READ, sync_to_thread=True, responses=refusals(), operation_id="listSources", tags=["sources"])
def list_sources(place: ThePlace) -> SourcePage:
    """All sources, by name."""
    return SourcePage(data=[SourceRead.of(one) for one in listening.all_heard(place)], next_cursor=None, has_more=False)


@post("/sources", opt=MANAGE, sync_to_thread=True, responses=refusals(404, 409), operation_id="addSource", tags=["sources"])
def add_source(place: ThePlace, actor: TheActor, data: JSONBody[NewSourceBody]) -> NewSourceRead:
    """A source, being tried out. Keep the `address` and the `secret` of the answer: they are shown this once."""
    given = {"name": data.name, "connection": data.connection, "signed": data.signed, "secret": data.secret, "mapping": data.mapping}
    made, address, secret = listening.add_source(place, actor=actor, **given)
    return NewSourceRead.of(listening.heard(place, made.id), address=address, secret=secret)


@get("/sources/{source:str}", opt=READ, sync_to_thread=True, responses=refusals(404), operation_id="readSource", tags=["sources"])
def read_source(place: ThePlace, source: FromPath[str]) -> SourceRead:
    """One source, by name or id."""
    return SourceRead.of(listening.heard(place, source))


@patch("/sources/{source:str}", opt=MANAGE, sync_to_thread=True, responses=refusals(404, 409), operation_id="changeSource", tags=["sources"])
def change_source(place: ThePlace, actor: TheActor, source: FromPath[str], data: JSONBody[SourceChange]) -> SourceRead:
    """Another mapping, or another status: try it out, let it make signals, or take nothing."""
    if data.mapping is not None:
        listening.remap(place, source, data.mapping, actor=actor)
    if data.status is not None:
        listening.switch(place, source, data.status, actor=actor)
    return SourceRead.of(listening.heard(place, source))


@delete(
    "/sources/{source:str}", status_code=200, opt=MANAGE, sync_to_thread=True, responses=refusals(404), operation_id="removeSource", tags=["sources"]
)
def remove_source(place: ThePlace, actor: TheActor, source: FromPath[str]) -> SourceRead:
    """Remove a source with its addresses and its log, and say what it was. Signals stay."""
    former = SourceRead.of(listening.heard(place, source))
    listening.remove(place, source, actor=actor)
    return former


@post(
    "/sources/{source:str}/rotate",
    status_code=200,
    opt=MANAGE,
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="rotateSource",
    tags=["sources"],
)
def rotate_source(place: ThePlace, actor: TheActor, source: FromPath[str], data: JSONBody[RotationBody]) -> NewSourceRead:
    """A new `address`, shown this once; the former ones end after the grace."""
    found, address = listening.rotate(place, source, grace=timedelta(hours=data.grace_hours), actor=actor)
    return NewSourceRead.of(listening.heard(place, found.id), address=address, secret=None)


@post(
    "/sources/{source:str}/signature",
    status_code=200,
    opt=MANAGE,
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="signSource",
    tags=["sources"],
)
def sign_source(place: ThePlace, actor: TheActor, source: FromPath[str], data: JSONBody[SignatureBody]) -> NewSourceRead:
    """Take only what is signed from now on, or everything. A new `secret` is shown this once."""
    found, secret = listening.sign(place, source, signed=data.signed, secret=data.secret, actor=actor)
    return NewSourceRead.of(listening.heard(place, found.id), address=None, secret=secret)


@get("/sources/{source:str}/sample", opt=READ, sync_to_thread=True, responses=refusals(404), operation_id="readSample", tags=["sources"])
def read_sample(place: ThePlace, source: FromPath[str]) -> SourceSampleRead:
    """The newest event of a source, read by its mapping: which parts are found, without their values."""
    found = listening.sample(place, source)
    if found is None:
        raise NotFound("No event has come yet whose body is still kept.", code="source.untested", fix="Send a test event from PostHog's destination.")
    return SourceSampleRead.of(found)


@get("/events", opt=READ, sync_to_thread=True, responses=refusals(404), operation_id="listEvents", tags=["sources"])
def list_events(place: ThePlace, source: BySource = None, status: ByFate = None, limit: Limit = 50, cursor: Cursor = None) -> InboundEventPage:
    """The event log, newest first."""
    with place.store.reading() as tx:
        source_id = None if source is None else inbound.get(tx, source).id
    return listed(
        InboundEventPage,
        place.store,
        cursor,
        lambda tx: inbound_events.listing(tx, source_id=source_id, status=status, limit=limit, after=cursor),
        lambda found: [InboundEventRead.of(one) for one in found],
    )


@get("/events/{event_id:str}", opt=READ, sync_to_thread=True, responses=refusals(404), operation_id="readEvent", tags=["sources"])
def read_event(place: ThePlace, event_id: FromPath[str]) -> InboundEventRead:
    """One event, without what was sent."""
    return InboundEventRead.of(listening.event(place, event_id).event)


@post(
    "/events/{event_id:str}/reveal",
    status_code=200,
    opt=MANAGE,
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="revealEvent",
    tags=["sources"],
)
def reveal_event(place: ThePlace, actor: TheActor, event_id: FromPath[str]) -> InboundEventRevealed:
    """One event with what was sent. The audit log says who has asked."""
    return InboundEventRevealed.with_body(listening.reveal(place, event_id, actor=actor))


HANDLERS: list[HTTPRouteHandler] = [
    list_sources, add_source, read_source, change_source, remove_source, rotate_source, sign_source, read_sample, list_events, read_event,
    reveal_event,
]  # fmt: skip

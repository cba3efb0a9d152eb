"""Signals: what fired, with the events that a person can look up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from beton.errors import BadInput, Fault, NotFound
from beton.roles import Permission
from beton.store import signals
from beton.web.access.policy import needs
from beton.web.api.asking import Cursor, Limit, listed, lost_cursor, refusals
from beton.web.api.bodies import in_utc
from beton.web.api.resources import SignalFeed, SignalPage, SignalRead
from beton.web.injected import ThePlace

ByHypothesis = Annotated[str | None, QueryParameter()]
ByConnection = Annotated[str | None, QueryParameter(description="Name or id.")]
Since = Annotated[datetime | None, QueryParameter(description="Detected at or after this instant (RFC 3339, with its offset).")]


@get("/signals", opt=needs(Permission.READ_SIGNALS), sync_to_thread=True, responses=refusals(404), operation_id="listSignals", tags=["signals"])
def list_signals(
    place: ThePlace,
    hypothesis_id: ByHypothesis = None,
    connection: ByConnection = None,
    since: Since = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> SignalPage:
    """Signals, the last detected first."""
    connection_id = None if connection is None else place.connection(connection).id
    at = None if since is None else _instant(since)
    return listed(
        SignalPage,
        place.store,
        cursor,
        lambda tx: signals.listing(tx, hypothesis_id=hypothesis_id, connection_id=connection_id, since=at, limit=limit, after=cursor),
        lambda found: [SignalRead.of(one) for one in found],
    )


@get("/signals/feed", opt=needs(Permission.READ_SIGNALS), sync_to_thread=True, responses=refusals(), operation_id="feedSignals", tags=["signals"])
def feed_signals(place: ThePlace, limit: Limit = 50, cursor: Cursor = None) -> SignalFeed:
    """Signals in the order of their detection, from the first on: ask again with the `next_cursor` of the last answer for those that came since.
    `has_more` says that some are waiting already."""
    try:
        with place.store.reading() as tx:
            found = signals.feed(tx, after=cursor, limit=limit + 1)
    except NotFound:
        raise lost_cursor() from None
    shown = found[:limit]
    return SignalFeed(data=[SignalRead.of(one) for one in shown], next_cursor=shown[-1].id if shown else cursor, has_more=len(found) > limit)


@get(
    "/signals/{signal_id:str}",
    opt=needs(Permission.READ_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readSignal",
    tags=["signals"],
)
def read_signal(place: ThePlace, signal_id: FromPath[str]) -> SignalRead:
    """One signal."""
    with place.store.reading() as tx:
        return SignalRead.of(signals.get(tx, signal_id))


def _instant(since: datetime) -> datetime:
    if since.tzinfo is None:
        raise BadInput("An instant needs its offset.", [Fault("since", "has no offset")], fix="Write it as 2026-01-31T09:00:00Z.")
    try:
        return in_utc(since)
    except ValueError as error:
        raise BadInput("This is no instant.", [Fault("since", str(error))], fix="Write it as 2026-01-31T09:00:00Z.") from None


HANDLERS: list[HTTPRouteHandler] = [list_signals, feed_signals, read_signal]

"""Signals: what fired, with the events that a person can look up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from beton.errors import BadInput, Fault, NotFound
from beton.roles import Permission
from beton.signals import Signal
from beton.store import signals
from beton.store.following import feedback as said_of
from beton.web.access.policy import needs
from beton.web.api.asking import Cursor, Limit, listed, lost_cursor, refusals
from beton.web.api.bodies import FeedbackBody, in_utc
from beton.web.api.signal_resources import SignalFeed, SignalPage, SignalRead, SignalTakenBack
from beton.web.injected import TheActor, TheCaller, ThePlace
from beton.work import following
from beton.work.following import Filter
from beton.work.workplace import Workplace

ByHypothesis = Annotated[str | None, QueryParameter()]
ByConnection = Annotated[str | None, QueryParameter(description="Name or id.")]
ByOwner = Annotated[str | None, QueryParameter(description="The member or key that has claimed it.")]
Since = Annotated[datetime | None, QueryParameter(description="Detected at or after this instant (RFC 3339, with its offset).")]

HeldOut = Annotated[
    bool, QueryParameter(description="Also those that are held out at random. Whoever acts on them spoils the measurement of what sending adds.")
]


@get("/signals", opt=needs(Permission.READ_SIGNALS), sync_to_thread=True, responses=refusals(404), operation_id="listSignals", tags=["signals"])
def list_signals(
    place: ThePlace,
    hypothesis_id: ByHypothesis = None,
    connection: ByConnection = None,
    owner_id: ByOwner = None,
    since: Since = None,
    held_out: HeldOut = False,
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
        lambda tx: signals.listing(
            tx, hypothesis_id=hypothesis_id, connection_id=connection_id, owner_id=owner_id, since=at, held_out=held_out, limit=limit, after=cursor
        ),
        lambda found: _told(place, found),
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
    return SignalFeed(data=_told(place, shown), next_cursor=shown[-1].id if shown else cursor, has_more=len(found) > limit)


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
    return _read(place, signal_id)


@get(
    "/signals.csv",
    opt=needs(Permission.READ_SIGNALS),
    media_type="text/csv",
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="exportSignals",
    tags=["signals"],
)
def export_signals(
    place: ThePlace,
    actor: TheActor,
    hypothesis_id: ByHypothesis = None,
    connection: ByConnection = None,
    owner_id: ByOwner = None,
    since: Since = None,
) -> Stream:
    """All of them as one CSV file, the last detected first. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    connection_id = None if connection is None else place.connection(connection).id
    at = None if since is None else _instant(since)
    return csv_file(following.export(place, Filter(hypothesis_id, connection_id, None, owner_id, at), actor=actor), place.clock())


@post(
    "/signals/{signal_id:str}/feedback",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="giveFeedback",
    tags=["signals"],
)
def give_feedback(place: ThePlace, actor: TheActor, signal_id: FromPath[str], data: JSONBody[FeedbackBody]) -> SignalRead:
    """Say what became of it; the last word counts."""
    following.give_feedback(place, signal_id, data.verdict, actor=actor)
    return _read(place, signal_id)


@post(
    "/signals/{signal_id:str}/claim",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="claimSignal",
    tags=["signals"],
)
def claim_signal(place: ThePlace, caller: TheCaller, signal_id: FromPath[str]) -> SignalRead:
    """It is the caller's to follow up, from now on."""
    following.do(place, signal_id, "claim", caller=caller)
    return _read(place, signal_id)


@post(
    "/signals/{signal_id:str}/release",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="releaseSignal",
    tags=["signals"],
)
def release_signal(place: ThePlace, caller: TheCaller, signal_id: FromPath[str]) -> SignalRead:
    """Leave it to others."""
    following.do(place, signal_id, "release", caller=caller)
    return _read(place, signal_id)


@post(
    "/signals/{signal_id:str}/take-back",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="takeBackSignal",
    tags=["signals"],
)
def take_back_signal(place: ThePlace, caller: TheCaller, signal_id: FromPath[str]) -> SignalTakenBack:
    """Count it as a mistake. Deliveries that have not left are given up; what has left cannot be called back."""
    stopped = following.do(place, signal_id, "take_back", caller=caller)
    return SignalTakenBack(**_read(place, signal_id).model_dump(), stopped=stopped)


@post(
    "/signals/{signal_id:str}/put-back",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="putBackSignal",
    tags=["signals"],
)
def put_back_signal(place: ThePlace, caller: TheCaller, signal_id: FromPath[str]) -> SignalRead:
    """It was right after all. Deliveries that were given up stay so until somebody sends them again."""
    following.do(place, signal_id, "put_back", caller=caller)
    return _read(place, signal_id)


def csv_file(lines: Iterator[str], now: datetime) -> Stream:
    """Lines as a file that browsers save."""
    name = f"beton-signals-{now.astimezone(UTC):%Y-%m-%d}.csv"
    return Stream(lines, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"})


def _read(place: Workplace, signal_id: str) -> SignalRead:
    with place.store.reading() as tx:
        return SignalRead.of(signals.get(tx, signal_id), said_of(tx, [signal_id]).get(signal_id))


def _told(place: Workplace, found: Sequence[Signal]) -> list[SignalRead]:
    """With what was said about each."""
    with place.store.reading() as tx:
        given = said_of(tx, [one.id for one in found])
    return [SignalRead.of(one, given.get(one.id)) for one in found]


def _instant(since: datetime) -> datetime:
    if since.tzinfo is None:
        raise BadInput("An instant needs its offset.", [Fault("since", "has no offset")], fix="Write it as 2026-01-31T09:00:00Z.")
    try:
        return in_utc(since)
    except ValueError as error:
        raise BadInput("This is no instant.", [Fault("since", str(error))], fix="Write it as 2026-01-31T09:00:00Z.") from None


HANDLERS: list[HTTPRouteHandler] = [
    list_signals, feed_signals, export_signals, read_signal, give_feedback, claim_signal, release_signal, take_back_signal, put_back_signal,
]  # fmt: skip

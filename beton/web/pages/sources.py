"""Sources: where events come in, how each does, how its events are read, and what became of them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, get_args

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from beton.errors import BadInput, BetonError, Conflict, Fault
from beton.roles import Permission
from beton.store import connections
from beton.store.inbound_records import EventStatus, SourceStatus
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, text
from beton.work import listening
from beton.work.mapping import DEFAULT, NEEDED

AT_ONCE = 25
GRACE = {"0": "at once", "1": "in an hour", "24": "in a day", "168": "in a week"}
PARTS = {
    "name": "What happened",
    "distinct_id": "Who did it",
    "at": "When",
    "event_uuid": "Its id",
    "person_id": "PostHog's person",
    "properties": "Properties",
    "person_properties": "Of the person",
    "groups": "Accounts",
}
FATES = {"arrived": "Arrived", "mapped": "Read", "matched": "Matched", "fired": "Fired", "ignored": "Ignored", "failed": "Not read"}
SEE, MANAGE = needs(Permission.READ), needs(Permission.MANAGE_CONNECTIONS)


@get("/sources", sync_to_thread=True, opt=SEE, include_in_schema=False)
def overview(page: ThePage, place: ThePlace, status: FromQuery[str] = "", after: FromQuery[str] = "") -> Response[str]:
    """All sources, and the event log."""
    return _overview(page, place, status=status, after=after)


@post("/sources", status_code=200, sync_to_thread=True, opt=MANAGE, include_in_schema=False)
def add(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """A source. Its address is on the page that answers, and never again."""
    written = {"name": text(data, "name"), "connection": text(data, "connection")}
    name, connection = written["name"], written["connection"]
    try:
        made, address, secret = listening.add_source(place, name=name, connection=connection, signed=text(data, "signed") == "yes", actor=page.actor)
    except (BadInput, Conflict) as error:
        return _overview(page, place, refused=error, written=written)
    return _one(page, place, made.id, address=address, secret=secret)


@get("/sources/{source:str}", sync_to_thread=True, opt=SEE, include_in_schema=False)
def show(
    page: ThePage, place: ThePlace, source: FromPath[str], status: FromQuery[str] = "", after: FromQuery[str] = "", done: FromQuery[str] = ""
) -> Response[str]:
    """One source."""
    return _one(page, place, source, status=status, after=after, done=done)


@post("/sources/{source:str}/map", status_code=200, sync_to_thread=True, opt=MANAGE, include_in_schema=False)
def remap(page: ThePage, place: ThePlace, source: FromPath[str], data: FormFields) -> Response[str]:
    """Other paths; with `then=default` those of PostHog's default body."""
    told = dict(DEFAULT) if text(data, "then") == "default" else {part: text(data, part) for part in DEFAULT}
    try:
        found = listening.remap(place, source, told, actor=page.actor)
    except BadInput as error:
        return _one(page, place, source, refused=error, paths=told)
    return page.go(f"/sources/{found.id}", done="mapped")


@post("/sources/{source:str}/switch", status_code=200, sync_to_thread=True, opt=MANAGE, include_in_schema=False)
def switch(page: ThePage, place: ThePlace, source: FromPath[str], data: FormFields) -> Response[str]:
    """Try it out, let it make signals, or take nothing."""
    wanted = text(data, "status")
    known: dict[str, SourceStatus] = {one: one for one in get_args(SourceStatus)}
    try:
        if wanted not in known:
            raise BadInput("A source is tried out, active or off.", [Fault("status", "is none of testing, active, off")])
        found = listening.switch(place, source, known[wanted], actor=page.actor)
    except (BadInput, Conflict) as error:
        return _one(page, place, source, refused=error)
    return page.go(f"/sources/{found.id}", done=found.status)


@post("/sources/{source:str}/rotate", status_code=200, sync_to_thread=True, opt=MANAGE, include_in_schema=False)
def rotate(page: ThePage, place: ThePlace, source: FromPath[str], data: FormFields) -> Response[str]:
    """Another address, shown on the page that answers."""
    hours = text(data, "grace_hours")
    grace = timedelta(hours=int(hours) if hours in GRACE else 24)
    found, address = listening.rotate(place, source, grace=grace, actor=page.actor)
    return _one(page, place, found.id, address=address)


@post("/sources/{source:str}/sign", status_code=200, sync_to_thread=True, opt=MANAGE, include_in_schema=False)
def sign(page: ThePage, place: ThePlace, source: FromPath[str], data: FormFields) -> Response[str]:
    """Ask for a signature, with a fresh secret, or for none."""
    found, secret = listening.sign(place, source, signed=text(data, "signed") == "yes", actor=page.actor)
    return _one(page, place, found.id, secret=secret) if secret else page.go(f"/sources/{found.id}", done="unsigned")


@post("/sources/{source:str}/remove", status_code=200, sync_to_thread=True, opt=MANAGE, include_in_schema=False)
def remove(page: ThePage, place: ThePlace, source: FromPath[str], data: FormFields) -> Response[str]:
    """Remove it with its log."""
    found = listening.heard(place, source)
    if text(data, "sure") != "yes":
        raise BadInput("Say that this is meant.", [Fault("sure", "is not yes")], fix="Go back and use the button.")
    listening.remove(place, found.source.id, actor=page.actor)
    return page.go("/sources")


@get("/received/{event_id:str}", sync_to_thread=True, opt=SEE, include_in_schema=False)
def event(page: ThePage, place: ThePlace, event_id: FromPath[str]) -> Response[str]:
    """One event, without what was sent."""
    return _event(page, listening.event(place, event_id))


@post("/received/{event_id:str}/reveal", status_code=200, sync_to_thread=True, opt=MANAGE, include_in_schema=False)
def reveal(page: ThePage, place: ThePlace, event_id: FromPath[str], data: FormFields) -> Response[str]:
    """One event with what was sent, which the audit log says."""
    del data
    return _event(page, listening.reveal(place, event_id, actor=page.actor))


def _event(page: Page, shown: listening.Shown) -> Response[str]:
    body = None if shown.body is None else json.dumps(shown.body, indent=2, ensure_ascii=False)
    return page.render("sources/event.html", title="Event", at="data", shown=shown, one=shown.event, body=body, fates=FATES)


def _status(told: str) -> EventStatus | None:
    known: dict[str, EventStatus] = {one: one for one in get_args(EventStatus)}
    return known.get(told)


def _overview(page: Page, place: ThePlace, *, status: str = "", after: str = "", refused: BetonError | None = None, **more: Any) -> Response[str]:
    with place.store.reading() as tx:
        projects = connections.every(tx)
    heard = listening.all_heard(place)
    return page.render(
        "sources/overview.html",
        status=200 if refused is None else refused.status,
        title="Sources",
        at="data",
        heard=heard,
        names={one.source.id: one.source.name for one in heard},
        log=listening.log(place, status=_status(status), limit=AT_ONCE, after=after or None),
        projects=projects,
        asked=_status(status) or "",
        after=after,
        fates=FATES,
        refused=refused,
        **({"written": {"name": "", "connection": ""}} | more),
    )


def _one(
    page: Page, place: ThePlace, source: str, *, status: str = "", after: str = "", refused: BetonError | None = None, **more: Any
) -> Response[str]:
    found = listening.heard(place, source)
    sample = listening.sample(place, found.source.id)
    shown: dict[str, Any] = {"address": "", "secret": "", "done": "", "paths": None} | more
    return page.render(
        "sources/one.html",
        status=200 if refused is None else refused.status,
        title=found.source.name,
        at="data",
        found=found,
        one=found.source,
        sample=sample,
        there={one.name: one.found for one in sample.parts} if sample else {},
        log=listening.log(place, source=found.source.id, status=_status(status), limit=AT_ONCE, after=after or None),
        asked=_status(status) or "",
        after=after,
        fates=FATES,
        parts=PARTS,
        needed=NEEDED,
        grace=GRACE,
        refused=refused,
        **(shown | {"paths": shown["paths"] or found.source.mapping}),
    )


HANDLERS: list[HTTPRouteHandler] = [overview, add, show, remap, switch, rotate, sign, remove, event, reveal]

"""Routing: where signals go, what became of them on the way, and sending again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from beton.errors import BadInput, Conflict, DestinationError, Fault
from beton.roles import Permission
from beton.signals import DeliveryStatus
from beton.store import routes
from beton.web.access.policy import needs
from beton.web.injected import TheHands, ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, of_one_instant, text
from beton.work import calling_reviewers, dispatching
from beton.work.ways_out import add_route

AT_ONCE = 25
LONGEST_NAME = 200
AGAIN = {"day": ("the last 24 hours", 1), "week": ("the last 7 days", 7), "month": ("the last 30 days", 30)}


@get("/routing", sync_to_thread=True, opt=needs(Permission.READ_ROUTES), include_in_schema=False)
@of_one_instant
def overview(
    page: ThePage, place: ThePlace, route: FromQuery[str] = "", status: FromQuery[str] = "", after: FromQuery[str] = "", again: FromQuery[str] = ""
) -> Response[str]:
    """All routes, and the log of deliveries."""
    return _overview(page, place, {"route": route, "status": status if status in set(DeliveryStatus) else ""}, after=after, again=again)


@post("/routing", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def add(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """A webhook. Its secret is on the page that answers, and never again."""
    written = {"name": text(data, "name"), "url": text(data, "url")}
    try:
        if not written["name"] or len(written["name"]) > LONGEST_NAME or not written["name"].isprintable():
            raise BadInput("A route needs a name.", [Fault("name", "is empty, too long, or more than a line")])
        notices = text(data, "notices") == "yes"
        made, secret = add_route(place, name=written["name"], url=written["url"], actor=page.actor, notices=notices)
    except (BadInput, Conflict) as error:
        return _overview(page, place, {}, status=error.status, written=written, refused=error)
    return _overview(page, place, {}, made=made, secret=secret)


@post("/routing/{route:str}/test", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def try_out(page: ThePage, place: ThePlace, hands: TheHands, route: FromPath[str], data: FormFields) -> Response[str]:
    """Send a message that is no signal, and show what the receiver said."""
    del data
    with place.store.reading() as tx:
        found = routes.get(tx, route)
    try:
        tried: dict[str, Any] = {"route": found, "status": hands.try_route(place, found.id), "error": None}
    except DestinationError as error:
        tried = {"route": found, "status": None, "error": error}
    return _overview(page, place, {}, tried=tried)


@post("/routing/{route:str}/switch", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def switch(page: ThePage, place: ThePlace, route: FromPath[str], data: FormFields) -> Response[str]:
    """On or off. While it is off, signals are not sent along it; what waits goes on waiting."""
    dispatching.switch(place, route, enabled=text(data, "enabled") == "yes", actor=page.actor)
    return page.go("/routing")


@post("/routing/{route:str}/notices", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def subscribe(page: ThePage, place: ThePlace, route: FromPath[str], data: FormFields) -> Response[str]:
    """Whether it also gets every change of a hypothesis's status."""
    dispatching.subscribe(place, route, notices=text(data, "notices") == "yes", actor=page.actor)
    return page.go("/routing")


@post("/routing/reviewers", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_SETTINGS), include_in_schema=False)
def tell_reviewers(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """Along which route reviewers are told that proposals wait, if any."""
    calling_reviewers.choose_route(place, text(data, "route") or None, actor=page.actor)
    return page.go("/routing")


@get("/routing/deliveries/{delivery_id:str}", sync_to_thread=True, opt=needs(Permission.READ_ROUTES), include_in_schema=False)
def show(page: ThePage, place: ThePlace, delivery_id: FromPath[str]) -> Response[str]:
    """One delivery with every attempt."""
    found = dispatching.parcel(place, delivery_id, units=page.may(Permission.READ_SIGNALS))
    return page.render("routing/delivery.html", title="Delivery", at="routing", parcel=found, one=found.logged, again_possible=_again)


@post(
    "/routing/deliveries/{delivery_id:str}/retry", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False
)
def retry(page: ThePage, place: ThePlace, delivery_id: FromPath[str], data: FormFields) -> Response[str]:
    """Send it again, under the same message id."""
    del data
    dispatching.retry(place, delivery_id, actor=page.actor)
    return page.go(f"/routing/deliveries/{delivery_id}")


@post(
    "/routing/deliveries/{delivery_id:str}/resolve",
    status_code=200,
    sync_to_thread=True,
    opt=needs(Permission.MANAGE_ROUTES),
    include_in_schema=False,
)
def resolve(page: ThePage, place: ThePlace, delivery_id: FromPath[str], data: FormFields) -> Response[str]:
    """What was found out about one in doubt; what did not arrive is sent again."""
    dispatching.resolve(place, delivery_id, arrived=text(data, "arrived") == "yes", actor=page.actor)
    return page.go(f"/routing/deliveries/{delivery_id}")


@post("/routing/retry", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def retry_all(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """Send again what was given up or is in doubt, since an instant."""
    days = AGAIN.get(text(data, "since"), AGAIN["day"])[1]
    route = text(data, "route")
    number = dispatching.retry_all(place, since=page.now - timedelta(days=days), route=route or None, actor=page.actor)
    return page.go("/routing", route=route, again=number)


def _overview(page: Page, place: ThePlace, asked: dict[str, str], *, after: str = "", status: int = 200, **more: Any) -> Response[str]:
    asked = {"route": asked.get("route", ""), "status": asked.get("status", "")}
    found = dispatching.dispatch(
        place,
        route=asked["route"] or None,
        status=DeliveryStatus(asked["status"]) if asked["status"] else None,
        units=page.may(Permission.READ_SIGNALS),
        limit=AT_ONCE,
        after=after or None,
    )
    told = calling_reviewers.chosen_route(place)
    shown: dict[str, Any] = {"again": "", "made": None, "secret": "", "tried": None, "refused": None, "written": {"name": "", "url": ""}} | more
    return page.render(
        "routing/overview.html",
        status=status,
        title="Routing",
        at="routing",
        dispatch=found,
        asked=asked,
        after=after,
        periods=AGAIN,
        counted=dispatching.COUNTED,
        again_possible=_again,
        tells_reviewers=told.id if told else "",
        reaching_people=[one.route for one in found.routes if one.route.kind in calling_reviewers.KINDS],
        **shown,
    )


def _again(one: dispatching.Logged) -> bool:
    mistaken = one.signal is not None and one.signal.taken_back_at is not None
    return one.delivery.status in (DeliveryStatus.DEAD, DeliveryStatus.FAILED) and not mistaken


HANDLERS: list[HTTPRouteHandler] = [overview, add, try_out, switch, subscribe, tell_reviewers, show, retry, resolve, retry_all]

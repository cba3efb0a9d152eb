"""Where signals go, and what became of them on the way."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from beton.roles import Permission
from beton.signals import DeliveryStatus
from beton.store import deliveries, routes
from beton.web.access.policy import needs
from beton.web.api.asking import Cursor, Limit, listed, refusals
from beton.web.api.bodies import AgainBody, NewRouteBody, RouteChange
from beton.web.api.signal_resources import DeliveryDetail, DeliveryPage, DeliveryRead, NewRouteRead, RoutePage, RouteRead, RouteTried, SentAgain
from beton.web.injected import TheActor, TheHands, ThePlace
from beton.work import dispatching
from beton.work.ways_out import add_route as keep_route

BySignal = Annotated[str | None, QueryParameter()]
ByRoute = Annotated[str | None, QueryParameter(description="Name or id.")]
ByStatus = Annotated[DeliveryStatus | None, QueryParameter()]


@get("/routes", opt=needs(Permission.READ_ROUTES), sync_to_thread=True, responses=refusals(), operation_id="listRoutes", tags=["routes"])
def list_routes(place: ThePlace) -> RoutePage:
    """All routes, by name."""
    with place.store.reading() as tx:
        found = routes.every(tx)
    return RoutePage(data=[RouteRead.of(one) for one in found], next_cursor=None, has_more=False)


@post("/routes", opt=needs(Permission.MANAGE_ROUTES), sync_to_thread=True, responses=refusals(409), operation_id="addRoute", tags=["routes"])
def add_route(place: ThePlace, actor: TheActor, data: JSONBody[NewRouteBody]) -> Response[NewRouteRead]:
    """A webhook that gets all signals. Keep the `secret` of the answer: it signs every delivery and is shown this once."""
    route, secret = keep_route(place, name=data.name, url=data.url, actor=actor, secret=data.secret, notices=data.notices)
    return Response(NewRouteRead.with_secret(route, secret))


@patch(
    "/routes/{route:str}",
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="changeRoute",
    tags=["routes"],
)
def change_route(place: ThePlace, actor: TheActor, route: FromPath[str], data: JSONBody[RouteChange]) -> RouteRead:
    """Let a route, known by name or id, get changes of status, or not."""
    return RouteRead.of(dispatching.subscribe(place, route, notices=data.notices, actor=actor))


@post(
    "/routes/{route:str}/test",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404, 410, 502, 504),
    operation_id="testRoute",
    tags=["routes"],
)
def try_route(place: ThePlace, hands: TheHands, route: FromPath[str]) -> RouteTried:
    """Send a signed message that is no signal along a route, known by name or id, and wait for the answer."""
    with place.store.reading() as tx:
        found = routes.get(tx, route)
    return RouteTried(route_id=found.id, status_code=hands.try_route(place, found.id))


@post(
    "/routes/{route:str}/enable",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="enableRoute",
    tags=["routes"],
)
def enable_route(place: ThePlace, actor: TheActor, route: FromPath[str]) -> RouteRead:
    """Let a route, known by name or id, take signals; what waited on it goes."""
    return RouteRead.of(dispatching.switch(place, route, enabled=True, actor=actor))


@post(
    "/routes/{route:str}/disable",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="disableRoute",
    tags=["routes"],
)
def disable_route(place: ThePlace, actor: TheActor, route: FromPath[str]) -> RouteRead:
    """Let a route take no signals; what waits on it waits on."""
    return RouteRead.of(dispatching.switch(place, route, enabled=False, actor=actor))


@get("/deliveries", opt=needs(Permission.READ_ROUTES), sync_to_thread=True, responses=refusals(404), operation_id="listDeliveries", tags=["routes"])
def list_deliveries(
    place: ThePlace, signal_id: BySignal = None, route: ByRoute = None, status: ByStatus = None, limit: Limit = 50, cursor: Cursor = None
) -> DeliveryPage:
    """Deliveries, newest first."""
    with place.store.reading() as tx:
        route_id = None if route is None else routes.get(tx, route).id
    return listed(
        DeliveryPage,
        place.store,
        cursor,
        lambda tx: deliveries.listing(tx, signal_id=signal_id, route_id=route_id, status=status, limit=limit, after=cursor),
        lambda found: [DeliveryRead.of(one) for one in found],
    )


@get(
    "/deliveries/{delivery_id:str}",
    opt=needs(Permission.READ_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readDelivery",
    tags=["routes"],
)
def read_delivery(place: ThePlace, delivery_id: FromPath[str]) -> DeliveryDetail:
    """One delivery with every attempt."""
    with place.store.reading() as tx:
        return DeliveryDetail.with_attempts(deliveries.get(tx, delivery_id), deliveries.attempts(tx, delivery_id))


@post(
    "/deliveries/{delivery_id:str}/retry",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="retryDelivery",
    tags=["routes"],
)
def retry_delivery(place: ThePlace, actor: TheActor, delivery_id: FromPath[str]) -> DeliveryRead:
    """Send again what failed, was given up or is in doubt. The message id stays, so that a receiver that keeps it acts once."""
    return DeliveryRead.of(dispatching.retry(place, delivery_id, actor=actor))


@post(
    "/deliveries/retry",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="retryDeliveries",
    tags=["routes"],
)
def retry_deliveries(place: ThePlace, actor: TheActor, data: JSONBody[AgainBody]) -> SentAgain:
    """Send again everything that was given up or put in doubt, except what has been taken back, erased, or is live no more."""
    return SentAgain(deliveries=dispatching.retry_all(place, since=data.since, route=data.route, actor=actor))


HANDLERS: list[HTTPRouteHandler] = [
    list_routes, add_route, change_route, try_route, enable_route, disable_route, list_deliveries, read_delivery, retry_delivery, retry_deliveries,
]  # fmt: skip

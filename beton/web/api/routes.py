"""Where signals go, and what became of them on the way."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from beton.roles import Permission
from beton.signals import DeliveryStatus
from beton.store import deliveries, routes
from beton.web.access.policy import needs
from beton.web.api.asking import Cursor, Limit, listed, refusals
from beton.web.api.bodies import RouteChange
from beton.web.api.reach_resources import DestinationBody, DryRunBody, DryRunRead, ResolveBody
from beton.web.api.rule_resources import AgainBody, NewRouteBody, RulesBody
from beton.web.api.signal_resources import DeliveryDetail, DeliveryPage, DeliveryRead, NewRouteRead, RoutePage, RouteRead, RouteTried, SentAgain
from beton.web.injected import TheActor, TheCaller, TheHands, ThePlace
from beton.work import dispatching
from beton.work.previewing import preview
from beton.work.ways_out import change_destination, change_rules, open_way

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
    """A way out for signals: a webhook by its `url`, any other kind by its `settings`. Keep the `secret` of a webhook's answer: it signs every
    delivery and is shown this once."""
    rules = None if data.rules is None else data.rules.rules()
    given, secret = data.destination()
    route = open_way(place, name=data.name, kind=data.kind, given=given, actor=actor, notices=data.notices, rules=rules)
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


@put(
    "/routes/{route:str}/rules",
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="setRules",
    tags=["routes"],
)
def set_rules(place: ThePlace, actor: TheActor, route: FromPath[str], data: JSONBody[RulesBody]) -> RouteRead:
    """Set what a route takes, how often, whose that is and what it says. For signals that are written from now on; the text at once."""
    return RouteRead.of(change_rules(place, route, data.rules(), actor=actor))


@put(
    "/routes/{route:str}/destination",
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="setDestination",
    tags=["routes"],
)
def set_destination(place: ThePlace, actor: TheActor, route: FromPath[str], data: JSONBody[DestinationBody]) -> RouteRead:
    """Change settings of a route's destination, such as a token. Those that are left out stay as they are; none is ever sent."""
    return RouteRead.of(change_destination(place, route, data.settings, actor=actor))


@delete(
    "/routes/{route:str}",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="removeRoute",
    tags=["routes"],
)
def remove_route(place: ThePlace, actor: TheActor, route: FromPath[str]) -> RouteRead:
    """Remove a route along which nothing has gone, and send it back once more; any other can be switched off."""
    with place.store.transaction() as tx:
        return RouteRead.of(routes.remove(tx, route, actor=actor))


@post(
    "/routes/preview",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="previewRoute",
    tags=["routes"],
)
def preview_route(place: ThePlace, caller: TheCaller, data: JSONBody[DryRunBody]) -> DryRunRead:
    """What would have been sent in the last weeks, without sending: by a route, by a route with other rules, or by rules alone."""
    rules = None if data.rules is None else data.rules.rules()
    played = preview(place, route=data.route, rules=rules, kind=data.kind, weeks=data.weeks)
    return DryRunRead.of(played, units=caller.may(Permission.READ_SIGNALS))


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
    "/deliveries/{delivery_id:str}/resolve",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="resolveDelivery",
    tags=["routes"],
)
def resolve_delivery(place: ThePlace, actor: TheActor, delivery_id: FromPath[str], data: JSONBody[ResolveBody]) -> DeliveryRead:
    """Say whether a message in doubt arrived, after looking there; if not, it is sent again."""
    return DeliveryRead.of(dispatching.resolve(place, delivery_id, arrived=data.arrived, actor=actor))


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
    """Send again everything that was given up, except what has been taken back, erased, or is live no more. What is in doubt is left out."""
    number = dispatching.retry_all(place, since=data.since, route=data.route, actor=actor, arrived_too=data.arrived_too)
    return SentAgain(deliveries=number)


HANDLERS: list[HTTPRouteHandler] = [
    list_routes, add_route, change_route, set_rules, set_destination, remove_route, preview_route, try_route, enable_route, disable_route,
    list_deliveries, read_delivery, retry_delivery, resolve_delivery, retry_deliveries,
]  # fmt: skip

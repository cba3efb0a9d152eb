"""`beton routes`: where signals go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from beton.cli.opening import actor, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, table, write
from beton.cli.route_kinds import GivenSettings

if TYPE_CHECKING:
    from beton.signals import RouteKind
    from beton.store.records import Route

RouteName = Annotated[str, Parameter(help="The route, by name or id.")]


def add(
    name: Annotated[str, Parameter(help="What the route is to be called.")],
    /,
    url: Annotated[str | None, Parameter(help="A webhook's address.")] = None,
    *,
    kind: Annotated[str, Parameter(help="What the route leads to: see `routes kinds`.")] = "webhook",
    settings: GivenSettings | None = None,
    notices: Annotated[bool, Parameter(help="Send it every change of a hypothesis's status as well.", negative=(), show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Send all signals to a webhook, to Slack, to a mailbox, into a CRM or back into PostHog. A webhook's signing secret is shown this once."""
    from beton.routing.channels import channel
    from beton.routing.signing import new_secret

    needs_set_up = channel(kind).set_up is not None
    given = (settings or GivenSettings()).read(kind) | ({} if url is None else {"url": url})
    secret = given.setdefault("secret", new_secret()) if kind == "webhook" else None
    with opened() as place:
        from beton.work.ways_out import open_way

        route = open_way(place, name=name, kind=cast("RouteKind", kind), given=given, actor=actor(), notices=notices)
    if as_json:
        print_json(_json(route) | ({} if secret is None else {"secret": secret}))
        return
    write(f"{'Signals and changes of status' if notices else 'Signals'} go to {route.name} at {route.address}.")
    if secret is not None:
        say(f"Signing secret, shown only now: {secret}")
    say(f"Next: beton routes {'set-up' if needs_set_up else 'test'} {route.name}")


def show(*, as_json: AsJson = False) -> None:
    """List the routes."""
    with opened() as place:
        from beton.store import routes

        with place.store.reading() as tx:
            found = routes.every(tx)
    if as_json:
        for one in found:
            print_json(_json(one))
        return
    table(("name", "id", "address", "enabled", "notices", "problem"), [_line(one) for one in found])


def send_test(name: RouteName, /, *, as_json: AsJson = False) -> None:
    """Send a message that is no signal, and tell what the receiver answered."""
    with opened() as place:
        from beton.work.ways_out import try_route

        status = asyncio.run(try_route(place, name))
    if as_json:
        print_json({"route": name, "status_code": status})
    else:
        write(f"{name} answered {status}." if status else f"{name} took it.")


def disable(name: RouteName, /, *, as_json: AsJson = False) -> None:
    """Stop sending to a route; its deliveries wait."""
    _switch(name, enabled=False, as_json=as_json)


def enable(name: RouteName, /, *, as_json: AsJson = False) -> None:
    """Send to a route again."""
    _switch(name, enabled=True, as_json=as_json)


def _switch(name: str, *, enabled: bool, as_json: bool) -> None:
    with opened() as place:
        from beton.store import routes

        with place.store.transaction() as tx:
            route = routes.switch(tx, name, enabled=enabled, actor=actor())
    if as_json:
        print_json(_json(route))
    else:
        write(f"{route.name} is {'enabled' if route.enabled else 'disabled'}.")


def _json(route: Route) -> dict[str, Any]:
    told = {"route_id": route.id, "name": route.name, "kind": route.kind, "address": route.address}
    return told | {"enabled": route.enabled, "notices": route.notices, "problem": route.problem}


def _line(route: Route) -> tuple[str, ...]:
    return route.name, route.id, route.address, _yes(route.enabled), _yes(route.notices), route.problem or ""


def _yes(value: bool) -> str:
    return "yes" if value else "no"

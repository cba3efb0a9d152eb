"""`beton deliveries`: what is on its way, what is in doubt, and sending again."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from beton.cli.opening import actor, opened
from beton.cli.options import AsJson, instant
from beton.cli.printing import print_json, say, table, write
from beton.errors import BadInput, Fault
from beton.signals import DeliveryStatus

TheDelivery = Annotated[str, Parameter(help="The id of a delivery.")]


def show(
    *,
    status: Annotated[DeliveryStatus | None, Parameter(help="Only those in this state.")] = None,
    route: Annotated[str | None, Parameter(help="Only along this route, by name or id.")] = None,
    limit: Annotated[int, Parameter(help="How many at most, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries, the newest first."""
    with opened() as place:
        from beton.store import deliveries, routes

        with place.store.reading() as tx:
            names = {one.id: one.name for one in routes.every(tx)}
            route_id = None if route is None else routes.get(tx, route).id
            found = deliveries.listing(tx, route_id=route_id, status=status, limit=limit)
    if as_json:
        for one in found.data:
            print_json(one.model_dump(mode="json"))
        return
    lines = [(one.id, names.get(one.route_id, ""), str(one.status), str(one.attempts), one.last_error or "") for one in found.data]
    table(("id", "route", "state", "attempts", "last problem"), lines)
    if found.next_after:
        say(f"There are more than {limit}; raise --limit.")


def resolve(
    delivery: TheDelivery,
    /,
    *,
    arrived: Annotated[bool, Parameter(name="--arrived", negative="--send-again", help="What was found when looking there.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Say whether a message in doubt arrived; if not, it is sent again."""
    with opened() as place:
        from beton.work.dispatching import resolve as settle

        found = settle(place, delivery, arrived=arrived, actor=actor())
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        write(f"{found.id} is {found.status}.")


def retry(delivery: TheDelivery, /, *, as_json: AsJson = False) -> None:
    """Send one again, under the same message id."""
    with opened() as place:
        from beton.work.dispatching import retry as again

        found = again(place, delivery, actor=actor())
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        write(f"{found.id} is {found.status}.")


def replay(
    *,
    since: Annotated[str, Parameter(help="Made at this instant or later (RFC 3339).")],
    route: Annotated[str | None, Parameter(help="Only along this route, by name or id.")] = None,
    arrived_too: Annotated[
        bool, Parameter(help="Also what has arrived: for one route whose receiver knows a repetition.", negative=(), show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send again all that was given up since an instant. What is in doubt is left out."""
    begin = instant(since, "--since")
    if begin is None:
        raise BadInput("Say since when.", [Fault("since", "is missing")])
    with opened() as place:
        from beton.work.dispatching import retry_all

        number = retry_all(place, since=begin, route=route, actor=actor(), arrived_too=arrived_too)
    if as_json:
        print_json({"deliveries": number})
    else:
        write(f"{number} will be sent again.")

"""Routes as people make and change them: their destinations, their rules, and a message to try them with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from beton.errors import BadInput, Fault
from beton.routing.channels import channel
from beton.routing.deliver import ClientFactory
from beton.routing.signing import new_secret
from beton.routing.templates import check_template
from beton.routing.webhook import open_client
from beton.signals import RouteKind
from beton.store import hypotheses, members, routes
from beton.store.records import Destination, Route
from beton.store.route_rules import Rules
from beton.store.store import Transaction
from beton.work.delivering import opened, settings_of
from beton.work.telling import trial_message
from beton.work.workplace import Workplace


def add_route(
    place: Workplace, *, name: str, url: str, actor: str, secret: str | None = None, notices: bool = False, rules: Rules | None = None
) -> tuple[Route, str]:
    """A webhook; with `notices` it also gets every change of status. And its secret (a fresh one unless given), shown this once."""
    secret = secret or new_secret()
    return open_way(place, name=name, kind="webhook", given={"url": url, "secret": secret}, actor=actor, notices=notices, rules=rules), secret


def open_way(
    place: Workplace, *, name: str, kind: RouteKind, given: Mapping[str, Any], actor: str, notices: bool = False, rules: Rules | None = None
) -> Route:
    """A route of any kind. Nobody is called yet; what could never be sent to is refused as `BadInput`."""
    destination = _destination(place, kind, given)
    if notices and "notice" not in channel(kind).takes:
        raise BadInput("This kind of route takes no changes of status.", [Fault("notices", "is not possible here")], fix="Add it without them.")
    with place.store.transaction() as tx:
        _check_rules(tx, rules or Rules())
        return routes.add(tx, name=name, destination=destination, actor=actor, notices=notices, rules=rules)


def change_rules(place: Workplace, route: str, rules: Rules, *, actor: str) -> Route:
    """Give a route other rules: a filter, a cooldown, owners, a template. Hypotheses and members have to be there."""
    with place.store.transaction() as tx:
        _check_rules(tx, rules)
        return routes.change_rules(tx, route, rules, actor=actor)


def change_destination(place: Workplace, route: str, given: Mapping[str, Any], *, actor: str) -> Route:
    """Give a route other settings. Those that are left out stay, so that secrets need not be entered again."""
    with place.store.reading() as tx:
        present = routes.destination(tx, route)
    destination = _destination(place, present.kind, present.settings | dict(given))
    with place.store.transaction() as tx:
        return routes.redirect(tx, route, destination, actor=actor)


async def try_route(place: Workplace, name_or_id: str, client_factory: ClientFactory = open_client) -> int | None:
    """Send a message that is no signal, and give the receiver's status where it has one; raises the `DestinationError` that it met."""
    with place.store.reading() as tx:
        route = routes.get(tx, name_or_id)
        kind, destination = opened(place, tx, route.id)
        message = trial_message(place, tx, route, kind, place.clock())
    async with client_factory() as client:
        outcome = await kind.send(destination, message, client=client, clock=place.clock)
    if outcome.failure is not None:
        raise outcome.failure
    return outcome.status_code


def _destination(place: Workplace, kind: RouteKind, given: Mapping[str, Any]) -> Destination:
    own = channel(kind)
    try:
        settings = settings_of(place, own, dict(given))
    except ValidationError as error:
        faults = [Fault(".".join(map(str, one["loc"])) or "settings", one["msg"]) for one in error.errors(include_input=False, include_url=False)]
        raise BadInput(f"These settings are not those of a route of kind {kind}.", faults, code="route.settings_invalid") from None
    settings.check()
    return Destination(kind=kind, address=settings.address, settings=settings.stored())


def _check_rules(tx: Transaction, rules: Rules) -> None:
    """Refuse what names a hypothesis or member that is not there, or a template that could not be filled in."""
    if rules.template is not None:
        check_template(rules.template)
    known = {one.id for one in hypotheses.some(tx, rules.passes.hypotheses)}
    here = {one.id for one in members.every(tx)}
    named = {*(turn.member for turn in rules.owners.turns), *((rules.owners.escalate_to,) if rules.owners.escalate_to else ())}
    faults = [Fault("passes.hypotheses", f"there is no hypothesis {one}") for one in rules.passes.hypotheses if one not in known]
    faults += [Fault("owners", f"there is no member {one}") for one in sorted(named - here)]
    if faults:
        raise BadInput("These rules name what is not there.", faults, code="route.rules_invalid")

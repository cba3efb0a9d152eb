"""One route: what it takes, how often, whose that is and what it says; and a dry run of it, before or after it is kept."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from pydantic import ValidationError

from beton.errors import BadInput, Conflict, Fault
from beton.lifecycle import SENDING
from beton.roles import Permission
from beton.routing.channels import channel
from beton.routing.templates import REQUIRED, VARIABLES
from beton.signals import SIGNAL_TYPES
from beton.store import hypotheses, members, routes
from beton.store.route_rules import Cooldown, Owners, Passes, Rules, Turn
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, many, text
from beton.work import previewing
from beton.work.ways_out import change_rules

WHY = {
    "filter": "not for this route", "cohort": "depends on a cohort, which cannot be told of the past", "snoozed": "snoozed",
    "unit_cooldown": "the same unit too soon", "account_cooldown": "the same account too soon", "daily_limit": "the day's number was reached",
    "customers": "on the list of customers", "open_opportunities": "on the list of open opportunities", "internal": "one of our own people",
    "competitors": "on the list of competitors", "holdout": "held out to measure",
}  # fmt: skip
"""Why a signal did not go, for people."""

TYPES = {"pql": "PQL", "expansion": "expansion", "churn_risk": "churn risk", "trial": "trial", "spike": "spike", "custom": "custom"}


@get("/routing/routes/{route:str}", sync_to_thread=True, opt=needs(Permission.READ_ROUTES), include_in_schema=False)
def show(page: ThePage, place: ThePlace, route: FromPath[str], saved: FromQuery[str] = "") -> Response[str]:
    """The rules, and a form to change them."""
    return _show(page, place, route, saved=saved)


@post("/routing/routes/{route:str}/rules", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def change(page: ThePage, place: ThePlace, route: FromPath[str], data: FormFields) -> Response[str]:
    """Keep the rules, or only try them on the last weeks."""
    with place.store.reading() as tx:
        found = routes.get(tx, route)
    try:
        rules = rules_in(data)
        if text(data, "do") == "preview":
            played = previewing.preview(place, route=found.id, rules=rules)
            return _show(page, place, found.id, rules=rules, played=played)
        change_rules(place, found.id, rules, actor=page.actor)
    except (BadInput, Conflict) as error:
        return _show(page, place, found.id, status=error.status, refused=error, form=data)
    return page.go(f"/routing/routes/{found.id}", saved="yes")


def rules_in(data: dict[str, Any]) -> Rules:
    """The rules that a form's fields say; `BadInput` where they say none."""
    given = {member: text(data, f"turn_{member}") for member in many(data, "member")}
    told = {
        "passes": {
            "hypotheses": many(data, "hypothesis"),
            "types": many(data, "type"),
            "unit_kinds": many(data, "unit_kind"),
            "min_confidence": _share(text(data, "min_confidence")),
            "cohort": text(data, "cohort") or None,
        },
        "cooldown": {name: value for name in Cooldown.model_fields if (value := text(data, name).replace(",", "."))},
        "owners": {
            "rule": text(data, "owner_rule") or "nobody",
            "turns": [{"member": member, "per_week": number or 50} for member, number in given.items()],
            "escalate_after_hours": text(data, "escalate_after_hours") or None,
            "escalate_to": text(data, "escalate_to") or None,
        },
        "template": text(data, "template") or None,
    }
    try:
        return Rules.model_validate(told)
    except ValidationError as error:
        faults = [Fault(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_input=False, include_url=False)]
        raise BadInput("These rules do not go together.", faults, code="route.rules_invalid") from None


def _share(told: str) -> str | float | None:
    """Per cent as a share; what is no number is left for the rules to refuse."""
    try:
        return float(told.replace(",", ".")) / 100 if told else None
    except ValueError:
        return told


def _show(page: Page, place: ThePlace, route: str, *, rules: Rules | None = None, status: int = 200, **more: Any) -> Response[str]:
    with place.store.reading() as tx:
        found = routes.get(tx, route)
        live = hypotheses.every(tx, statuses=tuple(SENDING))
        team = members.every(tx)
    shown: dict[str, Any] = {"played": None, "refused": None, "form": None, "saved": ""} | more
    kept = rules or found.rules
    if shown["form"] is not None:
        kept = _as_far_as_told(shown["form"], kept)
    return page.render(
        "routing/route.html",
        status=status,
        title=found.name,
        at="routing",
        route=found,
        rules=kept,
        tried=rules is not None,
        live=live,
        team=team,
        turns={one.member: one.per_week for one in kept.owners.turns},
        kind=channel(found.kind),
        types=TYPES,
        why=WHY,
        variables=VARIABLES,
        required=REQUIRED,
        sees=page.may(Permission.READ_SIGNALS),
        **shown,
    )


def _as_far_as_told(data: dict[str, Any], kept: Rules) -> Rules:
    """What was written into a form that is refused, so that nobody has to write it again; what is no value is as it was."""
    passes = Passes.model_construct(
        hypotheses=tuple(many(data, "hypothesis")),
        types=tuple(one for one in many(data, "type") if one in SIGNAL_TYPES),
        unit_kinds=tuple(many(data, "unit_kind")),
        min_confidence=kept.passes.min_confidence,
        cohort=text(data, "cohort") or None,
    )
    owners = Owners.model_construct(
        rule=text(data, "owner_rule") or "nobody",
        turns=tuple(Turn(member=member) for member in many(data, "member")),
        escalate_after_hours=kept.owners.escalate_after_hours,
        escalate_to=text(data, "escalate_to") or None,
    )
    return Rules.model_construct(passes=passes, cooldown=kept.cooldown, owners=owners, template=text(data, "template") or None)


HANDLERS: list[HTTPRouteHandler] = [show, change]

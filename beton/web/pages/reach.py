"""Who gets signals: the stop of all sending, how often the same may come up, lists of those who get none, and who is snoozed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from pydantic import ValidationError

from beton.errors import BadInput, Fault
from beton.roles import Permission
from beton.signals import LISTS, SuppressionList
from beton.store.route_rules import Cooldown
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, text
from beton.work import dispatching, reaching

AT_ONCE = 50
NAMES = {"customers": "Customers", "open_opportunities": "Open opportunities", "internal": "Our own people", "competitors": "Competitors"}
DONE = {
    "cooldown": "It holds for signals from now on.", "removed": "Taken off.", "snoozed": "Snoozed.", "woken": "The snooze is over.",
    "added": "new on the list", "dropped": "given up",
}  # fmt: skip
"""What is said after something was done; the last two with a number before them."""

DAYS = {"1": "a day", "7": "a week", "30": "30 days", "90": "90 days"}
"""How long a snooze may last, in days."""


@get("/routing/reach", sync_to_thread=True, opt=needs(Permission.READ_ROUTES), include_in_schema=False)
def show(
    page: ThePage, place: ThePlace, list: FromQuery[str] = "", after: FromQuery[str] = "", done: FromQuery[str] = "", number: FromQuery[str] = ""
) -> Response[str]:
    """All that holds signals back."""
    told = DONE.get(done, "")
    counted = f"{number} {told}." if told and number.isdecimal() and len(number) < 10 else told
    return _show(page, place, list if list in LISTS else "", after=after, done=counted)


@post("/routing/sending", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def switch(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """Stop everything, or start again."""
    if text(data, "sending") == "stop":
        dispatching.stop(place, actor=page.actor, reason=text(data, "reason")[:500] or None)
        return page.go("/routing/reach")
    dropped = dispatching.start(place, actor=page.actor, drop=text(data, "waiting") == "drop")
    return page.go("/routing/reach", done="dropped" if dropped else "", number=dropped or "")


@post("/routing/cooldown", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def choose_cooldown(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """How often the same may come up again."""
    try:
        reaching.choose_cooldown(place, cooldown_in(data), actor=page.actor)
    except BadInput as error:
        return _show(page, place, "", status=error.status, refused=error)
    return page.go("/routing/reach", done="cooldown")


@post("/routing/suppressions", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def suppress(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """Pasted lines or CSV onto a list."""
    name = text(data, "list")
    try:
        if name not in LISTS:
            raise BadInput("There is no such list.", [Fault("list", "is none of the four")])
        _, added = reaching.suppress(place, cast("SuppressionList", name), text(data, "entries"), actor=page.actor)
    except BadInput as error:
        return _show(page, place, name if name in LISTS else "", status=error.status, refused=error, written=text(data, "entries"))
    return page.go("/routing/reach", list=name, done="added", number=added)


@post(
    "/routing/suppressions/{suppression_id:str}/remove",
    status_code=200,
    sync_to_thread=True,
    opt=needs(Permission.MANAGE_ROUTES),
    include_in_schema=False,
)
def unsuppress(page: ThePage, place: ThePlace, suppression_id: FromPath[str], data: FormFields) -> Response[str]:
    """A line off its list."""
    del data
    was = reaching.unsuppress(place, suppression_id, actor=page.actor)
    return page.go("/routing/reach", list=was.list, done="removed")


@post("/routing/snoozes", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def snooze(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """Nothing about somebody for a while."""
    try:
        reaching.snooze(place, text(data, "who"), _until(page, data), actor=page.actor, reason=text(data, "reason")[:500] or None)
    except BadInput as error:
        return _show(page, place, "", status=error.status, refused=error)
    return page.go("/routing/reach", done="snoozed")


@post("/routing/snoozes/{snooze_id:str}/end", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def wake(page: ThePage, place: ThePlace, snooze_id: FromPath[str], data: FormFields) -> Response[str]:
    """The end of a snooze."""
    del data
    reaching.wake(place, snooze_id, actor=page.actor)
    return page.go("/routing/reach", done="woken")


@post("/signals/{signal_id:str}/snooze", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def snooze_signal(page: ThePage, place: ThePlace, signal_id: FromPath[str], data: FormFields) -> Response[str]:
    """Nothing more about the unit of a signal, or its account, for a while."""
    whom: reaching.Whom = "account" if text(data, "whom") == "account" else "unit"
    reaching.snooze_signal(place, signal_id, whom, _until(page, data), actor=page.actor)
    return page.go(f"/signals/{signal_id}")


def cooldown_in(data: dict[str, Any], before: str = "") -> Cooldown:
    """A cooldown from the fields of a form, whose names begin with `before`; `BadInput` for what is none."""
    told = {name: text(data, before + name).replace(",", ".") for name in Cooldown.model_fields}
    try:
        return Cooldown.model_validate({name: value for name, value in told.items() if value})
    except ValidationError as error:
        faults = [Fault(before + str(one["loc"][0]), one["msg"]) for one in error.errors(include_input=False, include_url=False)]
        raise BadInput("This is no cooldown.", faults, fix="Give days from 0 to 365, and a whole number a day.") from None


def _until(page: Page, data: dict[str, Any]) -> Any:
    days = text(data, "days")
    return page.now + timedelta(days=int(days) if days in DAYS else 7)


def _show(page: Page, place: ThePlace, name: str, *, after: str = "", status: int = 200, **more: Any) -> Response[str]:
    sees = page.may(Permission.READ_SIGNALS)
    lines = reaching.suppressed(place, name=cast("SuppressionList", name) if name else None, limit=AT_ONCE, after=after or None) if sees else None
    shown: dict[str, Any] = {"done": "", "refused": None, "written": ""} | more
    return page.render(
        "routing/reach.html",
        status=status,
        title="Who gets signals",
        at="routing",
        standing=reaching.standing(place),
        lines=lines,
        name=name,
        after=after,
        lists=NAMES,
        days=DAYS,
        **shown,
    )


HANDLERS: list[HTTPRouteHandler] = [show, switch, choose_cooldown, suppress, unsuppress, snooze, wake, snooze_signal]

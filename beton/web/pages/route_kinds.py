"""A new route of any kind: which kinds there are, the form of each, and what its receiver needs before the first signal."""

from __future__ import annotations

from typing import Any, cast

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from beton.errors import BadInput, Conflict, DestinationError, Fault, NotFound
from beton.roles import Permission
from beton.routing.channels import CHANNELS
from beton.routing.forms import form_fields, settings_from
from beton.routing.signing import new_secret
from beton.signals import RouteKind
from beton.store import routes
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, text
from beton.work import preparing
from beton.work.ways_out import open_way

LONGEST_NAME = 200
SAID = {
    "webhook": "Signed JSON to an address of your own.",
    "slack": "A message in a channel, with buttons to claim a signal and say what became of it.",
    "email": "A mail for each signal, or one a day; ended with one click.",
    "hubspot": "Beton's own properties on the company's or contact's record.",
    "attio": "Beton's own attributes on the company's or person's record.",
    "posthog_annotation": "A mark on PostHog's charts; needs a key that may write annotations.",
    "posthog_cohort": "Persons with a signal in a static cohort; needs a key that may write cohorts.",
}
"""What each kind gives, for people who choose one."""


@get("/routing/new", sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def choose(page: ThePage) -> Response[str]:
    """The kinds there are."""
    return page.render("routing/new.html", title="New route", at="routing", kinds=CHANNELS, said=SAID, kind=None)


@get("/routing/new/{kind:str}", sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def ask(page: ThePage, kind: FromPath[str]) -> Response[str]:
    """The form of a kind."""
    return _form(page, kind, {})


@post("/routing/new/{kind:str}", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def add(page: ThePage, place: ThePlace, kind: FromPath[str], data: FormFields) -> Response[str]:
    """Keep the route. Secrets are never shown again, but for a webhook's, which is shown this once."""
    written = {name: text(data, name) for name in ("name", "notices", *(one.name for one in form_fields(_known(kind))))}
    try:
        if not written["name"] or len(written["name"]) > LONGEST_NAME or not written["name"].isprintable():
            raise BadInput("A route needs a name.", [Fault("name", "is empty, too long, or more than a line")])
        given = settings_from(kind, written, boxes=True)
        secret = given.setdefault("secret", new_secret()) if kind == "webhook" else ""
        made = open_way(place, name=written["name"], kind=cast("RouteKind", kind), given=given, actor=page.actor, notices=written["notices"] == "yes")
    except (BadInput, Conflict) as error:
        return _form(page, kind, written, status=error.status, refused=error)
    return _added(page, made, secret=secret)


@post("/routing/{route:str}/set-up", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_ROUTES), include_in_schema=False)
def set_up(page: ThePage, place: ThePlace, route: FromPath[str], data: FormFields) -> Response[str]:
    """Make Beton's own fields where the route leads to."""
    del data
    with place.store.reading() as tx:
        found = routes.get(tx, route)
    try:
        return _added(page, found, prepared=preparing.set_up(place, found.id, actor=page.actor))
    except DestinationError as error:
        return _added(page, found, refused=error)


def _known(kind: str) -> str:
    if kind not in CHANNELS:
        raise NotFound(f"There is no kind of route called {kind}.")
    return kind


def _form(page: Page, kind: str, written: dict[str, str], *, status: int = 200, refused: BadInput | Conflict | None = None) -> Response[str]:
    fields = form_fields(_known(kind))
    shown = {one.name: written.get(one.name, one.default) for one in fields if one.shape != "secret"} | {"name": written.get("name", "")}
    return page.render(
        "routing/new.html",
        status=status,
        title=f"New route: {CHANNELS[kind].title}",
        at="routing",
        kind=kind,
        channel=CHANNELS[kind],
        said=SAID,
        fields=fields,
        written=shown,
        notices=written.get("notices") == "yes",
        refused=refused,
        made=None,
    )


def _added(page: Page, made: Any, *, secret: str = "", prepared: list[str] | None = None, refused: DestinationError | None = None) -> Response[str]:
    return page.render(
        "routing/new.html",
        status=200 if refused is None else refused.status,
        title=made.name,
        at="routing",
        kind=made.kind,
        channel=CHANNELS[made.kind],
        said=SAID,
        made=made,
        secret=secret,
        prepared=prepared,
        refused=refused,
        clicks_at=f"{page.place.settings.address}/slack/{page.place.store.workspace_id}/{made.id}" if made.kind == "slack" else "",
    )


HANDLERS: list[HTTPRouteHandler] = [choose, ask, add, set_up]

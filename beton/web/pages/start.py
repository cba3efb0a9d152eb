"""The first run: from an empty workspace to the first proposals, one step at a time. Where one is follows from what there is."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from beton.errors import BadInput, BetonError, Conflict, PostHogError
from beton.roles import Permission
from beton.web.access.policy import needs
from beton.web.injected import TheHands, ThePlace
from beton.web.pages.data import HORIZON_DAYS, HOSTS, WINDOW_DAYS, confirm_suggestion, project_of, read_again, start_search, written
from beton.web.pages.page import FormFields, Page, ThePage
from beton.work import beginning


@get("/start", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def start(page: ThePage, place: ThePlace, hands: TheHands) -> Response[str]:
    """The next step."""
    return _first_run(page, place, hands)


@post("/start/connect", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_CONNECTIONS), include_in_schema=False)
def connect(page: ThePage, place: ThePlace, hands: TheHands, data: FormFields) -> Response[str]:
    """A project of one's own. Its names are read at once; if that fails, the next step tries again."""
    try:
        made = hands.reach.connect(place, project_of(place, data), page.actor)
    except (BadInput, Conflict, PostHogError) as error:
        return _first_run(page, place, hands, refused=error, told=written(data))
    problem = read_again(hands, place, made)
    return page.go("/start") if problem is None else _first_run(page, place, hands, refused=problem)


@post("/start/sample", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_CONNECTIONS), include_in_schema=False)
def sample(page: ThePage, place: ThePlace, hands: TheHands, data: FormFields) -> Response[str]:
    """The sample project: generated events, served on this machine by a local PostHog."""
    del data
    if hands.reach.sample is None:
        raise BadInput("The sample project is not installed here.", code="sandbox.missing", fix="Run: pip install 'beton[sandbox]'")
    try:
        made = hands.reach.sample(place, page.actor)
        problem = read_again(hands, place, made)
    except (BadInput, Conflict, PostHogError) as error:
        problem = error
    return page.go("/start") if problem is None else _first_run(page, place, hands, refused=problem)


@post("/start/names", status_code=200, sync_to_thread=True, opt=needs(Permission.RUN), include_in_schema=False)
def read_names(page: ThePage, place: ThePlace, hands: TheHands, data: FormFields) -> Response[str]:
    """Try once more to read what the project calls things."""
    del data
    found = beginning.look(place).connection
    problem = None if found is None else read_again(hands, place, found)
    return page.go("/start") if problem is None else _first_run(page, place, hands, refused=problem)


@post("/start/question", status_code=200, sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def confirm(page: ThePage, place: ThePlace, hands: TheHands, data: FormFields) -> Response[str]:
    """Confirm what is to be predicted, and search for it."""
    found = beginning.look(place).connection
    if found is None:
        return page.go("/start")
    try:
        confirm_suggestion(page, place, found, data)
        if page.may(Permission.RUN):
            start_search(place, hands, found)
    except BadInput as error:
        return _first_run(page, place, hands, refused=error)
    return page.go("/start")


@post("/start/search", status_code=200, sync_to_thread=True, opt=needs(Permission.RUN), include_in_schema=False)
def search(page: ThePage, place: ThePlace, hands: TheHands, data: FormFields) -> Response[str]:
    """Search, or search again."""
    del data
    found = beginning.look(place).connection
    if found is not None:
        start_search(place, hands, found)
    return page.go("/start")


def _first_run(
    page: Page, place: ThePlace, hands: TheHands, *, refused: BetonError | None = None, told: dict[str, str] | None = None
) -> Response[str]:
    shown: dict[str, Any] = {"refused": refused, "written": told or {}, "hosts": HOSTS, "horizon_days": HORIZON_DAYS, "window_days": WINDOW_DAYS}
    return page.render(
        "start/start.html",
        status=200 if refused is None else refused.status,
        title="Begin",
        at="review",
        beginning=beginning.look(place),
        sample=hands.reach.sample is not None,
        **shown,
    )


HANDLERS: list[HTTPRouteHandler] = [start, connect, sample, read_names, confirm, search]

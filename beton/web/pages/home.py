"""The entrance, the choice of colours, and the pages of help."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler

from beton.roles import Permission
from beton.web.access.forms import inside
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import THEME, THEMES, FormFields, ThePage, text
from beton.work.beginning import is_empty

A_YEAR = 365 * 86_400


@get("/", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def entrance(page: ThePage, place: ThePlace) -> Response[str]:
    """The day begins with what waits for a decision; the first of all, with setting things up."""
    return page.go("/start" if is_empty(place) else "/review")


@post("/theme", sync_to_thread=False, opt=needs(Permission.READ), include_in_schema=False)
def choose_theme(page: ThePage, data: FormFields) -> Response[str]:
    """Keep the choice in a cookie and go back to where it was made."""
    chosen, back = text(data, "theme"), text(data, "next")
    answer = page.go(inside(back))
    path = page.base or "/"
    if chosen in THEMES:
        answer.set_cookie(Cookie(key=THEME, value=chosen, max_age=A_YEAR, path=path, httponly=True, samesite="lax"))
    else:
        answer.delete_cookie(THEME, path=path)
    return answer


@get("/help/keys", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def help_keys(page: ThePage) -> Response[str]:
    """All keys."""
    return page.render("help/keys.html", title="Keys", at="")


@get("/help/numbers", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def help_numbers(page: ThePage) -> Response[str]:
    """What each number means and how it is computed."""
    return page.render("help/numbers.html", title="How numbers are computed", at="", bar=bar(page))


def bar(page: ThePage) -> dict[str, Any]:
    """What the workspace asks of a hypothesis."""
    own = page.place.bar
    return {"max_q": own.max_q, "min_lift_low": own.min_lift_low, "min_fires": own.min_fires, "min_true_positives": own.min_true_positives,
            "min_recall": own.min_recall, "min_precision": own.min_precision}  # fmt: skip


HANDLERS: list[HTTPRouteHandler] = [entrance, choose_theme, help_keys, help_numbers]

"""What a screen is drawn with: who looks at it, where its links lead, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from typing import Annotated, Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from litestar import Response
from litestar.di import NamedDependency
from litestar.enums import MediaType, RequestEncodingType
from litestar.params import Body, SkipValidation

from beton.errors import BadInput, Fault
from beton.roles import Caller
from beton.web.access.cookies import csrf_of
from beton.web.access.forms import base_of
from beton.web.injected import Ask, ThePlace, actor_of
from beton.web.pages.assets import asset
from beton.web.pages.templating import environment
from beton.web.problems import PAGE_POLICY
from beton.work.navigating import Navigation, navigation
from beton.work.workplace import Workplace

THEME = "beton_theme"
THEMES = ("light", "dark")

HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cache-Control": "no-store",
    "Vary": "Cookie, HX-Request",
}
"""No inline script, no inline style, nothing from elsewhere."""


@dataclass(frozen=True)
class Page:
    """One request for a screen or a part of it."""

    request: Ask
    place: Workplace
    caller: Caller | None
    csrf: str

    @property
    def actor(self) -> str:
        """Who did it, as the audit log names them."""
        return actor_of(self.request)

    @property
    def now(self) -> datetime:
        """The instant of this page."""
        return self.place.clock()

    @cached_property
    def base(self) -> str:
        """The path under which a reverse proxy shows this server, or nothing."""
        return base_of(self.request)

    @property
    def theme(self) -> str | None:
        """What the reader has chosen; `None` for what their system prefers."""
        chosen = self.request.cookies.get(THEME)
        return chosen if chosen in THEMES else None

    @property
    def fragment(self) -> bool:
        """Whether a part of a page is asked for, which htmx will put in its place."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def here(self) -> str:
        """Path and query of this page without the base, to come back to."""
        path = self.request.url.path.removeprefix(self.base)
        return f"{path}?{self.request.url.query}" if self.request.url.query else path

    def url(self, path: str, **query: object) -> str:
        """A link within this server; values that are `None` or empty are left out."""
        told = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self.base}{path}{'?' + urlencode(told, doseq=True) if told else ''}"

    def asset(self, name: str) -> str:
        """The address of a file of the pages."""
        return self.url(asset(name).path)

    def may(self, permission: str) -> bool:
        """Whether the reader is allowed to; templates show what is possible, handlers enforce it."""
        return self.caller is not None and permission in self.caller.permissions

    def navigation(self) -> Navigation:
        """What the frame of every page tells: how much waits where."""
        return navigation(self.place)

    def render(self, template: str, *, status: int = 200, headers: dict[str, str] | None = None, **context: Any) -> Response[str]:
        """A whole page or a fragment, whatever the template is. `page` is this."""
        text = environment().get_template(template).render(page=self, **context)
        return Response(text, media_type=MediaType.HTML, status_code=status, headers=HEADERS | (headers or {}))

    def go(self, path: str, **query: object) -> Response[str]:
        """On to another page, which the browser then asks for."""
        return Response("", status_code=303, media_type=MediaType.HTML, headers=HEADERS | {"Location": self.url(path, **query)})


ThePage = NamedDependency[SkipValidation[Page]]
Rest = ParamSpec("Rest")


def of_one_instant(
    handler: Callable[Concatenate[Page, Workplace, Rest], Response[str]],
) -> Callable[Concatenate[Page, Workplace, Rest], Response[str]]:
    """For handlers that only read: all that the page shows comes from one transaction, from its frame to its last number."""

    @wraps(handler)
    def within(page: Page, place: Workplace, *rest: Rest.args, **named: Rest.kwargs) -> Response[str]:
        with place.store.snapshot():
            return handler(page, place, *rest, **named)

    return within


FormFields = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]
"""The fields of a form: a text each, a list where one was given several times."""


def page_of(request: Ask, place: ThePlace) -> Page:
    """The page of a request."""
    return Page(request, place, request.scope.get("user"), csrf_of(request.scope))


def text(form: dict[str, Any], name: str) -> str:
    """A field of a form without the blanks around it; empty where it is missing."""
    value = form.get(name, "")
    return str(value[-1] if isinstance(value, list) else value).strip()


def whole(form: dict[str, Any], name: str) -> int | None:
    """A field that holds a whole number; `None` where it is empty."""
    told = text(form, name)
    if not told:
        return None
    if not (told.isascii() and told.isdigit() and len(told) < 10):
        raise BadInput("A number of this form is none.", [Fault(name, f"{told!r} is not a whole number")])
    return int(told)


def many(form: dict[str, Any], name: str) -> list[str]:
    """All values of a field, each once and in order."""
    value = form.get(name, [])
    return list(dict.fromkeys(str(one) for one in (value if isinstance(value, list) else [value]) if one))

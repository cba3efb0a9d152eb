"""The few pages that are needed before anybody is signed in, and the ways to them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.response import Redirect
from litestar.types import Scope

from beton.web.access.cookies import csrf_of

TEMPLATES = Path(__file__).parent.parent / "templates"
NOT_PAGES = ("/api/", "/openapi.json", "/healthz", "/readyz", "/metrics", "/slack/")


def is_page(scope: Scope) -> bool:
    """Whether a person looks at this address, and no program."""
    return not scope["path"].startswith(NOT_PAGES)


def inside(path: str) -> str:
    """A path of this server to go on to; the front page instead of anything that leads elsewhere."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"


def base_of(request: Request[Any, Any, Any]) -> str:
    """The prefix of all addresses."""
    return request.app.state.base


def to(request: Request[Any, Any, Any], path: str) -> Redirect:
    """See other: a path of this server."""
    return Redirect(base_of(request) + path, status_code=303)


def to_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """To the sign-in page, and back afterwards. A fragment that a page asks for is refused instead, and the page told where to go."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    where = "/sign-in?next=" + quote(inside(asked.removeprefix(base_of(request))) if request.method == "GET" else "/", safe="")
    if request.headers.get("HX-Request"):
        return Response(b"", status_code=401, media_type=MediaType.TEXT, headers={"HX-Redirect": base_of(request) + where})
    return to(request, where)


def form(request: Request[Any, Any, Any], template: str, *, status: int = 200, **values: Any) -> Response[str]:
    """A page from a template: with `url('/x')`, `csrf`, `caller` and `theme`, and the values given."""
    from beton.web.problems import PAGE_POLICY

    base = base_of(request)
    told = {"url": lambda path: base + path, "base": base, "csrf": csrf_of(request.scope), "caller": request.user}
    text = _templates().get_template(template).render(**told, theme=request.cookies.get("beton_theme", ""), **values)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers={"Content-Security-Policy": PAGE_POLICY})


@cache
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

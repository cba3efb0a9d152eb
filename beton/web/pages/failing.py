"""Refusals and failures for people who look at pages: the facts of `application/problem+json` as a page, or as a note in the page they are on.

Nothing here asks the store for anything: it may be what failed.
"""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.enums import MediaType

from beton.web.access.forms import base_of, is_page
from beton.web.injected import Ask
from beton.web.pages.assets import asset
from beton.web.pages.page import HEADERS, THEME, THEMES
from beton.web.pages.templating import environment


def wants_page(request: Ask) -> bool:
    """Whether a person is looking: a browser says so, and programs ask the API."""
    asked = "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"
    return asked and is_page(request.scope)


def failed(request: Ask, problem: dict[str, Any], headers: dict[str, str]) -> Response[bytes]:
    """The page, or the note that htmx puts above what was being done."""
    base = base_of(request)
    if request.headers.get("hx-request") == "true":
        text = environment().get_template("parts/problem.html").render(problem=problem)
        headers = headers | {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML show:top"}
    else:
        theme = request.cookies.get(THEME)
        text = (
            environment()
            .get_template("failed.html")
            .render(problem=problem, base=base, css=base + asset("beton.css").path, theme=theme if theme in THEMES else None)
        )
    return Response(text.encode(), media_type=MediaType.HTML, status_code=problem["status"], headers=HEADERS | headers)

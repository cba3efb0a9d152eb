"""The templates: everything that is printed is escaped, and a name that is not there is an error, not an empty text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from beton.web.pages import figures

DIRECTORY = Path(__file__).parent.parent / "templates"

SCREENS = (
    ("review", "/review", "Review", "r"),
    ("hypotheses", "/hypotheses", "Hypotheses", "h"),
    ("signals", "/signals", "Signals", "s"),
    ("scoreboard", "/scoreboard", "Scoreboard", "b"),
    ("data", "/data", "Data", "d"),
    ("routing", "/routing", "Routing", "o"),
    ("settings", "/settings", "Settings", "e"),
)
"""Name, address, title, and the key after `g`."""


@cache
def environment() -> Environment:
    """Compiled templates are kept for the life of the process."""
    made = Environment(
        loader=FileSystemLoader(DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters.update(figures.FILTERS)
    made.filters["claim"] = claim
    known: dict[str, Any] = {"between": figures.between, "ago": figures.ago, "on_log": figures.on_log, "htmx_config": _HTMX, "page_screens": SCREENS}
    made.globals |= known
    return made


_HTMX = escape(
    json.dumps(
        {
            "allowEval": False,
            "includeIndicatorStyles": False,
            "selfRequestsOnly": True,
            "historyCacheSize": 0,
            "defaultSettleDelay": 0,  # what is brought can be pressed at once
            "responseHandling": [
                {"code": "204", "swap": False},
                {"code": "[23]..", "swap": True},
                {"code": "[45]..", "swap": True, "error": True},  # refusals name their own place, see `failing`
            ],
        }
    )
)


def claim(sentence: str, names: Iterable[str] = ()) -> Markup:
    """A hypothesis in words, escaped, with the project's own names in it marked as such."""
    return _claim(sentence, tuple(names))


@lru_cache(maxsize=20_000)
def _claim(sentence: str, names: tuple[str, ...]) -> Markup:
    """Lists show the same sentences again and again."""
    known = sorted({one for one in names if one}, key=len, reverse=True)
    if not known:
        return escape(sentence)
    pattern = re.compile(rf"(?<![\w$])({'|'.join(map(re.escape, known))})(?![\w$])")
    parts = pattern.split(sentence)
    marked = (escape(part) if place % 2 == 0 else Markup('<span class="name">{}</span>').format(part) for place, part in enumerate(parts))
    return Markup("").join(marked)

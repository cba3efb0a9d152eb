"""The templates: everything that is printed is escaped, and a name that is not there is an error, not an empty text."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Macro
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
    known: dict[str, Any] = {
        "between": figures.between,
        "ago": figures.ago,
        "on_log": figures.on_log,
        "htmx_config": _HTMX,
        "page_screens": SCREENS,
    } | {
        "icons": _ICONS,
        "piece": piece,
        "of_id": of_id,
    }
    made.globals |= known
    return made


_PATHS = {
    "clears": '<path d="M3 8.5l3.2 3.2L13 4.8"/>',
    "does_not_clear": '<path d="M4 4l8 8M12 4l-8 8"/>',
    "cannot_tell": '<path d="M5.6 6.1a2.4 2.4 0 1 1 3.6 2.1c-.8.5-1.2.9-1.2 1.8M8 12.6v.1"/>',
    "untested": '<circle cx="8" cy="8" r="4.5"/>',
}
_ICON = '<svg class="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">{}</svg>'
_ICONS = {name: Markup(_ICON.format(path)) for name, path in _PATHS.items()}  # noqa: S704 - constants

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


MOST_PIECES = 8_000
"""About 30 MB. When there are more, all are made anew: what is looked at often is soon there again."""

_pieces: dict[tuple[str, Any], Markup] = {}
_THE_ID = secrets.token_hex(16)
"""Stands in a piece where an id will."""


def piece(key: Any, macro: Macro, *arguments: Any) -> Markup:
    """What the macro makes of the arguments, once for each key: that has to name all that the piece is made of, the reader's rights and the server's
    base too."""
    known = (str(macro.name), key)
    found = _pieces.get(known)
    if found is None:
        if len(_pieces) >= MOST_PIECES:
            _pieces.clear()
        found = _pieces[known] = cast("Markup", macro(*arguments))
    return found


def of_id(row_id: str, key: Any, macro: Macro, *arguments: Any) -> Markup:
    """A piece of which only an id differs from line to line: the macro gets it first, and prints nothing else of it."""
    return piece(key, macro, _THE_ID, *arguments).replace(_THE_ID, row_id)


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

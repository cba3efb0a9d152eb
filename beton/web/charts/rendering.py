"""From a figure to SVG or PNG. A drawing depends on what it is given alone, so it is remembered by that, and named by the digest of its content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from beton.web.charts.drawing import WIDE, Figure
from beton.web.charts.palette import ROLES, SURFACE, Theme, for_file, for_page

KEPT = 512
_RENDERERS_BASE = "https://vega.github.io/vega-datasets/"
"""What the renderer puts before links that name no host."""
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
_SIZE = re.compile(r'class="marks" width="([\d.]+)" height="[\d.]+"')


def digest(figure: Figure, width: int = WIDE) -> str:
    """Names the picture: the same content, the same address."""
    return hashlib.sha256(_text(figure, width).encode()).hexdigest()[:20]


def inline_svg(figure: Figure, width: int = WIDE) -> str:
    """Markup for a page: in the page's colours and as wide as there is room. Marks can be clicked; whoever reads or tabs gets the table beside it."""
    svg = _ROLES.sub("", for_page(_svg(_text(figure, width)))).replace("<a ", '<a tabindex="-1" ')
    return _SIZE.sub(lambda found: f'class="marks" data-width="{found[1]}" aria-hidden="true" focusable="false"', svg, count=1)


def svg_file(figure: Figure, theme: Theme = "light", width: int = WIDE) -> bytes:
    """A file of its own, in the colours of a theme."""
    return for_file(_svg(_text(figure, width)), theme).encode()


def png_file(figure: Figure, theme: Theme = "light", width: int = WIDE, scale: float = 2) -> bytes:
    """For messages and slides, on the theme's ground."""
    return _png(_text(figure, width), theme, scale)


def _text(figure: Figure, width: int) -> str:
    return _specification(figure.draw, figure.given, width)


@lru_cache(KEPT)
def _specification(draw: Callable[..., dict[str, Any]], given: tuple[Any, ...], width: int) -> str:
    return json.dumps(draw(*given, width=width), sort_keys=True, allow_nan=False)


@lru_cache(KEPT)
def _svg(specification: str) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(specification).replace(_RENDERERS_BASE, "")


@lru_cache(32)
def _png(specification: str, theme: Theme, scale: float) -> bytes:
    import vl_convert

    ground = specification.replace('"background": "transparent"', f'"background": "{getattr(ROLES[SURFACE], theme)}"')
    return vl_convert.vegalite_to_png(for_file(ground, theme), scale=scale)

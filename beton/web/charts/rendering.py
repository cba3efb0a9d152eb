"""From a figure to SVG or PNG. A drawing depends on its specification alone, so it is remembered by the digest of that."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache

from beton.web.charts.figures import Figure
from beton.web.charts.palette import for_file, for_page

KEPT = 512
_RENDERERS_BASE = "https://vega.github.io/vega-datasets/"
"""What the renderer puts before links that name no host."""
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
_SIZE = re.compile(r'class="marks" width="([\d.]+)" height="[\d.]+"')


def digest(figure: Figure) -> str:
    """Names the picture: the same content, the same address."""
    return hashlib.sha256(_text(figure).encode()).hexdigest()[:20]


def inline_svg(figure: Figure) -> str:
    """Markup for a page: in the page's colours and as wide as there is room. Marks can be clicked; whoever reads or tabs gets the table beside it."""
    svg = _ROLES.sub("", for_page(_svg(_text(figure)))).replace("<a ", '<a tabindex="-1" ')
    return _SIZE.sub(lambda found: f'class="marks" data-width="{found[1]}" aria-hidden="true" focusable="false"', svg, count=1)


def svg_file(figure: Figure) -> bytes:
    """A file of its own, in the light colours."""
    return for_file(_svg(_text(figure))).encode()


def png_file(figure: Figure, scale: float = 2) -> bytes:
    """For messages and slides, on a white ground."""
    return _png(_text(figure), scale)


def _text(figure: Figure) -> str:
    return json.dumps(figure.specification, sort_keys=True, allow_nan=False)


@lru_cache(KEPT)
def _svg(specification: str) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(specification).replace(_RENDERERS_BASE, "")


@lru_cache(32)
def _png(specification: str, scale: float) -> bytes:
    import vl_convert

    ground = specification.replace('"background": "transparent"', '"background": "#fffefb"')
    return vl_convert.vegalite_to_png(for_file(ground), scale=scale)

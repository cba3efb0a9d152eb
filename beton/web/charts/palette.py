"""Colours by role. A specification names the stand-ins; on a page each becomes a CSS variable, so that one drawing serves light and dark."""

from __future__ import annotations

import re
from dataclasses import dataclass

INK, MUTED, LINE, SURFACE = "#010001", "#010002", "#010003", "#010004"
CLEARS, UNSURE, AGAINST, REGION = "#010005", "#010006", "#010007", "#010008"
SERIES, OTHER = "#010009", "#01000a"


@dataclass(frozen=True)
class Role:
    """A colour's CSS variable, and its value where there is no style sheet: in a file or a message."""

    variable: str
    light: str


ROLES = {
    INK: Role("--chart-ink", "#1c1b19"),
    MUTED: Role("--chart-muted", "#625e57"),
    LINE: Role("--chart-line", "#dedbd3"),
    SURFACE: Role("--chart-surface", "#fffefb"),
    CLEARS: Role("--chart-clears", "#0b6a5d"),
    UNSURE: Role("--chart-unsure", "#8a5a00"),
    AGAINST: Role("--chart-against", "#6f6a62"),
    REGION: Role("--chart-region", "#e3efeb"),
    SERIES: Role("--chart-series", "#0b6a5d"),
    OTHER: Role("--chart-other", "#8d877d"),
}

_STAND_IN = re.compile(r"#01000[0-9a]\b", re.IGNORECASE)


def for_page(svg: str) -> str:
    """The drawing in the colours of the page around it."""
    return _STAND_IN.sub(lambda found: f"var({ROLES[found[0].lower()].variable})", svg)


def for_file(svg: str) -> str:
    """The drawing in fixed colours."""
    return _STAND_IN.sub(lambda found: ROLES[found[0].lower()].light, svg)

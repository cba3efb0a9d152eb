"""Colours by role. A specification names the stand-ins; inside a page each becomes a CSS variable, in a file the value of the theme."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Theme = Literal["light", "dark"]

INK, MUTED, LINE, SURFACE = "#010001", "#010002", "#010003", "#010004"
CLEARS, UNSURE, AGAINST, REGION = "#010005", "#010006", "#010007", "#010008"
SERIES, OTHER = "#010009", "#01000a"


@dataclass(frozen=True)
class Role:
    """A colour's CSS variable, and its values where there is no style sheet: in a file or a message."""

    variable: str
    light: str
    dark: str


ROLES = {
    INK: Role("--chart-ink", "#1c1b19", "#ece9e2"),
    MUTED: Role("--chart-muted", "#5f5b53", "#a8a296"),
    LINE: Role("--chart-line", "#dedbd3", "#34322d"),
    SURFACE: Role("--chart-surface", "#f7f6f3", "#151412"),
    CLEARS: Role("--chart-clears", "#0b6a5d", "#4fc3ae"),
    UNSURE: Role("--chart-unsure", "#8a5a00", "#e3b55c"),
    AGAINST: Role("--chart-against", "#6f6a62", "#a19b90"),
    REGION: Role("--chart-region", "#e1eeea", "#16302b"),
    SERIES: Role("--chart-series", "#0b6a5d", "#4fc3ae"),
    OTHER: Role("--chart-other", "#8d877d", "#8d877d"),
}

_STAND_IN = re.compile(r"#01000[0-9a]\b", re.IGNORECASE)


def for_page(svg: str) -> str:
    """The drawing in the colours of the page around it."""
    return _STAND_IN.sub(lambda found: f"var({ROLES[found[0].lower()].variable})", svg)


def for_file(svg: str, theme: Theme = "light") -> str:
    """The drawing in fixed colours."""
    return _STAND_IN.sub(lambda found: getattr(ROLES[found[0].lower()], theme), svg)

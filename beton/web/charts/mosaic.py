"""The four cells of a closed table as areas: as wide as the units that had fired or not, as high as the share of them that had the outcome or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, GAP = 420.0, 190.0, 3.0
LEAST = 1.5
"""Units that are there are seen, however few."""

ROOM = (60.0, 25.0)
"""What a cell needs to hold its own words."""

NAMES = {
    "tp": "Had fired, had the outcome",
    "fp": "Had fired, had it not",
    "fn": "Had not fired, had it all the same",
    "tn": "Had not fired, had it not",
}


@dataclass(frozen=True)
class Area:
    """One cell: where it lies, how many units it holds, and their share of all."""

    cell: str
    count: int
    share: float
    x: float
    y: float
    width: float
    height: float

    @property
    def roomy(self) -> bool:
        """Whether its words fit in."""
        return self.width >= ROOM[0] and self.height >= ROOM[1]

    @property
    def name(self) -> str:
        """What its units have in common."""
        return NAMES[self.cell]


def mosaic(closed: Mapping[str, Any]) -> tuple[Area, ...]:
    """The four areas; empty where there are no units."""
    counts = {cell: int(closed[cell]) for cell in NAMES}
    total = sum(counts.values())
    if not total:
        return ()
    found: list[Area] = []
    left = 0.0
    columns = (("tp", "fp"), ("fn", "tn"))
    widths = _parts(WIDTH, [counts[top] + counts[bottom] for top, bottom in columns])
    for column, width in zip(columns, widths, strict=True):
        top = 0.0
        for cell, height in zip(column, _parts(HEIGHT, [counts[cell] for cell in column]), strict=True):
            found.append(Area(cell, counts[cell], counts[cell] / total, *(round(one, 2) for one in (left, top, width if height else 0.0, height))))
            top += height + GAP
        left += width + GAP
    return tuple(found)


def _parts(length: float, counts: list[int]) -> list[float]:
    """The length less a gap, in proportion; nothing for none, and never less than can be seen."""
    first, second = counts
    if not first or not second:
        return [length if one else 0.0 for one in counts]
    room = length - GAP
    part = min(max(room * first / (first + second), LEAST), room - LEAST)
    return [part, room - part]

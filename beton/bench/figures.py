"""What a benchmark of truth finds: numbers beside what they must be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """`bound` in words and numbers, `replicates` is how many repetitions the value rests on, `how` is how it was measured."""

    value: float | None
    bound: str
    replicates: int
    holds: bool
    how: str


def at_most(hits: int, n: int, level: float, how: str) -> Figure:
    """A share that may exceed `level` by two standard errors of a share of that size."""
    bound = level + 2 * math.sqrt(level * (1 - level) / n) if n else level
    share = hits / n if n else None
    return Figure(share, f"<= {level:g} + 2 standard errors = {bound:.4f}", n, share is not None and share <= bound, how)


def at_least(hits: int, n: int, level: float, how: str) -> Figure:
    """A share that must reach `level`."""
    share = hits / n if n else None
    return Figure(share, f">= {level:g}", n, share is not None and share >= level, how)


def about_at_least(hits: int, n: int, level: float, how: str) -> Figure:
    """A share that may fall short of `level` by two standard errors of a share of that size."""
    bound = level - 2 * math.sqrt(level * (1 - level) / n) if n else level
    share = hits / n if n else None
    return Figure(share, f">= {level:g} - 2 standard errors = {bound:.4f}", n, share is not None and share >= bound, how)


def none_of(hits: int, n: int, how: str) -> Figure:
    """A number that must be 0, of `n`."""
    return Figure(float(hits), "= 0", n, hits == 0, how)


def within(hits: int, n: int, low: float, high: float, how: str) -> Figure:
    """A share between two limits."""
    share = hits / n if n else None
    return Figure(share, f"between {low:g} and {high:g}", n, share is not None and low <= share <= high, how)


def report(seed: int, figures: Mapping[str, Figure], **more: Any) -> dict[str, Any]:
    """The JSON of a run: it holds where every figure does."""
    return {
        "seed": seed,
        **more,
        "figures": {name: asdict(one) for name, one in figures.items()},
        "holds": all(one.holds for one in figures.values()),
    }


def rows(told: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """The figures as cells: name, value, bound, replicates, holds."""
    for name, one in told["figures"].items():
        value = "–" if one["value"] is None else f"{one['value']:.4g}"
        yield name, value, one["bound"], f"{one['replicates']:,}", "yes" if one["holds"] else "NO"

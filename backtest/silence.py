"""Has an event stopped? Fewer than before is weather; none at all, where there were always many, is a change of names."""

from __future__ import annotations

import math
from collections.abc import Sequence

SELDOM = 0.001
"""Chance of calling a name silent that goes on as before, over all names of one look together."""


def log_chance_of_none(before: Sequence[int]) -> float:
    """log of the chance of nothing in the last stretch, given how many there were in the equally long ones before it, if nothing had changed.

    Of N things at one rate over k + 1 equal stretches, none falls into the last with probability (1 - 1/(k + 1))^N: the conditional test of Poisson
    rates (Przyborowski, Wilenski 1940). Count persons rather than events: one person's events come together.
    """
    return sum(before) * math.log1p(-1 / (len(before) + 1)) if before else 0.0


def silent(last: int, before: Sequence[int], looks: int = 1) -> bool:
    """Nothing in the last stretch, something in each of those before it, and too much for that to be chance over `looks` such questions."""
    return last == 0 and bool(before) and min(before) > 0 and log_chance_of_none(before) <= math.log(SELDOM / max(looks, 1))

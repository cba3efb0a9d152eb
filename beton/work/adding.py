"""What sending adds, from the accounts that were held out at random: how much, how sure that is, and how many more it takes to tell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from backtest.proportions import Interval
from backtest.routing_effect import Arms
from backtest.sequential_effect import Drawn, Needed, difference_at_any_look, needed
from beton.store.holdouts import DrawnUnit, Holdout

Adds = Literal["adds", "takes", "cannot_tell"]

LEAST = 20
"""Matured signals before a share is taken at its word: as many as the bar asks of a backtest."""

WORTH = 0.25
"""The planned numbers are for this: routing adds a quarter to what happens anyway. Less is hard to see, and would hardly pay a salesperson."""


@dataclass(frozen=True)
class Incremental:
    """What sending adds to the share that converts, among accounts drawn at random: `difference` with its interval, which may be looked at every day.

    `why`: the reason why it cannot be told (yet). `extra`: conversions that would not have come otherwise, over the matured routed accounts.
    `needs`: matured accounts of each arm for an effect of `WORTH` to show.
    """

    share: float
    routed: int = 0
    held: int = 0
    arms: Arms = field(default_factory=lambda: Arms(0, 0, 0, 0))
    difference: float | None = None
    interval: Interval | None = None
    verdict: Adds = "cannot_tell"
    why: str | None = None
    needs: Needed | None = None

    @property
    def extra(self) -> float | None:
        """Conversions that routing has brought, by the difference."""
        return None if self.difference is None else self.difference * self.arms.routed


def incremental(holdout: Holdout, sizes: tuple[int, int], some: list[DrawnUnit], base: float | None) -> Incremental:
    """From what became of the accounts of a draw. `base`: the share that was promised, until the arm that is held out tells one."""
    if not holdout.share:
        return Incremental(0.0, why="Nobody is held out, so it cannot be told what would have happened anyway.")
    drawn = Drawn(np.array([one.held for one in some], bool), np.array([one.became == "converted" for one in some], bool), holdout.share)
    arms = drawn.arms
    natural = arms.held_hits / arms.held if arms.held >= LEAST and 0 < arms.held_hits < arms.held else base
    plan = needed(natural, min(WORTH * natural, 0.5 * (1 - natural)), holdout.share) if natural else None
    began = Incremental(holdout.share, *sizes, arms=arms, needs=plan)
    if not arms.held or not arms.routed:
        which = "held out" if not arms.held else "sent"
        return replace(began, why=f"No account that was {which} has matured yet.")
    interval = difference_at_any_look(drawn)
    verdict: Adds = "cannot_tell" if interval is None or interval.low <= 0 <= interval.high else "adds" if interval.low > 0 else "takes"
    why = None
    if verdict == "cannot_tell":
        so_far = (
            f"{arms.held:,} of about {plan.held_at_any_look:,} held-out accounts have matured" if plan else f"{arms.held:,} held out have matured"
        )
        why = f"The difference may still be chance: {so_far}."
    return replace(began, difference=arms.difference, interval=interval, verdict=verdict, why=why)

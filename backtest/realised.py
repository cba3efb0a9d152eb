"""What became of fires that were written down live: realised precision, by the rules by which the promised one was counted.

A fire counts once its horizon is complete (numbers 1.3): one that is younger is "too early", also when its outcome has come already, because counting
the early successes alone would flatter. An outcome at or before the fire takes it out of the count, as in the backtest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backtest.drift import confidence_sequence
from backtest.proportions import Interval, wilson


@dataclass(frozen=True)
class Realised:
    """Counts of fires; those of disjoint fires add. `matured` = judged = their horizon is complete; `converted` of them had the outcome in time."""

    too_early: int = 0
    had_converted: int = 0
    matured: int = 0
    converted: int = 0

    def __post_init__(self) -> None:
        if min(self.too_early, self.had_converted, self.matured - self.converted, self.converted) < 0:
            raise ValueError("no more convert than have matured, and no count is negative")

    def __add__(self, other: Realised) -> Realised:
        return Realised(
            self.too_early + other.too_early,
            self.had_converted + other.had_converted,
            self.matured + other.matured,
            self.converted + other.converted,
        )

    @property
    def precision(self) -> float | None:
        """Converted over matured; `None` before anything has matured."""
        return self.converted / self.matured if self.matured else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's, as of the promised precision: right for one look."""
        return wilson(self.converted, self.matured)

    @property
    def at_any_look(self) -> Interval | None:
        """The confidence sequence, which holds the true precision at all looks at once: wider, for numbers that are looked at every day."""
        return confidence_sequence(self.converted, self.matured) if self.matured else None


def judged(fired: int, outcome: int | None, horizon: int, until: int) -> Realised:
    """One fire. Instants and lengths in microseconds; `until`: everything before it is known, nothing from it on."""
    if outcome is not None and outcome <= fired:
        return Realised(had_converted=1)
    if fired + horizon > until:
        return Realised(too_early=1)
    return Realised(matured=1, converted=int(outcome is not None and outcome <= fired + horizon))


def realised(fires: Iterable[tuple[int, int | None]], horizon: int, until: int) -> Realised:
    """Of fires with their first outcomes."""
    found = Realised()
    for fired, outcome in fires:
        found += judged(fired, outcome, horizon, until)
    return found

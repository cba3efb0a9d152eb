"""What routing changes, from a randomised holdout: "precision 71 %" says who converts, not whom sales changes.

Intention to treat: every unit counts where the draw put it, whether or not anybody contacted it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from backtest.mantel_haenszel import Ratio
from backtest.proportions import Z95, Interval
from backtest.score_intervals import newcombe_difference


@dataclass(frozen=True)
class Arms:
    """Matured units and converters among those routed and those held out. Arms of disjoint units add."""

    routed_hits: int
    routed: int
    held_hits: int
    held: int

    def __add__(self, other: Arms) -> Arms:
        return Arms(self.routed_hits + other.routed_hits, self.routed + other.routed, self.held_hits + other.held_hits, self.held + other.held)

    @property
    def difference(self) -> float | None:
        """Share converting when routed minus share when held out."""
        return self.routed_hits / self.routed - self.held_hits / self.held if self.routed and self.held else None

    @property
    def difference_interval(self) -> Interval | None:
        return newcombe_difference(self.routed_hits, self.routed, self.held_hits, self.held)

    @property
    def z(self) -> float | None:
        """Pooled two-sample z: d / √(p̄ (1 - p̄)(1/n + 1/n'))."""
        if self.difference is None:
            return None
        pooled = (self.routed_hits + self.held_hits) / (self.routed + self.held)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / self.routed + 1 / self.held))
        return self.difference / spread if spread else None

    @property
    def p_value(self) -> float | None:
        """Two-sided."""
        return None if self.z is None else math.erfc(abs(self.z) / math.sqrt(2))

    @property
    def ratio(self) -> Ratio | None:
        """Risk ratio with Katz's interval."""
        if not self.routed or not self.held or not self.held_hits:
            return None
        value = (self.routed_hits / self.routed) / (self.held_hits / self.held)
        if not self.routed_hits:
            return Ratio(0.0, None)
        half = Z95 * math.sqrt(1 / self.routed_hits - 1 / self.routed + 1 / self.held_hits - 1 / self.held)
        return Ratio(value, Interval(value * math.exp(-half), value * math.exp(half)))

    def effect_on_contacted(self, contact_rate: float) -> float | None:
        """Complier average causal effect: difference / share of routed units that were contacted, nobody held out being contacted (Angrist,
        Imbens, Rubin 1996)."""
        return None if self.difference is None or contact_rate <= 0 else self.difference / contact_rate

"""The watch over approved signals: how often does it cry wolf, and how soon does it see a fall?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest.drift import Watch

FLOORS = (0.3, 0.6, 0.8)
LOOKS = 400
DROP = 0.15


@dataclass(frozen=True)
class Watched:
    """Runs of `LOOKS` matured fires at the floor itself with an alarm at any look; and after how many fires a fall of 15 points was seen, of all
    runs (`LOOKS` + 1 where it was not)."""

    runs: int
    false_alarms: int
    fires_to_alarm: tuple[int, ...]

    def __add__(self, other: Watched) -> Watched:
        return Watched(self.runs + other.runs, self.false_alarms + other.false_alarms, self.fires_to_alarm + other.fires_to_alarm)


def watch(seed: int, number: int, runs: int) -> Watched:
    """`runs` runs of either kind, their floors in turn."""
    rng = np.random.default_rng([seed, number])
    floors = [FLOORS[run % len(FLOORS)] for run in range(runs)]
    false = sum(alarm_at(floor, rng.random(LOOKS) < floor) <= LOOKS for floor in floors)
    seen = tuple(alarm_at(floor, rng.random(LOOKS) < floor - DROP) for floor in floors)
    return Watched(runs, false, seen)


def alarm_at(floor: float, hits: np.ndarray) -> int:
    """The number of fires at which the alarm rings, looked at after each; one more than there are where it does not."""
    one = Watch(floor)
    for count, hit in enumerate(hits.tolist(), 1):
        one = one.add(hit)
        if one.alarm():
            return count
    return len(hits) + 1

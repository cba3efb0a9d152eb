"""What the frame of every page tells."""

from __future__ import annotations

from dataclasses import dataclass

from beton.store import reach
from beton.store.reach import Stopped
from beton.store.waiting import waiting
from beton.work.workplace import Workplace


@dataclass(frozen=True)
class Navigation:
    """How much waits on each screen, by the screen's name; screens where nothing waits are missing."""

    waiting: dict[str, int]
    stopped: Stopped | None = None
    """Who has stopped all sending, if somebody has."""
    paused: tuple[str, ...] = ()
    """Names of routes that were paused because of their receivers."""


def navigation(place: Workplace) -> Navigation:
    """Counted anew for each page."""
    with place.store.reading() as tx:
        waits, stopped = waiting(tx), reach.stopped(tx)
    numbers = {"review": waits.proposals, "scoreboard": waits.troubled}
    return Navigation({name: number for name, number in numbers.items() if number}, stopped, waits.paused)

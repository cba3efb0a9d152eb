"""What the frame of every page tells."""

from __future__ import annotations

from dataclasses import dataclass

from beton.lifecycle import Status
from beton.store import hypothesis_lists, reach, routes
from beton.store.reach import Stopped
from beton.work.attending import asking
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
    """Counted anew for each page: the tables have indexes for it."""
    with place.store.reading() as tx:
        waiting = {"review": hypothesis_lists.how_many(tx, Status.PROPOSED), "scoreboard": len(asking(tx))}
        stopped, paused = reach.stopped(tx), tuple(one.name for one in routes.troubled(tx))
    return Navigation({name: number for name, number in waiting.items() if number}, stopped, paused)

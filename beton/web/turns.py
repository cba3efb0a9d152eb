"""Handlers run one at a time, unless one takes long.

A handler is Python between many short calls of the database, and each call gives the interpreter's lock away. Of several handlers at once each has
to win it back at each call, and they spend more on that than on their work. So they take turns. One that waits for somebody else, or computes for
long, loses its turn without noticing: the next one begins beside it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

LONG = 0.03
"""Seconds that a turn lasts at most while others wait."""

MOST = 40
"""Threads: handlers that take long, and those in line."""


@dataclass(eq=False)
class _Turn:
    """Of one piece of work."""

    begun: Event = field(default_factory=Event)
    ends: float = 0.0


class InTurn(ThreadPoolExecutor):
    """Threads that do one piece of work after the other, in the order in which they were given; those that take long do theirs beside the others."""

    def __init__(self, long: float = LONG, most: int = MOST) -> None:
        super().__init__(most, thread_name_prefix="beton-handler")
        self._long = long
        self._now: _Turn | None = None
        self._waiting: deque[_Turn] = deque()
        self._lock = Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done when it is its turn."""
        return super().submit(self._in_turn, fn, args, kwargs)

    def _in_turn(self, work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        mine = self._begun()
        try:
            return work(*args, **kwargs)
        finally:
            self._over(mine)

    def _begun(self) -> _Turn:
        mine = _Turn()
        with self._lock:
            if self._now is None:
                self._take(mine)
                return mine
            self._waiting.append(mine)
            until = self._now.ends
        while not mine.begun.wait(max(0.0, until - time.monotonic())):
            with self._lock:
                if self._now is None or time.monotonic() >= self._now.ends:
                    self._next()
                until = mine.ends if self._now is None else self._now.ends
        return mine

    def _over(self, mine: _Turn) -> None:
        with self._lock:
            if self._now is mine:
                self._next()

    def _next(self) -> None:
        """The turn goes to whoever waits longest."""
        self._now = None
        if self._waiting:
            self._take(self._waiting.popleft())

    def _take(self, turn: _Turn) -> None:
        self._now, turn.ends = turn, time.monotonic() + self._long
        turn.begun.set()

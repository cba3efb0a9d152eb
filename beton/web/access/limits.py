"""How often somebody may ask. Kept in this process: a guard against abuse and guessing, not a quota."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

MOST_KNOWN = 50_000
"""Keys that are remembered at a time; the longest unseen is forgotten first."""


@dataclass(frozen=True)
class Standing:
    """Where somebody stands: what is left of `limit` in this window, and in how many seconds it begins anew."""

    allowed: bool
    limit: int
    left: int
    resets: int

    @property
    def headers(self) -> dict[str, str]:
        """As the header fields of the IETF's draft have it."""
        return {"RateLimit": f'"default";r={self.left};t={self.resets}'}


class Limiter:
    """At most `limit` in each window of `seconds`, for each key."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = Lock()

    @property
    def policy(self) -> str:
        """The header that tells the rule."""
        return f'"default";q={self.limit};w={math.ceil(self.seconds)}'

    def take(self, key: str, at: float, *, cost: int = 1) -> Standing:
        """Count one, at an instant in seconds; with `cost` 0, only look."""
        with self._lock:
            began, used = self._windows.pop(key, (at, 0))
            if not began <= at < began + self.seconds:
                began, used = at, 0
            allowed = used + max(1, cost) <= self.limit
            used = min(self.limit, used + cost)
            self._windows[key] = (began, used)
            while len(self._windows) > MOST_KNOWN:
                self._windows.popitem(last=False)
        return Standing(allowed, self.limit, self.limit - used, max(1, math.ceil(began + self.seconds - at)))

    def forget(self, key: str) -> None:
        """Begin anew for one key."""
        with self._lock:
            self._windows.pop(key, None)

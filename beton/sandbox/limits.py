"""PostHog's limits: request throttles, queries at once, the read budget, the failure breaker. The clock is an argument."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from beton.sandbox.refusals import Refusal, budget_exceeded, throttled, too_many_at_once
from beton.sandbox.settings import LimitSettings

Seconds = Callable[[], float]
_FIRST_POLL, _POLL_GROWTH, _LONGEST_POLL = 0.134, 1.5, 1.714
_REPLAYED_KINDS_FIRST = 3
_LONGEST_BREAK = 4 * 3600.0


class Throttle:
    """A sliding window per caller: refused calls do not count."""

    def __init__(self, requests: int, window: float, clock: Seconds) -> None:
        self._requests, self._window, self._clock = requests, window, clock
        self._seen: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, caller: str) -> float | None:
        """Seconds until a call may pass, or None when it may pass now."""
        with self._lock:
            now, seen = self._clock(), self._seen.setdefault(caller, deque())
            while seen and seen[0] <= now - self._window:
                seen.popleft()
            return None if len(seen) < self._requests else self._window - (now - seen[0])

    def count(self, caller: str) -> None:
        """Remembers a call that passed."""
        with self._lock:
            self._seen.setdefault(caller, deque()).append(self._clock())


class Throttles:
    """Every scope's throttles. A caller is one personal API key, as in PostHog's cache key."""

    def __init__(self, settings: LimitSettings, clock: Seconds) -> None:
        query = [Throttle(settings.query_burst_per_minute, 60, clock), Throttle(settings.query_sustained_per_hour, 3600, clock)]
        if settings.self_hosted:
            query = [Throttle(settings.self_hosted_query_per_hour, 3600, clock)]
        self._enabled = settings.throttling
        self._scopes = {
            "query": query,
            "values": [
                Throttle(settings.values_burst_per_minute, 60, clock),
                Throttle(settings.values_sustained_per_hour, 3600, clock),
            ],
            "other": [Throttle(settings.other_burst_per_minute, 60, clock), Throttle(settings.other_sustained_per_hour, 3600, clock)],
        }

    def admit(self, scope: str, caller: str) -> None:
        """Counts one request, or raises the 429 with its Retry-After."""
        if not self._enabled:
            return
        waits = [throttle.wait(caller) for throttle in self._scopes[scope]]
        longest = max((wait for wait in waits if wait is not None), default=None)
        if longest is not None:
            raise throttled(max(1, math.ceil(longest)))
        for throttle in self._scopes[scope]:
            throttle.count(caller)


class Slots:
    """Queries of one team at once. A query beyond them waits, then is refused without Retry-After."""

    def __init__(self, slots: int, patience: float, sleep: Callable[[float], None]) -> None:
        self._free, self._patience, self._sleep = slots, patience, sleep
        self._total = slots
        self._lock = threading.Lock()

    @property
    def in_use(self) -> int:
        """How many queries run now."""
        return self._total - self._free

    def _taken(self) -> bool:
        with self._lock:
            if self._free <= 0:
                return False
            self._free -= 1
            return True

    @contextmanager
    def slot(self) -> Generator[None]:
        """Holds one slot; polls for it in growing steps as PostHog does."""
        waited, step = 0.0, _FIRST_POLL
        while not self._taken():
            if waited >= self._patience:
                raise too_many_at_once()
            self._sleep(min(step, self._patience - waited))
            waited, step = waited + step, min(step * _POLL_GROWTH, _LONGEST_POLL)
        try:
            yield
        finally:
            with self._lock:
                self._free += 1


class ReadBudget:
    """A token bucket in bytes read. The query that crosses zero completes; the next one is refused."""

    def __init__(self, settings: LimitSettings, clock: Seconds) -> None:
        self._enforced, self._clock = settings.budget_enforced, clock
        self._rate = settings.budget_bytes_per_hour / 3600
        self._capacity = float(settings.budget_bytes_per_hour * settings.budget_hours)
        self._floor = -float(settings.budget_bytes_per_hour)
        self._level, self._at = self._capacity, clock()
        self._lock = threading.Lock()

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now

    def check(self) -> None:
        """Raises the 429 with Retry-After when the bucket is empty."""
        with self._lock:
            self._refill()
            if self._enforced and self._level <= 0:
                raise budget_exceeded(min(3600, max(1, math.ceil(-self._level / self._rate))))

    def spend(self, amount: int) -> int:
        """Takes what a query read and says what remains, in bytes."""
        with self._lock:
            self._refill()
            self._level = max(self._floor, self._level - amount)
            return int(self._level)

    def drain(self, remaining: int) -> None:
        """Sets the level, for tests of a client's behaviour near the edge."""
        with self._lock:
            self._level, self._at = float(remaining), self._clock()


@dataclass(slots=True)
class _Failure:
    refusal: Refusal
    count: int = 0
    until: float = 0.0


class FailureBreaker:
    """Remembers queries that fail in a way repeating cannot mend, and answers for them without running."""

    def __init__(self, enabled: bool, clock: Seconds) -> None:
        self._enabled, self._clock = enabled, clock
        self._failures: dict[str, _Failure] = {}
        self._lock = threading.Lock()

    def check(self, key: str) -> None:
        """Raises the remembered failure while it is remembered."""
        with self._lock:
            failure = self._failures.get(key)
            if not self._enabled or failure is None or self._clock() >= failure.until:
                return
            minutes = max(1, math.ceil((failure.until - self._clock()) / 60))
            text = (
                f"{failure.refusal.detail} This query failed the same way {failure.count} times in a row, so it was not run again. "
                f"It can run again in about {minutes} minute{'' if minutes == 1 else 's'}."
            )
            raise failure.refusal.worded(text)

    def failed(self, key: str, refusal: Refusal) -> None:
        """Counts a failure: from the third on the query rests for 2 minutes, doubling up to 16 and in the end 4 hours."""
        with self._lock:
            failure = self._failures.setdefault(key, _Failure(refusal))
            failure.refusal, failure.count = refusal, failure.count + 1
            over = failure.count - _REPLAYED_KINDS_FIRST
            if over >= 0:
                failure.until = self._clock() + min(_LONGEST_BREAK, 120.0 * 2**over)

    def succeeded(self, key: str) -> None:
        """Forgets the failures of a query that ran."""
        with self._lock:
            self._failures.pop(key, None)

"""The book of past requests that every reader of one PostHog project shares.

Limits only hold if all workers write into one book, so the book is a small protocol: in memory for one process, in the store for several.
"""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

Surface = Literal["query", "list"]
"""PostHog budgets HogQL queries and the plain lists (definitions, cohorts, the project) apart."""


DAY = timedelta(days=1)
"""As far back as a book is asked."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used since some instant: requests sent, bytes that ClickHouse read for them, and when the oldest of these requests was."""

    requests: int
    read: int
    oldest: datetime | None = None


class Ledger(Protocol):
    """One book per host and project. Instants are aware UTC; all methods are safe to call from several tasks and workers at once."""

    async def record(self, surface: Surface, at: datetime, *, requests: int = 0, read: int = 0) -> None:
        """Add to the book. A request is recorded before it is sent, its bytes once known: a crash forgets bytes, never requests."""
        ...

    async def spent(self, surface: Surface, since: datetime) -> Spent:
        """The sums of everything recorded after `since`, at most a day back."""
        ...

    async def acquire(self, surface: Surface, holder: str, *, at: datetime, until: datetime, limit: int) -> bool:
        """Take one of `limit` places, in one step. A place whose `until` has passed counts as free: its worker died."""
        ...

    async def release(self, surface: Surface, holder: str) -> None:
        """Give the place back; nothing happens when it was lost already."""
        ...


class _Series:
    """Amounts over a day with running totals, so that a sum over any last stretch is two look-ups."""

    def __init__(self) -> None:
        self._at: list[datetime] = []
        self._total: list[int] = [0]

    def add(self, at: datetime, amount: int) -> None:
        self._at.append(at)
        self._total.append(self._total[-1] + amount)
        old = bisect_right(self._at, at - DAY)
        if old > len(self._at) // 2:
            del self._at[:old], self._total[:old]

    def since(self, instant: datetime) -> tuple[int, datetime | None]:
        """The sum after `instant`, and the first instant that counts in it."""
        first = bisect_right(self._at, instant)
        return self._total[-1] - self._total[first], self._at[first] if first < len(self._at) else None


class MemoryLedger:
    """The book of a single process, whose clock never goes back."""

    def __init__(self) -> None:
        self._requests: dict[Surface, _Series] = defaultdict(_Series)
        self._read: dict[Surface, _Series] = defaultdict(_Series)
        self._places: dict[Surface, dict[str, datetime]] = defaultdict(dict)

    async def record(self, surface: Surface, at: datetime, *, requests: int = 0, read: int = 0) -> None:
        if requests:
            self._requests[surface].add(at, requests)
        if read:
            self._read[surface].add(at, read)

    async def spent(self, surface: Surface, since: datetime) -> Spent:
        requests, oldest = self._requests[surface].since(since)
        return Spent(requests, self._read[surface].since(since)[0], oldest)

    async def acquire(self, surface: Surface, holder: str, *, at: datetime, until: datetime, limit: int) -> bool:
        places = {name: end for name, end in self._places[surface].items() if end > at}
        if holder not in places and len(places) >= limit:
            return False
        self._places[surface] = places | {holder: until}
        return True

    async def release(self, surface: Surface, holder: str) -> None:
        self._places[surface].pop(holder, None)

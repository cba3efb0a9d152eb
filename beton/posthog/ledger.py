"""The book of past requests that every reader of one PostHog project shares.

Limits only hold if all workers write into one book, so the book is a small protocol: in memory for one process, in the store for several.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

Surface = Literal["query", "list"]
"""PostHog budgets HogQL queries and the plain lists (definitions, cohorts, the project) apart."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used since some instant: requests sent and bytes that ClickHouse read for them."""

    requests: int
    read: int


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


class MemoryLedger:
    """The book of a single process."""

    KEPT = timedelta(days=1)

    def __init__(self) -> None:
        self._entries: dict[Surface, deque[tuple[datetime, int, int]]] = defaultdict(deque)
        self._places: dict[Surface, dict[str, datetime]] = defaultdict(dict)

    async def record(self, surface: Surface, at: datetime, *, requests: int = 0, read: int = 0) -> None:
        entries = self._entries[surface]
        entries.append((at, requests, read))
        while entries and entries[0][0] <= at - self.KEPT:
            entries.popleft()

    async def spent(self, surface: Surface, since: datetime) -> Spent:
        requests = read = 0
        for at, count, size in reversed(self._entries[surface]):
            if at <= since:
                break
            requests += count
            read += size
        return Spent(requests, read)

    async def acquire(self, surface: Surface, holder: str, *, at: datetime, until: datetime, limit: int) -> bool:
        places = {name: end for name, end in self._places[surface].items() if end > at}
        if holder not in places and len(places) >= limit:
            return False
        self._places[surface] = places | {holder: until}
        return True

    async def release(self, surface: Surface, holder: str) -> None:
        self._places[surface].pop(holder, None)

"""How much of PostHog's budgets Beton takes: a stated share of each, the rest belongs to the customer.

PostHog limits a team's queries four ways, and every other tool of the customer draws on the same four:

    requests      240 a minute and 2,400 an hour on Cloud, 120 an hour on a self-hosted PostHog; sliding windows
    at once       3 queries; a fourth waits up to 30 s there and is then refused
    bytes read    a bucket that refills by the hour; two response headers tell what is left, nothing tells its size
    lists         480 a minute and 4,800 an hour for everything that is not a query

`Limits.turn` waits until a request fits into our share of all of them. If PostHog refuses nevertheless, somebody else uses the budget: the
share is halved and grows back slowly (additive increase, multiplicative decrease), so two polite readers settle next to each other.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import floor

from beton.posthog.codes import Asked, failed
from beton.posthog.ledger import DAY, Ledger, MemoryLedger, Surface

Clock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]

READ = "x-posthog-query-bytes-read"
REMAINING = "x-posthog-query-budget-remaining-bytes"

PLACE_HELD = timedelta(minutes=2)
"""After so long a place counts as free: its worker was killed. PostHog ends a query after 10 s (60 s self-hosted), after 30 s in line at most."""

HALVED = 0.5
LEAST = 1 / 16
RECOVERY_PER_MINUTE = 0.05
"""Of the stated share: from a half back to the whole in ten minutes."""

ONE_REFUSAL = timedelta(seconds=5)
"""Refusals this close together are one event: requests that were under way together are refused together."""

BYTES_RESERVE = 0.1
"""Of the most bytes ever seen remaining: below it we stop reading, whoever used the rest."""

_SHORTEST_WAIT = 0.001
_BYTES_POLL = 60.0


@dataclass(frozen=True, slots=True)
class Budget:
    """PostHog's own numbers for one surface; None where it has no such limit."""

    per_minute: int | None
    per_hour: int | None
    at_once: int


CLOUD: dict[Surface, Budget] = {"query": Budget(240, 2400, 3), "list": Budget(480, 4800, 4)}
SELF_HOSTED: dict[Surface, Budget] = {"query": Budget(None, 120, 3), "list": Budget(480, 4800, 4)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is used and allowed now, for pages and `beton doctor`. `bytes_left` is None until PostHog has said it once."""

    used_minute: int
    allowed_minute: int | None
    used_hour: int
    allowed_hour: int | None
    at_once: int
    share: float
    effective_share: float
    paused_seconds: float
    bytes_left: int | None
    bytes_read_today: int

    def __str__(self) -> str:
        parts = [f"{self.used_minute} of {self.allowed_minute:,} queries this minute"] if self.allowed_minute is not None else []
        parts += [f"{self.used_hour} of {self.allowed_hour:,} this hour"] if self.allowed_hour is not None else []
        parts.append(f"{self.at_once} at a time")
        parts.append(
            f"{self.bytes_left / 1e9:,.1f} GB left of PostHog's reading budget" if self.bytes_left is not None else "reading budget not known yet"
        )
        share = f"Beton's share is {self.share:.0%}"
        if self.effective_share < self.share:
            share += f", for now {self.effective_share:.1%} because PostHog refused requests"
        wait = f"; waiting {self.paused_seconds:.0f} s" if self.paused_seconds else ""
        return f"{', '.join(parts)}. {share}{wait}."


@dataclass(slots=True)
class _Pressure:
    """How much of the stated share is taken after refusals: `fraction` at the instant `since`, growing from there."""

    fraction: float = 1.0
    since: datetime | None = None
    paused_until: datetime | None = None

    def at(self, now: datetime) -> float:
        if self.since is None:
            return 1.0
        return min(1.0, self.fraction + RECOVERY_PER_MINUTE * max(0.0, (now - self.since).total_seconds()) / 60)

    def refused(self, now: datetime, wait: float | None) -> None:
        if self.since is None or now - self.since > ONE_REFUSAL:
            self.fraction, self.since = max(LEAST, self.at(now) * HALVED), now
        if wait:
            self.paused_until = max(self.paused_until or now, now + timedelta(seconds=wait))


@dataclass(slots=True)
class _Line:
    """Tasks of this process at one surface: how many hold a place, and the news that one was given back."""

    inside: int = 0
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)


@dataclass(slots=True)
class _Bytes:
    """The bucket of bytes as far as the headers tell. Its size is taken as the most ever seen in it: perhaps too small, never too large."""

    left: int | None = None
    most: int = 0
    seen: datetime | None = None

    def learn(self, left: int, now: datetime) -> None:
        self.left, self.most, self.seen = left, max(self.most, left), now

    def now(self, now: datetime) -> float | None:
        """Bytes left by now: PostHog refills the whole bucket within a day."""
        if self.left is None or self.seen is None:
            return None
        return min(float(self.most), self.left + self.most * ((now - self.seen) / DAY))

    def blocked_for(self, now: datetime) -> float:
        left, reserve = self.now(now), BYTES_RESERVE * self.most
        return 0.0 if left is None or left >= reserve else (reserve - left) / (self.most / DAY.total_seconds()) if self.most else _BYTES_POLL


@dataclass(slots=True)
class Turn:
    """The right to send one request; the sender tells what PostHog's headers said."""

    _limits: "Limits"
    _surface: Surface

    async def answered(self, headers: Mapping[str, str]) -> int | None:
        """Learn from an answer (header names in lower case): returns the bytes ClickHouse read for it, None when not told."""
        return await self._limits.learn(self._surface, headers)


@dataclass(slots=True)
class Limits:
    """One limiter per host and project. `patience` is the longest wait for one turn, in seconds; beyond it the turn is refused."""

    budgets: Mapping[Surface, Budget]
    share: float
    ledger: Ledger
    clock: Clock
    sleep: Sleep = asyncio.sleep
    patience: float = 900.0
    _pressure: dict[Surface, _Pressure] = field(default_factory=lambda: {"query": _Pressure(), "list": _Pressure()}, init=False)
    _bytes: _Bytes = field(default_factory=_Bytes, init=False)
    _lines: dict[Surface, _Line] = field(default_factory=lambda: {"query": _Line(), "list": _Line()}, init=False)

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"a share is above 0 and at most 1, not {self.share}")

    @classmethod
    def for_cloud(cls, share: float = 0.5, *, clock: Clock, ledger: Ledger | None = None, sleep: Sleep = asyncio.sleep) -> "Limits":
        """The limits of PostHog Cloud."""
        return cls(CLOUD, share, ledger or MemoryLedger(), clock, sleep)

    @classmethod
    def for_self_hosted(cls, share: float = 0.5, *, clock: Clock, ledger: Ledger | None = None, sleep: Sleep = asyncio.sleep) -> "Limits":
        """The limits of a self-hosted PostHog, as it is shipped."""
        return cls(SELF_HOSTED, share, ledger or MemoryLedger(), clock, sleep)

    def at_once(self, surface: Surface = "query") -> int:
        """Places we use. Rounded down, so that the share is never exceeded (half of 3 is 1), but never none: nothing would move."""
        return max(1, floor(self.budgets[surface].at_once * self._effective(surface, self.clock())))

    @asynccontextmanager
    async def turn(self, asked: Asked, surface: Surface = "query") -> AsyncGenerator[Turn]:
        """Wait until one request fits into our share, then hold its place for the body of the `with`.

        Raises PostHogBusy (`posthog.share_used`) when that takes longer than `patience`.
        """
        async with self._own_place(surface):
            holder = uuid.uuid4().hex
            try:
                await self._shared_place(asked, surface, holder)
                yield Turn(self, surface)
            finally:
                await self.ledger.release(surface, holder)

    @asynccontextmanager
    async def _own_place(self, surface: Surface) -> AsyncGenerator[None]:
        """Our own tasks line up here: whoever ends wakes the next, and only as many as may run look into the shared book."""
        line = self._lines[surface]
        async with line.moved:
            await line.moved.wait_for(lambda: line.inside < self.at_once(surface))
            line.inside += 1
        try:
            yield
        finally:
            async with line.moved:
                line.inside -= 1
                line.moved.notify_all()

    async def _shared_place(self, asked: Asked, surface: Surface, holder: str) -> None:
        """Wait for a place among all processes, and write the request down. The budgets are looked at from within the place: where there is one
        place, two processes cannot both take the last request."""
        began, poll = self.clock(), 0.05
        while True:
            now = self.clock()
            if await self.ledger.acquire(surface, holder, at=now, until=now + PLACE_HELD, limit=self.at_once(surface)):
                wait, reason = await self._blocked_for(surface, now)
                if not wait:
                    break
                await self.ledger.release(surface, holder)
            else:
                wait, reason, poll = poll, "all places are taken", min(poll * 1.5, 1.0)
            if (now - began).total_seconds() + wait > self.patience:
                raise failed("posthog.share_used", asked, retry_after=wait, cause=reason)
            await self.sleep(wait)
        await self.ledger.record(surface, now, requests=1)

    async def learn(self, surface: Surface, headers: Mapping[str, str]) -> int | None:
        """Take PostHog's two byte headers into account; returns the bytes read."""
        read, left = _whole(headers.get(READ)), _whole(headers.get(REMAINING))
        now = self.clock()
        if left is not None:
            self._bytes.learn(left, now)
        if read:
            await self.ledger.record(surface, now, read=read)
        return read

    def refused(self, surface: Surface, wait: float | None) -> None:
        """PostHog answered 429: take less, and nothing at all for `wait` seconds if it named a time."""
        self._pressure[surface].refused(self.clock(), wait)

    async def describe(self, surface: Surface = "query") -> Standing:
        """What is used and what is left, now; its text is one readable line."""
        now = self.clock()
        pressure = self._pressure[surface]
        minute = await self.ledger.spent(surface, now - timedelta(minutes=1))
        hour = await self.ledger.spent(surface, now - timedelta(hours=1))
        day = await self.ledger.spent(surface, now - DAY)
        left = self._bytes.now(now)
        budget = self.budgets[surface]
        return Standing(
            used_minute=minute.requests,
            allowed_minute=self._allowed(surface, budget.per_minute, now),
            used_hour=hour.requests,
            allowed_hour=self._allowed(surface, budget.per_hour, now),
            at_once=self.at_once(surface),
            share=self.share,
            effective_share=self._effective(surface, now),
            paused_seconds=max(0.0, ((pressure.paused_until or now) - now).total_seconds()),
            bytes_left=None if left is None else int(left),
            bytes_read_today=day.read,
        )

    def _effective(self, surface: Surface, now: datetime) -> float:
        return self.share * self._pressure[surface].at(now)

    def _allowed(self, surface: Surface, limit: int | None, now: datetime) -> int | None:
        return None if limit is None else max(1, floor(limit * self._effective(surface, now)))

    async def _blocked_for(self, surface: Surface, now: datetime) -> tuple[float, str]:
        """Seconds until it is worth looking again (0: go) and why. A full window has room again when its oldest request leaves it."""
        paused = self._pressure[surface].paused_until
        if paused is not None and paused > now:
            return (paused - now).total_seconds(), "PostHog asked for a pause"
        budget = self.budgets[surface]
        for name, limit, seconds in (("minute", budget.per_minute, 60.0), ("hour", budget.per_hour, 3600.0)):
            allowed = self._allowed(surface, limit, now)
            spent = await self.ledger.spent(surface, now - timedelta(seconds=seconds))
            if allowed is not None and spent.requests >= allowed:
                leaves = (spent.oldest or now) + timedelta(seconds=seconds)
                return max((leaves - now).total_seconds(), _SHORTEST_WAIT), f"{allowed:,} requests were sent within the {name}"
        if surface == "query" and self._bytes.most:
            wait = self._bytes.blocked_for(now)
            if wait:
                return wait, "PostHog's budget of bytes is nearly used up"
            if (await self.ledger.spent(surface, now - DAY)).read >= self.share * self._bytes.most:
                return _BYTES_POLL, "our share of PostHog's budget of bytes is used up for today"
        return 0.0, ""


def _whole(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.removeprefix("-").isdecimal() else None

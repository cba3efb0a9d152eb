"""Taking events in: nobody is told that an event is safe before it is, and many wait for one commit.

Requests put what they have into a queue and wait. One thread seals all that is there, writes it in one transaction, and lets them go. SQLite has one
writer at a time anyway; on PostgreSQL it saves round trips and syncs.

If others hold the database for longer than `PATIENCE`, or it is away, the events go into the spool instead, which is as durable, and from there into
the database by another thread, in the order in which they came. Only when there is no room there either is anybody asked to come again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from beton.errors import StoreError, TooMany
from beton.settings import Settings
from beton.store import inbound_events
from beton.store.engines import open_engine
from beton.store.inbound_records import Listener, Taken
from beton.store.store import Store
from beton.work.spool import Spool, SpoolFull

PATIENCE = timedelta(milliseconds=25)
"""How long the database may keep the writer waiting before it turns to the spool."""

LINGER = 0.012
"""Seconds that the first event of a batch waits for others: each commit costs a sync, whatever it holds."""

MOST_AT_ONCE = 1000
"""Events in one transaction."""

MOST_WAITING = 4000
"""Requests that may wait for their commit; those beyond are asked to come again."""

AGAIN_AFTER = 2.0
"""Seconds after which to come again."""

TRY_AGAIN = 0.25
"""Seconds between two tries to empty the spool."""

COUNT_EVERY = 1.0
"""Seconds between two times at which it is written down how much has come: events are safe at once, their number is not that important."""

Whose = tuple[str, str]
"""Workspace and source."""


@dataclass
class Tally:
    """What this process has done since it began, for those who watch it."""

    taken: int = 0
    spooled: int = 0
    shed: int = 0
    refused: int = 0
    commits: int = 0


@dataclass
class _Asked:
    events: Sequence[Taken]
    loop: asyncio.AbstractEventLoop
    safe: asyncio.Future[bool]


@dataclass(frozen=True)
class _Refused:
    whose: Whose
    at: datetime
    why: str


@dataclass
class _Hour:
    """What is to be added to what an hour has seen."""

    arrived: int = 0
    repeated: int = 0
    refused: int = 0
    refusal: str | None = None


@dataclass
class Intake:
    """The way in. `store` is one that gives up soon where others hold the database."""

    store: Store
    spool: Spool
    tally: Tally = field(default_factory=Tally)
    _queue: SimpleQueue[_Asked | _Refused | None] = field(default_factory=SimpleQueue, repr=False)
    _hours: dict[tuple[Whose, datetime], _Hour] = field(default_factory=dict, repr=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _told_at: float = 0.0
    _waiting: int = 0
    _open: bool = False
    _stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _threads: list[threading.Thread] = field(default_factory=list, repr=False)

    def start(self) -> None:
        """Begin to take in, first of all what an earlier process has left in the spool."""
        self.spool.adopt()
        self._open = True
        self._threads = [threading.Thread(target=run, name=name) for run, name in ((self._write, "beton-intake"), (self._empty, "beton-spool"))]
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """Finish what is waiting, and take nothing more. What lies in the spool stays there for the next process."""
        self._open = False
        self._queue.put(None)
        self._stopping.set()
        for one in self._threads:
            one.join()
        self.spool.close()
        self.store.close()

    async def take(self, events: Sequence[Taken]) -> None:
        """Returns when the events are safe. Raises `TooMany` where they cannot be taken now; then none of them was."""
        if not self._open or self._waiting >= MOST_WAITING:
            self.tally.shed += 1
            raise TooMany("More events arrive than can be written down.", retry_after=AGAIN_AFTER, code="source.overloaded")
        loop = asyncio.get_running_loop()
        asked = _Asked(events, loop, loop.create_future())
        self._waiting += 1
        self._queue.put(asked)
        if not await asked.safe:
            self.tally.shed += 1
            raise TooMany("There is no room for more events.", retry_after=AGAIN_AFTER, code="source.overloaded")

    def refuse(self, listener: Listener, at: datetime, why: str) -> None:
        """Note with the source that something came which was no event; it is written down along with the next ones."""
        self.tally.refused += 1
        if self._open and self._queue.qsize() < MOST_WAITING:
            self._queue.put(_Refused((listener.workspace_id, listener.source_id), at, why))

    def _write(self) -> None:
        batch: list[_Asked] = []
        try:
            while (first := self._next()) is not None:
                batch, last = self._gathered(first)
                self._keep(batch)
                batch = []
                if last:
                    break
        finally:
            self._open = False
            self._tell([*batch, *self._left()], safe=False)
        self._count()

    def _next(self) -> _Asked | _Refused | None:
        """What comes next. While nothing comes, what the hours have seen is written down."""
        while True:
            try:
                return self._queue.get(timeout=COUNT_EVERY if self._hours else None)
            except Empty:
                self._count()

    def _left(self) -> list[_Asked]:
        """What came when nobody took any more."""
        found = []
        while not self._queue.empty():
            one = self._queue.get()
            found += [one] if isinstance(one, _Asked) else []
        return found

    def _gathered(self, first: _Asked | _Refused) -> tuple[list[_Asked], bool]:
        """The requests that are waiting, and whether these are the last."""
        self._stopping.wait(LINGER)
        found: list[_Asked | _Refused | None] = [first]
        size = 0
        while size < MOST_AT_ONCE:
            try:
                one = self._queue.get_nowait()
            except Empty:
                break
            found.append(one)
            size += len(one.events) if isinstance(one, _Asked) else 1
        for refused in (one for one in found if isinstance(one, _Refused)):
            with self._counting:
                hour = self._hour(refused.whose, refused.at)
                hour.refused, hour.refusal = hour.refused + 1, refused.why
        return [one for one in found if isinstance(one, _Asked)], None in found

    def _keep(self, batch: list[_Asked]) -> None:
        rows = [inbound_events.sealed_row(self.store.sealer, one) for asked in batch for one in asked.events]
        safe = True
        if rows and not (self.spool.empty and self._into_store(rows)):
            try:
                self.spool.put(rows)
                self.tally.spooled += len(rows)
            except SpoolFull:
                safe = False
        self.tally.taken += len(rows) if safe else 0
        self._tell(batch, safe=safe)
        if self._hours and time.monotonic() - self._told_at > COUNT_EVERY:
            self._count()

    def _into_store(self, rows: list[dict[str, Any]]) -> bool:
        """Whether all of them are in the database now, except those of sources that are there no more. Some may be even if not: taking them again
        changes nothing."""
        try:
            for whose, mine in _by_source(rows).items():
                self._one_source(whose, mine)
        except StoreError:
            return False
        return True

    def _one_source(self, whose: Whose, rows: list[dict[str, Any]]) -> None:
        try:
            with self.store.of(whose[0]).transaction() as tx:
                fresh = inbound_events.keep(tx, rows)
        except inbound_events.SourceGone:
            return
        self.tally.commits += 1
        with self._counting:
            hour = self._hour(whose, rows[-1]["received_at"])
            hour.arrived, hour.repeated = hour.arrived + fresh, hour.repeated + len(rows) - fresh

    def _hour(self, whose: Whose, at: datetime) -> _Hour:
        return self._hours.setdefault((whose, at.replace(minute=0, second=0, microsecond=0)), _Hour())

    def _count(self) -> None:
        """Write down what the hours have seen; what cannot be written now is tried again."""
        self._told_at = time.monotonic()
        with self._counting:
            hours, self._hours = self._hours, {}
        for (whose, at), hour in hours.items():
            try:
                with self.store.of(whose[0]).transaction() as tx:
                    if inbound_events.there(tx, whose[1]):
                        inbound_events.count(tx, whose[1], at, **vars(hour))
            except StoreError:
                with self._counting:
                    again = self._hours.setdefault((whose, at), hour)
                    if again is not hour:
                        again.arrived, again.repeated = again.arrived + hour.arrived, again.repeated + hour.repeated
                        again.refused, again.refusal = again.refused + hour.refused, again.refusal or hour.refusal

    def _tell(self, batch: list[_Asked], *, safe: bool) -> None:
        for loop in {asked.loop for asked in batch}:
            mine = [asked.safe for asked in batch if asked.loop is loop]
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._answer, mine, safe)

    def _answer(self, waiting: list[asyncio.Future[bool]], safe: bool) -> None:
        self._waiting -= len(waiting)
        for one in waiting:
            if not one.done():  # its request may have gone away
                one.set_result(safe)

    def _empty(self) -> None:
        while not self._stopping.wait(TRY_AGAIN):
            while not self._stopping.is_set() and not self.spool.empty and self._some_into_store():
                pass

    def _some_into_store(self) -> bool:
        """Whether some of what lies in the spool is in the database now."""
        rows = self.spool.first()
        if not all(self._into_store(rows[start : start + MOST_AT_ONCE]) for start in range(0, len(rows), MOST_AT_ONCE)):
            return False
        self.spool.done()
        return True


def _by_source(rows: list[dict[str, Any]]) -> dict[Whose, list[dict[str, Any]]]:
    found: dict[Whose, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["workspace_id"], row["source_id"]), []).append(row)
    return found


def open_intake(settings: Settings, store: Store) -> Intake:
    """The intake of this process, not yet started."""
    engine = open_engine(settings.effective_database_url, patience=PATIENCE)
    return Intake(Store(engine, store.sealer, store.clock), Spool(settings.data_dir / "inbound-spool"))

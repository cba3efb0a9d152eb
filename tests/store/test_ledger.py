import asyncio
import threading
from datetime import datetime, timedelta
from typing import NamedTuple

from beton.store.ledger import RequestLedger
from beton.store.records import Connection
from beton.store.store import Store
from tests.conftest import Clock


class Used(NamedTuple):
    requests: int
    read: int
    oldest: datetime | None


def test_what_one_process_sends_the_others_see(store: Store, connection: Connection, clock: Clock) -> None:
    one, other = (RequestLedger(store, connection.id, Used) for _ in range(2))
    start = clock.now - timedelta(seconds=1)

    async def story() -> list[Used]:
        await one.record("query", clock.now, requests=1)
        await one.record("query", clock.now - timedelta(seconds=0.5), read=1)
        await one.record("query", clock.now + timedelta(seconds=5), read=8_999_999_999)
        await other.record("list", clock.now, requests=1)
        later = clock.now + timedelta(seconds=5)
        return [await other.spent("query", start), await other.spent("list", start), await other.spent("query", later)]

    assert asyncio.run(story()) == [Used(1, 9_000_000_000, clock.now), Used(1, 0, clock.now), Used(0, 0, None)]


def test_entries_older_than_a_day_are_dropped(store: Store, connection: Connection, clock: Clock) -> None:
    ledger = RequestLedger(store, connection.id, Used)
    start = clock.now - timedelta(seconds=1)

    async def story() -> Used:
        await ledger.record("query", clock.now, requests=1)
        await ledger.record("query", clock.now + timedelta(days=1), requests=1)
        return await ledger.spent("query", start)

    assert asyncio.run(story()) == Used(1, 0, clock.now + timedelta(days=1))


def test_places_come_back_when_released_or_when_their_worker_died(store: Store, connection: Connection, clock: Clock) -> None:
    ledger = RequestLedger(store, connection.id, Used)
    until = clock.now + timedelta(minutes=6)

    async def story() -> list[bool]:
        taken = [await ledger.acquire("query", name, at=clock.now, until=until, limit=2) for name in ("a", "b", "c", "a")]
        elsewhere = await ledger.acquire("list", "c", at=clock.now, until=until, limit=1)
        await ledger.release("query", "a")
        freed = await ledger.acquire("query", "c", at=clock.now, until=until, limit=2)
        died = await ledger.acquire("query", "d", at=until, until=until + timedelta(minutes=6), limit=1)
        return [*taken, elsewhere, freed, died]

    assert asyncio.run(story()) == [True, True, False, True, True, True, True]


def test_more_places_than_allowed_are_never_taken_at_once(store: Store, connection: Connection, clock: Clock) -> None:
    outcomes: list[bool] = []
    together = threading.Barrier(6)

    def worker(name: str) -> None:
        ledger = RequestLedger(store, connection.id, Used)
        together.wait()
        outcomes.append(asyncio.run(ledger.acquire("query", name, at=clock.now, until=clock.now + timedelta(minutes=6), limit=2)))

    threads = [threading.Thread(target=worker, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes) == 2

"""The intake on both databases: what is acknowledged is there, whatever happens around it."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path

import pytest

from beton.errors import TooMany
from beton.store import connections, inbound, inbound_events
from beton.store.engines import open_engine
from beton.store.inbound_records import InboundSource, Taken
from beton.store.sealing import Sealer
from beton.store.store import Store
from beton.work import intake as room
from beton.work.intake import PATIENCE, Intake
from beton.work.mapping import DEFAULT
from beton.work.spool import Spool
from tests.conftest import Clock


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def store(database_url: str, clock: Clock) -> Generator[Store]:
    opened = Store(open_engine(database_url), Sealer({"k1": bytes(range(32))}), clock)
    yield opened
    opened.close()


@pytest.fixture
def source(store: Store) -> InboundSource:
    with store.transaction() as tx:
        connection = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")
        return inbound.add(tx, name="posthog", connection_id=connection.id, mapping=DEFAULT, secret=None, actor="ada")[0]


@pytest.fixture
def opened(store: Store, database_url: str, clock: Clock, tmp_path: Path) -> Generator[Callable[..., Intake]]:
    made: list[Intake] = []

    def make(*, start: bool = True) -> Intake:
        hasty = Store(open_engine(database_url, patience=PATIENCE), store.sealer, clock)
        made.append(Intake(hasty, Spool(tmp_path / "spool")))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def event(store: Store, source: InboundSource, number: int) -> Taken:
    return Taken(
        store.workspace_id, source.id, source.connection_id, f"e{number}", store.clock() + timedelta(microseconds=number), json.dumps({"n": number})
    )


def take(intake: Intake, *events: Taken) -> list[BaseException | None]:
    async def ask() -> list[BaseException | None]:
        return await asyncio.gather(*(intake.take([one]) for one in events), return_exceptions=True)

    return asyncio.run(ask())


def there(store: Store, source: InboundSource) -> list[str]:
    with store.reading() as tx:
        return [json.loads(one.body)["n"] for one in inbound_events.waiting(tx, source.id, 10_000)]


def test_what_is_acknowledged_is_in_the_database_in_order(store: Store, source: InboundSource, opened: Callable[..., Intake]):
    intake = opened()
    assert take(intake, *(event(store, source, number) for number in range(300))) == [None] * 300
    assert there(store, source) == list(range(300))
    assert intake.tally.commits < 100


def test_what_waits_when_it_is_stopped_is_kept_and_nothing_is_taken_afterwards(store: Store, source: InboundSource, opened: Callable[..., Intake]):
    intake = opened()

    async def ask() -> list[BaseException | None]:
        waiting = [asyncio.ensure_future(intake.take([event(store, source, number)])) for number in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(intake.stop)
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert asyncio.run(ask()) == [None] * 50
    assert len(there(store, source)) == 50
    (refused,) = take(intake, event(store, source, 99))
    assert isinstance(refused, TooMany)
    with store.reading() as tx:
        assert inbound_events.hours(tx, source.id, since=tx.now - timedelta(hours=1))[0].arrived == 50


def test_what_an_earlier_process_has_left_in_the_spool_is_taken_first(
    store: Store, source: InboundSource, opened: Callable[..., Intake], tmp_path: Path
):
    left = Spool(tmp_path / "spool")
    left.put([inbound_events.sealed_row(store.sealer, event(store, source, number)) for number in range(20)])
    left.close()
    intake = opened()
    while not intake.spool.empty:
        threading.Event().wait(0.02)
    assert there(store, source) == list(range(20))
    assert take(intake, event(store, source, 3), event(store, source, 20)) == [None, None]
    assert there(store, source) == list(range(21))


def test_events_of_a_source_that_was_removed_meanwhile_do_not_hold_up_those_of_others(
    store: Store, source: InboundSource, opened: Callable[..., Intake]
):
    with store.transaction() as tx:
        other, _ = inbound.add(tx, name="other", connection_id=source.connection_id, mapping=DEFAULT, secret=None, actor="ada")
    gone = event(store, other, 1)
    with store.transaction() as tx:
        inbound.remove(tx, other.id, actor="ada")
    assert take(opened(), gone, event(store, source, 2)) == [None, None]
    assert there(store, source) == [2]


def test_with_too_many_waiting_the_next_is_sent_away_at_once(
    store: Store, source: InboundSource, opened: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(room, "MOST_WAITING", 5)
    answers = take(opened(), *(event(store, source, number) for number in range(20)))
    refused = [one for one in answers if isinstance(one, TooMany)]
    assert len(refused) == 15
    assert len(there(store, source)) == 5

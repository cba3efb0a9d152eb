import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from beton.errors import PostHogError, PostHogUnreachable
from beton.settings import Settings
from beton.store import inbound, inbound_events
from beton.store.inbound_records import InboundHour, InboundSource, Looked
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.silence import EVERY, look_into_silence, stretches
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.work.test_arriving import connected, listening, send


@dataclass
class FakePolling:
    """So many events an hour, as PostHog counts them."""

    an_hour: float = 0.0
    before: float | None = None
    problem: PostHogError | None = None
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    async def __call__(self, connection: Connection, names: Sequence[str], start: datetime, end: datetime) -> int:
        assert list(names) == ["invited"]
        self.asked.append((start, end))
        if self.problem is not None:
            raise self.problem
        rate = self.an_hour if self.before is None or len(self.asked) % 2 else self.before
        return round(rate * ((end - start) / timedelta(hours=1)))


@pytest.fixture
def place(store: Store, clock: Clock, tmp_path: Path) -> Workplace:
    return Workplace(Settings(data_dir=tmp_path), store, clock)


@pytest.fixture
def source(store: Store) -> InboundSource:
    return listening(store, connected(store))


def busy(store: Store, source: InboundSource, clock: Clock, an_hour: int = 20, days: int = 3) -> None:
    """So many events each hour, the last one now."""
    clock.now = clock.now.replace(minute=0, second=0, microsecond=0) + timedelta(days=days)
    send(store, source, {"uuid": "last"})
    with store.transaction() as tx:
        for hour in range(1, 24 * days):
            inbound_events.count(tx, source.id, tx.now - timedelta(hours=hour), arrived=an_hour)
        inbound_events.settle(tx, [Looked(one.id, "ignored", name="invited") for one in inbound_events.waiting(tx, source.id, 9)])


def look(place: Workplace, polling: FakePolling) -> str | None:
    asyncio.run(look_into_silence(place, polling))
    with place.store.reading() as tx:
        return inbound.every(tx)[0].problem


def test_a_silence_in_which_posthog_has_seen_events_is_told(place: Workplace, store: Store, source: InboundSource, clock: Clock):
    busy(store, source, clock)
    polling = FakePolling(20)
    clock.advance(timedelta(minutes=29))
    assert look(place, polling) is None
    assert polling.asked == []
    clock.advance(timedelta(hours=1))
    told = look(place, polling)
    assert told is not None
    assert "disabled" in told
    with store.reading() as tx:
        assert inbound.get(tx, source.id).problem_since == clock.now


def test_a_silence_in_which_posthog_has_seen_nothing_either_is_quiet(place: Workplace, store: Store, source: InboundSource, clock: Clock):
    busy(store, source, clock)
    clock.advance(timedelta(hours=5))
    polling = FakePolling(0)
    assert look(place, polling) is None
    assert len(polling.asked) == 1
    look(place, polling)
    assert len(polling.asked) == 1
    clock.advance(EVERY)
    look(place, polling)
    assert len(polling.asked) == 2


def test_a_silence_that_is_usual_asks_nobody(place: Workplace, store: Store, source: InboundSource, clock: Clock):
    busy(store, source, clock, an_hour=1)
    clock.advance(timedelta(minutes=90))
    polling = FakePolling(20)
    assert look(place, polling) is None
    assert polling.asked == []


def test_what_the_destination_filters_out_is_not_missed(place: Workplace, store: Store, source: InboundSource, clock: Clock):
    """PostHog has seen a thousand times as many events of that name as ever came: most are not to be sent."""
    busy(store, source, clock)
    clock.advance(timedelta(hours=2))
    assert look(place, FakePolling(100, before=20_000)) is None


def test_without_an_answer_of_posthog_only_the_most_unusual_silence_is_told(place: Workplace, store: Store, source: InboundSource, clock: Clock):
    busy(store, source, clock)
    away = FakePolling(problem=PostHogUnreachable("away"))
    clock.advance(timedelta(minutes=31))
    assert look(place, away) is None
    clock.advance(timedelta(hours=6))
    told = look(place, away)
    assert told is not None
    assert "cannot be asked" in told


def test_it_is_over_when_something_comes(place: Workplace, store: Store, source: InboundSource, clock: Clock):
    busy(store, source, clock)
    clock.advance(timedelta(hours=3))
    assert look(place, FakePolling(20)) is not None
    send(store, source, {"uuid": "again"})
    assert look(place, FakePolling(20)) is None


def test_a_source_that_never_heard_anything_says_so_after_a_day(place: Workplace, store: Store, source: InboundSource, clock: Clock):
    clock.advance(timedelta(hours=23))
    assert look(place, FakePolling(20)) is None
    clock.advance(timedelta(hours=2))
    told = look(place, FakePolling(20))
    assert told is not None
    assert "test event" in told


def test_stretches_before_a_silence_share_hours_out_by_time():
    since = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    hours = [InboundHour(hour=since - timedelta(hours=back), arrived=60, repeated=0, refused=0, refusal=None) for back in range(4, 0, -1)]
    assert stretches(hours, since, since + timedelta(minutes=30))[:8] == [30] * 8
    assert stretches(hours, since, since + timedelta(hours=2))[:2] == [120, 120]
    assert stretches([], since, since + timedelta(hours=2)) == [0]
    assert sum(stretches(hours, since, since + timedelta(days=9))) == 240

"""Our share of PostHog's budgets, on simulated time."""

import asyncio
from collections import deque
from datetime import datetime, timedelta

import pytest

from beton.errors import PostHogBusy
from beton.posthog.codes import Asked
from beton.posthog.ledger import MemoryLedger
from beton.posthog.limits import Limits
from tests.posthog.fake_posthog import SimulatedTime

ASKED = Asked("https://us.posthog.com", "7", "projects/7/query/")


def cloud(time: SimulatedTime, share: float = 0.5) -> Limits:
    return Limits.for_cloud(share, clock=time, sleep=time.sleep)


def patient(limits: Limits) -> Limits:
    """As it would be with a caller who comes back again and again."""
    limits.patience = 1e9
    return limits


async def send(limits: Limits, count: int, time: SimulatedTime, seconds: float = 0.0) -> list[datetime]:
    """Send one request after the other; the instants at which they went."""
    sent: list[datetime] = []
    for _ in range(count):
        async with limits.turn(ASKED):
            sent.append(time())
            if seconds:
                await time.sleep(seconds)
    return sent


def most_within(sent: list[datetime], window: timedelta) -> int:
    return max(sum(1 for other in sent if instant - window < other <= instant) for instant in sent)


def test_no_minute_and_no_hour_holds_more_than_our_share(time: SimulatedTime) -> None:
    sent = asyncio.run(send(patient(cloud(time)), 1500, time))
    assert most_within(sent, timedelta(minutes=1)) <= 120
    assert most_within(sent, timedelta(hours=1)) == 1200
    assert sent[-1] - sent[0] >= timedelta(hours=1)


def test_a_self_hosted_posthog_gets_its_own_numbers(time: SimulatedTime) -> None:
    sent = asyncio.run(send(patient(Limits.for_self_hosted(0.5, clock=time, sleep=time.sleep)), 70, time))
    assert most_within(sent, timedelta(hours=1)) == 60


@pytest.mark.parametrize(("share", "places"), [(0.1, 1), (0.5, 1), (0.66, 1), (0.67, 2), (1.0, 3)])
def test_places_are_rounded_down_so_that_the_share_is_a_promise(time: SimulatedTime, share: float, places: int) -> None:
    assert cloud(time, share).at_once() == places


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01])
def test_a_share_is_a_part(time: SimulatedTime, share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        cloud(time, share)


def running_at_once(time: SimulatedTime, limits: list[Limits], tasks: int) -> int:
    running, most = 0, 0

    async def one(mine: Limits) -> None:
        nonlocal running, most
        async with mine.turn(ASKED):
            running += 1
            most = max(most, running)
            for _ in range(5):
                await asyncio.sleep(0)
            running -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(one(limits[i % len(limits)]) for i in range(tasks)))

    asyncio.run(all_of_them())
    return most


def test_places_are_never_overbooked(time: SimulatedTime) -> None:
    assert running_at_once(time, [cloud(time, 1.0)], 12) == 3
    assert running_at_once(time, [cloud(time, 0.5)], 6) == 1


def test_two_workers_with_one_book_share_its_places_and_windows(time: SimulatedTime) -> None:
    book = MemoryLedger()
    workers = [Limits.for_cloud(0.67, clock=time, ledger=book, sleep=time.sleep) for _ in range(2)]
    assert running_at_once(time, workers, 10) == 2
    sent: list[datetime] = []

    async def both() -> None:
        for i in range(200):
            sent.extend(await send(workers[i % 2], 1, time))

    asyncio.run(both())
    assert most_within(sent, timedelta(minutes=1)) <= 160


def test_a_dead_workers_place_comes_back(time: SimulatedTime) -> None:
    book = MemoryLedger()
    asyncio.run(book.acquire("query", "dead", at=time(), until=time() + timedelta(seconds=360), limit=1))
    began = time()
    sent = asyncio.run(send(Limits.for_cloud(0.5, clock=time, ledger=book, sleep=time.sleep), 1, time))
    assert timedelta(seconds=360) <= sent[0] - began <= timedelta(seconds=362)


def test_a_failing_request_gives_its_place_back(time: SimulatedTime) -> None:
    limits = cloud(time)

    async def fail() -> None:
        async with limits.turn(ASKED):
            raise KeyError("inside")

    for _ in range(3):
        with pytest.raises(KeyError):
            asyncio.run(fail())
    assert time.slept == []


def test_a_turn_that_would_take_too_long_is_refused_with_its_reason(time: SimulatedTime) -> None:
    limits = cloud(time)
    limits.refused("query", 3600)
    with pytest.raises(PostHogBusy) as refusal:
        asyncio.run(send(limits, 1, time))
    assert refusal.value.code == "posthog.share_used"
    assert refusal.value.retry_after == 3600
    assert time.slept == []


def test_a_refused_turn_says_when_the_window_has_room_again(time: SimulatedTime) -> None:
    limits = Limits.for_self_hosted(0.5, clock=time, sleep=time.sleep)

    async def story() -> None:
        await send(limits, 60, time, seconds=10)
        await send(limits, 1, time)

    with pytest.raises(PostHogBusy, match="60 requests were sent within the hour") as refusal:
        asyncio.run(story())
    assert refusal.value.retry_after == 3600 - 600


def test_a_refusal_halves_the_share_and_it_grows_back_slowly(time: SimulatedTime) -> None:
    limits = cloud(time, 1.0)
    limits.refused("query", None)
    limits.refused("query", None)  # the same event: two requests were under way
    assert asyncio.run(limits.describe()).effective_share == 0.5
    time.now += timedelta(minutes=5)
    assert asyncio.run(limits.describe()).effective_share == pytest.approx(0.75)
    limits.refused("query", None)
    assert asyncio.run(limits.describe()).effective_share == pytest.approx(0.375)
    time.now += timedelta(minutes=60)
    assert asyncio.run(limits.describe()).effective_share == 1.0
    for _ in range(20):
        time.now += timedelta(seconds=6)
        limits.refused("query", None)
    assert asyncio.run(limits.describe()).effective_share >= 1 / 16


def test_lists_and_queries_do_not_draw_on_each_other(time: SimulatedTime) -> None:
    limits = cloud(time)
    limits.refused("query", 60)

    async def one() -> None:
        async with limits.turn(ASKED, "list"):
            pass

    asyncio.run(one())
    assert time.slept == []


def told(read: int, left: int) -> dict[str, str]:
    return {"x-posthog-query-bytes-read": str(read), "x-posthog-query-budget-remaining-bytes": str(left)}


def test_reading_stops_while_the_last_tenth_of_the_bytes_is_left(time: SimulatedTime) -> None:
    limits = cloud(time, 1.0)

    async def story() -> float:
        await limits.learn("query", told(10, 480_000_000_000))
        await limits.learn("query", told(10, 47_000_000_000))
        began = time()
        await send(limits, 1, time)
        return (time() - began).total_seconds()

    # A tenth is 48 GB and the bucket refills in a day: the missing 1 GB takes 180 s.
    assert asyncio.run(story()) == pytest.approx(180, rel=0.01)


def test_our_own_reading_stays_within_our_share_of_the_bytes(time: SimulatedTime) -> None:
    limits = cloud(time, 0.25)

    async def story() -> None:
        await limits.learn("query", told(30_000_000_000, 100_000_000_000))
        await send(limits, 1, time)

    with pytest.raises(PostHogBusy, match="bytes is used up for today"):
        asyncio.run(story())


def test_headers_that_are_no_numbers_teach_nothing(time: SimulatedTime) -> None:
    limits = cloud(time)
    assert asyncio.run(limits.learn("query", {"x-posthog-query-bytes-read": "many"})) is None
    assert asyncio.run(limits.describe()).bytes_left is None
    assert asyncio.run(limits.learn("query", told(5, -20))) == 5


def test_the_standing_reads_as_a_sentence(time: SimulatedTime) -> None:
    limits = cloud(time)

    async def story() -> tuple[str, str]:
        await send(limits, 7, time)
        before = str(await limits.describe())
        await limits.learn("query", told(10, 12_000_000_000))
        limits.refused("query", 30)
        return before, str(await limits.describe())

    before, after = asyncio.run(story())
    assert before == "7 of 120 queries this minute, 7 of 1,200 this hour, 1 at a time, reading budget not known yet. Beton's share is 50%."
    assert after == (
        "7 of 60 queries this minute, 7 of 600 this hour, 1 at a time, 12.0 GB left of PostHog's reading budget. "
        "Beton's share is 50%, for now 25.0% because PostHog refused requests; waiting 30 s."
    )


def test_the_book_forgets_what_is_older_than_a_day(time: SimulatedTime) -> None:
    book = MemoryLedger()

    async def story() -> int:
        for _ in range(10 * 24):
            await book.record("query", time(), requests=1)
            time.now += timedelta(hours=1)
        return (await book.spent("query", time() - timedelta(days=10))).requests

    assert asyncio.run(story()) <= 2 * 24 + 1


class SharedBudget:
    """PostHog's real windows, of which other tools of the customer take `others` requests each minute."""

    def __init__(self, others: int) -> None:
        self.others = others
        self.refusals = 0
        self.hour: deque[datetime] = deque()
        self.minute: deque[datetime] = deque()

    def takes(self, now: datetime) -> bool:
        """One request of ours: refused when a window is full."""
        for window, length in ((self.hour, timedelta(hours=1)), (self.minute, timedelta(minutes=1))):
            while window and window[0] <= now - length:
                window.popleft()
        if len(self.hour) + 60 * self.others >= 2400 or len(self.minute) + self.others >= 240:
            self.refusals += 1
            return False
        self.hour.append(now)
        self.minute.append(now)
        return True


def a_day(time: SimulatedTime, share: float, others: int, hours: int = 24) -> tuple[SharedBudget, int]:
    """Beton as hungry as it can be, next to others."""
    budget, limits = SharedBudget(others), patient(cloud(time, share))
    end = time() + timedelta(hours=hours)
    answered = 0

    async def day() -> None:
        nonlocal answered
        while time() < end:
            async with limits.turn(ASKED):
                await time.sleep(2.0)
                if budget.takes(time()):
                    answered += 1
                else:
                    limits.refused("query", None)

    asyncio.run(day())
    return budget, answered


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_day_alone_causes_no_refusal(share: float) -> None:
    budget, answered = a_day(SimulatedTime(), share, others=0)
    assert budget.refusals == 0
    assert answered >= 24 * min(2400 * share, 1800) * 0.95  # at two seconds for each, 1,800 is all that an hour holds


def test_next_to_a_neighbour_who_takes_half_our_half_fits() -> None:
    budget, answered = a_day(SimulatedTime(), 0.5, others=20)
    assert budget.refusals == 0 or budget.refusals / answered < 0.01
    assert answered >= 24 * 1200 * 0.8


def test_next_to_a_neighbour_who_takes_most_we_make_room() -> None:
    budget, answered = a_day(SimulatedTime(), 0.5, others=32)  # leaves 480 of 2,400 an hour
    assert answered >= 24 * 480 * 0.5
    assert budget.refusals / (answered + budget.refusals) < 0.1

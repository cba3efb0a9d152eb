"""Every due delivery is attempted once, written down, and never waits for somebody else's receiver."""

import asyncio
import random
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

import httpx
import pytest

from beton.demo.receiver import Receiver
from beton.errors import StoreError
from beton.routing import webhook
from beton.routing.channels import CHANNELS
from beton.routing.deliver import FAILURES, LEASE, WIDEST, deliver_due
from beton.routing.destinations import WebhookSettings
from beton.routing.outcomes import Outcome
from beton.routing.schedule import GAPS
from beton.routing.webhook import Patience, open_client
from beton.signals import DeliveryStatus
from tests.routing.fakes import SECRET, Clock, FakeOutbox, Killed, a_signal
from tests.routing.servers import answer, request_read, serving, silence

QUICK = Patience(connect=0.4, status=0.4, head=0.1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outbox(clock):
    return FakeOutbox(clock)


@pytest.fixture
def receiver(clock):
    with Receiver(SECRET, clock=clock) as listening:
        yield listening


def run(outbox, client_factory=open_client, limit=500, patience=QUICK, sleep=asyncio.sleep):
    if outbox.channel.send_many is None:
        outbox.channel = replace(outbox.channel, send=partial(webhook.send, patience=patience))
    return asyncio.run(deliver_due(outbox, client_factory, clock=outbox.clock, rng=random.Random(7), limit=limit, sleep=sleep))


def signals(count):
    return [a_signal(number) for number in range(count)]


def test_what_is_due_arrives_once_verified_and_is_written_down(outbox, receiver):
    outbox.add_route("rte_1", receiver.url, signals(20))

    report = run(outbox)

    assert (report.delivered, report.attempts, report.failed, report.dead) == (20, 20, 0, 0)
    assert sorted(message.content["signal_id"] for message in receiver.received) == sorted(f"sig_{number}" for number in range(20))
    assert (receiver.verified_signatures, receiver.duplicates, receiver.rejected) == (40, 0, 0)
    assert {one.status for one in outbox.of("rte_1")} == {DeliveryStatus.DELIVERED}
    assert all(attempt.status_code == 200 and attempt.latency_ms == 0 for _, attempt in outbox.attempts)
    assert run(outbox).attempts == 0


def test_one_signal_goes_along_all_its_routes_and_each_fails_for_itself(outbox, clock):
    with Receiver(SECRET, clock=clock) as good, Receiver(SECRET, clock=clock, statuses=[500]) as failing, serving(answer(410)) as gone:
        for number, url in enumerate([good.url, failing.url, gone, good.url, good.url]):
            outbox.add_route(f"rte_{number}", url, [a_signal()])

        report = run(outbox)

    assert (report.delivered, report.failed, report.dead) == (3, 1, 1)
    assert report.disabled == ["rte_2"]
    assert len(good.received) == 3, "the same signal along three routes is three messages with three ids"


def test_a_failed_delivery_follows_the_schedule_until_it_is_dead(outbox, clock, receiver):
    receiver.fail_with(*[500] * 12)
    outbox.add_route("rte_1", receiver.url, signals(1))
    waits = []

    for _ in range(10):
        before = clock()
        assert run(outbox).attempts == 1
        due = outbox.of("rte_1")[0].next_attempt_at
        if due is not None:
            waits.append((due - before).total_seconds())
            clock.now = due - timedelta(milliseconds=1)
            assert run(outbox).attempts == 0, "nothing is sent early"
            clock.now = due

    assert all(0.9 <= wait / gap <= 1.1 for wait, gap in zip(waits, GAPS[1:], strict=True))
    dead = outbox.of("rte_1")[0]
    assert (dead.status, dead.attempts, dead.next_attempt_at) == (DeliveryStatus.DEAD, 10, None)
    assert "answered 500" in dead.last_error
    clock.advance(days=30)
    assert run(outbox).attempts == 0


def test_a_retry_carries_the_same_id_and_the_same_bytes(outbox, clock):
    seen = []

    def script(connection):
        seen.append(request_read(connection))
        status = b"503 Busy" if len(seen) < 3 else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with serving(script) as url:
        outbox.add_route("rte_1", url, signals(1))
        for _ in range(3):
            run(outbox)
            clock.advance(hours=1)

    assert outbox.of("rte_1")[0].status is DeliveryStatus.DELIVERED
    assert len({request.partition(b"\r\n\r\n")[2] for request in seen}) == 1
    assert len({line for request in seen for line in request.split(b"\r\n") if line.lower().startswith(b"webhook-id")}) == 1
    assert len({line for request in seen for line in request.split(b"\r\n") if line.lower().startswith(b"webhook-timestamp")}) == 3


def test_killed_between_sending_and_writing_down_the_message_comes_again_and_counts_once(outbox, clock, receiver):
    outbox.add_route("rte_1", receiver.url, signals(3))
    outbox.die_before_settling = 1

    with pytest.raises(Killed):
        run(outbox)
    assert (len(receiver.received), receiver.duplicates) == (1, 0), "it arrived, and nobody wrote it down"
    assert {one.status for one in outbox.of("rte_1")} == {DeliveryStatus.PENDING}

    assert run(outbox).delivered == 2, "what the dead worker holds is left to it until its lease is over"
    clock.now += LEASE
    assert run(outbox).delivered == 1

    assert (len(receiver.received), receiver.duplicates) == (3, 1)
    assert {one.status for one in outbox.of("rte_1")} == {DeliveryStatus.DELIVERED}


def test_after_any_number_of_kills_nothing_is_lost_and_repetitions_are_no_more_than_kills(outbox, clock, receiver):
    """The lane is killed at settling, at random; whatever was in flight beside it ends as it would."""
    outbox.add_route("rte_1", receiver.url, signals(40))
    rng, kills = random.Random(11), 0

    while any(one.status is not DeliveryStatus.DELIVERED for one in outbox.of("rte_1")):
        outbox.die_before_settling = 1 if kills < 25 and rng.random() < 0.8 else 0
        kills += outbox.die_before_settling
        try:
            run(outbox, limit=3)
        except Killed:
            clock.now += LEASE
        outbox.die_before_settling = 0
        assert kills < 100

    assert len(receiver.received) == 40
    assert 0 < receiver.duplicates <= kills


def test_a_worker_that_lost_its_lease_writes_nothing(outbox, clock, receiver):
    outbox.add_route("rte_1", receiver.url, signals(1))

    class Overtaken(FakeOutbox):
        def settle(self, claim, outcome):
            clock.now += LEASE
            self.claim(claim.delivery.route_id, 1)  # another worker
            super().settle(claim, outcome)

    overtaken = Overtaken(clock, outbox.destinations, outbox.deliveries, outbox.signals)
    report = run(overtaken)

    assert (report.lost, report.delivered, overtaken.attempts) == (1, 0, [])


def test_a_410_switches_the_route_off_at_once(outbox, clock):
    with serving(answer(410)) as url:
        outbox.add_route("rte_1", url, signals(5))
        report = run(outbox)
        clock.advance(days=1)
        again = run(outbox)

    assert report.disabled == ["rte_1"]
    assert "410" in outbox.disabled["rte_1"]
    assert (report.attempts, report.dead, again.attempts) == (1, 1, 0)
    assert sorted(one.status for one in outbox.of("rte_1")) == ["dead", "pending", "pending", "pending", "pending"]


def test_a_wish_for_patience_ends_the_lane_and_is_respected(outbox, clock):
    with serving(answer(429, "Retry-After: 600")) as url:
        outbox.add_route("rte_1", url, signals(5))
        report = run(outbox)

    assert report.attempts == 1
    failed = next(one for one in outbox.of("rte_1") if one.attempts)
    assert failed.next_attempt_at >= clock() + timedelta(minutes=10)


def test_a_silent_receiver_costs_one_attempt_per_call(outbox):
    with serving(silence) as url:
        outbox.add_route("rte_1", url, signals(50))
        assert run(outbox).attempts == 1


def test_a_receiver_that_fails_all_the_time_is_left_alone_after_a_few(outbox):
    with serving(answer(502)) as url:
        outbox.add_route("rte_1", url, signals(50))
        assert run(outbox).attempts == FAILURES


def test_a_message_that_a_receiver_stumbles_over_does_not_stop_the_others(outbox, clock):
    def script(connection):
        poison = b'"signal_id":"sig_3"' in request_read(connection)
        connection.sendall(b"HTTP/1.1 " + (b"500 No" if poison else b"200 OK") + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with serving(script) as url:
        outbox.add_route("rte_1", url, signals(30))
        report = run(outbox)

    assert (report.delivered, report.failed) == (29, 1)


def test_dead_and_slow_receivers_delay_nobody_else(outbox, receiver):
    """Ten that hang and ten that are dead, all due before the good one."""
    with serving(silence) as hanging:
        for number in range(10):
            outbox.add_route(f"rte_a{number}", hanging, signals(20))
            outbox.add_route(f"rte_b{number}", "http://127.0.0.1:9/", signals(20))
        outbox.add_route("rte_z", receiver.url, signals(20))
        settled = {}

        class Watching(FakeOutbox):
            def settle(self, claim, outcome):
                settled.setdefault(claim.delivery.route_id, []).append(time.monotonic() - began)
                super().settle(claim, outcome)

        watching = Watching(outbox.clock, outbox.destinations, outbox.deliveries, outbox.signals)
        began = time.monotonic()
        report = run(watching, patience=Patience(connect=2.5, status=2.5, head=0.1))

    assert report.by_route["rte_z"] == 20
    assert max(settled["rte_z"]) < min(min(times) for route, times in settled.items() if route.startswith("rte_a"))


@pytest.mark.parametrize(("milliseconds", "expected"), [(5, 1), (500, WIDEST)])
def test_a_slow_receiver_gets_several_at_a_time_and_a_prompt_one_each_for_itself(outbox, clock, milliseconds, expected):
    under_way, most = 0, 0

    async def handle(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        clock.advance(milliseconds=milliseconds)
        await asyncio.sleep(0.002)
        under_way -= 1
        return httpx.Response(200)

    outbox.add_route("rte_1", "http://127.0.0.1:9/", signals(60))
    report = run(outbox, lambda: httpx.AsyncClient(transport=httpx.MockTransport(handle)))

    assert (report.delivered, most) == (60, expected)


def test_the_limit_is_per_route(outbox, receiver):
    outbox.add_route("rte_1", receiver.url, signals(10))
    outbox.add_route("rte_2", receiver.url, signals(10))

    assert run(outbox, limit=4).by_route == {"rte_1": 4, "rte_2": 4}


def test_nothing_is_sent_about_an_erased_unit(outbox, receiver):
    outbox.add_route("rte_1", receiver.url, [a_signal(unit_id=None)])

    report = run(outbox)

    assert (report.attempts, report.dead, receiver.received) == (0, 1, [])
    assert "erased" in outbox.of("rte_1")[0].last_error


def test_when_the_store_fails_what_is_under_way_elsewhere_is_still_written_down(outbox, receiver):
    outbox.add_route("rte_1", receiver.url, signals(3))
    outbox.add_route("rte_2", receiver.url, signals(3))

    class Ailing(FakeOutbox):
        def settle(self, claim, outcome):
            if claim.delivery.route_id == "rte_1":
                raise StoreError("disk full")
            super().settle(claim, outcome)

    ailing = Ailing(outbox.clock, outbox.destinations, outbox.deliveries, outbox.signals)
    with pytest.raises(StoreError):
        run(ailing)

    assert {one.status for one in ailing.of("rte_2")} == {DeliveryStatus.DELIVERED}
    assert {one.status for one in ailing.of("rte_1")} == {DeliveryStatus.PENDING}


class Uncertain:
    """A channel whose answers are told beforehand; `asked` are the messages of each request."""

    def __init__(self, *kinds, batch=1, **more):
        self.kinds, self.asked, self.more = list(kinds), [], more
        self.batch = batch

    def channel(self):
        one = replace(CHANNELS["slack"], send=self.send, per_second=None)
        return one if self.batch == 1 else replace(one, send_many=self.send_many)

    async def send_many(self, destination, messages, *, client, clock, resolve):
        self.asked.append([one.message_id for one in messages])
        return [Outcome(self.kinds.pop(0) if self.kinds else "delivered", 1, **self.more) for _ in messages]

    async def send(self, destination, message, *, client, clock, resolve):
        return (await self.send_many(destination, [message], client=client, clock=clock, resolve=resolve))[0]


class Several(WebhookSettings):
    """A destination that takes three messages at once."""

    @property
    def batch(self):
        return 3


def send_all(outbox, receiver, **more):
    outbox.channel = receiver.channel()
    return asyncio.run(deliver_due(outbox, clock=outbox.clock, rng=random.Random(7), **more))


def test_a_lost_answer_leaves_a_message_in_doubt_and_it_is_not_sent_again(outbox, clock):
    receiver = Uncertain("delivered", "in_doubt", "delivered")
    outbox.add_route("rte_1", "http://127.0.0.1:9/", signals(3))

    report = send_all(outbox, receiver)
    clock.advance(days=3)
    again = send_all(outbox, receiver)

    assert (report.delivered + again.delivered, report.in_doubt, again.in_doubt) == (2, 1, 0)
    assert len(receiver.asked) == 3
    assert sorted(one.status for one in outbox.of("rte_1")) == ["delivered", "delivered", "in_doubt"]


def test_several_messages_go_in_one_request_and_each_is_written_down(outbox):
    receiver = Uncertain("delivered", "refused", "delivered", batch=3)
    outbox.add_route("rte_1", "http://127.0.0.1:9/", [*signals(6), a_signal(99, unit_id=None)])
    outbox.destinations["rte_1"] = Several(url="http://127.0.0.1:9/", secret=SECRET)

    report = send_all(outbox, receiver)

    assert [len(one) for one in receiver.asked] == [3, 3]
    assert (report.delivered, report.failed, report.dead, report.by_route["rte_1"]) == (5, 1, 1, 6)


def test_a_lane_waits_for_its_slot_and_gives_back_what_it_did_not_send(outbox):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    outbox.wait = timedelta(seconds=0.5)
    outbox.add_route("rte_1", "http://127.0.0.1:9/", signals(5))
    receiver = Uncertain()

    with pytest.raises(asyncio.CancelledError):
        send_all(outbox, receiver, sleep=sleep)

    assert (slept, len(receiver.asked)) == ([0.5, 0.5, 0.5], 2)
    assert len(outbox.claim("rte_1", 9)) == 3, "at once, not when a lease is over"


def test_a_wish_for_patience_counts_for_the_whole_route(outbox, clock):
    with serving(answer(503, "Retry-After: 600")) as url:
        outbox.add_route("rte_1", url, signals(5))
        run(outbox)
        clock.advance(minutes=9)
        assert run(outbox).attempts == 0
        clock.advance(minutes=1)
        assert run(outbox).attempts == 1


def test_attempts_of_an_earlier_round_do_not_count(outbox, clock, receiver):
    receiver.fail_with(500)
    outbox.add_route("rte_1", receiver.url, signals(1))
    (key,) = outbox.deliveries
    outbox.deliveries[key] = outbox.deliveries[key].model_copy(update={"attempts": 10, "attempts_before": 10})

    assert (run(outbox).failed, outbox.of("rte_1")[0].next_attempt_at is not None) == (1, True)

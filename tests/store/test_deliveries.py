import threading
from datetime import timedelta

import pytest

from beton.errors import Conflict
from beton.lifecycle import Action
from beton.signals import AttemptOutcome, Claim, DeliveryStatus
from beton.store import deliveries, hypotheses, routes, signals
from beton.store.records import Connection, Hypothesis, Route
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import a_webhook, approved, decide, finding

LEASE = timedelta(minutes=1)
DELIVERED = AttemptOutcome(status=DeliveryStatus.DELIVERED, status_code=204, latency_ms=12)


@pytest.fixture
def hypothesis(store: Store, connection: Connection, route: Route, clock: Clock) -> Hypothesis:
    """Approved, with thirty deliveries due."""
    live = approved(store, connection)
    with store.transaction() as tx:
        signals.record(tx, live.id, 1, [finding(f"p{number}", clock.now) for number in range(30)])
    return live


def claim(store: Store, limit: int = 100) -> list[Claim]:
    with store.transaction() as tx:
        return deliveries.claim(tx, limit=limit, lease=LEASE)


def settle(store: Store, claimed: Claim, outcome: AttemptOutcome) -> DeliveryStatus:
    with store.transaction() as tx:
        return deliveries.settle(tx, claimed.delivery.id, claimed.lease, outcome).status


def test_no_delivery_is_claimed_by_two_workers(store: Store, hypothesis: Hypothesis) -> None:
    claimed: list[str] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        while mine := claim(store, limit=4):
            claimed.extend(one.delivery.id for one in mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 30


def test_a_dead_worker_s_delivery_is_claimed_again_with_the_same_message_id(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    first = claim(store, limit=1)[0]
    clock.advance(LEASE)
    second = next(one for one in claim(store) if one.delivery.id == first.delivery.id)
    assert second.delivery.message_id == first.delivery.message_id
    with pytest.raises(Conflict) as refused:
        settle(store, first, DELIVERED)
    assert refused.value.code == "conflict.lease_lost"
    assert settle(store, second, DELIVERED) is DeliveryStatus.DELIVERED


def test_a_failure_waits_for_its_next_attempt(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    one = claim(store, limit=1)[0]
    later = clock.now + timedelta(minutes=5)
    settle(store, one, AttemptOutcome(status=DeliveryStatus.FAILED, status_code=503, error="Bearer abcdefghijkl", next_attempt_at=later))
    assert one.delivery.id not in {other.delivery.id for other in claim(store)}
    clock.advance(timedelta(minutes=5))
    again = next(other for other in claim(store) if other.delivery.id == one.delivery.id)
    assert (again.delivery.attempts, again.delivery.last_error) == (1, "Bearer …")


def test_the_log_keeps_the_head_of_every_answer(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    one = claim(store, limit=1)[0]
    settle(store, one, AttemptOutcome(status=DeliveryStatus.DEAD, status_code=410, latency_ms=8, response_head="x" * 9000))
    with store.reading() as tx:
        (attempt,) = deliveries.attempts(tx, one.delivery.id)
    assert (attempt.at, attempt.status, attempt.status_code) == (clock.now, "dead", 410)
    assert len(attempt.response_head or "") == deliveries.RESPONSE_HEAD


def test_what_was_given_up_can_be_sent_again_by_a_person(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    one = claim(store)[0]
    settle(store, one, AttemptOutcome(status=DeliveryStatus.DEAD))
    with store.transaction() as tx:
        revived = deliveries.retry(tx, one.delivery.id, actor="ada")
    assert (revived.status, revived.next_attempt_at, revived.message_id) == (DeliveryStatus.PENDING, clock.now, one.delivery.message_id)
    assert [other.delivery.id for other in claim(store)] == [one.delivery.id]
    with pytest.raises(Conflict), store.transaction() as tx:
        deliveries.retry(tx, one.delivery.id, actor="ada")


def test_a_paused_hypothesis_sends_nothing_until_it_is_resumed(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    under_way = claim(store, limit=1)[0]
    paused = decide(store, hypothesis, Action.PAUSE)
    assert claim(store) == []
    later = clock.now + timedelta(minutes=1)
    outcome = AttemptOutcome(status=DeliveryStatus.FAILED, status_code=500, next_attempt_at=later)
    assert settle(store, under_way, outcome) is DeliveryStatus.PAUSED
    clock.advance(timedelta(hours=1))
    assert claim(store) == []
    with store.reading() as tx:
        current = hypotheses.get(tx, paused.id)
    decide(store, current, Action.RESUME)
    assert len(claim(store)) == 30


def test_what_waits_is_given_up_when_its_hypothesis_is_retired_or_revised(store: Store, hypothesis: Hypothesis) -> None:
    under_way = claim(store, limit=1)[0]
    decide(store, hypothesis, Action.RETIRE)
    assert claim(store) == []
    failed = AttemptOutcome(status=DeliveryStatus.FAILED, next_attempt_at=under_way.leased_until)
    assert settle(store, under_way, failed) is DeliveryStatus.DEAD
    with store.reading() as tx:
        dead = deliveries.listing(tx, status=DeliveryStatus.DEAD, limit=100).data
        current = hypotheses.get(tx, hypothesis.id)
    assert len(dead) == 30
    assert any(delivery.last_error == "The hypothesis was retired before this was sent." for delivery in dead)
    decide(store, decide(store, current, Action.REOPEN), Action.APPROVE, clears=True)
    assert claim(store) == [], "what a retired hypothesis had to say is old by now"


def test_routes_are_served_the_longest_waiting_first(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    clock.advance(timedelta(seconds=1))
    with store.transaction() as tx:
        chat = routes.add(tx, name="chat", destination=a_webhook(url="https://chat.example/1", secret="whsec_x"), actor="ada")
        signals.record(tx, hypothesis.id, 1, [finding("late", clock.now)])
        assert deliveries.due_routes(tx) == [route.id, chat.id]
        assert len(deliveries.claim(tx, limit=99, lease=LEASE, route_id=chat.id)) == 1
        assert deliveries.due_routes(tx) == [route.id]
        off = routes.switch(tx, route.id, enabled=False, actor="beton", problem="The receiver answered 410.")
        assert (off.problem, deliveries.due_routes(tx)) == ("The receiver answered 410.", [])


def test_deliveries_wait_while_their_route_is_off(store: Store, hypothesis: Hypothesis, route: Route) -> None:
    with store.transaction() as tx:
        routes.switch(tx, route.id, enabled=False, actor="ada")
    assert claim(store) == []
    with store.transaction() as tx:
        routes.switch(tx, route.id, enabled=True, actor="ada")
    assert len(claim(store)) == 30


def test_overdue_leases_may_be_put_in_doubt_instead_of_sent_twice(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    claim(store, limit=3)
    clock.advance(LEASE)
    with store.transaction() as tx:
        assert deliveries.doubt_overdue(tx, route.id) == 3
        assert len(deliveries.listing(tx, status=DeliveryStatus.IN_DOUBT).data) == 3
    assert len(claim(store)) == 27

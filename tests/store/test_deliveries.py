import threading
from datetime import timedelta

import pytest

from beton.errors import Conflict
from beton.lifecycle import Action
from beton.signals import AttemptOutcome, Claim, DeliveryStatus
from beton.store import audit, deliveries, hypotheses, routes, signals
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


def failed(clock: Clock, **by: float) -> AttemptOutcome:
    return AttemptOutcome(status=DeliveryStatus.FAILED, status_code=503, error="busy", next_attempt_at=clock.now + timedelta(**by))


def test_what_was_never_tried_goes_before_what_is_tried_again(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    for one in claim(store, limit=3):
        settle(store, one, failed(clock, seconds=1))
    clock.advance(timedelta(hours=1))
    with store.transaction() as tx:
        signals.record(tx, hypothesis.id, 1, [finding("news", clock.now)])
    claimed = claim(store)
    assert [one.delivery.attempts for one in claimed] == [0] * 28 + [1] * 3, "though the retries have been due for longer than the news"


def test_a_message_in_doubt_waits_for_a_person_who_says_whether_it_arrived(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    first, second = claim(store, limit=2)
    assert settle(store, first, AttemptOutcome(status=DeliveryStatus.IN_DOUBT, error="no answer")) is DeliveryStatus.IN_DOUBT
    clock.advance(LEASE)
    with store.transaction() as tx:
        deliveries.doubt_overdue(tx, route.id)
        assert deliveries.retry_all(tx, since=clock.now - timedelta(days=1), route_id=None, actor="ada") == 0, "not by the heap"
    clock.advance(timedelta(days=30))
    assert {first.delivery.id, second.delivery.id}.isdisjoint({one.delivery.id for one in claim(store, limit=10)})
    with store.transaction() as tx:
        arrived = deliveries.resolve(tx, first.delivery.id, arrived=True, actor="ada")
        again = deliveries.resolve(tx, second.delivery.id, arrived=False, actor="ada")
    assert (arrived.status, arrived.delivered_at) == (DeliveryStatus.DELIVERED, clock.now)
    assert (again.status, again.message_id) == (DeliveryStatus.PENDING, second.delivery.message_id)
    with pytest.raises(Conflict), store.transaction() as tx:
        deliveries.resolve(tx, first.delivery.id, arrived=False, actor="ada")


def test_a_worker_that_was_only_slow_may_still_resolve_the_doubt(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    arrived, refused = claim(store, limit=2)
    clock.advance(LEASE)
    with store.transaction() as tx:
        deliveries.doubt_overdue(tx, route.id)
    assert settle(store, arrived, DELIVERED) is DeliveryStatus.DELIVERED
    assert settle(store, refused, failed(clock, minutes=1)) is DeliveryStatus.FAILED, "it surely did not arrive: no doubt any more"


def test_a_doubt_that_a_person_has_resolved_is_not_a_late_worker_s_business(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    (late,) = claim(store, limit=1)
    clock.advance(LEASE)
    with store.transaction() as tx:
        deliveries.doubt_overdue(tx, route.id)
        deliveries.resolve(tx, late.delivery.id, arrived=False, actor="ada")
    with pytest.raises(Conflict):
        settle(store, late, DELIVERED)


def test_what_is_sent_again_gets_all_its_attempts_anew(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    (one,) = claim(store, limit=1)
    settle(store, one, AttemptOutcome(status=DeliveryStatus.DEAD, error="refused"))
    with store.transaction() as tx:
        revived = deliveries.retry(tx, one.delivery.id, actor="ada")
    assert (revived.attempts, revived.attempts_before) == (1, 1)
    with store.transaction() as tx:
        deliveries.retry_all(tx, since=clock.now - timedelta(days=1), route_id=None, actor="ada")


def test_what_arrived_is_sent_again_only_where_that_is_asked_for(store: Store, hypothesis: Hypothesis, clock: Clock) -> None:
    (one,) = claim(store, limit=1)
    settle(store, one, DELIVERED)
    since = clock.now - timedelta(days=1)
    with pytest.raises(Conflict), store.transaction() as tx:
        deliveries.retry(tx, one.delivery.id, actor="ada")
    with store.transaction() as tx:
        assert deliveries.retry_all(tx, since=since, route_id=None, actor="ada") == 0
        assert deliveries.retry_all(tx, since=since, route_id=None, actor="ada", arrived_too=True) == 1
    assert one.delivery.id in {each.delivery.id for each in claim(store)}


def test_a_route_that_fails_for_five_days_is_paused_and_says_so(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    def fail() -> None:
        (one,) = claim(store, limit=1)
        settle(store, one, failed(clock, hours=1))

    for _ in range(12):
        fail()
        clock.advance(timedelta(hours=9))
    with store.reading() as tx:
        assert routes.get(tx, route.id).enabled, "4 days and 3 hours"
    clock.advance(timedelta(days=1))
    fail()
    with store.reading() as tx:
        paused = routes.get(tx, route.id)
        (entry,) = audit.entries(tx, object_id=route.id, limit=1)
    assert (paused.enabled, entry.actor, entry.action) == (False, "beton", "route.switch")
    assert "nothing has arrived since" in (paused.problem or "")
    assert claim(store) == [], "what waits is kept"
    with store.transaction() as tx:
        again = routes.switch(tx, route.id, enabled=True, actor="ada")
    assert (again.problem, again.failures, again.failing_since) == (None, 0, None)
    fail()
    with store.reading() as tx:
        assert routes.get(tx, route.id).enabled, "it has another five days"


def test_one_arrival_ends_the_count_of_failures(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    for number in range(12):
        (one,) = claim(store, limit=1)
        settle(store, one, DELIVERED if number == 6 else failed(clock, hours=1))
        clock.advance(timedelta(hours=11))
    with store.reading() as tx:
        found = routes.get(tx, route.id)
    assert (found.enabled, found.failures) == (True, 5)


def test_two_failures_in_a_week_pause_nothing(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    for _ in range(2):
        (one,) = claim(store, limit=1)
        settle(store, one, failed(clock, days=1))
        clock.advance(timedelta(days=6))
    with store.reading() as tx:
        assert routes.get(tx, route.id).enabled


def test_a_receiver_that_asked_for_rest_gets_nothing_until_it_is_over(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    with store.transaction() as tx:
        routes.rest(tx, route.id, clock.now + timedelta(minutes=10))
        routes.rest(tx, route.id, clock.now + timedelta(minutes=5))
    clock.advance(timedelta(minutes=9))
    assert claim(store) == []
    with store.reading() as tx:
        assert deliveries.waiting_since(tx) is None, "nobody is late who was asked to wait"
    clock.advance(timedelta(minutes=1))
    assert len(claim(store)) == 30


def test_a_lease_given_back_is_free_at_once(store: Store, hypothesis: Hypothesis) -> None:
    (one,) = claim(store, limit=1)
    with store.transaction() as tx:
        assert deliveries.release_lease(tx, one.delivery.id, one.lease)
        assert not deliveries.release_lease(tx, one.delivery.id, one.lease)
    assert claim(store, limit=1)[0].delivery.id == one.delivery.id


def test_what_is_to_wait_for_its_hour_is_not_due_before(store: Store, hypothesis: Hypothesis, route: Route, clock: Clock) -> None:
    with store.transaction() as tx:
        assert deliveries.postpone(tx, route.id, after=clock.now, until=clock.now + timedelta(days=1)) == 0, "written down by then"
        assert deliveries.postpone(tx, route.id, after=clock.now - timedelta(hours=1), until=clock.now + timedelta(days=1)) == 30
        assert (deliveries.due_routes(tx), deliveries.waiting_since(tx)) == ([], None)
    clock.advance(timedelta(days=1))
    assert len(claim(store)) == 30

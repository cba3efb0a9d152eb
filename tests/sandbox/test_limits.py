"""Throttles, slots, budget and breaker on a clock that moves by hand."""

from contextlib import ExitStack

import pytest

from beton.sandbox.limits import FailureBreaker, ReadBudget, Slots, Throttles
from beton.sandbox.refusals import TIMEOUT, Refusal
from beton.sandbox.settings import LimitSettings


class Hands:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_the_burst_throttle_says_how_long_to_wait(hands: Hands) -> None:
    throttles = Throttles(LimitSettings(query_burst_per_minute=2), hands)
    throttles.admit("query", "key")
    hands.now += 10
    throttles.admit("query", "key")
    with pytest.raises(Refusal) as refused:
        throttles.admit("query", "key")
    assert refused.value.detail == "Request was throttled. Expected available in 50 seconds."
    assert refused.value.headers == {"Retry-After": "50"}
    throttles.admit("query", "another key")
    hands.now += 50
    throttles.admit("query", "key")


def test_a_refused_request_does_not_count(hands: Hands) -> None:
    throttles = Throttles(LimitSettings(query_burst_per_minute=1), hands)
    throttles.admit("query", "key")
    for _ in range(5):
        hands.now += 11
        with pytest.raises(Refusal):
            throttles.admit("query", "key")
    hands.now += 5
    throttles.admit("query", "key")


def test_self_hosted_servers_allow_120_queries_an_hour(hands: Hands) -> None:
    throttles = Throttles(LimitSettings(self_hosted=True), hands)
    for _ in range(120):
        throttles.admit("query", "key")
    with pytest.raises(Refusal) as refused:
        throttles.admit("query", "key")
    assert refused.value.headers["Retry-After"] == "3600"
    throttles.admit("other", "key")


def test_a_fourth_query_waits_half_a_minute_and_is_refused_without_retry_after() -> None:
    waits: list[float] = []
    slots = Slots(3, 30.0, waits.append)
    with slots.slot(), slots.slot(), slots.slot():
        assert slots.in_use == 3
        with pytest.raises(Refusal) as refused, slots.slot():
            pass
    assert refused.value.detail == "Too many queries are running right now — please try again in a moment."
    assert refused.value.headers == {}
    assert sum(waits) == pytest.approx(30.0)
    assert waits[:2] == pytest.approx([0.134, 0.201])
    assert max(waits) <= 1.714
    assert slots.in_use == 0


def test_a_waiting_query_takes_the_slot_that_comes_free() -> None:
    entered = []
    held = ExitStack()
    slots = Slots(1, 30.0, lambda _: held.close())
    held.enter_context(slots.slot())
    with slots.slot():
        entered.append(True)
    assert entered == [True]


def test_the_query_that_crosses_zero_completes_and_the_next_waits_for_the_refill(hands: Hands) -> None:
    budget = ReadBudget(LimitSettings(budget_bytes_per_hour=3600, budget_hours=2), hands)
    budget.check()
    assert budget.spend(7000) == 200
    budget.check()
    assert budget.spend(300) == -100
    with pytest.raises(Refusal) as refused:
        budget.check()
    assert (refused.value.code, refused.value.headers) == ("api_queries_budget_exceeded", {"Retry-After": "100"})
    hands.now += 101
    budget.check()


def test_the_debt_is_an_hour_at_most(hands: Hands) -> None:
    budget = ReadBudget(LimitSettings(budget_bytes_per_hour=3600), hands)
    assert budget.spend(10**12) == -3600
    with pytest.raises(Refusal) as refused:
        budget.check()
    assert refused.value.headers == {"Retry-After": "3600"}


def test_the_third_failure_in_a_row_is_replayed_for_two_minutes(hands: Hands) -> None:
    breaker = FailureBreaker(True, hands)
    timeout = Refusal(504, "server_error", "error", TIMEOUT, deterministic=True)
    for _ in range(3):
        breaker.check("key")
        breaker.failed("key", timeout)
    with pytest.raises(Refusal) as replayed:
        breaker.check("key")
    assert replayed.value.status == 504
    assert replayed.value.detail == TIMEOUT + (
        " This query failed the same way 3 times in a row, so it was not run again. It can run again in about 2 minutes."
    )
    breaker.check("another key")
    hands.now += 121
    breaker.check("key")
    breaker.failed("key", timeout)
    hands.now += 200
    with pytest.raises(Refusal, match="4 times in a row"):
        breaker.check("key")


def test_success_forgets_failures(hands: Hands) -> None:
    breaker = FailureBreaker(True, hands)
    timeout = Refusal(504, "server_error", "error", TIMEOUT, deterministic=True)
    for _ in range(2):
        breaker.failed("key", timeout)
    breaker.succeeded("key")
    breaker.failed("key", timeout)
    breaker.check("key")

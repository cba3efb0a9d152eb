"""Limits that are kept outside of the model."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.budget import LIMITS, Limits, Purse
from tests.agent.small_project import Ticking, budget


def test_each_limit_ends_it() -> None:
    purse = Purse(budget(calls=2, tokens=100, money=1.0, failures=1, queries=3, price_in=1_000.0))
    assert purse.empty() is None

    for _ in range(3):
        purse.query()
    assert purse.empty() == "queries"
    purse.fail()
    assert purse.empty() == "queries"
    purse.pay(90, 10)
    assert purse.empty() == "tokens"
    purse.request()
    purse.request()
    assert purse.empty() == "calls"


def test_money_is_tokens_times_price_and_has_no_limit_without_one() -> None:
    paid, free = Purse(budget(money=0.01, price_in=2.0, price_out=10.0)), Purse(budget(money=0.0))
    paid.pay(1_000, 200)
    free.pay(1_000, 200)

    assert paid.spent.money == pytest.approx(0.004)
    assert paid.empty() is None
    paid.pay(1_000, 500)
    assert paid.empty() == "money"
    assert free.empty() is None


def test_time_runs_by_the_clock_that_was_given() -> None:
    clock = Ticking()
    purse = Purse(budget(clock=clock, seconds=60))
    clock.now += timedelta(seconds=59)
    assert purse.empty() is None
    assert purse.last_call()
    clock.now += timedelta(seconds=1)
    assert purse.empty() == "seconds"
    clock.now -= timedelta(hours=5)
    assert purse.seconds() == 0


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_left_of_the_day_is_a_limit_too(name: str) -> None:
    given = budget(calls=10, tokens=1000, money=5, seconds=100, queries=10, failures=5, price_in=1.0)
    left = replace(Limits(), **dict.fromkeys(LIMITS, 10000) | {name: 0})
    purse = Purse(replace(given, left_today=left))
    if name == "failures":
        purse.fail()

    assert purse.empty() == name


def test_a_day_with_more_left_than_a_run_may_take_changes_nothing() -> None:
    given = budget(calls=3)

    assert replace(given, left_today=Limits(calls=10_000)).limits == replace(given.limits)


def test_waiting_is_bounded_by_a_length_and_by_the_time_left() -> None:
    waited: list[float] = []
    purse = Purse(budget(seconds=20, waited=waited))

    assert purse.wait(3.0, 0)
    assert purse.wait(None, 1)
    assert not purse.wait(31.0, 0)
    assert not purse.wait(20.0, 0)
    assert not purse.wait(-1.0, 0)
    assert waited == [3.0, 2.0]


def test_it_tells_what_is_left() -> None:
    purse = Purse(budget(calls=3, tokens=1000, money=1.0, seconds=9, price_in=100_000.0))
    purse.request()
    purse.pay(2, 0)

    assert purse.sentence == "1 of 3 calls, 2 of 1,000 tokens, 0.20 of 1.00 money, 0 of 9 s"

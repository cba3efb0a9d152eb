from threading import Event, Lock

import pytest

from beton.web.turns import InTurn

PATIENCE = 20


def test_work_is_done_one_at_a_time_in_the_order_in_which_it_was_given() -> None:
    began, running, most, lock = [], 0, 0, Lock()
    first_may_end = Event()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            began.append(number)
        if number == 0:
            assert first_may_end.wait(PATIENCE)
        with lock:
            running -= 1
        return number

    with InTurn(long=PATIENCE) as threads:
        given = [threads.submit(work, number) for number in range(30)]
        first_may_end.set()
        assert [one.result(PATIENCE) for one in given] == list(range(30))
    assert (began, most) == (list(range(30)), 1)


def test_what_takes_long_lets_the_others_begin_beside_it() -> None:
    others_are_done = Event()
    with InTurn(long=0.01) as threads:
        waits = threads.submit(others_are_done.wait, PATIENCE)
        others = [threads.submit(pow, 2, number) for number in range(5)]
        assert [one.result(PATIENCE) for one in others] == [1, 2, 4, 8, 16]
        others_are_done.set()
        assert waits.result(PATIENCE)


def test_several_that_take_long_run_beside_each_other() -> None:
    all_run = [Event() for _ in range(5)]

    def work(number: int) -> bool:
        all_run[number].set()
        return all(one.wait(PATIENCE) for one in all_run)

    with InTurn(long=0.01) as threads:
        given = [threads.submit(work, number) for number in range(5)]
        assert all(one.result(PATIENCE) for one in given)


def test_work_that_fails_gives_its_turn_back() -> None:
    with InTurn(long=PATIENCE) as threads:
        fails = threads.submit(divmod, 1, 0)
        assert threads.submit(divmod, 1, 1).result(PATIENCE) == (1, 0)
        with pytest.raises(ZeroDivisionError):
            fails.result(PATIENCE)

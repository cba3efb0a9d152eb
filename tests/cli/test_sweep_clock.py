"""The clock of a replay."""

from datetime import UTC, datetime, timedelta

from beton.cli.sweep import PlayedClock

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_first_reading_is_exact_however_late_it_comes() -> None:
    stopwatch = Stopwatch()
    clock = PlayedClock(AT, stopwatch)
    stopwatch.seconds += 5

    assert clock() == AT


def test_from_then_on_time_goes_by_so_that_waiting_ends() -> None:
    stopwatch = Stopwatch()
    clock = PlayedClock(AT, stopwatch)
    clock()
    stopwatch.seconds += 60

    assert clock() == AT + timedelta(minutes=1)


def test_setting_it_starts_anew() -> None:
    stopwatch = Stopwatch()
    clock = PlayedClock(AT, stopwatch)
    clock()
    stopwatch.seconds += 60
    clock.set(AT + timedelta(days=1))

    assert clock() == AT + timedelta(days=1)

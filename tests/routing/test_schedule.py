"""Ten attempts over a day, spread by a tenth, and never before the receiver wishes."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.routing.outcomes import Outcome
from beton.routing.schedule import ATTEMPTS, GAPS, LONGEST_WISH, next_attempt, seconds_wished

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
NO = Outcome("retry", 10, 503)


class Middle(random.Random):
    """Draws the middle of everything."""

    def uniform(self, a, b):
        return (a + b) / 2


def waits(rng, outcome=NO):
    found = [next_attempt(made, outcome, NOW, rng) for made in range(ATTEMPTS)]
    return [(at - NOW).total_seconds() for at in found if at is not None]


def test_the_gaps_add_up_to_just_under_a_day():
    assert GAPS == (0, 5, 30, 120, 600, 1800, 3600, 10800, 25200, 43200)
    assert timedelta(seconds=sum(GAPS)) == timedelta(hours=23, minutes=42, seconds=35)


def test_without_jitter_the_schedule_is_the_gaps():
    assert waits(Middle()) == [float(gap) for gap in GAPS]


@given(st.integers(0, 2**32))
def test_jitter_is_at_most_a_tenth_either_way(seed):
    for wait, gap in zip(waits(random.Random(seed)), GAPS, strict=True):
        assert 0.9 * gap - 1e-6 <= wait <= 1.1 * gap + 1e-6


def test_the_jitter_spreads_what_failed_together():
    rng = random.Random(1)
    found = [next_attempt(6, NO, NOW, rng) for _ in range(1000)]
    due = sorted((at - NOW).total_seconds() for at in found if at is not None)

    assert due[0] < 3600 * 0.92
    assert due[-1] > 3600 * 1.08
    assert len({round(second) for second in due}) > 400


def test_after_the_tenth_attempt_there_is_no_other():
    assert next_attempt(9, NO, NOW, Middle()) is not None
    assert next_attempt(10, NO, NOW, Middle()) is None
    assert next_attempt(11, NO, NOW, Middle()) is None


@pytest.mark.parametrize("kind", ["delivered", "gone"])
def test_what_is_over_is_not_tried_again(kind):
    assert next_attempt(1, Outcome(kind, 10), NOW, Middle()) is None


def test_a_refusal_is_tried_again_like_a_failure():
    assert next_attempt(1, Outcome("refused", 10, 404), NOW, Middle()) == NOW + timedelta(seconds=5)


@given(st.integers(1, 9), st.floats(0, LONGEST_WISH), st.integers(0, 2**32))
def test_nothing_is_sent_before_the_receiver_wishes(made, wish, seed):
    due = next_attempt(made, Outcome("retry", 10, 429, retry_after=wish), NOW, random.Random(seed))

    assert due is not None
    wait = (due - NOW).total_seconds()
    assert wait >= wish - 1e-6
    assert wait <= max(1.1 * wish, 1.1 * GAPS[made]) + 1e-6


def test_a_wish_shorter_than_the_gap_changes_nothing():
    assert next_attempt(4, Outcome("retry", 10, 429, retry_after=1.0), NOW, Middle()) == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999", LONGEST_WISH),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        ("Mon, 02 Mar 2026 09:31:30 GMT", 90.0),
        ("Monday, 02-Mar-26 09:31:30 GMT", 90.0),
        ("Mon Mar  2 09:31:30 2026", 90.0),
        ("Mon, 02 Mar 2026 10:31:30 +0100", 90.0),
        ("Mon, 02 Mar 2020 09:31:30 GMT", 0.0),
        ("Mon, 02 Mar 2099 09:31:30 GMT", LONGEST_WISH),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("1e9", None),
        ("Mon, 99 Mar 2026 99:99:99 GMT", None),
        ("Mon, 02 Mar 2026 09:31:30 +99999999", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header, seconds):
    assert seconds_wished(header, NOW) == seconds


@given(
    st.one_of(st.text(max_size=40), st.from_regex(r"[A-Za-z]{3}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,10} [+A-Z0-9-]{0,9}", fullmatch=True))
)
def test_no_header_can_break_the_reader(header):
    wish = seconds_wished(header, NOW)
    assert wish is None or 0 <= wish <= LONGEST_WISH

"""The rule by which a rejected idea stays away, and by which it may come back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from agent.memory import Evidence, Memory, Remembered, Sameness, leave_out, repeated
from backtest import EventLog, Hypothesis, Window, plan_reads
from backtest.assembly import Rows, assemble
from backtest.durations import DAY

WINDOW = Window(0, 60 * DAY)
OUTCOME = {"kind": "event", "match": "paid", "horizon": "14d"}


def about(event: str, *, at_least: int = 1, outcome: dict[str, Any] | None = None, **more: Any) -> Hypothesis:
    clause = {"kind": "did", "match": event, "at_least": at_least, "span": {"first": "7d"}}
    return Hypothesis.model_validate({"entry": "signed_up", "clauses": [clause], "outcome": outcome or OUTCOME} | more)


@dataclass(frozen=True)
class Told:
    """A candidate as the discovering part tells it."""

    hypothesis: Hypothesis
    sample_size: int = 100
    lift_low: float = 1.6


def remembered(hypothesis: Hypothesis, status: Any = "rejected", **more: Any) -> Remembered:
    return Remembered(fingerprint=hypothesis.fingerprint, hypothesis=hypothesis, status=status, **more)


@pytest.fixture(scope="module")
def log() -> EventLog:
    """100 units. 60 invite, 57 of these import a minute later; 20 of the 60 invite twice."""
    events = []
    for number in range(100):
        entered = 20 * DAY + number * DAY // 10
        events.append((number, "signed_up", entered))
        events += [(number, "invited", entered + DAY)] if number < 60 else []
        events += [(number, "invited", entered + 2 * DAY)] if number < 20 else []
        events += [(number, "imported", entered + DAY + 60_000_000)] if 3 <= number < 60 else []
        events += [(number, "paid", entered + 10 * DAY)] if number % 3 == 0 else []
    (plan,) = plan_reads([about("invited"), about("imported")], WINDOW)
    names = sorted({name for _, name, _ in events})
    unit, name, at = ([one[0] for one in events], [names.index(one[1]) for one in events], [one[2] for one in events])
    rows = Rows([f"u{number:03}" for number in range(100)], names, np.array(unit, np.int32), np.array(name, np.int32), np.array(at, np.int64))
    return assemble(rows, plan, {})


def test_a_rejected_idea_stays_away_while_its_evidence_is_the_same(log: EventLog) -> None:
    one = about("invited")
    known = remembered(one, evidence=Evidence(fires=90, lift_low=1.4, lift_high=2.5), reason="nobody can act on it", id="hyp_a")
    left = leave_out(Memory(remembered=(known,)), [Told(one)], log)

    assert left[one.fingerprint].code == "rejected"
    assert "nobody can act on it" in left[one.fingerprint].sentence


@pytest.mark.parametrize(
    ("then", "now", "returns"),
    [
        (Evidence(fires=90, lift_low=1.2, lift_high=1.9), Told(about("invited"), 110, 2.0), True),  # its interval lies above the former one
        (Evidence(fires=90, lift_low=1.2, lift_high=2.9), Told(about("invited"), 110, 2.0), False),
        (Evidence(fires=50, lift_low=1.2, lift_high=2.9), Told(about("invited"), 100, 1.5), True),  # twice the fires, and now it would do
        (Evidence(fires=50, lift_low=1.6, lift_high=2.9), Told(about("invited"), 100, 1.7), False),  # it would have done then too
        (Evidence(fires=51, lift_low=1.2, lift_high=2.9), Told(about("invited"), 100, 1.7), False),
        (None, Told(about("invited"), 10_000, 9.0), False),
    ],
)
def test_changed_evidence_brings_it_back(log: EventLog, then: Evidence | None, now: Told, returns: bool) -> None:
    memory = Memory(remembered=(remembered(now.hypothesis, evidence=then),))
    assert (now.hypothesis.fingerprint not in leave_out(memory, [now], log)) is returns


def test_the_same_idea_in_other_words_stays_away_too(log: EventLog) -> None:
    memory = Memory(remembered=(remembered(about("invited")),))
    other_words, part_of_it = about("imported"), about("invited", at_least=2)

    assert leave_out(memory, [Told(other_words), Told(part_of_it)], log).keys() == {other_words.fingerprint}


def test_what_lies_within_a_live_one_repeats_it_and_what_is_wider_does_not(log: EventLog) -> None:
    wide, narrow = about("invited"), about("invited", at_least=2)

    assert leave_out(Memory(remembered=(remembered(wide, "approved"),)), [Told(narrow)], log)[narrow.fingerprint].code == "live"
    assert leave_out(Memory(remembered=(remembered(narrow, "paused"),)), [Told(wide)], log) == {}
    assert repeated(narrow, [remembered(wide, "approved")], Sameness(log)) is not None


def test_another_outcome_is_another_question(log: EventLog) -> None:
    other = about("invited", outcome=OUTCOME | {"match": "left"})
    assert leave_out(Memory(remembered=(remembered(other, "approved"),)), [Told(about("invited"))], log) == {}


@pytest.mark.parametrize("reason", ["own path", "Own-path: it is the purchase", "trivial", "not_ours: made by our tests"])
def test_reasons_about_the_event_leave_out_all_that_names_it(log: EventLog, reason: str) -> None:
    known = remembered(about("invited"), reason=reason, evidence=Evidence(fires=1, lift_low=0.1, lift_high=0.2))
    twice = about("invited", at_least=2)
    left = leave_out(Memory(remembered=(known,)), [Told(twice), Told(about("imported"))], log)

    assert left[twice.fingerprint].code == "about_the_event"


def test_two_events_are_not_about_one(log: EventLog) -> None:
    both = Hypothesis.model_validate(
        about("invited").to_json() | {"clauses": [*about("invited").to_json()["clauses"], *about("paged").to_json()["clauses"]]}
    )
    memory = Memory(remembered=(remembered(both, reason="trivial"),))
    assert leave_out(memory, [Told(about("invited"))], log) == {}


def test_what_only_waits_is_shown_again(log: EventLog) -> None:
    one = about("invited")
    assert leave_out(Memory(remembered=(remembered(one, "proposed"),)), [Told(one)], log) == {}
    assert leave_out(Memory(remembered=(remembered(one, "snoozed"),)), [Told(one)], log)[one.fingerprint].code == "snoozed"


def test_what_a_log_was_not_read_for_is_compared_by_name_only(log: EventLog) -> None:
    memory = Memory(remembered=(remembered(about("exported")),))
    assert leave_out(memory, [Told(about("invited"))], log) == {}
    assert leave_out(memory, [Told(about("exported"))], log) != {}


def test_evidence_is_that_of_the_discovering_part() -> None:
    closed = {"lift_low": 1.1, "lift_high": None}
    assert Evidence.of({"sample_size": 9, "closed": {}, "discovery": {"sample_size": 5, "closed": closed}}) == Evidence(fires=5, lift_low=1.1)
    assert Evidence.of({"sample_size": 9, "closed": closed}).fires == 9

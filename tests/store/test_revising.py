"""Marks on signals: what later evidence speaks against, and what turned out to be a repetition."""

from datetime import timedelta

from beton.store import erasure, live, revising, signals
from beton.store.records import Connection
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import approved, finding


def test_a_signal_is_marked_while_the_evidence_is_against_it_and_never_removed(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        (signal,) = signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now)])
        assert revising.mark(tx, hypothesis.id, 1, connection.id, "person", {("p1", 1): False, ("p2", 1): False}) == 1
        assert signals.get(tx, signal.id).revised_at is not None
        assert revising.mark(tx, hypothesis.id, 1, connection.id, "person", {("p1", 1): False}) == 0
        assert revising.mark(tx, hypothesis.id, 1, connection.id, "person", {("p1", 1): True}) == 1
        assert signals.get(tx, signal.id).revised_at is None


def test_of_two_signals_of_one_person_the_later_is_marked_and_both_are_theirs(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        (first,) = signals.record(tx, hypothesis.id, 1, [finding("old", clock.now)])
    clock.now += timedelta(hours=1)
    with store.transaction() as tx:
        (second,) = signals.record(tx, hypothesis.id, 1, [finding("new", clock.now)])
        assert revising.known(tx, connection.id, ["old", "new", "other"]) == {"old", "new"}
        assert revising.fold(tx, connection.id, "old", "new", {(hypothesis.id, 1): None}) == 1
        assert revising.fold(tx, connection.id, "old", "new", {(hypothesis.id, 1): None}) == 0
        assert signals.get(tx, second.id).merged_into == first.id
        assert [(one.unit_id, one.occurrence) for one in signals.of_unit(tx, connection.id, "person", "new")] == [("new", 2), ("new", 1)]
        assert {unit: len(fires) for unit, fires in live.fired(tx, hypothesis.id, 1).items()} == {"new": 2}


def test_within_a_cool_down_two_are_one_and_beyond_it_they_stay_two(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        signals.record(tx, hypothesis.id, 1, [finding("old", clock.now - timedelta(days=2)), finding("new", clock.now)])
        assert revising.fold(tx, connection.id, "old", "new", {(hypothesis.id, 1): 86_400_000_000}) == 0


def test_who_turns_out_to_have_been_erased_is_erased(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        (signal,) = signals.record(tx, hypothesis.id, 1, [finding("old", clock.now)])
        erasure.erase_unit(tx, connection.id, "person", "new", actor="ada")
        revising.fold(tx, connection.id, "old", "new", {})
        assert signals.get(tx, signal.id).unit_id is None

from datetime import timedelta

from beton.lifecycle import Action
from beton.signals import Signal
from beton.store import audit, deliveries, erasure, live, runs, signals
from beton.store.columns import microseconds
from beton.store.records import Connection, LiveFired, LiveMatch, Route
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import approved, decide, every_text, finding

SCOPE = "hyp_1 v1"
DAY = 86_400_000_000


def a_match(clock: Clock, unit_id: str = "p1", **more) -> LiveMatch:
    return LiveMatch("invited", unit_id, microseconds(clock.now), **more)


def test_an_event_is_remembered_once_at_its_earliest_and_tied_events_are_two(store: Store, connection: Connection, clock: Clock) -> None:
    one, other = (a_match(clock, event=event) for event in (b"1" * 16, b"2" * 16))
    with store.transaction() as tx:
        live.remember(tx, connection.id, SCOPE, "person", [one, other])
        live.remember(tx, connection.id, SCOPE, "person", [one._replace(at=one.at - 1), other._replace(at=other.at + 1)])
    with store.reading() as tx:
        assert live.matches(tx, connection.id, SCOPE) == [one._replace(at=one.at - 1), other]


def test_values_come_back_as_they_were(store: Store, connection: Connection, clock: Clock) -> None:
    kept = [a_match(clock, value=value, event=bytes([number]) * 16) for number, value in enumerate(("free", 3.5, True, None, 0, "1"))]
    with store.transaction() as tx:
        live.remember(tx, connection.id, SCOPE, "person", kept)
    with store.reading() as tx:
        assert live.matches(tx, connection.id, SCOPE) == kept


def test_a_scope_is_read_whole_or_for_some_units_and_forgotten_so(store: Store, connection: Connection, clock: Clock) -> None:
    now = microseconds(clock.now)
    kept = [LiveMatch("invited", unit, now + day * DAY, event=bytes([day]) * 16) for day, unit in enumerate(("p1", "p2", "p2"))]
    with store.transaction() as tx:
        live.remember(tx, connection.id, SCOPE, "person", reversed(kept))
        live.remember(tx, connection.id, "hyp_2 v1", "person", kept[:1])
        assert live.matches(tx, connection.id, SCOPE) == kept
        assert live.matches(tx, connection.id, SCOPE, {"p1", "p9"}) == kept[:1]
        live.forget(tx, connection.id, SCOPE, [("p2", "invited", bytes([2]) * 16), ("p9", "invited", b"")])
        assert live.matches(tx, connection.id, SCOPE) == kept[:2]
        live.forget(tx, connection.id, SCOPE)
        assert live.matches(tx, connection.id, SCOPE) == []
        assert live.matches(tx, connection.id, "hyp_2 v1") == kept[:1]


def test_many_matches_fit(store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        live.remember(tx, connection.id, SCOPE, "person", (a_match(clock, f"p{number}") for number in range(4500)))
        assert len(live.matches(tx, connection.id, SCOPE)) == 4500


def test_the_cursor_never_moves_back(store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        assert live.read_until(tx, connection.id, SCOPE) is None
        live.advance(tx, connection.id, SCOPE, clock.now)
        live.advance(tx, connection.id, SCOPE, clock.now - timedelta(minutes=5))
    with store.transaction() as tx:
        assert live.read_until(tx, connection.id, SCOPE) == clock.now
        live.advance(tx, connection.id, SCOPE, clock.now + timedelta(minutes=5))
    with store.transaction() as tx:
        assert live.read_until(tx, connection.id, SCOPE) == clock.now + timedelta(minutes=5)
        live.rewind(tx, connection.id)
    with store.reading() as tx:
        assert live.read_until(tx, connection.id, SCOPE) is None


def test_units_that_fired_in_the_backtested_window_are_known_to_have_fired(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        now = microseconds(clock.now)
        units = [LiveFired("p1", now), LiveFired("p1", now + DAY, occurrence=2)]
        live.mark_fired(tx, hypothesis, "person", units)
        live.mark_fired(tx, hypothesis, "person", units)
        assert live.fired(tx, hypothesis.id, 1) == {"p1": [(now, 1), (now + DAY, 2)]}
        assert live.fired(tx, hypothesis.id, 2) == {}


def test_an_erased_unit_is_nowhere_and_does_not_come_back(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    match = a_match(clock, "canary@example.com")
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest", connection_id=connection.id)
        runs.save_bucket(tx, run.id, 0, {"fires": [["canary@example.com", 5]]})
        live.remember(tx, connection.id, SCOPE, "person", [match, a_match(clock, "p2")])
        signals.record(tx, hypothesis.id, 1, [finding("canary@example.com", clock.now), finding("p2", clock.now)])
    with store.transaction() as tx:
        erased = erasure.erase_unit(tx, connection.id, "person", "canary@example.com", actor="ada")
    assert (erased.signals, erased.live_matches, erased.live_fired, erased.read_buckets) == (1, 1, 1, 1)
    assert "canary@example.com" not in every_text(store)
    with store.transaction() as tx:
        assert signals.record(tx, hypothesis.id, 1, [finding("canary@example.com", clock.now)]) == []
        live.remember(tx, connection.id, SCOPE, "person", [match])
        live.mark_fired(tx, hypothesis, "person", [LiveFired("canary@example.com", microseconds(clock.now))])
        assert set(live.fired(tx, hypothesis.id, 1)) == {"p2"}
        assert [kept.unit_id for kept in live.matches(tx, connection.id, SCOPE)] == ["p2"]
        assert len(signals.listing(tx).data) == 2, "the bare fact stays, so that realised precision stays right"
        claimed = [one.about for one in deliveries.claim(tx, limit=9, lease=timedelta(minutes=1))]
        assert [about.unit_id for about in claimed if isinstance(about, Signal)] == ["p2"]
        assert len(claimed) == 1
        assert audit.entries(tx)[0].action == "unit.erase"


def test_a_person_is_erased_from_the_memory_of_accounts_too(store: Store, connection: Connection, clock: Clock) -> None:
    """Where a hypothesis counts an account's persons, their ids are remembered values."""
    by_person = [a_match(clock, "acme", value=who, event=bytes([number]) * 16) for number, who in enumerate(("canary@example.com", "p2"))]
    with store.transaction() as tx:
        live.remember(tx, connection.id, SCOPE, "account", by_person)
        assert erasure.erase_unit(tx, connection.id, "person", "canary@example.com", actor="ada").live_matches == 1
    assert "canary" not in every_text(store)
    with store.transaction() as tx:
        live.remember(tx, connection.id, SCOPE, "account", by_person)
        assert [kept.value for kept in live.matches(tx, connection.id, SCOPE)] == ["p2"]


def test_what_is_live_no_more_is_forgotten(store: Store, connection: Connection, clock: Clock) -> None:
    ended, living = approved(store, connection, "f1"), approved(store, connection, "f2")
    with store.transaction() as tx:
        for hypothesis in (ended, living):
            live.remember(tx, connection.id, hypothesis.id, "person", [a_match(clock)])
            live.mark_fired(tx, hypothesis, "person", [LiveFired("p1", microseconds(clock.now))])
            live.advance(tx, connection.id, hypothesis.id, clock.now)
        assert live.keep_only(tx, connection.id, [living.id], [(living.id, 1)]) == 2
        assert [len(live.matches(tx, connection.id, one.id)) for one in (ended, living)] == [0, 1]
        assert [len(live.fired(tx, one.id, 1)) for one in (ended, living)] == [0, 1]
        assert [live.read_until(tx, connection.id, one.id) for one in (ended, living)] == [None, clock.now]
        assert live.keep_only(tx, connection.id, [], []) == 2
        assert live.fired(tx, living.id, 1) == {}


def test_one_that_is_approved_anew_goes_on_counting(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        signals.record(tx, hypothesis.id, 1, [finding("p1", clock.now), finding("p1", clock.now, occurrence=2), finding("p2", clock.now)])
        erasure.erase_unit(tx, connection.id, "person", "p2", actor="ada")
    retired = decide(store, hypothesis, Action.RETIRE)
    with store.transaction() as tx:
        live.keep_only(tx, connection.id, [], [])
    decide(store, decide(store, retired, Action.REOPEN), Action.APPROVE, clears=True)
    with store.reading() as tx:
        assert live.fired(tx, hypothesis.id, 1) == {"p1": [(microseconds(clock.now), 1), (microseconds(clock.now), 2)]}

from datetime import timedelta

from beton.store import audit, deliveries, erasure, live, runs, signals
from beton.store.records import Connection, LiveFired, LiveMatch, Route
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import approved, every_text, finding


def a_match(clock: Clock, unit_id: str = "p1", event_id: str = "e1", **more) -> LiveMatch:
    return LiveMatch(atom="invited", unit_id=unit_id, at=clock.now, event_id=event_id, **more)


def test_overlapping_reads_remember_a_match_once_and_tied_events_twice(store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        live.remember(tx, connection.id, "person", [a_match(clock), a_match(clock, event_id="e2")])
        live.remember(tx, connection.id, "person", [a_match(clock)])
    with store.reading() as tx:
        kept = live.matches(tx, connection.id)
    assert [(match.at, match.event_id) for match in kept] == [(clock.now, "e1"), (clock.now, "e2")]


def test_matches_are_found_by_scope_unit_and_time_and_forgotten_beyond_the_look_back(store: Store, connection: Connection, clock: Clock) -> None:
    early = clock.now
    with store.transaction() as tx:
        live.remember(tx, connection.id, "person", [a_match(clock, value="free", scope="hyp_1"), a_match(clock), a_match(clock, "p2")])
    clock.advance(timedelta(days=1))
    with store.transaction() as tx:
        live.remember(tx, connection.id, "person", [a_match(clock, value=3.5)])
        assert [match.value for match in live.matches(tx, connection.id, scope="hyp_1")] == ["free"]
        assert [match.at for match in live.matches(tx, connection.id, unit_ids=["p1"])] == [early, clock.now]
        assert [match.value for match in live.matches(tx, connection.id, since=clock.now)] == [3.5]
        live.prune(tx, connection.id, before=clock.now)
        assert len(live.matches(tx, connection.id)) == 1
        assert live.matches(tx, connection.id, scope="hyp_1") == []
        live.forget(tx, connection.id, "")
        assert live.matches(tx, connection.id) == []


def test_many_matches_fit(store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        live.remember(tx, connection.id, "person", (a_match(clock, f"p{number}") for number in range(4500)))
        assert len(live.matches(tx, connection.id)) == 4500


def test_the_cursor_never_moves_back(store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        assert live.read_until(tx, connection.id) is None
        live.advance(tx, connection.id, clock.now)
        live.advance(tx, connection.id, clock.now - timedelta(minutes=5))
    with store.transaction() as tx:
        assert live.read_until(tx, connection.id) == clock.now
        live.advance(tx, connection.id, clock.now + timedelta(minutes=5))
    with store.transaction() as tx:
        assert live.read_until(tx, connection.id) == clock.now + timedelta(minutes=5)
        live.rewind(tx, connection.id)
    with store.reading() as tx:
        assert live.read_until(tx, connection.id) is None


def test_units_that_fired_in_the_backtested_window_are_known_to_have_fired(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        units = [LiveFired(unit_id="p1", fired_at=clock.now), LiveFired(unit_id="p1", fired_at=clock.now, occurrence=2)]
        live.mark_fired(tx, hypothesis, "person", units)
        live.mark_fired(tx, hypothesis, "person", units)
        assert {unit: last.occurrence for unit, last in live.fired(tx, hypothesis.id, 1).items()} == {"p1": 2}
        assert live.fired(tx, hypothesis.id, 2) == {}


def test_an_erased_unit_is_nowhere_and_does_not_come_back(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    match = a_match(clock, "canary@example.com")
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest", connection_id=connection.id)
        runs.save_bucket(tx, run.id, 0, {"fires": [["canary@example.com", 5]]})
        live.remember(tx, connection.id, "person", [match, a_match(clock, "p2")])
        signals.record(tx, hypothesis.id, 1, [finding("canary@example.com", clock.now), finding("p2", clock.now)])
    with store.transaction() as tx:
        erased = erasure.erase_unit(tx, connection.id, "person", "canary@example.com", actor="ada")
    assert (erased.signals, erased.live_matches, erased.live_fired, erased.read_buckets) == (1, 1, 1, 1)
    assert "canary@example.com" not in every_text(store)
    with store.transaction() as tx:
        assert signals.record(tx, hypothesis.id, 1, [finding("canary@example.com", clock.now)]) == []
        live.remember(tx, connection.id, "person", [match])
        live.mark_fired(tx, hypothesis, "person", [LiveFired(unit_id="canary@example.com", fired_at=clock.now)])
        assert set(live.fired(tx, hypothesis.id, 1)) == {"p2"}
        assert [kept.unit_id for kept in live.matches(tx, connection.id)] == ["p2"]
        assert len(signals.listing(tx).data) == 2, "the bare fact stays, so that realised precision stays right"
        assert [one.signal.unit_id for one in deliveries.claim(tx, limit=9, lease=timedelta(minutes=1))] == ["p2"]
        assert audit.entries(tx)[0].action == "unit.erase"

"""Who would have fired: sealed, few, replaced by the next result, and gone with the unit."""

from datetime import timedelta

from beton.store import connections, fires, runs
from beton.store.erasure import erase_unit
from beton.store.records import BacktestFire, Connection
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import every_text, proposed


def fire(clock: Clock, number: int) -> BacktestFire:
    at = clock.now - timedelta(hours=number)
    return BacktestFire(unit_kind="person", unit_id=f"canary-{number}", fired_at=at, outcome_at=at + timedelta(hours=3) if number % 2 else None)


def a_run(store: Store, connection: Connection) -> str:
    with store.transaction() as tx:
        return runs.queue(tx, "backtest", connection_id=connection.id).id


def test_the_last_fires_of_a_result_come_back_and_lie_sealed(store: Store, connection: Connection, clock: Clock) -> None:
    row, run_id = proposed(store, connection), a_run(store, connection)
    told = [fire(clock, number) for number in range(30)]
    with store.transaction() as tx:
        fires.keep(tx, connection.id, run_id, row.id, told)
        fires.keep(tx, connection.id, run_id, row.id, told)  # a repeated step
    with store.reading() as tx:
        assert fires.latest(tx, row.id, run_id, limit=100) == told
        assert fires.latest(tx, row.id, run_id, limit=4) == told[:4]
    assert "canary" not in every_text(store)


def test_only_so_many_are_kept_over_all_buckets_and_those_of_the_newest_result(store: Store, connection: Connection, clock: Clock) -> None:
    row, former, run_id = proposed(store, connection), a_run(store, connection), a_run(store, connection)
    with store.transaction() as tx:
        fires.keep(tx, connection.id, former, row.id, [fire(clock, 1)])
        for start in (0, 400):
            fires.keep(tx, connection.id, run_id, row.id, [fire(clock, number) for number in range(start, start + 400)])
        fires.settle(tx, run_id, [row.id])
    with store.reading() as tx:
        assert fires.latest(tx, row.id, former) == []
        assert fires.latest(tx, row.id, run_id, limit=1000) == [fire(clock, number) for number in range(fires.MOST)]


def test_an_erased_unit_is_not_among_them_and_is_not_written_again(store: Store, connection: Connection, clock: Clock) -> None:
    row, run_id = proposed(store, connection), a_run(store, connection)
    both = [fire(clock, 1), fire(clock, 2)]
    with store.transaction() as tx:
        fires.keep(tx, connection.id, run_id, row.id, both)
        erase_unit(tx, connection.id, "person", "canary-1", actor="ada")
        fires.keep(tx, connection.id, run_id, row.id, both)
        assert fires.latest(tx, row.id, run_id) == both[1:]


def test_they_go_with_their_connection(store: Store, connection: Connection, clock: Clock) -> None:
    row, run_id = proposed(store, connection), a_run(store, connection)
    with store.transaction() as tx:
        fires.keep(tx, connection.id, run_id, row.id, [fire(clock, 1)])
        connections.remove(tx, connection.id, actor="ada", force=True)
    with store.reading() as tx:
        assert fires.latest(tx, row.id, run_id) == []

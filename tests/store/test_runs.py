from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from beton.errors import Conflict, NotFound
from beton.lifecycle import Action
from beton.store import backtests, hypotheses, runs
from beton.store.records import Connection, NewBacktest, RunStatus
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import proposed


def test_a_run_tells_how_far_it_is_and_how_it_ended(store: Store, connection: Connection, clock: Clock) -> None:
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest", connection_id=connection.id, request={"window_days": 90})
    with store.transaction() as tx:
        runs.begin(tx, run.id, workflow_id="w1")
        runs.progress(tx, run.id, done=3, total=16, message="Reading bucket 3 of 16", counts={"queries": 3})
    clock.advance(timedelta(minutes=2))
    with store.transaction() as tx:
        runs.finish(tx, run.id, RunStatus.DONE, counts={"queries": 16})
    with store.reading() as tx:
        done = runs.get(tx, run.id)
    assert (done.status, done.workflow_id, done.counts) == (RunStatus.DONE, "w1", {"queries": 16})
    assert (done.started_at, done.finished_at) == (run.created_at, clock.now)


def test_a_workflow_has_one_run_however_often_it_asks(store: Store) -> None:
    with store.transaction() as tx:
        first = runs.queue(tx, "sweep", workflow_id="sweep-2026-03-02T09:30")
    with store.transaction() as tx:
        assert runs.queue(tx, "sweep", workflow_id="sweep-2026-03-02T09:30") == first


def test_a_run_that_is_over_stays_over(store: Store) -> None:
    with store.transaction() as tx:
        run = runs.queue(tx, "sweep")
        runs.finish(tx, run.id, RunStatus.CANCELLED)
    with pytest.raises(Conflict, match="cancelled"), store.transaction() as tx:
        runs.progress(tx, run.id, done=1, total=1, message="late")


def test_a_crash_costs_the_unfinished_bucket_only(store: Store) -> None:
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest")
        runs.save_bucket(tx, run.id, 0, {"n": 5})
    with store.transaction() as tx:
        runs.save_bucket(tx, run.id, 1, {"n": 7})
        runs.save_bucket(tx, run.id, 0, {"n": 99})
    with store.reading() as tx:
        assert runs.finished_buckets(tx, run.id) == {0: {"n": 5}, 1: {"n": 7}}
    with store.transaction() as tx:
        runs.finish(tx, run.id, RunStatus.DONE)
    with store.reading() as tx:
        assert runs.finished_buckets(tx, run.id) == {}


def test_unknown_runs_are_not_found(store: Store) -> None:
    with pytest.raises(NotFound), store.reading() as tx:
        runs.get(tx, "run_nowhere")


def a_result(store: Store, connection: Connection) -> NewBacktest:
    hypothesis = proposed(store, connection)
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest", connection_id=connection.id)
        return NewBacktest(
            hypothesis_id=hypothesis.id,
            hypothesis_version=1,
            run_id=run.id,
            as_of=tx.now,
            window_days=90,
            fingerprint="f1",
            result={"sample_size": 40, "precision": 0.4},
            clears=True,
        )


def test_a_repeated_step_keeps_the_result_once(store: Store, connection: Connection) -> None:
    result = a_result(store, connection)
    with store.transaction() as tx:
        (first,) = backtests.record(tx, [result])
    with store.transaction() as tx:
        (again,) = backtests.record(tx, [result])
    assert first == again
    assert first.digest == backtests.digest_of({"precision": 0.4, "sample_size": 40})
    with store.reading() as tx:
        assert backtests.latest(tx, [result.hypothesis_id, "hyp_other"]) == {result.hypothesis_id: first}
        assert backtests.history(tx, result.hypothesis_id) == backtests.of_run(tx, result.run_id) == [first]


def test_an_approval_remembers_the_result_it_rests_on(store: Store, connection: Connection) -> None:
    result = a_result(store, connection)
    with store.transaction() as tx:
        (kept,) = backtests.record(tx, [result])
        hypothesis = hypotheses.get(tx, result.hypothesis_id)
        hypotheses.decide(
            tx,
            hypothesis.id,
            Action.APPROVE,
            expected_row_version=hypothesis.row_version,
            actor="ada",
            clears=kept.clears,
            backtest_id=kept.id,
        )
    with store.reading() as tx:
        assert hypotheses.version(tx, hypothesis.id, 1).backtest_id == kept.id


def test_nan_is_no_result(store: Store, connection: Connection) -> None:
    result = a_result(store, connection).model_copy(update={"result": {"lift": float("nan")}})
    with pytest.raises(ValueError, match="not JSON compliant"), store.transaction() as tx:
        backtests.record(tx, [result])


@pytest.mark.parametrize("statement", ["UPDATE backtest SET digest = 'x'", "UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry"])
def test_the_database_itself_refuses_to_rewrite_history(store: Store, connection: Connection, statement: str) -> None:
    result = a_result(store, connection)
    with store.transaction() as tx:
        backtests.record(tx, [result])
    with pytest.raises(DBAPIError, match="append-only"), store.transaction() as tx:
        tx.session.execute(sa.text(statement))

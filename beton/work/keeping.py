"""Hypotheses that a person wrote and tested, kept as proposals with the numbers they were tested by."""

from __future__ import annotations

from backtest import Score, published
from backtest.durations import DAY
from backtest.verdict import judge
from beton.store import backtests, runs
from beton.store.records import Connection, Hypothesis, NewBacktest, RunStatus
from beton.work.backtesting import Tested
from beton.work.firing import keep_fires
from beton.work.workplace import Workplace, instant
from beton.work.writing import keep_hypothesis


def keep_tested(place: Workplace, connection: Connection, tested: Tested, *, actor: str) -> list[Hypothesis]:
    """Write them down with their results, in one transaction and in their order. Those known from earlier keep their status."""
    days = (tested.window.end - tested.window.start) / DAY
    with place.store.transaction() as tx:
        run_id = runs.queue(tx, "backtest", connection_id=connection.id, request={"window_days": days}).id
        runs.begin(tx, run_id)
        rows = [keep_hypothesis(tx, connection, one, actor)[0] for one in tested.hypotheses]
        backtests.record(tx, [_result(place, row, score, tested, run_id) for row, score in zip(rows, tested.scores, strict=True)])
        keep_fires(tx, connection, run_id, [row.id for row in rows], tested.fires, last=True)
        runs.finish(tx, run_id, RunStatus.DONE, counts=place.reading.to_json())
    return rows


def _result(place: Workplace, row: Hypothesis, score: Score, tested: Tested, run_id: str) -> NewBacktest:
    told = published(score, tested.window)
    return NewBacktest(
        hypothesis_id=row.id,
        hypothesis_version=row.version,
        run_id=run_id,
        as_of=instant(tested.window.end),
        window_days=told["window_days"],
        fingerprint=row.fingerprint,
        result=told,
        clears=judge(told, place.bar, selected=row.selected).clears,
    )

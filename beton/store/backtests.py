"""Results of backtests. They are written once and never changed; the database refuses updates."""

import hashlib
import json
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import NotFound
from beton.store.columns import new_id, table_of
from beton.store.prepared import prepared
from beton.store.records import Backtest, NewBacktest
from beton.store.store import Transaction
from beton.store.tables import BacktestRow, HypothesisRow

IMAGINED = 20
"""Fires at the base rate that are added before results are ranked: the best of many is otherwise the luckiest (as in `shrunken_lift`)."""

_COLUMNS = table_of(BacktestRow).c
_SOME = prepared(sa.select(*(_COLUMNS[name] for name in Backtest.model_fields)).where(_COLUMNS.id.in_(sa.bindparam("ids", expanding=True))))

CLEARS_FIRST = 1e6
"""More than any lift."""


def record(tx: Transaction, results: Collection[NewBacktest]) -> list[Backtest]:
    """Keep the results of a run. A step that is repeated after a crash finds them there and adds nothing; the kept ones are returned."""
    values = [_values(tx, result) for result in results]
    tx.insert_new(BacktestRow, values)
    wanted = {(value["run_id"], value["hypothesis_id"], value["hypothesis_version"]) for value in values}
    query = sa.select(BacktestRow).where(col(BacktestRow.run_id).in_({run_id for run_id, _, _ in wanted}))
    kept = [_value(row) for row in tx.session.execute(query).scalars() if (row.run_id, row.hypothesis_id, row.hypothesis_version) in wanted]
    for one in kept:
        _stand(tx, one.hypothesis_id, one.clears, one, col(HypothesisRow.version) == one.hypothesis_version)
    return kept


def rerank(tx: Transaction, judged: Iterable[tuple[Backtest, bool | None]]) -> None:
    """Newest results under another bar: the queue and its counts follow it."""
    for one, clears in judged:
        _stand(tx, one.hypothesis_id, clears, one, col(HypothesisRow.newest_backtest_id) == one.id)


def some(tx: Transaction, backtest_ids: Collection[str]) -> dict[str, Backtest]:
    """Id → result; unknown ids are missing."""
    return {row.id: Backtest(**row._mapping) for row in tx.rows(_SOME, ids=list(backtest_ids))} if backtest_ids else {}


def get(tx: Transaction, backtest_id: str) -> Backtest:
    """The backtest with this id."""
    row = tx.session.get(BacktestRow, backtest_id)
    if row is None:
        raise NotFound(f"There is no backtest {backtest_id}.")
    return _value(row)


def history(tx: Transaction, hypothesis_id: str) -> list[Backtest]:
    """All results of a hypothesis, of all its versions, newest first."""
    query = sa.select(BacktestRow).where(col(BacktestRow.hypothesis_id) == hypothesis_id)
    rows = tx.session.execute(query.order_by(col(BacktestRow.created_at).desc(), col(BacktestRow.id).desc())).scalars()
    return [_value(row) for row in rows]


def latest(tx: Transaction, hypothesis_ids: Collection[str]) -> dict[str, Backtest]:
    """Hypothesis id → its newest result for its present fingerprint or an earlier one; those never tested are missing."""
    newest_first = (col(BacktestRow.created_at).desc(), col(BacktestRow.id).desc())
    place = sa.func.row_number().over(partition_by=col(BacktestRow.hypothesis_id), order_by=newest_first).label("place")
    wanted = (col(BacktestRow.hypothesis_id).in_(hypothesis_ids),)
    ranked = sa.select(col(BacktestRow.id), place).where(*wanted).subquery()
    query = sa.select(BacktestRow).join(ranked, ranked.c.id == col(BacktestRow.id)).where(ranked.c.place == 1)
    return {row.hypothesis_id: _value(row) for row in tx.session.execute(query).scalars()}


def of_run(tx: Transaction, run_id: str) -> list[Backtest]:
    """The results of one run, in the order in which they were written."""
    query = sa.select(BacktestRow).where(col(BacktestRow.run_id) == run_id)
    return [_value(row) for row in tx.session.execute(query.order_by(col(BacktestRow.created_at), col(BacktestRow.id))).scalars()]


def digest_of(result: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of a result: sorted keys, no spaces, no NaN."""
    text = json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def rank_of(clears: bool | None, result: dict[str, Any]) -> float:
    """Where a result stands in the queue: what clears the bar before what does not, then by shrunken lift."""
    lift = result.get("shrunken_lift")
    if lift is None and (base := result.get("baseline")):
        counts = result["counts"]
        lift = (counts["true_positives"] + IMAGINED * base) / ((counts["sample_size"] + IMAGINED) * base)
    return (CLEARS_FIRST if clears else 0.0) + min(lift or 0.0, CLEARS_FIRST / 2)


def _stand(tx: Transaction, hypothesis_id: str, clears: bool | None, one: Backtest, still: sa.ColumnElement[bool]) -> None:
    """Its hypothesis shows this result from now on, unless it says something else by now."""
    verdict = {True: "clears", False: "does_not_clear", None: "cannot_tell"}[clears]
    values = {"newest_backtest_id": one.id, "verdict": verdict, "rank": rank_of(clears, one.result)}
    tx.count(sa.update(HypothesisRow).where(col(HypothesisRow.id) == hypothesis_id, still).values(**values))


def _values(tx: Transaction, result: NewBacktest) -> dict[str, Any]:
    more = {"id": new_id("bkt"), "workspace_id": tx.workspace_id, "digest": digest_of(result.result), "created_at": tx.now}
    return result.model_dump() | more


_KEPT = tuple(Backtest.model_fields)


def _value(row: BacktestRow) -> Backtest:
    """Field by field: dumping a row would walk through all of its numbers."""
    return Backtest.model_validate({name: getattr(row, name) for name in _KEPT})

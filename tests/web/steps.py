"""Steps that many tests of the API begin with."""

from datetime import timedelta
from typing import Any

from backtest import Hypothesis as Definition
from backtest.sentence import sentence
from beton.lifecycle import Action, Status
from beton.signals import Finding, Receipt
from beton.store import backtests, deliveries, hypotheses, routes, runs, signals
from beton.store.columns import Row
from beton.store.records import Connection, Hypothesis, NewBacktest, NewHypothesis
from beton.store.store import Store
from tests.store.steps import a_webhook

PATHS: dict[Status, tuple[Action, ...]] = {
    Status.DRAFT: (),
    Status.PROPOSED: (Action.PROPOSE,),
    Status.SNOOZED: (Action.PROPOSE, Action.SNOOZE),
    Status.APPROVED: (Action.PROPOSE, Action.APPROVE),
    Status.PAUSED: (Action.PROPOSE, Action.APPROVE, Action.PAUSE),
    Status.REJECTED: (Action.REJECT,),
    Status.RETIRED: (Action.PROPOSE, Action.APPROVE, Action.RETIRE),
}
"""How a draft gets into each status."""


def definition(event: str = "invited_teammate", days: int = 7) -> dict[str, Any]:
    return {
        "clauses": [{"kind": "did", "match": event, "span": {"first": f"{days}d"}}, {"kind": "did", "match": "opened", "span": {"last": "7d"}}],
        "outcome": {"kind": "event", "match": "paid", "horizon": "14d"},
    }


def result(*, lift_low: float = 2.0, insufficient: bool = False) -> dict[str, Any]:
    """Published numbers, such as the engine gives; with `lift_low` under 1.5 they do not clear the bar."""
    told: dict[str, Any] = {
        "window_days": 90, "precision": 0.31, "recall": 0.42, "lift_vs_baseline": 3.1, "sample_size": 412,
        "precision_low": 0.27, "precision_high": 0.36, "recall_low": 0.37, "recall_high": 0.47,
        "lift_vs_baseline_low": lift_low, "lift_vs_baseline_high": 3.8, "baseline": 0.1, "population": 5000, "fired": 430, "converters": 300,
        "counts": {"sample_size": 412, "true_positives": 128},
        "closed": {
            "design": "L", "tp": 128, "fp": 284, "fn": 172, "tn": 4416, "p_value": 1e-9, "p_stratified": 1e-9,
            "lift": 3.0, "lift_low": lift_low, "lift_high": 3.7,
        },
        "lead": None,
    }  # fmt: skip
    if insufficient:
        told |= {"precision": None, "recall": None, "lift_vs_baseline": None, "insufficient": {"reason": "fires: has 3, needs 20", "missing": []}}
    return told


def kept(store: Store, connection: Connection, *, days: int = 7, status: Status = Status.PROPOSED, tested: dict | None = None) -> Hypothesis:
    """A hypothesis in a status, with numbers if any are given; no two `days` are the same hypothesis."""
    meaning = Definition.model_validate(definition(days=days))
    new = NewHypothesis(
        connection_id=connection.id,
        name=f"Invites within {days} days",
        fingerprint=meaning.fingerprint,
        definition=meaning.canonical().to_json(),
        sentence=sentence(meaning),
        type="converts",
        source="person",
        selected=False,
        status=Status.DRAFT,
    )
    with store.transaction() as tx:
        row, _ = hypotheses.add(tx, new, actor="ada")
        for action in PATHS[status]:
            more: dict[str, Any] = {"reason": "Known.", "clears": True, "snoozed_until": tx.now + timedelta(days=9)}
            row = hypotheses.decide(tx, row.id, action, expected_row_version=row.row_version, actor="ada", **more)
    if tested is not None:
        keep_result(store, row, tested)
    return row


def keep_result(store: Store, row: Hypothesis, told: dict[str, Any]) -> None:
    """Keep a result of the present version."""
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest", connection_id=row.connection_id)
        new = NewBacktest(
            hypothesis_id=row.id,
            hypothesis_version=row.version,
            run_id=run.id,
            as_of=tx.now,
            window_days=90,
            fingerprint=row.fingerprint,
            result=told,
            clears=None,
        )
        backtests.record(tx, [new])


def fired(store: Store, connection: Connection, units: int = 3) -> Hypothesis:
    """An approved hypothesis with a route, and a signal with its delivery for each unit."""
    row = kept(store, connection, status=Status.APPROVED, tested=result())
    with store.transaction() as tx:
        to = a_webhook(url="https://hooks.example.com/T0/canaryPATH", secret="whsec_canaryCANARY")
        routes.add(tx, name="crm", destination=to, actor="ada")
        receipt = Receipt(event="invited_teammate", at=tx.now, event_id="e-1")
        found = [Finding(unit_kind="person", unit_id=f"p{n}", fired_at=tx.now, confidence=0.31, receipts=(receipt,)) for n in range(units)]
        signals.record(tx, row.id, row.version, found)
    return row


def first_delivery(store: Store) -> str:
    with store.reading() as tx:
        return deliveries.listing(tx, limit=1).data[0].id


def rows_of(store: Store, table: str) -> list[dict[str, Any]]:
    with store.reading() as tx:
        return [dict(row) for row in tx.session.execute(Row.metadata.tables[table].select()).mappings()]

"""What a search is told of earlier ones: hypotheses with what people decided and why, and facts about the business."""

from __future__ import annotations

from datetime import datetime

from agent.memory import Evidence, Memory, Remembered
from backtest import Hypothesis as Definition
from beton.store import backtests, hypotheses, questions
from beton.store.records import Hypothesis
from beton.store.store import Transaction

DECIDED_WITH_NUMBERS = ("rejected", "retired")


def memory_of(tx: Transaction, connection_id: str) -> Memory:
    """Everything that is remembered about a connection, oldest first."""
    found = tuple(_remembered(tx, row) for row in hypotheses.every(tx, connection_id=connection_id))
    return Memory(remembered=found, facts=tuple(one.text for one in questions.facts(tx, connection_id)))


def _remembered(tx: Transaction, row: Hypothesis) -> Remembered:
    told = row.status.value in DECIDED_WITH_NUMBERS
    return Remembered(
        fingerprint=row.fingerprint,
        hypothesis=Definition.model_validate(row.definition),
        status=row.status.value,
        reason=row.rejected_reason,
        evidence=_evidence(tx, row) if told else None,
        id=row.id,
    )


def _evidence(tx: Transaction, row: Hypothesis) -> Evidence | None:
    """The numbers of this version that a person could see when they decided: the newest from before that, else the oldest there are."""
    known = [one for one in backtests.history(tx, row.id) if one.hypothesis_version == row.version]
    if not known:
        return None
    seen: datetime | None = row.decided_at
    before = [one for one in known if seen is None or one.created_at <= seen]
    return Evidence.of((before[0] if before else known[-1]).result)

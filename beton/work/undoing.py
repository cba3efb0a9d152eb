"""Taking a decision back right after it was made, by the steps that the lifecycle has: nothing is erased, and the audit log tells both.

An approval is taken back by retiring and reopening, so what it has not sent yet is given up; what it has sent stays sent, and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from beton.errors import Conflict
from beton.lifecycle import Action, Status
from beton.store import hypotheses, signals
from beton.work.deciding import Resource, resource
from beton.work.workplace import Workplace

UNDO: dict[Status, tuple[Action, ...]] = {
    Status.APPROVED: (Action.RETIRE, Action.REOPEN),
    Status.REJECTED: (Action.REOPEN,),
    Status.SNOOZED: (Action.WAKE,),
}
"""From where a decision has led, back to review."""

WITHIN = timedelta(minutes=10)
"""How long it is done when asked for; later a reopening says better what it is."""


@dataclass(frozen=True)
class Undone:
    """Back in review. `signals` were recorded in between, and their receivers know."""

    resource: Resource
    signals: int


def undo(place: Workplace, hypothesis_id: str, *, actor: str, expected_row_version: int | None) -> Undone:
    """Take back the last decision, if it is one's own, recent, and still the last. Raises `Conflict` otherwise."""
    with place.store.transaction() as tx:
        one = hypotheses.get(tx, hypothesis_id)
        steps = UNDO.get(one.status)
        if steps is None or one.decided_at is None or one.decided_by != actor or tx.now - one.decided_at > WITHIN:
            raise Conflict(
                "This decision cannot be taken back any more.",
                code="conflict.undo_too_late",
                fix="Open the hypothesis: pausing, retiring or reopening it is still possible.",
                details={"status": str(one.status), "decided_by": one.decided_by or ""},
            )
        version = one.row_version if expected_row_version is None else expected_row_version
        left = len(signals.listing(tx, hypothesis_id=one.id, since=one.decided_at, limit=500).data) if one.status is Status.APPROVED else 0
        for step in steps:
            one = hypotheses.decide(tx, one.id, step, expected_row_version=version, actor=actor)
            version = one.row_version
    return Undone(resource(place, hypothesis_id), left)

"""A person's decision, and the resource that they decide on: the same fields for API, command line and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backtest import Hypothesis as Definition
from backtest.verdict import Bar, Verdict, judge
from beton.lifecycle import Action
from beton.store import backtests, hypotheses
from beton.store.records import Backtest, Hypothesis
from beton.work.backtesting import window_of
from beton.work.workplace import Workplace, instant


@dataclass(frozen=True)
class Resource:
    """A hypothesis with its newest numbers and the bar's verdict on them."""

    hypothesis: Hypothesis
    backtest: Backtest | None
    verdict: Verdict | None

    def to_json(self) -> dict[str, Any]:
        """The published fields, and more beside them."""
        one = self.hypothesis
        return {
            "hypothesis_id": one.id,
            "hypothesis": one.sentence,
            "backtest": None if self.backtest is None else self.backtest.result | {"as_of": _told(self.backtest.as_of)},
            "status": one.status.value,
            "name": one.name,
            "definition": one.definition,
            "version": one.version,
            "row_version": one.row_version,
            "verdict": None if self.verdict is None else self.verdict.to_json(),
            "connection_id": one.connection_id,
            "source": one.source,
            "fired": one.fired_count,
            "rejected_reason": one.rejected_reason,
            "snoozed_until": _told(one.snoozed_until),
            "decided_by": one.decided_by,
            "decided_at": _told(one.decided_at),
        }


def _told(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def resources(place: Workplace, found: list[Hypothesis]) -> list[Resource]:
    """The newest numbers of each, judged by the present bar."""
    with place.store.reading() as tx:
        newest = backtests.some(tx, [one.newest_backtest_id for one in found if one.newest_backtest_id])
    bar = place.bar
    return [_resource(bar, one, newest.get(one.newest_backtest_id or "")) for one in found]


def resource(place: Workplace, hypothesis_id: str) -> Resource:
    """One hypothesis as people see it."""
    with place.store.snapshot() as tx:
        return resources(place, [hypotheses.get(tx, hypothesis_id)])[0]


def _resource(bar: Bar, one: Hypothesis, newest: Backtest | None) -> Resource:
    return Resource(one, newest, None if newest is None else judge(newest.result, bar, selected=one.selected))


def decide(
    place: Workplace,
    hypothesis_id: str,
    action: Action,
    *,
    actor: str,
    expected_row_version: int | None = None,
    reason: str | None = None,
    override_reason: str | None = None,
    snoozed_until: datetime | None = None,
) -> Resource:
    """Approve, reject with a reason, snooze until an instant, wake, pause, resume, retire or reopen, as the lifecycle allows.

    Without `expected_row_version` the decision is about whatever is there now (the command line shows and decides in one breath). Approval
    freezes S0: what counts as new is measured from the backtest that the person has seen.
    """
    seen = resource(place, hypothesis_id)
    live_from = None
    if action is Action.APPROVE and seen.backtest is not None:
        window = window_of(seen.backtest.as_of, seen.backtest.window_days)
        live_from = instant(window.start + Definition.model_validate(seen.hypothesis.definition).look_back)
    with place.store.transaction() as tx:
        hypotheses.decide(
            tx,
            hypothesis_id,
            action,
            expected_row_version=seen.hypothesis.row_version if expected_row_version is None else expected_row_version,
            actor=actor,
            reason=reason,
            override_reason=override_reason,
            clears=seen.verdict.clears if seen.verdict else None,
            snoozed_until=snoozed_until,
            live_from=live_from,
            backtest_id=seen.backtest.id if action is Action.APPROVE and seen.backtest else None,
        )
    return resource(place, hypothesis_id)

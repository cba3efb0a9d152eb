"""The watch over live hypotheses: one that is surely below its promise raises an alarm, is paused, or is asked about, as the workspace chooses.

Judged on the accounts that are held out where there are any, because once sales has called, conversion is no longer what was promised; else on all
signals. The evidence may be looked at as often as one likes (`backtest.drift`), and over many hypotheses it is called by the e-BH procedure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest.drift import Watch, e_benjamini_hochberg
from backtest.verdict import Bar
from beton.lifecycle import Action, Status, allowed
from beton.store import alarms, backtests, holdouts, hypotheses, outcomes, workspaces
from beton.store.alarms import Answer, Basis, DriftAlarm
from beton.store.outcomes import Ended
from beton.store.records import Hypothesis
from beton.store.store import Transaction
from beton.work.promising import Promise, floor_of, promise_of
from beton.work.workplace import Workplace

DRIFT = "drift"
"""The workspace's setting that says what to do."""

DEFAULT: alarms.Action = "ask"


@dataclass(frozen=True)
class Standing:
    """How a live hypothesis stands against its promise, as far as it is judged for good. `why`: the reason why it cannot be watched."""

    hypothesis: Hypothesis
    promise: Promise | None
    floor: float | None
    basis: Basis
    fires: int = 0
    hits: int = 0
    log_e: float = 0.0
    last: Ended | None = None
    alarm: DriftAlarm | None = None
    """One that nobody has answered."""
    why: str | None = None


def action_of(place: Workplace) -> alarms.Action:
    """What the workspace has chosen to do."""
    with place.store.reading() as tx:
        return workspaces.get(tx).settings.get(DRIFT, DEFAULT)


def choose_action(place: Workplace, action: alarms.Action, *, actor: str) -> None:
    """Raise an alarm only, pause at once, or ask."""
    with place.store.transaction() as tx:
        workspaces.choose(tx, DRIFT, action, actor=actor)


def standings(place: Workplace) -> list[Standing]:
    """Of all that send signals now."""
    bar = place.bar
    with place.store.reading() as tx:
        live = hypotheses.every(tx, statuses=(Status.APPROVED,))
        return [_standing(tx, one, bar) for one in live]


def watch(place: Workplace) -> list[DriftAlarm]:
    """Raise alarms for those that have drifted since the last look, and do what the workspace has chosen. The new alarms."""
    watched = [one for one in standings(place) if one.why is None and one.alarm is None]
    called = e_benjamini_hochberg(np.array([one.log_e for one in watched], np.float64))
    action = action_of(place)
    return [_raise(place, one, action) for one, is_called in zip(watched, called.tolist(), strict=True) if is_called]


def answer(place: Workplace, alarm_id: str, said: Answer, *, actor: str, comment: str | None = None) -> DriftAlarm:
    """A person's answer: it stays live (and is watched anew, from later fires on), is paused, or retired."""
    with place.store.transaction() as tx:
        found = alarms.answer(tx, alarm_id, said, actor=actor, comment=comment)
        if said != "kept":
            _act(tx, found, Action.PAUSE if said == "paused" else Action.RETIRE, actor=actor)
    return found


def _raise(place: Workplace, one: Standing, action: alarms.Action) -> DriftAlarm:
    if one.floor is None or one.last is None:
        raise ValueError("nothing without a floor and without fires has drifted")
    with place.store.transaction() as tx:
        counted = {"fires": one.fires, "hits": one.hits, "log_e": one.log_e, "last_fired_at": one.last.fired_at}
        found = alarms.raise_alarm(tx, one.hypothesis, action, basis=one.basis, floor=one.floor, **counted)
        if action == "pause":
            _act(tx, found, Action.PAUSE, actor="beton")
            found = alarms.answer(tx, found.id, "paused", actor="beton")
    return found


def _act(tx: Transaction, about: DriftAlarm, action: Action, *, actor: str) -> None:
    """What a person has done meanwhile stays done."""
    row = hypotheses.get(tx, about.hypothesis_id)
    if row.version == about.hypothesis_version and action in allowed(row.status):
        hypotheses.decide(tx, row.id, action, expected_row_version=row.row_version, actor=actor, reason=about.sentence)


def _standing(tx: Transaction, one: Hypothesis, bar: Bar) -> Standing:
    seen = hypotheses.version(tx, one.id, one.version).backtest_id
    promise = promise_of(backtests.get(tx, seen).result if seen else None)
    floor = floor_of(promise, bar)
    holdout = holdouts.of(tx, one.id)
    basis: Basis = "holdout" if holdout.share else "all"
    mine = [each for each in alarms.alarms(tx, hypothesis_id=one.id) if each.hypothesis_version == one.version]
    waiting = next((each for each in mine if each.answer is None), None)
    if floor is None:
        return Standing(one, promise, None, basis, alarm=waiting, why="It was approved without a precision that it could keep.")
    since = max((each.answered_at for each in mine if each.answered_at is not None), default=None)
    ended = outcomes.ended(tx, (one.id, one.version), until=tx.now, after=since, held_only=basis == "holdout")
    fires, hits = len(ended), sum(each.converted for each in ended)
    return Standing(one, promise, floor, basis, fires, hits, Watch(floor, fires, hits).log_e, ended[-1] if ended else None, waiting)

"""What Beton notices about live hypotheses: one is surely below its promise, a name of one broke. What people answered stands beside it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlmodel import col

from backtest.breakage import Break
from beton.errors import Conflict, NotFound
from beton.signals import Value
from beton.store import audit, notices
from beton.store.columns import new_id
from beton.store.proof_tables import BrokenNameRow, DriftAlarmRow
from beton.store.records import Hypothesis
from beton.store.store import Transaction

Action = Literal["alarm", "pause", "ask"]
Answer = Literal["kept", "paused", "retired"]
Basis = Literal["holdout", "all"]


class DriftAlarm(Value):
    """A version of a hypothesis that is surely below its `floor`: `hits` of `fires`, the last at `last_fired_at`.

    `basis`: judged on the accounts that are held out, or on all signals. `answer` is `None` while nobody has answered.
    """

    id: str
    hypothesis_id: str
    hypothesis_version: int
    raised_at: datetime
    last_fired_at: datetime
    basis: Basis
    floor: float
    fires: int
    hits: int
    log_e: float
    action: Action
    answer: Answer | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None
    comment: str | None = None

    @property
    def sentence(self) -> str:
        """What is wrong."""
        whom = "accounts held out" if self.basis == "holdout" else "signals"
        return f"{self.hits} of {self.fires} {whom} were followed by the outcome: surely below the {self.floor:.1%} that were promised at least."


class BrokenName(Value):
    """A name of a hypothesis that broke; see `backtest.breakage`. `ended_at` is `None` while it is so."""

    id: str
    hypothesis_id: str
    hypothesis_version: int
    kind: str
    event: str | None
    property: str | None
    was: str | None
    became: str | None
    instead: str | None
    noticed_at: datetime
    ended_at: datetime | None = None

    @property
    def sentence(self) -> str:
        """What is wrong, and what it may be called now."""
        of = f" of {self.event}" if self.event else ""
        said = {
            "event_gone": f"The project has no event {self.event} any more.",
            "event_silent": f"{self.event} has stopped coming.",
            "property_gone": f"The property {self.property}{of} is carried no more.",
            "property_retyped": f"The property {self.property}{of} was {self.was} and is {self.became} now.",
            "group_type_gone": f"The project has no group type {self.was} any more.",
        }[self.kind]
        return f"{said} Perhaps it is called {self.instead} now." if self.instead else said


def raise_alarm(
    tx: Transaction, one: Hypothesis, action: Action, *, basis: Basis, floor: float, fires: int, hits: int, log_e: float, last_fired_at: datetime
) -> DriftAlarm:
    """Write an alarm down, tell the routes that want notices, and the audit log."""
    row = DriftAlarmRow(
        id=new_id("alm"), workspace_id=tx.workspace_id, hypothesis_id=one.id, hypothesis_version=one.version, raised_at=tx.now,
        last_fired_at=last_fired_at, basis=basis, floor=floor, fires=fires, hits=hits, log_e=log_e, action=action,
    )  # fmt: skip
    tx.session.add(row)
    tx.session.flush()
    found = _alarm(row)
    after = {"alarm": row.id, "action": action, "basis": basis, "floor": floor, "fires": fires, "hits": hits}
    audit.write(tx, "beton", "hypothesis.drift", "hypothesis", one.id, after=after)
    if action != "pause":  # its pausing is told by itself
        notices.warn(tx, one.id, "drift", found.sentence)
    return found


def answer(tx: Transaction, alarm_id: str, said: Answer, *, actor: str, comment: str | None = None) -> DriftAlarm:
    """Write down what was decided about an alarm. `Conflict` where somebody has answered already."""
    query = sa.select(DriftAlarmRow).where(col(DriftAlarmRow.id) == alarm_id).with_for_update()
    row = tx.session.execute(query.execution_options(populate_existing=True)).scalars().first()
    if row is None:
        raise NotFound(f"There is no alarm {alarm_id}.")
    if row.answer is not None:
        raise Conflict("Somebody has answered this alarm already.", details={"answer": row.answer, "answered_by": row.answered_by})
    row.answer, row.answered_at, row.answered_by, row.comment = said, tx.now, actor, comment
    audit.write(tx, actor, "alarm.answer", "hypothesis", row.hypothesis_id, after={"alarm": row.id, "answer": said, "comment": comment})
    tx.session.flush()
    return _alarm(row)


def alarm(tx: Transaction, alarm_id: str) -> DriftAlarm:
    """The alarm with this id."""
    row = tx.session.get(DriftAlarmRow, alarm_id)
    if row is None:
        raise NotFound(f"There is no alarm {alarm_id}.")
    return _alarm(row)


def alarms(tx: Transaction, *, hypothesis_id: str | None = None, open_only: bool = False) -> list[DriftAlarm]:
    """Alarms, the latest first: of one hypothesis or of all, answered or not."""
    query = sa.select(DriftAlarmRow).order_by(col(DriftAlarmRow.raised_at).desc(), col(DriftAlarmRow.id))
    if hypothesis_id is not None:
        query = query.where(col(DriftAlarmRow.hypothesis_id) == hypothesis_id)
    if open_only:
        query = query.where(col(DriftAlarmRow.answered_at).is_(None))
    return [_alarm(row) for row in tx.session.execute(query).scalars()]


def note_breaks(tx: Transaction, one: Hypothesis, found: Sequence[Break]) -> list[BrokenName]:
    """Write down what broke and is not written down yet, and tell of it; those that are new."""
    known = {_known(each) for each in broken_names(tx, hypothesis_id=one.id)}
    new = []
    for each in found:
        told = each.kind, each.event or None, each.property or None
        if told in known:
            continue
        row = BrokenNameRow(
            id=new_id("brk"), workspace_id=tx.workspace_id, hypothesis_id=one.id, hypothesis_version=one.version, kind=each.kind,
            event=told[1], property=told[2], was=each.was or None, became=each.became or None, instead=each.instead or None, noticed_at=tx.now,
        )  # fmt: skip
        tx.session.add(row)
        new.append(_broken(row))
    tx.session.flush()
    if new:
        audit.write(tx, "beton", "hypothesis.names_broke", "hypothesis", one.id, after={"breaks": [each.sentence for each in new]})
        notices.warn(tx, one.id, "names_broke", " ".join(each.sentence for each in new))
    return new


def end_breaks(tx: Transaction, ids: Sequence[str]) -> None:
    """These are as they were again."""
    if ids:
        tx.count(sa.update(BrokenNameRow).where(col(BrokenNameRow.id).in_(list(ids))).values(ended_at=tx.now))


def broken_names(tx: Transaction, *, hypothesis_id: str | None = None) -> list[BrokenName]:
    """What is broken now, the oldest first."""
    query = sa.select(BrokenNameRow).where(col(BrokenNameRow.ended_at).is_(None))
    if hypothesis_id is not None:
        query = query.where(col(BrokenNameRow.hypothesis_id) == hypothesis_id)
    rows = tx.session.execute(query.order_by(col(BrokenNameRow.noticed_at), col(BrokenNameRow.id))).scalars()
    return [_broken(row) for row in rows]


def _known(one: BrokenName) -> tuple[str, str | None, str | None]:
    return one.kind, one.event, one.property


def _alarm(row: DriftAlarmRow) -> DriftAlarm:
    return DriftAlarm.model_validate(row.model_dump(exclude={"workspace_id"}))


def _broken(row: BrokenNameRow) -> BrokenName:
    return BrokenName.model_validate(row.model_dump(exclude={"workspace_id"}))

"""Hypotheses and the decisions about them.

Two people may look at the same hypothesis. Each shows the row version it has seen; whoever comes second gets a conflict instead of silently
overruling the first. The check and the write are one UPDATE, so it holds between processes too.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import BadInput, Conflict, NotFound, StaleVersion
from beton.lifecycle import Action, Status, check_approval, move
from beton.store import audit, notices
from beton.store.columns import new_id, table_of
from beton.store.deliveries import give_up, hold, release
from beton.store.hypothesis_lists import Wanted, listed, with_ids
from beton.store.live import recall_fired
from beton.store.prepared import prepared
from beton.store.records import Hypothesis, HypothesisVersion, NewHypothesis, Page
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow, HypothesisVersionRow

_TABLE = "hypothesis"


def add(tx: Transaction, new: NewHypothesis, *, actor: str) -> tuple[Hypothesis, bool]:
    """Keep a hypothesis. Two with the same fingerprint are the same: then the known one is returned, and False."""
    values = new.model_dump(mode="json") | {
        "id": new_id("hyp"),
        "workspace_id": tx.workspace_id,
        "version": 1,
        "row_version": 1,
        "fired_count": 0,
        "rank": 0.0,
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    fresh = tx.insert_new(HypothesisRow, [values])
    query = sa.select(HypothesisRow).where(
        col(HypothesisRow.connection_id) == new.connection_id,
        col(HypothesisRow.fingerprint) == new.fingerprint,
    )
    row = tx.session.execute(query).scalars().one()
    if fresh:
        _write_version(tx, row)
        audit.write(tx, actor, "hypothesis.add", _TABLE, row.id, after={"status": row.status, "sentence": row.sentence})
    return _value(row), bool(fresh)


def get(tx: Transaction, hypothesis_id: str) -> Hypothesis:
    """The hypothesis with this id."""
    found = with_ids(tx, [hypothesis_id])
    if not found:
        raise _missing(hypothesis_id)
    return found[0]


def listing(
    tx: Transaction,
    *,
    connection_id: str | None = None,
    statuses: Collection[Status] = (),
    limit: int = 50,
    after: str | None = None,
) -> Page[Hypothesis]:
    """Hypotheses, newest first."""
    return newest(tx, Wanted(connection_id, statuses), limit=limit, after=after)


def ranked(tx: Transaction, wanted: Wanted, *, limit: int = 50, after: str | None = None) -> Page[Hypothesis]:
    """What clears the bar first, then by shrunken lift: the order in which people look at proposals."""
    return listed(tx, wanted, "rank", limit, after)


def newest(tx: Transaction, wanted: Wanted, *, limit: int = 50, after: str | None = None) -> Page[Hypothesis]:
    """The newest first."""
    return listed(tx, wanted, "created_at", limit, after)


def some(tx: Transaction, hypothesis_ids: Collection[str]) -> list[Hypothesis]:
    """Those with these ids, in their order; unknown ones are missing."""
    found = {one.id: one for one in with_ids(tx, hypothesis_ids)}
    return [found[one] for one in dict.fromkeys(hypothesis_ids) if one in found]


def every(tx: Transaction, *, connection_id: str | None = None, statuses: Collection[Status] = ()) -> list[Hypothesis]:
    """All of them, oldest first: what a sweep or a batch of backtests works through."""
    query = _wanted(connection_id, statuses).order_by(col(HypothesisRow.created_at), col(HypothesisRow.id))
    return [_value(row) for row in tx.session.execute(query).scalars()]


def fired(tx: Transaction) -> int:
    """How many signals all hypotheses have sent."""
    return tx.session.execute(sa.select(sa.func.coalesce(sa.func.sum(col(HypothesisRow.fired_count)), 0))).scalar_one()


def decide(
    tx: Transaction,
    hypothesis_id: str,
    action: Action,
    *,
    expected_row_version: int,
    actor: str,
    reason: str | None = None,
    override_reason: str | None = None,
    clears: bool | None = None,
    snoozed_until: datetime | None = None,
    live_from: datetime | None = None,
    backtest_id: str | None = None,
) -> Hypothesis:
    """Do what a person decided, and write it into the audit log.

    `clears` is the bar's verdict on the numbers that the person has seen, `backtest_id` the result that has them. `live_from` is S0, frozen
    at approval; without it fires count from now on. Raises `StaleVersion` when somebody else was first, `IllegalTransition` when the table
    has no such step, `Conflict` for an approval below the bar without `override_reason`, `BadInput` when a rejection has no reason or a
    snooze no date.
    """
    row = _row(tx, hypothesis_id)
    _check_version(row, expected_row_version)
    status = move(Status(row.status), action)
    if action is Action.REVISE:
        raise Conflict("A revision is not a decision: it needs a definition.", fix="Use `revise`.")
    changes = _consequences(tx, action, reason, override_reason, clears, snoozed_until, live_from)
    before = {"status": row.status, "row_version": row.row_version}
    _update(tx, row, expected_row_version, {"status": str(status), "decided_by": actor, "decided_at": tx.now, **changes})
    _tell_deliveries(tx, hypothesis_id, action)
    if action is Action.APPROVE:
        approved = sa.update(HypothesisVersionRow).where(
            col(HypothesisVersionRow.hypothesis_id) == row.id, col(HypothesisVersionRow.version) == row.version
        )
        tx.session.execute(approved.values(backtest_id=backtest_id))
        recall_fired(tx, row.id, row.version)
    after = {"status": str(status), "row_version": row.row_version, "reason": reason, "override_reason": row.override_reason, "clears": clears}
    audit.write(tx, actor, f"hypothesis.{action}", _TABLE, row.id, before=before, after=after)
    notices.tell(tx, row, Status(before["status"]), action, actor=actor, reason=reason or row.override_reason)
    return _value(row)


def revise(
    tx: Transaction, hypothesis_id: str, *, definition: dict[str, Any], fingerprint: str, sentence: str, expected_row_version: int, actor: str
) -> Hypothesis:
    """Replace the definition. It becomes the next version, loses its approval, and counts as selected: it was edited by somebody who saw numbers."""
    row = _row(tx, hypothesis_id)
    _check_version(row, expected_row_version)
    status = move(Status(row.status), Action.REVISE)
    twin = sa.select(col(HypothesisRow.id)).where(
        col(HypothesisRow.connection_id) == row.connection_id,
        col(HypothesisRow.fingerprint) == fingerprint,
        col(HypothesisRow.id) != hypothesis_id,
    )
    if (other := tx.session.execute(twin).scalar()) is not None:
        raise Conflict(f"The revised hypothesis is the same as {other}.", code="conflict.same_hypothesis", fix=f"Use {other} instead.")
    before = {"status": row.status, "version": row.version, "fingerprint": row.fingerprint, "sentence": row.sentence}
    changes = {"definition": definition, "fingerprint": fingerprint, "sentence": sentence, "version": row.version + 1, "selected": True}
    nothing_decided = {"override_reason": None, "rejected_reason": None, "snoozed_until": None, "live_from": None, "live_since": None}
    untested = {"newest_backtest_id": None, "verdict": None, "rank": 0.0}
    _update(tx, row, expected_row_version, {"status": str(status), **changes, **nothing_decided, **untested})
    _write_version(tx, row)
    give_up(tx, hypothesis_id, "The hypothesis was revised before this was sent.")
    after = {"status": row.status, "version": row.version, "fingerprint": row.fingerprint, "sentence": row.sentence}
    audit.write(tx, actor, "hypothesis.revise", _TABLE, row.id, before=before, after=after)
    notices.tell(tx, row, Status(before["status"]), Action.REVISE, actor=actor)
    return _value(row)


def version(tx: Transaction, hypothesis_id: str, number: int) -> HypothesisVersion:
    """What a version said, and on which result it was approved."""
    row = tx.session.get(HypothesisVersionRow, (hypothesis_id, number))
    if row is None:
        raise NotFound(f"There is no version {number} of the hypothesis {hypothesis_id}.")
    return HypothesisVersion.model_validate(row.model_dump(exclude={"workspace_id"}))


def versions(tx: Transaction, hypothesis_id: str) -> list[HypothesisVersion]:
    """All that it has said, the newest first."""
    return [HypothesisVersion(**row._mapping) for row in tx.rows(_VERSIONS, hypotheses=[hypothesis_id])]


_VERSION = table_of(HypothesisVersionRow).c
_VERSIONS = prepared(
    sa.select(*(_VERSION[name] for name in HypothesisVersion.model_fields))
    .where(_VERSION.hypothesis_id.in_(sa.bindparam("hypotheses", expanding=True)))
    .order_by(_VERSION.version.desc())
)


def with_fingerprint(tx: Transaction, connection_id: str, fingerprint: str) -> Hypothesis | None:
    """The one that means this, if it is known."""
    query = _wanted(connection_id, ()).where(col(HypothesisRow.fingerprint) == fingerprint)
    row = tx.session.execute(query).scalars().first()
    return None if row is None else _value(row)


def wake_due(tx: Transaction, *, actor: str = "beton") -> list[Hypothesis]:
    """Wake the snoozed hypotheses whose date has come."""
    query = _wanted(None, (Status.SNOOZED,)).where(col(HypothesisRow.snoozed_until) <= tx.now)
    due = tx.session.execute(query.with_for_update(skip_locked=True)).scalars().all()
    return [decide(tx, row.id, Action.WAKE, expected_row_version=row.row_version, actor=actor) for row in due]


def _consequences(
    tx: Transaction,
    action: Action,
    reason: str | None,
    override_reason: str | None,
    clears: bool | None,
    snoozed_until: datetime | None,
    live_from: datetime | None,
) -> dict[str, Any]:
    """The fields that an action sets besides the status."""
    match action:
        case Action.APPROVE:
            check_approval(clears, override_reason)
            override = None if clears is True else override_reason
            quiet = {"rejected_reason": None, "snoozed_until": None}
            return {"override_reason": override, "live_from": live_from or tx.now, "live_since": tx.now, **quiet}
        case Action.REJECT:
            if reason is None or not reason.strip():
                raise BadInput("A rejection needs a reason: the next proposals learn from it.", fix="Say why in a few words.")
            return {"rejected_reason": reason, "snoozed_until": None}
        case Action.SNOOZE:
            if snoozed_until is None or snoozed_until <= tx.now:
                raise BadInput("A snooze needs a date in the future.", fix="Choose when to be asked again.")
            return {"snoozed_until": snoozed_until}
        case Action.REOPEN:
            return {"rejected_reason": None, "override_reason": None, "live_from": None, "live_since": None}
        case Action.WAKE:
            return {"snoozed_until": None}
        case _:
            return {}


def _tell_deliveries(tx: Transaction, hypothesis_id: str, action: Action) -> None:
    """What a decision means for signals that have not left yet."""
    if action is Action.PAUSE:
        hold(tx, hypothesis_id)
    elif action is Action.RESUME:
        release(tx, hypothesis_id)
    elif action is Action.RETIRE:
        give_up(tx, hypothesis_id, "The hypothesis was retired before this was sent.")


def _write_version(tx: Transaction, row: HypothesisRow) -> None:
    kept = row.model_dump(include={"version", "workspace_id", "fingerprint", "definition", "sentence"})
    tx.insert_new(HypothesisVersionRow, [kept | {"hypothesis_id": row.id, "created_at": tx.now}])


def _wanted(connection_id: str | None, statuses: Collection[Status]) -> Any:
    query = sa.select(HypothesisRow)
    if connection_id is not None:
        query = query.where(col(HypothesisRow.connection_id) == connection_id)
    return query.where(col(HypothesisRow.status).in_([str(status) for status in statuses])) if statuses else query


def _row(tx: Transaction, hypothesis_id: str) -> HypothesisRow:
    row = tx.session.get(HypothesisRow, hypothesis_id)
    if row is None:
        raise _missing(hypothesis_id)
    return row


def _missing(hypothesis_id: str) -> NotFound:
    return NotFound(f"There is no hypothesis {hypothesis_id}.")


def _check_version(row: HypothesisRow, expected: int) -> None:
    if row.row_version != expected:
        raise StaleVersion(
            f"The hypothesis {row.id} was changed by somebody else: it is now at row version {row.row_version}, not {expected}.",
            details={"expected": expected, "present": row.row_version, "status": row.status},
        )


def _update(tx: Transaction, row: HypothesisRow, expected: int, changes: dict[str, Any]) -> None:
    """Write under the condition that nobody has written since: on PostgreSQL another transaction may have committed after our read."""
    statement = (
        sa.update(HypothesisRow)
        .where(col(HypothesisRow.id) == row.id, col(HypothesisRow.row_version) == expected)
        .values(**changes, row_version=expected + 1, updated_at=tx.now)
        .returning(col(HypothesisRow.id))
    )
    written = tx.session.execute(statement).scalars().all()
    tx.session.refresh(row)
    if not written:
        _check_version(row, expected)


_KEPT = tuple(Hypothesis.model_fields)


def _value(row: HypothesisRow) -> Hypothesis:
    """Field by field: dumping a row would walk through its definition."""
    return Hypothesis.model_validate({name: getattr(row, name) for name in _KEPT})

"""The outbox: deliveries wait here until a worker takes them, and what became of each attempt is written down here.

A worker *claims* some due deliveries, which leases them to it for a while; sends them outside of any transaction; and *settles* each with the
lease it was given. If it dies, the lease runs out and another worker claims the delivery again: attempts happen at least once. The message id
is the same in every attempt, so that a receiver that keeps it acts once. Between "the receiver has acted" and "we have committed" lies a window
that cannot be closed; a destination that may not be called twice has its overdue leases put `in_doubt` instead (`doubt_overdue`).

What has never been tried goes before what is tried again: news are worth more than what a receiver has refused already.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import Conflict, NotFound, excerpt
from beton.lifecycle import SENDING
from beton.signals import AttemptOutcome, Claim, Delivery, DeliveryStatus, Notice, Signal
from beton.store import audit, reach, route_health
from beton.store.columns import new_id, table_of
from beton.store.delivery_tables import DeliveryAttemptRow, DeliveryRow, NoticeRow, RouteRow
from beton.store.paging import asked_page, in_pages, place_of
from beton.store.prepared import Prepared, prepared
from beton.store.records import DeliveryAttempt, Page
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow, SignalRow

SEALED_UNIT = "unit_sealed"
"""The column of a signal that says whom it is about."""
ATTEMPTS_KEPT = timedelta(days=30)
RESPONSE_HEAD = 2048
"""Longest beginning of a receiver's answer that is kept, in characters."""
WAITING = (str(DeliveryStatus.PENDING), str(DeliveryStatus.FAILED))


def due_routes(tx: Transaction) -> list[str]:
    """Ids of the routes that have due deliveries, the longest waiting first; none while all sending is stopped."""
    if reach.stopped(tx) is not None:
        return []
    waiting_since = sa.func.min(col(DeliveryRow.next_attempt_at))
    query = sa.select(col(DeliveryRow.route_id)).join(RouteRow, col(RouteRow.id) == col(DeliveryRow.route_id)).where(*_due(tx))
    return list(tx.session.execute(query.group_by(col(DeliveryRow.route_id)).order_by(waiting_since, col(DeliveryRow.route_id))).scalars())


def waiting_since(tx: Transaction) -> datetime | None:
    """When the delivery that has been due the longest was due; `None` when nothing is due."""
    if reach.stopped(tx) is not None:
        return None
    query = sa.select(sa.func.min(col(DeliveryRow.next_attempt_at))).join(RouteRow, col(RouteRow.id) == col(DeliveryRow.route_id))
    return tx.session.execute(query.where(*_due(tx))).scalar()


def claim(tx: Transaction, *, limit: int, lease: timedelta, route_id: str | None = None) -> list[Claim]:
    """Lease up to `limit` due deliveries of enabled routes (or of the one named): those never tried first, then the oldest due. Nothing is leased
    to two workers at once."""
    if reach.stopped(tx) is not None:
        return []
    fresh = sa.case((col(DeliveryRow.attempts) == col(DeliveryRow.attempts_before), 0), else_=1)
    due = (
        sa.select(DeliveryRow, SignalRow, NoticeRow)
        .outerjoin(SignalRow, col(SignalRow.id) == col(DeliveryRow.signal_id))
        .outerjoin(NoticeRow, col(NoticeRow.id) == col(DeliveryRow.notice_id))
        .join(RouteRow, col(RouteRow.id) == col(DeliveryRow.route_id))
        .where(*_due(tx), *(() if route_id is None else (col(DeliveryRow.route_id) == route_id,)))
        .order_by(fresh, col(DeliveryRow.next_attempt_at), col(DeliveryRow.id))
        .limit(limit)
        .with_for_update(of=DeliveryRow, skip_locked=True)  # SQLite ignores it: there the transaction has the write lock already
        .execution_options(populate_existing=True)
    )
    claims = []
    for row, signal, notice in tx.session.execute(due).all():
        row.lease, row.leased_until = new_id("lse"), tx.now + lease
        about = notice_value(notice) if signal is None else signal_value(tx, signal)
        claims.append(Claim(delivery=to_value(row), about=about, lease=row.lease, leased_until=row.leased_until))
    tx.session.flush()
    return claims


def settle(tx: Transaction, delivery_id: str, lease: str, outcome: AttemptOutcome) -> Delivery:
    """Write down an attempt and what follows from it; `Conflict` when the lease is no longer the caller's."""
    row = _locked(tx, delivery_id)
    if row.lease != lease:
        raise Conflict(f"The delivery {delivery_id} has been taken over.", code="conflict.lease_lost", fix="Nothing: its new worker settles it.")
    error = excerpt(outcome.error) if outcome.error else None
    tx.session.add(
        DeliveryAttemptRow(
            workspace_id=tx.workspace_id,
            delivery_id=delivery_id,
            at=tx.now,
            status=str(outcome.status),
            status_code=outcome.status_code,
            latency_ms=outcome.latency_ms,
            response_head=excerpt(outcome.response_head, limit=RESPONSE_HEAD) if outcome.response_head else None,
            error=error,
        )
    )
    row.attempts += 1
    row.lease = row.leased_until = None
    row.last_error = error
    # Its hypothesis may have been paused or retired while it was on the way: what failed stays put then, what arrived has arrived.
    stays = row.status not in (*WAITING, str(DeliveryStatus.IN_DOUBT)) and outcome.status is DeliveryStatus.FAILED
    row.status = row.status if stays else str(outcome.status)
    row.next_attempt_at = outcome.next_attempt_at if outcome.status is DeliveryStatus.FAILED and not stays else None
    row.delivered_at = tx.now if outcome.status is DeliveryStatus.DELIVERED else None
    tx.session.flush()
    written = to_value(row)
    if outcome.status is not DeliveryStatus.IN_DOUBT and outcome.counts:
        route_health.note(tx, row.route_id, arrived=outcome.status is DeliveryStatus.DELIVERED)
    return written


def release_lease(tx: Transaction, delivery_id: str, lease: str) -> bool:
    """Give a lease back unused, so that another may take it at once. Whether it was the caller's still."""
    mine = sa.update(DeliveryRow).where(col(DeliveryRow.id) == delivery_id, col(DeliveryRow.lease) == lease)
    return tx.count(mine.values(lease=None, leased_until=None)) == 1


def doubt_overdue(tx: Transaction, route_id: str) -> int:
    """Put a route's overdue leases in doubt instead of sending again; for destinations that cannot tell a repetition. How many there were.

    The lease stays: if its worker is alive after all, it may still say what became of it.
    """
    overdue = (
        sa.update(DeliveryRow)
        .where(
            col(DeliveryRow.route_id) == route_id,
            col(DeliveryRow.status).in_(WAITING),
            col(DeliveryRow.leased_until) <= tx.now,
        )
        .values(status=str(DeliveryStatus.IN_DOUBT), leased_until=None, next_attempt_at=None, last_error=DIED)
    )
    return tx.count(overdue)


def postpone(tx: Transaction, route_id: str, *, after: datetime, until: datetime) -> int:
    """Let what is due of a route, and was written down after an instant, wait until another. How many there were."""
    due = sa.update(DeliveryRow).where(col(DeliveryRow.route_id) == route_id, col(DeliveryRow.created_at) > after)
    return tx.count(due.where(col(DeliveryRow.status).in_(WAITING), col(DeliveryRow.next_attempt_at) <= tx.now).values(next_attempt_at=until))


DIED = "The worker ended before it could write down the answer: it may have arrived."
AGAIN = (str(DeliveryStatus.DEAD), str(DeliveryStatus.IN_DOUBT), str(DeliveryStatus.FAILED))


def retry(tx: Transaction, delivery_id: str, *, actor: str, arrived_too: bool = False) -> Delivery:
    """A person asks to send again what was given up or is in doubt, with `arrived_too` also what has arrived; the message id stays."""
    row = _locked(tx, delivery_id)
    if row.status not in (*AGAIN, *((str(DeliveryStatus.DELIVERED),) if arrived_too else ())):
        raise Conflict(f"The delivery {delivery_id} is {row.status}.", fix="Only failed, dead and doubtful deliveries can be sent again.")
    if row.signal_id is not None and tx.session.get_one(SignalRow, row.signal_id).taken_back_at is not None:
        raise Conflict("The signal of this delivery was taken back.", fix="Put the signal back first, if it was right after all.")
    audit.write(tx, actor, "delivery.retry", "delivery", row.id, before={"status": row.status})
    row.status, row.next_attempt_at, row.delivered_at = str(DeliveryStatus.PENDING), tx.now, None
    row.attempts_before, row.lease = row.attempts, None
    tx.session.flush()
    return to_value(row)


def resolve(tx: Transaction, delivery_id: str, *, arrived: bool, actor: str) -> Delivery:
    """A person has looked whether a message in doubt arrived; where it has not, it is sent again."""
    row = _locked(tx, delivery_id)
    if row.status != str(DeliveryStatus.IN_DOUBT):
        raise Conflict(f"The delivery {delivery_id} is {row.status}.", fix="Only deliveries in doubt can be resolved.")
    if not arrived:
        return retry(tx, delivery_id, actor=actor)
    audit.write(tx, actor, "delivery.resolve", "delivery", row.id, before={"status": row.status}, after={"arrived": True})
    row.status, row.delivered_at, row.lease = str(DeliveryStatus.DELIVERED), tx.now, None
    tx.session.flush()
    return to_value(row)


GIVEN_UP = (str(DeliveryStatus.DEAD),)
ARRIVED_TOO = (*GIVEN_UP, str(DeliveryStatus.DELIVERED))


def retry_all(tx: Transaction, *, since: datetime, route_id: str | None, actor: str, arrived_too: bool = False) -> int:
    """Send again everything that was made since an instant and then given up, with `arrived_too` also what has arrived, except what has been taken
    back, erased, or belongs to a hypothesis that sends no more. How many there were.

    What is in doubt is left out: whether it arrived has to be looked up one by one (`resolve`).
    """
    query = sa.select(col(DeliveryRow.id)).where(*_given_up(since, route_id, ARRIVED_TOO if arrived_too else GIVEN_UP))
    found = list(tx.session.execute(query.with_for_update()).scalars())
    if found:
        told = {"since": since.isoformat(), "route_id": route_id, "deliveries": len(found), "arrived_too": arrived_too}
        audit.write(tx, actor, "delivery.retry_all", "route", route_id or "", after=told)
    for begin in range(0, len(found), 500):
        some = sa.update(DeliveryRow).where(col(DeliveryRow.id).in_(found[begin : begin + 500]))
        anew = {"attempts_before": col(DeliveryRow.attempts), "lease": None, "delivered_at": None}
        tx.count(some.values(status=str(DeliveryStatus.PENDING), next_attempt_at=tx.now, **anew))
    return len(found)


def drop_waiting(tx: Transaction, *, actor: str) -> int:
    """Give up all that has not left; how many there were."""
    waiting = sa.update(DeliveryRow).where(col(DeliveryRow.status).in_(WAITING), col(DeliveryRow.leased_until).is_(None))
    dropped = tx.count(waiting.values(status=str(DeliveryStatus.DEAD), next_attempt_at=None, last_error="Given up while all sending was stopped."))
    audit.write(tx, actor, "delivery.drop_waiting", "workspace", tx.workspace_id, after={"deliveries": dropped})
    return dropped


def given_up(tx: Transaction, *, since: datetime, route_id: str | None = None, most: int = 1000) -> int:
    """How many `retry_all` would send again, counted up to `most`."""
    query = sa.select(col(DeliveryRow.id)).where(*_given_up(since, route_id)).limit(most)
    return tx.session.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()


def _given_up(since: datetime, route_id: str | None, present: Collection[str] = GIVEN_UP) -> tuple[sa.ColumnElement[bool], ...]:
    sends = sa.select(col(HypothesisRow.id)).where(col(HypothesisRow.status).in_([str(one) for one in SENDING]))
    right = (col(SignalRow.taken_back_at).is_(None), col(SignalRow.unit_sealed).is_not(None), col(SignalRow.hypothesis_id).in_(sends))
    belongs = sa.select(col(SignalRow.id)).where(col(SignalRow.id) == col(DeliveryRow.signal_id), *right).exists()
    mine = () if route_id is None else (col(DeliveryRow.route_id) == route_id,)
    goes = sa.or_(col(DeliveryRow.notice_id).is_not(None), belongs)
    return (col(DeliveryRow.status).in_(present), col(DeliveryRow.created_at) >= since, goes, *mine)


def of_signals(tx: Transaction, signal_ids: Collection[str]) -> dict[str, list[Delivery]]:
    """Deliveries by signal, in the order of their routes."""
    found: dict[str, list[Delivery]] = {one: [] for one in signal_ids}
    for row in tx.rows(_OF_SIGNALS, signals=list(signal_ids)) if found else ():
        found[str(row.signal_id)].append(Delivery(**row._mapping))
    return found


_COLUMNS = table_of(DeliveryRow).c
_SHOWN = sa.select(*(_COLUMNS[name] for name in Delivery.model_fields))
_OF_SIGNALS = prepared(_SHOWN.where(_COLUMNS.signal_id.in_(sa.bindparam("signals", expanding=True))).order_by(_COLUMNS.route_id))
_ONE = prepared(_SHOWN.where(_COLUMNS.id == sa.bindparam("row")))
_PLACE = place_of(table_of(DeliveryRow), _COLUMNS.created_at)


@cache
def _listed(asks: frozenset[str], *, further: bool) -> Prepared:
    return in_pages(_SHOWN.where(*(_COLUMNS[name] == sa.bindparam(name) for name in sorted(asks))), _COLUMNS.created_at, _COLUMNS.id, further=further)


def count(tx: Transaction, status: DeliveryStatus, *, route_id: str | None = None, most: int = 1000) -> int:
    """How many deliveries are in a status, counted up to `most`: the outbox may hold millions."""
    along = {} if route_id is None else {"route_id": route_id}
    return int(tx.rows(_counting(along=bool(along)), status=str(status), most=most, **along)[0][0])


@cache
def _counting(*, along: bool) -> Prepared:
    criteria = [_COLUMNS[name] == sa.bindparam(name) for name in ("status", *(("route_id",) if along else ()))]
    some = prepared(sa.select(_COLUMNS.id).where(*criteria).limit(sa.bindparam("most")))
    return Prepared(sa.select(sa.func.count()).select_from(some.statement.subquery()))


def hold(tx: Transaction, hypothesis_id: str) -> int:
    """Stop the waiting deliveries of a hypothesis. One that is leased is perhaps on its way and cannot be called back."""
    return _switch(tx, hypothesis_id, WAITING, DeliveryStatus.PAUSED, None)


def release(tx: Transaction, hypothesis_id: str) -> int:
    """Let the held deliveries of a hypothesis go."""
    return _switch(tx, hypothesis_id, (str(DeliveryStatus.PAUSED),), DeliveryStatus.PENDING, tx.now)


def give_up(tx: Transaction, hypothesis_id: str, why: str) -> int:
    """Give up what is waiting or held of a hypothesis: its definition is no longer the one that was approved."""
    return _switch(tx, hypothesis_id, (*WAITING, str(DeliveryStatus.PAUSED)), DeliveryStatus.DEAD, None, last_error=why)


def get(tx: Transaction, delivery_id: str) -> Delivery:
    """The delivery with this id."""
    found = tx.rows(_ONE, row=delivery_id)
    if not found:
        raise NotFound(f"There is no delivery {delivery_id}.")
    return Delivery(**found[0]._mapping)


def listing(
    tx: Transaction,
    *,
    signal_id: str | None = None,
    route_id: str | None = None,
    status: DeliveryStatus | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[Delivery]:
    """Deliveries, newest first."""
    wanted = {"signal_id": signal_id, "route_id": route_id, "status": status}
    told = {name: str(value) for name, value in wanted.items() if value is not None}
    query = _listed(frozenset(told), further=after is not None)
    return asked_page(tx, query, _PLACE, lambda row: Delivery(**row._mapping), limit=limit, after=after, **told)


def attempts(tx: Transaction, delivery_id: str) -> list[DeliveryAttempt]:
    """The attempts of a delivery, first to last."""
    return [_attempt(row) for row in tx.rows(_ATTEMPTS, deliveries=[delivery_id])]


def last_attempts(tx: Transaction, delivery_ids: Collection[str]) -> dict[str, DeliveryAttempt]:
    """The last attempt of each of these deliveries that has one."""
    return {row.delivery_id: _attempt(row) for row in tx.rows(_ATTEMPTS, deliveries=list(delivery_ids))} if delivery_ids else {}


_ATTEMPT = table_of(DeliveryAttemptRow).c
_ATTEMPTS = prepared(
    sa.select(_ATTEMPT.delivery_id, *(_ATTEMPT[name] for name in DeliveryAttempt.model_fields))
    .where(_ATTEMPT.delivery_id.in_(sa.bindparam("deliveries", expanding=True)))
    .order_by(_ATTEMPT.id)
)


def to_value(row: DeliveryRow) -> Delivery:
    """The frozen value of a row."""
    return Delivery.model_validate(row.model_dump(exclude={"workspace_id", "lease", "leased_until"}))


def signal_value(tx: Transaction, row: SignalRow | sa.Row[*tuple[Any, ...]]) -> Signal:
    """The frozen value of a row, an object or plain columns, with its unit opened."""
    unit = None if row.unit_sealed is None else tx.sealer.open(row.unit_sealed, tx.place("signal", row.id, SEALED_UNIT))
    return Signal.model_validate(dict(zip(_KEPT_OF_SIGNAL, _kept_of_signal(row), strict=True)) | {"unit_id": unit})


_KEPT_OF_SIGNAL = tuple(name for name in Signal.model_fields if name != "unit_id")
_kept_of_signal = attrgetter(*_KEPT_OF_SIGNAL)


def notice_value(row: NoticeRow) -> Notice:
    """The frozen value of a row."""
    return Notice.model_validate(row.model_dump(exclude={"workspace_id"}))


def _attempt(row: sa.Row[*tuple[Any, ...]]) -> DeliveryAttempt:
    return DeliveryAttempt(**{name: row._mapping[name] for name in DeliveryAttempt.model_fields})


def drop_old_attempts(tx: Transaction, keep: timedelta = ATTEMPTS_KEPT) -> int:
    """Remove the attempts that are older, with what the receivers answered; how many there were. Each delivery keeps their number."""
    old = sa.delete(DeliveryAttemptRow).where(col(DeliveryAttemptRow.at) < tx.now - keep)
    return tx.count(old)


def _due(tx: Transaction) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(DeliveryRow.status).in_(WAITING),
        col(DeliveryRow.next_attempt_at) <= tx.now,
        sa.or_(col(DeliveryRow.leased_until).is_(None), col(DeliveryRow.leased_until) <= tx.now),
        col(RouteRow.enabled).is_(True),
        sa.or_(col(RouteRow.resting_until).is_(None), col(RouteRow.resting_until) <= tx.now),
    )


def _switch(tx: Transaction, hypothesis_id: str, present: tuple[str, ...], status: DeliveryStatus, due: Any, **more: Any) -> int:
    signals = sa.select(col(SignalRow.id)).where(col(SignalRow.hypothesis_id) == hypothesis_id)
    statement = (
        sa.update(DeliveryRow)
        .where(col(DeliveryRow.signal_id).in_(signals), col(DeliveryRow.status).in_(present))
        .values(status=str(status), next_attempt_at=due, **more)
    )
    return tx.count(statement)


def _locked(tx: Transaction, delivery_id: str) -> DeliveryRow:
    query = sa.select(DeliveryRow).where(col(DeliveryRow.id) == delivery_id)
    row = tx.session.execute(query.with_for_update().execution_options(populate_existing=True)).scalars().first()
    if row is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    return row

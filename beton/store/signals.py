"""Signals: the fires of approved hypotheses, each written down once, together with its deliveries."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import Conflict, NotFound
from beton.lifecycle import SENDING, Status
from beton.signals import DeliveryStatus, Finding, Signal, signal_type
from beton.store import reach
from beton.store.columns import content_id, microseconds, new_id, table_of
from beton.store.deliveries import SEALED_UNIT, signal_value
from beton.store.delivery_tables import DeliveryRow
from beton.store.directing import Directed, Way, direct, ways
from beton.store.erasure import erased_keys
from beton.store.holding import Fresh, held
from beton.store.paging import LARGEST_PAGE, asked_page, behind_place, in_pages, place_of
from beton.store.prepared import Prepared, prepared
from beton.store.reach import Entry
from beton.store.records import Page
from beton.store.store import Transaction
from beton.store.tables import ConnectionRow, HypothesisRow, LiveFiredRow, SignalRow

Made = tuple[dict[str, Any], Finding]
"""The values of a signal's row, and what it was made of."""


def record(
    tx: Transaction, hypothesis_id: str, version: int, findings: Sequence[Finding], *, route_ids: Collection[str] | None = None
) -> list[Signal]:
    """Write down the fires that are new, with one delivery for each route that takes them, and return those.

    A fire is known by (hypothesis, version, unit, occurrence): running a sweep again, or two at once, adds nothing. Erased units are left out.
    A signal that may not be sent is written down with the reason and without deliveries (see `holding`). Routes are the enabled ones whose
    rules take it, of all or of those named. Raises `Conflict` unless the hypothesis is approved in exactly this version, so that nothing can
    be sent that no person has approved.
    """
    hypothesis = _approved(tx, hypothesis_id, version)
    erased = erased_keys(tx, hypothesis.connection_id)
    made = [(_values(tx, hypothesis, finding), finding) for finding in findings]
    made = [(value, finding) for value, finding in made if value["unit_key"] not in erased]
    fresh = set(tx.insert_new(SignalRow, [value for value, _ in made]))
    made = [(value, finding) for value, finding in made if value["id"] in fresh]
    if not made:
        return []
    tx.insert_new(LiveFiredRow, [_fired(value, finding) for value, finding in made])
    _keep_accounts(tx, hypothesis.connection_id, made)
    written = _send(tx, hypothesis, made, ways(tx, route_ids))
    counted = col(HypothesisRow.fired_count) + len(written)
    tx.session.execute(sa.update(HypothesisRow).where(col(HypothesisRow.id) == hypothesis_id).values(fired_count=counted))
    return [signal_value(tx, SignalRow(**value)) for value in written]


def get(tx: Transaction, signal_id: str) -> Signal:
    """The signal with this id."""
    found = tx.rows(_ONE, row=signal_id)
    if not found:
        raise NotFound(f"There is no signal {signal_id}.")
    return signal_value(tx, found[0])


def some(tx: Transaction, signal_ids: Collection[str]) -> list[Signal]:
    """Those with these ids; unknown ones are missing."""
    return [signal_value(tx, row) for row in tx.rows(_SOME, rows=list(signal_ids))] if signal_ids else []


def listing(
    tx: Transaction,
    *,
    hypothesis_id: str | None = None,
    connection_id: str | None = None,
    type: str | None = None,
    owner_id: str | None = None,
    since: datetime | None = None,
    held_out: bool = False,
    limit: int = 50,
    after: str | None = None,
) -> Page[Signal]:
    """Signals, the last detected first. Those that are `held_out` at random are left out unless asked for: whoever saw them might act on them."""
    wanted = {"hypothesis_id": hypothesis_id, "connection_id": connection_id, "type": type, "owner_id": owner_id, "since": since}
    told = {name: value for name, value in wanted.items() if value is not None}
    query = _listed(frozenset(told), held_out=held_out, further=after is not None)
    return asked_page(tx, query, _PLACE, lambda row: signal_value(tx, row), limit=limit, after=after, **told)


_COLUMNS = table_of(SignalRow).c
_ANY = sa.select(*(_COLUMNS[name] for name in (*Signal.model_fields, SEALED_UNIT) if name in _COLUMNS))
_SHOWN = _ANY.where(sa.or_(_COLUMNS.held_because.is_(None), _COLUMNS.held_because != "holdout"))
_SOME = prepared(_ANY.where(_COLUMNS.id.in_(sa.bindparam("rows", expanding=True))))
_ONE = prepared(_ANY.where(_COLUMNS.id == sa.bindparam("row")))
_OF_KEY = prepared(
    _SHOWN.join(table_of(ConnectionRow), table_of(ConnectionRow).c.id == _COLUMNS.connection_id)
    .where(_COLUMNS.unit_key == sa.bindparam("unit_key"))
    .order_by(_COLUMNS.fired_at.desc(), _COLUMNS.id.desc())
    .limit(sa.bindparam("rows"))
)
_PLACE = place_of(table_of(SignalRow), _COLUMNS.detected_at)
_FED = prepared(_SHOWN.where(_COLUMNS.detected_at <= sa.bindparam("until")).order_by(_COLUMNS.detected_at, _COLUMNS.id).limit(sa.bindparam("rows")))
_FED_FROM = Prepared(_FED.statement.where(behind_place(_COLUMNS.detected_at, _COLUMNS.id) < sa.tuple_(_COLUMNS.detected_at, _COLUMNS.id)))


@cache
def _listed(asks: frozenset[str], *, held_out: bool, further: bool) -> Prepared:
    criteria = [_COLUMNS.detected_at >= sa.bindparam(name) if name == "since" else _COLUMNS[name] == sa.bindparam(name) for name in sorted(asks)]
    return in_pages((_ANY if held_out else _SHOWN).where(*criteria), _COLUMNS.detected_at, _COLUMNS.id, further=further)


SETTLED = timedelta(seconds=5)
"""Signals younger than this are not in the feed yet: one that was begun before them may still be written down behind them."""


def feed(tx: Transaction, *, after: str | None = None, limit: int = 100) -> list[Signal]:
    """Signals in the order of their detection, behind the one with the id `after`: what a reader that comes again and again has not seen yet.

    `NotFound` for an unknown `after`.
    """
    asked: dict[str, Any] = {"until": tx.now - SETTLED, "rows": max(1, min(limit, LARGEST_PAGE))}
    if after is None:
        return [signal_value(tx, row) for row in tx.rows(_FED, **asked)]
    start = tx.rows(_PLACE, row=after)
    if not start:
        raise NotFound(f"There is no signal {after}.")
    return [signal_value(tx, row) for row in tx.rows(_FED_FROM, after_when=start[0][0], after_id=after, **asked)]


def of_unit(tx: Transaction, connection_id: str, unit_kind: str, unit_id: str) -> list[Signal]:
    """All signals about one unit, oldest first."""
    key = tx.unit_key(connection_id, unit_kind, unit_id)
    query = sa.select(SignalRow).where(col(SignalRow.connection_id) == connection_id, col(SignalRow.unit_key) == key)
    return [signal_value(tx, row) for row in tx.session.execute(query.order_by(col(SignalRow.fired_at), col(SignalRow.id))).scalars()]


def of_key(tx: Transaction, unit_key: str, *, limit: int = LARGEST_PAGE) -> list[Signal]:
    """Signals about the unit with this keyed hash, newest first, without those that are held out at random; `NotFound` where there is none."""
    rows = tx.rows(_OF_KEY, unit_key=unit_key, rows=limit)
    if not rows:
        raise NotFound(f"There are no signals of a unit {unit_key}.")
    return [signal_value(tx, row) for row in rows]


def key_of(tx: Transaction, signal: Signal) -> str | None:
    """The keyed hash by which the unit of a signal is found again without naming it; `None` once it has been erased."""
    return None if signal.unit_id is None else tx.unit_key(signal.connection_id, signal.unit_kind, signal.unit_id)


def _approved(tx: Transaction, hypothesis_id: str, version: int) -> HypothesisRow:
    """The hypothesis, locked against being paused or revised until this transaction is over."""
    query = sa.select(HypothesisRow).where(col(HypothesisRow.id) == hypothesis_id)
    row = tx.session.execute(query.with_for_update().execution_options(populate_existing=True)).scalars().first()
    if row is None:
        raise NotFound(f"There is no hypothesis {hypothesis_id}.")
    if Status(row.status) not in SENDING or row.version != version:
        raise Conflict(
            f"The hypothesis {hypothesis_id} is {row.status} in version {row.version}; only an approved one sends signals.",
            code="conflict.not_live",
            fix="Read the live hypotheses again, then sweep.",
            details={"status": row.status, "version": row.version},
        )
    return row


def _values(tx: Transaction, hypothesis: HypothesisRow, finding: Finding) -> dict[str, Any]:
    row_id = new_id("sig")
    return {
        "id": row_id,
        "workspace_id": tx.workspace_id,
        "connection_id": hypothesis.connection_id,
        "hypothesis_id": hypothesis.id,
        "hypothesis_version": hypothesis.version,
        "type": hypothesis.type,
        "signal_type": signal_type(hypothesis.type, {clause.get("kind") for clause in hypothesis.definition.get("clauses", ())}),
        "unit_kind": finding.unit_kind,
        SEALED_UNIT: tx.sealer.seal(finding.unit_id, tx.place("signal", row_id, SEALED_UNIT)),
        "unit_key": tx.unit_key(hypothesis.connection_id, finding.unit_kind, finding.unit_id),
        "occurrence": finding.occurrence,
        "fired_at": finding.fired_at,
        "detected_at": tx.now,
        "confidence": finding.confidence,
        "receipts": [receipt.model_dump(mode="json") for receipt in finding.receipts],
    }


def _send(
    tx: Transaction, hypothesis: HypothesisRow, made: Sequence[tuple[dict[str, Any], Finding]], open_ways: Sequence[Way]
) -> list[dict[str, Any]]:
    """Hold what may not be sent, give all else its deliveries and an owner, and write both down. The signals as they stand then."""
    candidates = [_fresh(tx, value, finding) for value, finding in made]
    besides = [one.id for one in candidates]
    why = held(tx, hypothesis, candidates)
    found = direct(tx, hypothesis.id, [one for one in candidates if one.id not in why], open_ways, besides=besides)
    written = [_decided(tx, value, why.get(value["id"]), found) for value, _ in made]
    changes = [{"row": one["id"]} | {name: one[name] for name in DECIDED} for one in written if any(one[name] is not None for name in DECIDED)]
    if changes:
        table = SignalRow.metadata.tables["signal"]
        update = sa.update(table).where(table.c.id == sa.bindparam("row")).values({name: sa.bindparam(name) for name in DECIDED})
        tx.session.connection().execute(update, changes)
    tx.insert_new(DeliveryRow, [_delivery(tx, hypothesis, one, route) for one in written for route in found.along.get(one["id"], ())])
    return written


DECIDED = ("held_because", "assigned_id", "assigned_at", "escalate_at", "passed_over")
"""The columns of a signal that are decided about it when it is new."""


def _decided(tx: Transaction, value: dict[str, Any], why: str | None, found: Directed) -> dict[str, Any]:
    member, hours = found.assigned.get(value["id"]), found.hours.get(value["id"])
    return value | {
        "held_because": why,
        "assigned_id": member,
        "assigned_at": tx.now if member else None,
        "escalate_at": tx.now + timedelta(hours=hours) if hours else None,
        "passed_over": found.passed_over.get(value["id"]) or None,
    }


def _fresh(tx: Transaction, value: dict[str, Any], finding: Finding) -> Fresh:
    account = finding.account
    ids = {finding.unit_id, *((account.key,) if account and account.key else ())}
    named = [Entry("id", one) for one in ids]
    named += [Entry("domain", account.domain)] if account and account.domain else []
    named += [Entry("email", finding.email.lower())] if finding.email else []
    return Fresh(
        id=value["id"],
        unit_kind=value["unit_kind"],
        unit_key=value["unit_key"],
        fired_at=value["fired_at"],
        account_key=reach.account_key(tx, value["connection_id"], account),
        names=frozenset(reach.reach_key(tx, one) for one in named),
        signal_type=value["signal_type"],
        confidence=value["confidence"],
        segments=finding.segments,
        crm_owner=finding.crm_owner,
    )


def _keep_accounts(tx: Transaction, connection_id: str, made: Sequence[Made]) -> None:
    known = ((value["id"], reach.account_key(tx, connection_id, finding.account), finding.account) for value, finding in made)
    reach.keep_accounts(tx, {signal_id: (key, account) for signal_id, key, account in known if key and account})


def _fired(value: dict[str, Any], finding: Finding) -> dict[str, Any]:
    kept = ("hypothesis_id", "hypothesis_version", "occurrence", "workspace_id")
    return {name: value[name] for name in kept} | {"unit_id": finding.unit_id, "at": microseconds(finding.fired_at)}


def _delivery(tx: Transaction, hypothesis: HypothesisRow, value: dict[str, Any], route_id: str) -> dict[str, Any]:
    return {
        "id": new_id("dlv"),
        "workspace_id": tx.workspace_id,
        "signal_id": value["id"],
        "route_id": route_id,
        "status": str(DeliveryStatus.PENDING),
        "attempts": 0,
        "attempts_before": 0,
        "step": 0,
        "next_attempt_at": tx.now,
        "message_id": message_id(hypothesis.fingerprint, value, route_id),
        "created_at": tx.now,
    }


def message_id(fingerprint: str, value: dict[str, Any], route_id: str) -> str:
    """Made of the content, not of chance: after a restore from a backup, the same fire gets the same id and its receiver knows it already."""
    parts = (value["hypothesis_id"], str(value["hypothesis_version"]), fingerprint, value["unit_key"], str(value["occurrence"]), route_id)
    return content_id("msg", *parts)

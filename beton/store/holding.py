"""Which new signals are written down without being sent, and why.

A signal that may not be sent is still a signal: it counts in the realised precision, and its page says what held it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlmodel import col

from beton.signals import Cooling, HeldBecause, SignalType, UnitKind
from beton.store import holdouts, reach
from beton.store.delivery_tables import DeliveryRow
from beton.store.reach_tables import SignalAccountRow
from beton.store.route_rules import Cooldown
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow, SignalRow, WorkspaceRow

COOLDOWN: Final = "cooldown"
"""The workspace's setting that holds its own cooldown."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fresh:
    """A signal that this transaction has just written. Its unit, its account, and all by which lists may name them, as keyed hashes."""

    id: str
    unit_kind: UnitKind
    unit_key: str
    fired_at: datetime
    account_key: str | None = None
    names: frozenset[str] = frozenset()
    signal_type: SignalType = "custom"
    confidence: float | None = None
    segments: frozenset[str] = frozenset()
    crm_owner: str | None = None


def held(tx: Transaction, hypothesis: HypothesisRow, fresh: Sequence[Fresh]) -> dict[str, HeldBecause]:
    """Signal id → why it may not be sent, for those that may not; the first reason that applies, the draw of a holdout last."""
    why: dict[str, HeldBecause] = {}
    names = frozenset[str]().union(*(one.names for one in fresh))
    listed, asleep = reach.lists_of(tx, names), reach.snoozed_of(tx, names)
    for one in fresh:
        on = sorted(listed[name] for name in one.names if name in listed)
        if on:
            why[one.id] = on[0]
        elif one.names & asleep:
            why[one.id] = "snoozed"
    why |= cooled(tx, cooldown(tx), [one for one in fresh if one.id not in why], besides=[one.id for one in fresh])
    free = sorted((one for one in fresh if one.id not in why), key=lambda one: (one.fired_at, one.id))
    for signal_id in holdouts.draw(tx, hypothesis, [(one.id, one.account_key or one.unit_key) for one in free]):
        why[signal_id] = "holdout"
    return why


def cooldown(tx: Transaction) -> Cooldown:
    """The workspace's own."""
    told = tx.session.execute(sa.select(col(WorkspaceRow.settings)).where(col(WorkspaceRow.id) == tx.workspace_id)).scalar_one()
    return Cooldown.model_validate(told.get(COOLDOWN) or {})


def cooled(tx: Transaction, limit: Cooldown, fresh: Sequence[Fresh], *, besides: Collection[str], route_id: str | None = None) -> dict[str, Cooling]:
    """Those of the new signals that come too soon, counted over all sending or along one route; of several at once the earliest goes.

    `besides` are the signals that are being written now: none of them has gone out yet.
    """
    if not limit.asks or not fresh:
        return {}
    reach.locked_workspace(tx)  # two transactions at once would each see the other's signal as not there yet
    recent = _Recent(tx, besides, route_id)
    units = recent.units({one.unit_key for one in fresh}, limit.unit_days)
    accounts = recent.accounts({one.account_key for one in fresh if one.account_key}, limit.account_days)
    today = recent.count() if limit.per_day else 0
    return _in_order(fresh, limit, units, accounts, today)


def _in_order(fresh: Sequence[Fresh], limit: Cooldown, units: set[str], accounts: set[str], today: int) -> dict[str, Cooling]:
    why: dict[str, Cooling] = {}
    for one in sorted(fresh, key=lambda each: (each.fired_at, each.id)):
        if limit.unit_days and one.unit_key in units:
            why[one.id] = "unit_cooldown"
        elif limit.account_days and one.account_key in accounts:
            why[one.id] = "account_cooldown"
        elif limit.per_day and today >= limit.per_day:
            why[one.id] = "daily_limit"
        else:
            units.add(one.unit_key)
            accounts.update((one.account_key,) if one.account_key else ())
            today += 1
    return why


@dataclass(frozen=True)
class _Recent:
    """Signals that went out lately."""

    tx: Transaction
    besides: Collection[str]
    route_id: str | None

    def units(self, keys: Collection[str], days: float) -> set[str]:
        return self._among(col(SignalRow.unit_key), keys, days)

    def accounts(self, keys: Collection[str], days: float) -> set[str]:
        return self._among(col(SignalAccountRow.account_key), keys, days)

    def count(self) -> int:
        return int(self.tx.session.execute(self._out(sa.func.count(), self.tx.now - DAY)).scalar_one())

    def _among(self, column: Any, keys: Collection[str], days: float) -> set[str]:
        if not days or not keys:
            return set()
        found: Counter[str] = Counter()
        for some in _pieces(keys):
            query = self._out(column, self.tx.now - timedelta(days=days)).where(column.in_(some))
            found.update(self.tx.session.execute(query.distinct()).scalars())
        return set(found)

    def _out(self, what: Any, since: datetime) -> sa.Select[Any]:
        """Of signals that were detected since, were not held and not taken back, and went along the route if one is named."""
        query = sa.select(what).select_from(SignalRow).where(col(SignalRow.detected_at) > since, col(SignalRow.held_because).is_(None))
        query = query.where(col(SignalRow.taken_back_at).is_(None), col(SignalRow.id).not_in(list(self.besides)))
        query = query.outerjoin(SignalAccountRow, col(SignalAccountRow.id) == col(SignalRow.id))
        if self.route_id is None:
            return query
        along = sa.select(col(DeliveryRow.id)).where(col(DeliveryRow.signal_id) == col(SignalRow.id), col(DeliveryRow.route_id) == self.route_id)
        return query.where(along.exists())


def _pieces(keys: Iterable[str]) -> Iterable[list[str]]:
    every = sorted(set(keys))
    return (every[begin : begin + 500] for begin in range(0, len(every), 500))

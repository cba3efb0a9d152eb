"""Signals counted by hypothesis version and by route: how many there are, were sent, were said to be something, and became something."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.signals import DeliveryStatus
from beton.store.delivery_tables import DeliveryRow
from beton.store.outcomes import Version
from beton.store.proof_tables import BECAME, SignalOutcomeRow
from beton.store.store import Transaction
from beton.store.tables import SignalFeedbackRow, SignalRow


def tally(tx: Transaction, only: str | None = None) -> dict[Version, dict[str, int]]:
    """How many signals of each version became what. Here and below: of all hypotheses, or `only` of the one with this id."""
    mine = SignalOutcomeRow
    by = (col(mine.hypothesis_id), col(mine.hypothesis_version), col(mine.became))
    return _counted(tx.session.execute(_of(sa.select(*by, sa.func.count()).group_by(*by), by[0], only)))


def tally_of_routes(tx: Transaction) -> dict[tuple[str, str, int], dict[str, int]]:
    """The same of those that went along a route, by route, hypothesis and version. A signal that went along two counts with both."""
    mine, sent = SignalOutcomeRow, DeliveryRow
    by = (col(sent.route_id), col(mine.hypothesis_id), col(mine.hypothesis_version), col(mine.became))
    counted = sa.select(*by, sa.func.count(sa.distinct(col(mine.id)))).join(sent, col(sent.signal_id) == col(mine.id))
    rows = tx.session.execute(counted.where(col(sent.status) == str(DeliveryStatus.DELIVERED)).group_by(*by))
    found: dict[tuple[str, str, int], dict[str, int]] = {}
    for route, hypothesis, version, became, number in rows:
        found.setdefault((route, hypothesis, version), dict.fromkeys(BECAME, 0))[became] = number
    return found


def said(tx: Transaction, only: str | None = None) -> dict[Version, dict[str, int]]:
    """How often each was said of the signals of each version, and how many were claimed and not said to be anything but worked (`accepted`)."""
    by = (col(SignalRow.hypothesis_id), col(SignalRow.hypothesis_version), col(SignalFeedbackRow.verdict))
    joined = sa.select(*by, sa.func.count()).join(SignalRow, col(SignalRow.id) == col(SignalFeedbackRow.signal_id)).group_by(*by)
    found: dict[Version, dict[str, int]] = {}
    for hypothesis, version, verdict, number in tx.session.execute(_of(joined, by[0], only)):
        found.setdefault((hypothesis, version), {})[verdict] = number
    silent = sa.select(*by[:2], sa.func.count()).join(SignalFeedbackRow, col(SignalFeedbackRow.signal_id) == col(SignalRow.id), isouter=True)
    claimed = silent.where(col(SignalRow.owner_id).is_not(None), col(SignalFeedbackRow.signal_id).is_(None)).group_by(*by[:2])
    for hypothesis, version, number in tx.session.execute(_of(claimed, by[0], only)):
        found.setdefault((hypothesis, version), {})["claimed"] = number
    return found


def written(tx: Transaction, only: str | None = None) -> dict[Version, dict[str, int]]:
    """How many signals each version has: `held` by the reason as `held:<reason>`, the others as `free`."""
    row = SignalRow
    by = (col(row.hypothesis_id), col(row.hypothesis_version), col(row.held_because))
    found: dict[Version, dict[str, int]] = {}
    for hypothesis, version, reason, number in tx.session.execute(_of(sa.select(*by, sa.func.count()).group_by(*by), by[0], only)):
        found.setdefault((hypothesis, version), {})["free" if reason is None else f"held:{reason}"] = number
    return found


def sent(tx: Transaction, only: str | None = None) -> dict[Version, int]:
    """How many signals of each version have reached at least one receiver."""
    by = (col(SignalRow.hypothesis_id), col(SignalRow.hypothesis_version))
    query = sa.select(*by, sa.func.count(sa.distinct(col(SignalRow.id)))).join(DeliveryRow, col(DeliveryRow.signal_id) == col(SignalRow.id))
    rows = tx.session.execute(_of(query.where(col(DeliveryRow.status) == str(DeliveryStatus.DELIVERED)).group_by(*by), by[0], only))
    return {(hypothesis, version): number for hypothesis, version, number in rows}


def _counted(rows: sa.Result) -> dict[Version, dict[str, int]]:
    found: dict[Version, dict[str, int]] = {}
    for hypothesis, version, became, number in rows:
        found.setdefault((hypothesis, version), dict.fromkeys(BECAME, 0))[became] = number
    return found


def _of(query: sa.Select, hypothesis: Any, only: str | None) -> sa.Select:
    return query if only is None else query.where(hypothesis == only)

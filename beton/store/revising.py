"""Second thoughts about signals: marks, and never a deletion, because whoever was told cannot be untold.

A signal is `revised` while what has arrived later speaks against it, and `merged_into` an earlier one where two people turned out to be one.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.store.deliveries import SEALED_UNIT
from beton.store.erasure import erase_unit, erased_keys
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow, LiveFiredRow, SignalRow

Version = tuple[str, int]
"""Id and version of a hypothesis."""


def mark(tx: Transaction, hypothesis_id: str, version: int, connection_id: str, unit_kind: str, holds: Mapping[tuple[str, int], bool]) -> int:
    """Set or remove the mark of signals by unit and occurrence, as the hypothesis holds there by now or not; how many changed.

    What is merged into another stays as it is.
    """
    if not holds:
        return 0
    keys = {tx.unit_key(connection_id, unit_kind, unit): unit for unit, _ in holds}
    of_version = sa.select(SignalRow).where(col(SignalRow.hypothesis_id) == hypothesis_id, col(SignalRow.hypothesis_version) == version)
    changed = 0
    for some in _pieces(sorted(keys)):
        for row in tx.session.execute(of_version.where(col(SignalRow.unit_key).in_(some), col(SignalRow.merged_into).is_(None))).scalars():
            held = holds.get((keys[row.unit_key], row.occurrence))
            if held is not None and held == (row.revised_at is not None):
                row.revised_at = None if held else tx.now
                changed += 1
    tx.session.flush()
    return changed


def known(tx: Transaction, connection_id: str, people: Collection[str]) -> set[str]:
    """Those of some people who have fired or stand in a signal."""
    keys = {tx.unit_key(connection_id, "person", one): one for one in people}
    found: set[str] = set()
    for some in _pieces(sorted(keys)):
        told = sa.select(col(SignalRow.unit_key)).where(col(SignalRow.connection_id) == connection_id, col(SignalRow.unit_key).in_(some))
        found |= {keys[key] for key in tx.session.execute(told).scalars()}
        fired = sa.select(col(LiveFiredRow.unit_id)).where(col(LiveFiredRow.unit_id).in_([keys[key] for key in some]))
        found |= set(tx.session.execute(fired.where(col(LiveFiredRow.hypothesis_id).in_(_own(connection_id)))).scalars())
    return found


def fold(tx: Transaction, connection_id: str, old: str, new: str, cool_downs: Mapping[Version, int | None]) -> int:
    """The person `old` turned out to be `new`: signals and fires go over, and of signals that one person would not have had twice the later are
    marked. How many were. A second time nothing is left to do.

    `cool_downs`: of live hypotheses, how many microseconds lie between two fires, `None` where a person fires once.
    """
    old_key, new_key = (tx.unit_key(connection_id, "person", one) for one in (old, new))
    if new_key in erased_keys(tx, connection_id):
        erase_unit(tx, connection_id, "person", old, actor="beton")  # who has been erased was this one, too
        return 0
    rows, shifts = _signals(tx, connection_id, [old_key, new_key]), _fires(tx, connection_id, old, new)
    marked = 0
    for version in {(row.hypothesis_id, row.hypothesis_version) for row in rows}:
        mine = [row for row in rows if (row.hypothesis_id, row.hypothesis_version) == version]
        shift = max(shifts.get(version, 0), max((row.occurrence for row in mine if row.unit_key == new_key), default=0))
        for row in mine:
            if row.unit_key == old_key:
                row.unit_key, row.occurrence = new_key, shift + row.occurrence
                row.unit_sealed = tx.sealer.seal(new, tx.place("signal", row.id, SEALED_UNIT))
        if version in cool_downs:
            marked += _merge(mine, cool_downs[version])
    tx.session.flush()
    return marked


def _signals(tx: Transaction, connection_id: str, keys: Collection[str]) -> list[SignalRow]:
    query = sa.select(SignalRow).where(col(SignalRow.connection_id) == connection_id, col(SignalRow.unit_key).in_(keys))
    return list(tx.session.execute(query.where(col(SignalRow.unit_kind) == "person").with_for_update()).scalars())


def _fires(tx: Transaction, connection_id: str, old: str, new: str) -> dict[Version, int]:
    """Move the fires; by how much the occurrences of each version went up."""
    mine = col(LiveFiredRow.hypothesis_id).in_(_own(connection_id))
    rows = list(tx.session.execute(sa.select(LiveFiredRow).where(mine, col(LiveFiredRow.unit_id).in_([old, new]))).scalars())
    last: dict[Version, int] = {}
    for row in rows:
        if row.unit_id == new:
            key = row.hypothesis_id, row.hypothesis_version
            last[key] = max(last.get(key, 0), row.occurrence)
    moved = [row.model_dump() for row in rows if row.unit_id == old]
    tx.count(sa.delete(LiveFiredRow).where(mine, col(LiveFiredRow.unit_id) == old))
    fresh = [
        row | {"unit_id": new, "occurrence": row["occurrence"] + last.get((row["hypothesis_id"], row["hypothesis_version"]), 0)} for row in moved
    ]
    tx.insert_many(LiveFiredRow, fresh)
    return last


def _own(connection_id: str) -> sa.Select[Any]:
    return sa.select(col(HypothesisRow.id)).where(col(HypothesisRow.connection_id) == connection_id)


def _merge(rows: Collection[SignalRow], cool_down: int | None) -> int:
    kept: list[SignalRow] = []
    marked = 0
    for row in sorted(rows, key=lambda row: (row.detected_at, row.fired_at, row.id)):
        if row.merged_into is not None:
            continue
        near = [one for one in kept if cool_down is None or abs(row.fired_at - one.fired_at) < timedelta(microseconds=cool_down)]
        if near:
            row.merged_into, marked = near[0].id, marked + 1
        else:
            kept.append(row)
    return marked


def _pieces(keys: list[str]) -> list[list[str]]:
    return [keys[begin : begin + 500] for begin in range(0, len(keys), 500)]

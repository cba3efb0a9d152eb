"""Live hypotheses that ask for attention: surely below their promise, or with a name that broke."""

from __future__ import annotations

from dataclasses import dataclass

from beton.store import alarms, hypotheses
from beton.store.alarms import BrokenName, DriftAlarm
from beton.store.records import Hypothesis
from beton.store.store import Transaction
from beton.work.workplace import Workplace


@dataclass(frozen=True)
class Attention:
    """One hypothesis with what is wrong with it: an alarm that nobody has answered, names that are broken."""

    hypothesis: Hypothesis
    alarm: DriftAlarm | None
    broken: tuple[BrokenName, ...]


def attention(place: Workplace) -> tuple[Attention, ...]:
    """All of them, alarms first."""
    with place.store.reading() as tx:
        return asking(tx)


def asking(tx: Transaction) -> tuple[Attention, ...]:
    """The same within a transaction."""
    waiting = {one.hypothesis_id: one for one in reversed(alarms.alarms(tx, open_only=True))}
    broken: dict[str, list[BrokenName]] = {}
    for one in alarms.broken_names(tx):
        broken.setdefault(one.hypothesis_id, []).append(one)
    ids = [*waiting, *(one for one in broken if one not in waiting)]
    known = {one.id: one for one in hypotheses.some(tx, ids)} if ids else {}
    return tuple(Attention(known[one], waiting.get(one), tuple(broken.get(one, ()))) for one in ids if one in known)

"""Which new signals are written down without being sent, and why.

A signal that may not be sent is still a signal: it counts in the realised precision, and its page says what held it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from beton.signals import HeldBecause, UnitKind
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow


class Fresh(NamedTuple):
    """A signal that this transaction has just written: its unit by its keyed hash."""

    id: str
    unit_kind: UnitKind
    unit_key: str
    fired_at: datetime


def held(tx: Transaction, hypothesis: HypothesisRow, fresh: Sequence[Fresh]) -> dict[str, HeldBecause]:
    """Signal id → why it may not be sent, for those that may not; the first reason that applies."""
    return {}

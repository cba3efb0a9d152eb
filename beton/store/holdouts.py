"""Who is held out at random, to measure what sending adds.

The draw is made once for each account (or unit without one) and version of a hypothesis, at its first signal that could have been sent, by a keyed
hash: nobody chooses, and doing it again gives the same. Another share is another draw, whose arms are counted by themselves.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlmodel import col

from backtest.holdout import LARGEST_SHARE, is_held
from beton.errors import BadInput, Fault, NotFound
from beton.signals import Value
from beton.store import audit
from beton.store.proof_tables import HoldoutRow, HoldoutUnitRow, SignalOutcomeRow
from beton.store.store import Transaction
from beton.store.tables import HypothesisRow, SignalRow

JUDGED = ("converted", "not")


class Holdout(Value):
    """The share of a hypothesis's accounts that is held out. `draw` counts the shares that were chosen."""

    hypothesis_id: str
    share: float = 0.0
    draw: int = 0


class DrawnUnit(Value):
    """What became of one account of a draw."""

    held: bool
    became: str


def of(tx: Transaction, hypothesis_id: str) -> Holdout:
    """The present share; 0 unless one was chosen."""
    row = tx.session.get(HoldoutRow, hypothesis_id)
    return Holdout(hypothesis_id=hypothesis_id) if row is None else _value(row)


def every(tx: Transaction) -> dict[str, Holdout]:
    """Those of all hypotheses for which one was ever chosen."""
    return {row.hypothesis_id: _value(row) for row in tx.session.execute(sa.select(HoldoutRow)).scalars()}


def choose(tx: Transaction, hypothesis_id: str, share: float, *, actor: str) -> Holdout:
    """Hold out another share from now on; who is held out already stays so, unless the share becomes 0."""
    if not 0 <= share <= LARGEST_SHARE:
        told = f"{share:g} is not between 0 and {LARGEST_SHARE}"
        raise BadInput("That many cannot be held out.", [Fault("share", told)], fix="Hold out at most a fifth; a tenth is usual.")
    locked = sa.select(HypothesisRow).where(col(HypothesisRow.id) == hypothesis_id).with_for_update()
    if tx.session.execute(locked).scalars().first() is None:
        raise NotFound(f"There is no hypothesis {hypothesis_id}.")
    row = tx.session.get(HoldoutRow, hypothesis_id)
    before = 0.0 if row is None else row.share
    if share == before:
        return of(tx, hypothesis_id)
    if row is None:
        row = HoldoutRow(hypothesis_id=hypothesis_id, workspace_id=tx.workspace_id, share=share, draw=0, since=tx.now, actor=actor)
        tx.session.add(row)
    row.share, row.draw, row.since, row.actor = share, row.draw + 1, tx.now, actor
    audit.write(tx, actor, "holdout.choose", "hypothesis", hypothesis_id, before={"share": before}, after={"share": share, "draw": row.draw})
    tx.session.flush()
    return _value(row)


def draw(tx: Transaction, hypothesis: HypothesisRow, fresh: Iterable[tuple[str, str]]) -> set[str]:
    """Which of these new signals are held out. Each comes with the key of its account, or of its unit where no account is known.

    Only those that would be sent otherwise may be drawn: what is held for another reason belongs to neither arm.
    """
    chosen = tx.session.get(HoldoutRow, hypothesis.id)
    wanted = list(fresh)
    if chosen is None or not chosen.share or not wanted:
        return set()
    firsts: dict[str, str] = {}
    for signal_id, key in wanted:
        firsts.setdefault(key, signal_id)
    salt = f"holdout\0{hypothesis.id}\0{hypothesis.version}\0"
    rows = []
    for key, signal_id in firsts.items():
        digest = hmac.digest(tx.unit_hash_key, (salt + key).encode(), hashlib.sha256)
        about = {"hypothesis_id": hypothesis.id, "hypothesis_version": hypothesis.version, "workspace_id": tx.workspace_id, "drawn_key": key}
        rows.append(about | {"signal_id": signal_id, "draw": chosen.draw, "held": is_held(digest, chosen.share), "drawn_at": tx.now})
    tx.insert_new(HoldoutUnitRow, rows)
    held = sa.select(col(HoldoutUnitRow.drawn_key)).where(
        col(HoldoutUnitRow.hypothesis_id) == hypothesis.id,
        col(HoldoutUnitRow.hypothesis_version) == hypothesis.version,
        col(HoldoutUnitRow.held),
        col(HoldoutUnitRow.drawn_key).in_(firsts),
    )
    out = set(tx.session.execute(held).scalars())
    return {signal_id for signal_id, key in wanted if key in out}


def forget(tx: Transaction, key: str) -> None:
    """Take the key of an erased unit off its draws; which arm each was in stays, and is nobody's any more."""
    mine = sa.update(HoldoutUnitRow).where(col(HoldoutUnitRow.drawn_key) == key)
    tx.session.execute(mine.values(drawn_key=f"erased:{secrets.token_hex(16)}"))


def drawn(tx: Transaction, holdout: Holdout, version: int) -> list[DrawnUnit]:
    """What became of the accounts of the present draw, in the order of their fires; those that are not over yet or had converted are left out."""
    query = (
        sa.select(col(HoldoutUnitRow.held), col(SignalOutcomeRow.became))
        .join(SignalOutcomeRow, col(SignalOutcomeRow.id) == col(HoldoutUnitRow.signal_id))
        .where(*_mine(holdout, version), col(SignalOutcomeRow.became).in_(JUDGED))
        .order_by(col(SignalOutcomeRow.fired_at), col(SignalOutcomeRow.id))
    )
    return [DrawnUnit(held=held, became=became) for held, became in tx.session.execute(query)]


def sizes(tx: Transaction, holdout: Holdout, version: int) -> tuple[int, int]:
    """How many accounts the present draw has routed and held out, whatever has become of them."""
    query = sa.select(col(HoldoutUnitRow.held), sa.func.count()).where(*_mine(holdout, version)).group_by(col(HoldoutUnitRow.held))
    found = {bool(held): number for held, number in tx.session.execute(query)}
    return found.get(False, 0), found.get(True, 0)


def hidden(tx: Transaction, signal_ids: Collection[str]) -> set[str]:
    """Those among them that are held out."""
    query = sa.select(col(SignalRow.id)).where(col(SignalRow.id).in_(list(signal_ids)), col(SignalRow.held_because) == "holdout")
    return set(tx.session.execute(query).scalars())


def _mine(holdout: Holdout, version: int) -> tuple[sa.ColumnElement[bool], ...]:
    row = HoldoutUnitRow
    return (
        col(row.hypothesis_id) == holdout.hypothesis_id,
        col(row.hypothesis_version) == version,
        col(row.draw) == holdout.draw,
    )


def _value(row: HoldoutRow) -> Holdout:
    return Holdout(hypothesis_id=row.hypothesis_id, share=row.share, draw=row.draw)

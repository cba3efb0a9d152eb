"""What became of signals: the instant of the first outcome, and how the signal counts.

A signal counts once its horizon is complete and every other signal of its version whose horizon ended earlier is known too. Counting those that have
converted before those that have not would flatter, so what is not known yet holds up what is younger.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import col

from beton.signals import UnitKind
from beton.store.deliveries import signal_value
from beton.store.proof_tables import HoldoutUnitRow, SignalOutcomeRow
from beton.store.store import Transaction
from beton.store.tables import SignalRow

Version = tuple[str, int]

LATE = timedelta(hours=72)
"""Outcomes that arrive so long after the horizon has ended still count; later ones are missed."""

AGAIN = timedelta(hours=24)
"""Signals whose horizon is open are asked about so often: for the page, since nothing depends on it."""


class Waiting(NamedTuple):
    """A signal whose outcome is to be asked for. `unit_id` is `None` once it has been erased."""

    id: str
    version: Version
    unit_kind: UnitKind
    unit_id: str | None
    fired_at: datetime
    known_until: datetime | None


class Ended(NamedTuple):
    """A signal that has been judged and will not change any more."""

    fired_at: datetime
    converted: bool


def expect(tx: Transaction, version: Version, horizon: timedelta) -> int:
    """Begin to follow the signals of a version that are not followed yet; how many. `horizon` is the version's."""
    row, mine = SignalRow, SignalOutcomeRow
    last = sa.select(sa.func.max(col(mine.detected_at))).where(col(mine.hypothesis_id) == version[0], col(mine.hypothesis_version) == version[1])
    seen = tx.session.execute(last).scalar()
    query = sa.select(row).where(col(row.hypothesis_id) == version[0], col(row.hypothesis_version) == version[1])
    if seen is not None:  # one that was begun before it may have been written down behind it
        query = query.where(col(row.detected_at) >= seen - timedelta(hours=1))
    rows = tx.session.execute(query).scalars()
    values = [
        {
            "id": one.id, "workspace_id": tx.workspace_id, "connection_id": one.connection_id, "hypothesis_id": one.hypothesis_id,
            "hypothesis_version": one.hypothesis_version, "fired_at": one.fired_at, "detected_at": one.detected_at,
            "matures_at": one.fired_at + horizon, "became": "open", "asking": True,
        }
        for one in rows
    ]  # fmt: skip
    return len(tx.insert_new(SignalOutcomeRow, values))


def waiting(tx: Transaction, connection_id: str, until: datetime, *, most: int) -> list[Waiting]:
    """Signals to be asked about now, the most pressing first: those whose horizon has ended, then new ones, then those not asked about for a day."""
    mine = SignalOutcomeRow
    known, matures = col(mine.known_until), col(mine.matures_at)
    over = sa.and_(matures <= until, sa.or_(known.is_(None), known < matures))
    settles = sa.and_(matures <= until - LATE, known < until - LATE)
    pressing = sa.case((over, 0), (known.is_(None), 1), (settles, 2), else_=3)
    due = sa.or_(over, known.is_(None), settles, known <= until - AGAIN)
    query = (
        sa.select(mine, SignalRow)
        .join(SignalRow, col(SignalRow.id) == col(mine.id))
        .where(col(mine.connection_id) == connection_id, col(mine.asking), due)
        .order_by(pressing, matures, col(mine.id))
        .limit(most)
    )
    found = []
    for asked, row in tx.session.execute(query):
        signal = signal_value(tx, row)
        version = (signal.hypothesis_id, signal.hypothesis_version)
        found.append(Waiting(signal.id, version, signal.unit_kind, signal.unit_id, signal.fired_at, asked.known_until))
    return found


def learn(tx: Transaction, found: Mapping[str, datetime | None], until: datetime) -> None:
    """Write down the first outcomes of signals that were asked about up to an instant; `None`: there was none."""
    came = [{"key": one, "at": at} for one, at in found.items() if at is not None]
    mine = SignalOutcomeRow
    table = mine.metadata.tables[str(mine.__tablename__)]
    if came:
        statement = sa.update(table).where(table.c.id == sa.bindparam("key"), table.c.workspace_id == tx.workspace_id)
        tx.session.connection().execute(statement.values(outcome_at=sa.bindparam("at"), asking=False), came)
    for ids in _pieces(list(found)):
        tx.count(sa.update(mine).where(col(mine.id).in_(ids)).values(known_until=until))
        settled = sa.update(mine).where(col(mine.id).in_(ids), col(mine.matures_at) <= until - LATE)
        tx.count(settled.values(asking=False))


def lose(tx: Transaction, signal_ids: Collection[str]) -> None:
    """Nobody can be asked about these any more: their units have been erased. What had been judged stays."""
    mine = SignalOutcomeRow
    for ids in _pieces(list(signal_ids)):
        tx.count(sa.update(mine).where(col(mine.id).in_(ids), col(mine.became) == "open").values(became="lost", asking=False))
        tx.count(sa.update(mine).where(col(mine.id).in_(ids)).values(asking=False))


def leave_out_merged(tx: Transaction, connection_id: str) -> int:
    """Signals that told of one unit twice, because it had been taken for two: only the first counts. How many are new."""
    mine, row = SignalOutcomeRow, SignalRow
    merged = sa.select(col(row.id)).where(col(row.connection_id) == connection_id, col(row.merged_into).is_not(None))
    twice = sa.update(mine).where(col(mine.connection_id) == connection_id, col(mine.became) != "lost", col(mine.id).in_(merged))
    return tx.count(twice.values(became="lost", asking=False))


def judge(tx: Transaction, version: Version, until: datetime) -> None:
    """Say how signals count whose horizon had ended by `until`, up to the first one whose outcome is not known."""
    mine = SignalOutcomeRow
    of = _of(version)
    came, fired, matures, became = col(mine.outcome_at), col(mine.fired_at), col(mine.matures_at), col(mine.became)
    tx.count(sa.update(mine).where(*of, became == "open", came <= fired).values(became="before"))
    unknown = sa.or_(col(mine.known_until).is_(None), col(mine.known_until) < matures)
    first = tx.session.execute(sa.select(sa.func.min(matures)).where(*of, became == "open", came.is_(None), unknown)).scalar()
    over = [matures <= until] + ([] if first is None else [matures < first])
    in_time = sa.and_(came > fired, came <= matures)
    tx.count(sa.update(mine).where(*of, became.in_(("open", "not")), in_time, *over).values(became="converted"))
    tx.count(sa.update(mine).where(*of, became == "open", sa.or_(came.is_(None), came > matures), *over).values(became="not"))


def ended(tx: Transaction, version: Version, *, until: datetime, after: datetime | None = None, held_only: bool = False) -> list[Ended]:
    """Signals whose judgement is final, in the order of their fires: their horizon ended `LATE` before `until`. `after`: only later fires.

    `held_only`: of accounts that are held out, each with its first signal.
    """
    mine = SignalOutcomeRow
    query = sa.select(col(mine.fired_at), col(mine.became)).where(*_of(version), col(mine.became).in_(("converted", "not")))
    query = query.where(col(mine.matures_at) <= until - LATE)
    if after is not None:
        query = query.where(col(mine.fired_at) > after)
    if held_only:
        query = query.join(HoldoutUnitRow, col(HoldoutUnitRow.signal_id) == col(mine.id)).where(col(HoldoutUnitRow.held))
    rows = tx.session.execute(query.order_by(col(mine.fired_at), col(mine.id)))
    return [Ended(fired_at, became == "converted") for fired_at, became in rows]


def of_signals(tx: Transaction, signal_ids: Collection[str]) -> dict[str, tuple[str, datetime | None, datetime]]:
    """What became of these, when the outcome came, and when their horizon ends; those not followed yet are missing."""
    mine = SignalOutcomeRow
    query = sa.select(col(mine.id), col(mine.became), col(mine.outcome_at), col(mine.matures_at)).where(col(mine.id).in_(list(signal_ids)))
    return {one: (became, came, matures) for one, became, came, matures in tx.session.execute(query)}


def _of(version: Version) -> tuple[sa.ColumnElement[bool], ...]:
    return col(SignalOutcomeRow.hypothesis_id) == version[0], col(SignalOutcomeRow.hypothesis_version) == version[1]


def _pieces(ids: list[str], size: int = 500) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]

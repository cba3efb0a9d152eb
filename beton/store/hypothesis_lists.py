"""Lists of hypotheses and counts of them, as every page asks for them: plain columns, by statements that are prepared once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from beton.lifecycle import Status
from beton.store.columns import table_of
from beton.store.paging import asked_page, in_pages, place_of
from beton.store.prepared import Prepared, prepared
from beton.store.records import Hypothesis, Page, Source, VerdictWord
from beton.store.store import Transaction
from beton.store.tables import VERDICTS, HypothesisRow, HypothesisVersionRow

_COLUMNS = table_of(HypothesisRow).c
_SHOWN = sa.select(*(_COLUMNS[name] for name in Hypothesis.model_fields))
_WITH_IDS = prepared(_SHOWN.where(_COLUMNS.id.in_(sa.bindparam("ids", expanding=True))))
_BY_STATUS = prepared(sa.select(_COLUMNS.status, sa.func.count()).group_by(_COLUMNS.status))
_BY_STATUS_IN = Prepared(_BY_STATUS.statement.where(_COLUMNS.connection_id == sa.bindparam("connection")))
_BEST = prepared(
    sa.select(_COLUMNS.rank, _COLUMNS.id, _COLUMNS.name)
    .where(_COLUMNS.status == sa.bindparam("status"))
    .order_by(_COLUMNS.rank.desc(), _COLUMNS.id.desc())
    .limit(sa.bindparam("most"))
)
_FIRED = Prepared(_BEST.statement.where(_COLUMNS.fired_count > 0))
_VERSION = table_of(HypothesisVersionRow).c
_SAID = prepared(
    sa.select(
        _VERSION.hypothesis_id, _VERSION.version, _VERSION.fingerprint, _VERSION.sentence, _VERSION.backtest_id,
        sa.type_coerce(_VERSION.definition, sa.Text).label("definition"),
    ).where(_VERSION.hypothesis_id.in_(sa.bindparam("hypotheses", expanding=True)))
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """Which hypotheses to list; everything that is left empty asks for nothing. `search` is looked for in names and sentences."""

    connection_id: str | None = None
    statuses: Collection[Status] = ()
    verdict: VerdictWord | Literal["untested"] | None = None
    source: Source | None = None
    search: str = ""

    @property
    def asks(self) -> frozenset[str]:
        """By what it is narrowed, not by which values: statements are prepared by it."""
        told = ("connection_id", "statuses", "verdict", "source", "search")
        return frozenset("untested" if name == "verdict" and self.verdict == "untested" else name for name in told if getattr(self, name))

    def values(self) -> dict[str, Any]:
        """For the parameters of those statements."""
        held = {
            "connection_id": self.connection_id,
            "statuses": [str(status) for status in self.statuses],
            "verdict": self.verdict,
            "source": self.source,
            "search": f"%{_escaped(self.search)}%",
        }
        return {name: held[name] for name in self.asks if name in held}


def with_ids(tx: Transaction, hypothesis_ids: Collection[str]) -> list[Hypothesis]:
    """Those with these ids, in no order."""
    return [Hypothesis(**row._mapping) for row in tx.rows(_WITH_IDS, ids=list(hypothesis_ids))] if hypothesis_ids else []


def count_by_verdict(tx: Transaction, wanted: Wanted) -> dict[str, int]:
    """How many of those that are wanted have each verdict, whichever is asked for; those without a result are `untested`."""
    everywhere = wanted.statuses or tuple(Status)  # named, so that an index answers
    wanted = replace(wanted, verdict=None, statuses=everywhere)
    rows = tx.rows(_counting(wanted.asks), **wanted.values())
    return dict.fromkeys((*VERDICTS, "untested"), 0) | {verdict or "untested": int(number) for verdict, number in rows}


def count_by_status(tx: Transaction, *, connection_id: str | None = None) -> dict[Status, int]:
    """How many there are in each status; statuses without any are 0."""
    rows = tx.rows(_BY_STATUS) if connection_id is None else tx.rows(_BY_STATUS_IN, connection=connection_id)
    return dict.fromkeys(Status, 0) | {Status(status): int(number) for status, number in rows}


def names_of_ranked(tx: Transaction, status: Status, *, limit: int) -> dict[str, str]:
    """Id and name of the best that stand there, in the order in which people look at proposals."""
    return {row.id: row.name for row in tx.rows(_BEST, status=str(status), most=limit)}


def names_of_fired(tx: Transaction, *, limit: int) -> dict[str, str]:
    """Id and name of those that have sent signals, the best first."""
    found: list[Any] = []
    for status in (Status.APPROVED, Status.PAUSED, Status.RETIRED):  # one by one, each is read off an index
        found += tx.rows(_FIRED, status=str(status), most=limit)
    return {one: name for _, one, name in sorted(found, reverse=True)[:limit]}


class Said(NamedTuple):
    """What a version said, for lists: its definition is not read unless somebody needs it."""

    hypothesis_id: str
    version: int
    fingerprint: str
    sentence: str
    backtest_id: str | None
    definition: str | dict[str, Any]


def said(tx: Transaction, keys: Collection[tuple[str, int]]) -> dict[tuple[str, int], Said]:
    """What these versions said, by hypothesis and number; unknown ones are missing."""
    rows = tx.rows(_SAID, hypotheses=sorted({one for one, _ in keys})) if keys else ()
    return {(one.hypothesis_id, one.version): one for one in (Said(*row) for row in rows) if (one.hypothesis_id, one.version) in keys}


def listed(tx: Transaction, wanted: Wanted, by: str, limit: int, after: str | None) -> Page[Hypothesis]:
    """A page of those that are wanted, the highest of the column `by` first."""
    query, place = _in_order(wanted.asks, by, further=after is not None)
    return asked_page(tx, query, place, lambda row: Hypothesis(**row._mapping), limit=limit, after=after, **wanted.values())


@cache
def _in_order(asks: frozenset[str], by: str, *, further: bool) -> tuple[Prepared, Prepared]:
    query = _narrowed(_SHOWN, asks)
    return in_pages(query, _COLUMNS[by], _COLUMNS.id, further=further), place_of(table_of(HypothesisRow), _COLUMNS[by])


@cache
def _counting(asks: frozenset[str]) -> Prepared:
    return prepared(_narrowed(sa.select(_COLUMNS.verdict, sa.func.count()), asks).group_by(_COLUMNS.verdict))


def _narrowed(query: sa.Select[*tuple[Any, ...]], asks: frozenset[str]) -> sa.Select[*tuple[Any, ...]]:
    search = sa.bindparam("search")
    criteria: dict[str, sa.ColumnElement[bool]] = {
        "connection_id": _COLUMNS.connection_id == sa.bindparam("connection_id"),
        "statuses": _COLUMNS.status.in_(sa.bindparam("statuses", expanding=True)),
        "verdict": _COLUMNS.verdict == sa.bindparam("verdict"),
        "untested": _COLUMNS.verdict.is_(None),
        "source": _COLUMNS.source == sa.bindparam("source"),
        "search": sa.or_(*(sa.func.lower(one).like(sa.func.lower(search), escape="/") for one in (_COLUMNS.sentence, _COLUMNS.name))),
    }
    return query.where(*(criteria[name] for name in sorted(asks)))


def _escaped(text: str) -> str:
    """Text to be found as it stands, where `%` and `_` stand for any."""
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")

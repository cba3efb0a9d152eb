"""Live hypotheses and what is remembered of them, between the store and the evaluator: sweeps load it whole, pushes for a few units."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import starmap

from backtest import Hypothesis
from backtest.atoms import Remembered
from backtest.language import Cohort
from backtest.live import Judged, Memory, horizon
from backtest.values import PropertyTypes
from beton.lifecycle import Status
from beton.signals import UnitKind
from beton.store import backtests, hypotheses, live, revising
from beton.store.records import Hypothesis as Kept
from beton.store.records import LiveMatch
from beton.store.store import Transaction
from beton.work.promising import promise_of
from beton.work.workplace import microseconds

ENTRY = "entry"
"""The atom under which entries are remembered: the earliest of a unit counts."""

PEOPLE = "people"
"""The scope of a connection under which is remembered which people have been looked at since they may have become one."""


@dataclass(frozen=True)
class Live:
    """An approved hypothesis at a sweep: `cursor` is `None` before its first one, `begun` until its first is over; `promised` is the precision that
    was approved."""

    row: Kept
    meaning: Hypothesis
    live_from: int
    cursor: int | None
    begun: bool
    seen_until: int
    promised: float | None

    @property
    def scope(self) -> str:
        return scopes_of(self.row)[0]

    @property
    def entry_scope(self) -> str:
        return scopes_of(self.row)[1]

    @property
    def window_start(self) -> int:
        return self.live_from - self.meaning.look_back

    @property
    def unit_kind(self) -> UnitKind:
        return "person" if self.meaning.unit == "person" else "account"

    @property
    def cohorts(self) -> frozenset[str]:
        return frozenset(clause.cohort for clause in self.meaning.clauses if isinstance(clause, Cohort))

    @property
    def judged_from(self) -> int:
        """Fires from here on can be new: all of them at first, then those that are not settled."""
        return self.live_from if self.begun or self.cursor is None else max(self.live_from, horizon(self.cursor))


def scopes_of(row: Kept) -> tuple[str, str]:
    """The names under which a hypothesis's matches and entries are remembered."""
    scope = f"{row.id} v{row.version}"
    return scope, f"{scope} {ENTRY}"


def starts_of(row: Kept) -> tuple[str, str]:
    """The names of two cursors that a first sweep has until it is over: when it began, and how far it has read the window."""
    scope = scopes_of(row)[0]
    return f"{scope} begun", f"{scope} window"


def approved(tx: Transaction, connection_id: str) -> list[Live]:
    """The live hypotheses of a connection."""
    rows = [row for row in hypotheses.every(tx, connection_id=connection_id, statuses=(Status.APPROVED,)) if row.live_from]
    return [_live(tx, row) for row in rows]


def as_it_stands(tx: Transaction, one: Live) -> Live:
    """With the cursors of this transaction: another sweep may have gone on, and what it forgot is missing from what is loaded now."""
    cursor, begun = _cursors(tx, one.row)
    return replace(one, cursor=cursor, begun=begun)


def _cursors(tx: Transaction, row: Kept) -> tuple[int | None, bool]:
    cursor, begun = (live.read_until(tx, row.connection_id, scope) for scope in (scopes_of(row)[0], starts_of(row)[0]))
    return None if cursor is None else microseconds(cursor), begun is not None


def _live(tx: Transaction, row: Kept) -> Live:
    seen = hypotheses.version(tx, row.id, row.version).backtest_id  # what the person approved on, whatever was tested since
    tested = backtests.get(tx, seen) if seen else None
    promise = promise_of(tested.result if tested else None)
    approved_at = row.live_since or row.updated_at
    cursor, begun = _cursors(tx, row)
    return Live(
        row=row,
        meaning=Hypothesis.model_validate(row.definition),
        live_from=microseconds(row.live_from or approved_at),
        cursor=cursor,
        begun=begun,
        seen_until=microseconds(tested.as_of if tested else approved_at),
        promised=promise.precision if promise else None,
    )


def load(tx: Transaction, one: Live, units: Collection[str] | None = None) -> Memory:
    """What is remembered, of all units or of some."""
    connection = one.row.connection_id
    memory = Memory(one.meaning, one.live_from)
    found = starmap(Remembered, live.matches(tx, connection, one.scope, units))
    memory.kept = {(match.unit, match.atom, match.event): match for match in found}
    memory.entries = {match.unit_id: match.at for match in live.matches(tx, connection, one.entry_scope, units)}
    memory.fired = live.fired(tx, one.row.id, one.row.version, units)
    return memory


def save(tx: Transaction, one: Live, memory: Memory) -> None:
    """Write down what has changed since it was loaded."""
    connection, kind = one.row.connection_id, one.unit_kind
    live.forget(tx, connection, one.scope, memory.gone)
    live.remember(tx, connection, one.scope, kind, starmap(LiveMatch, memory.fresh.values()))
    live.forget(tx, connection, one.entry_scope, ((unit, ENTRY, b"") for unit in memory.left))
    entries = (LiveMatch(ENTRY, unit, at) for unit, at in memory.fresh_entries.items())
    live.remember(tx, connection, one.entry_scope, kind, entries)


def mark(tx: Transaction, one: Live, judged: Judged) -> int:
    """Keep the marks of recent signals in step with what is known; how many changed."""
    return revising.mark(tx, one.row.id, one.row.version, one.row.connection_id, one.unit_kind, judged.holds)


def judge(one: Live, memory: Memory, now: int, types: PropertyTypes, members: Mapping[str, frozenset[str]]) -> Judged:
    """New fires, and which of the recent ones still hold."""
    return memory.judge(now, one.judged_from, types, {cohort: members[cohort] for cohort in one.cohorts})

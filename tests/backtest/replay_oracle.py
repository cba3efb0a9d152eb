"""What a live hypothesis should have told by when: the backtest, run again at every sweep on all that had arrived by then, in plain loops.

Nothing is remembered between two runs but what was told. `beton.work` and `backtest.live` have to tell the same from their memory alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backtest.assembly import Rows, assemble
from backtest.durations import HOUR
from backtest.events import EventLog, Window
from backtest.fires import candidates, held
from backtest.language import Hypothesis
from backtest.plan import ReadPlan, plan_reads
from tests.backtest.engine_log import column_of
from tests.backtest.oracle import Row
from tests.backtest.random_logs import COHORT, PATHS, TYPES

SEEN_AFTER = 73 * HOUR
"""72 hours for an event to arrive and one for the source to show it."""


@dataclass(frozen=True)
class Arrival:
    """One delivery of one event; several may be of the same (`row.uuid`)."""

    row: Row
    at: int


@dataclass(frozen=True)
class Merge:
    """From `at` on, all events of the person `old` are those of `new`."""

    at: int
    old: str
    new: str


@dataclass(frozen=True)
class World:
    """Everything that will have arrived, in any order, and who turns out to be one. `accounts`: whether units are accounts."""

    arrivals: tuple[Arrival, ...]
    merges: tuple[Merge, ...]
    members: frozenset[str]
    accounts: bool

    def person(self, person: str, now: int) -> str:
        """Who that is by now."""
        for merge in sorted(self.merges, key=lambda one: one.at):
            if merge.at < now and merge.old == person:
                person = merge.new
        return person

    def seen(self, row: Row, now: int) -> Row:
        """The event as the source shows it by now."""
        person = self.person(row.person, now)
        return replace(row, person=person, unit=row.unit if self.accounts else person)

    def visible(self, now: int, since: int = 0) -> list[Row]:
        """Each event that arrived in `[since, now)`, once, the earliest of its deliveries, as of now."""
        return once(self.seen(one.row, now) for one in self.arrivals if since <= one.at < now)


def once(rows: Iterable[Row]) -> list[Row]:
    """Each event once; where its deliveries disagree, the earliest."""
    found: dict[str, Row] = {}
    for row in rows:
        known = found.get(str(row.uuid))
        if known is None or row.at < known.at:
            found[str(row.uuid)] = row
    return list(found.values())


def rows_of(found: Sequence[Row]) -> Rows:
    """Rows as arrays, with people and the ids of events."""
    units, names, people = (sorted({getattr(row, field) for row in found}) for field in ("unit", "event", "person"))
    return Rows(
        units=units,
        names=names,
        unit=np.array([units.index(row.unit) for row in found], np.int32),
        name=np.array([names.index(row.event) for row in found], np.int32),
        at=np.array([row.at for row in found], np.int64),
        persons=np.array([people.index(row.person) for row in found], np.int32),
        columns={tuple(path.split(".")): column_of(found, tuple(path.split("."))) for path in PATHS},
        people=people,
        ids=np.array([event_id(row) for row in found], "V16"),
    )


def event_id(row: Row) -> bytes:
    """16 bytes for the text that random logs have as an id."""
    return str(row.uuid).encode().rjust(16, b"-")[-16:]


def log_of(found: Sequence[Row], plan: ReadPlan, members: frozenset[str]) -> EventLog:
    """The log of a plan from rows by the plain assembly."""
    rows = rows_of([row for row in found if row.at < plan.window.end])
    flags = np.array([unit in members for unit in rows.units], np.bool_)
    return assemble(rows, plan, TYPES, {COHORT: flags})


@dataclass
class Told:
    """A signal: whom it named and when, what it says, and what became of it."""

    unit: str
    at: int
    occurrence: int
    sent: int
    named: str
    revised: bool = False
    merged_into: "Told | None" = None


class ReplayOracle:
    """Runs of the backtest on what had arrived. `live_from` is S0, `seen_until` the end of the window that was approved on."""

    def __init__(self, world: World, meaning: Hypothesis, live_from: int, seen_until: int) -> None:
        self.world, self.meaning, self.live_from, self.seen_until = world, meaning, live_from, seen_until
        self.told: list[Told] = []
        self.already: list[Told] = []
        self.swept: int | None = None
        self.folded: set[Merge] = set()
        self.pushed: dict[str, Row] = {}

    def sweep(self, now: int) -> None:
        """Everything that has arrived is known, and who is one."""
        for merge in sorted(self.world.merges, key=lambda one: one.at):
            if merge.at < now and merge not in self.folded:
                self.folded.add(merge)
                self._fold(merge)
        self._run(now, self.world.visible(now), None)
        self.swept, self.pushed = now, {}

    def push(self, now: int, arrivals: Sequence[Arrival]) -> None:
        """Single events are told before the next sweep: only their units are looked at, and nobody has become one since the last sweep."""
        if self.swept is None:
            return
        for one in arrivals:
            row = self.world.seen(one.row, now)
            known = self.pushed.get(str(row.uuid))
            if known is None or row.at < known.at:
                self.pushed[str(row.uuid)] = row
        known = {str(row.uuid): row for row in self.world.visible(self.swept)}
        swept = [self.world.seen(row, self.swept) for row in known.values()]
        whole = once(
            [*swept, *(replace(row, unit=(known.get(key) or row).unit, person=(known.get(key) or row).person) for key, row in self.pushed.items())]
        )
        self._run(now, whole, {self.world.seen(one.row, now).unit for one in arrivals})

    def _run(self, now: int, rows: list[Row], units: set[str] | None) -> None:
        if not rows:
            return
        bottom = self.live_from if self.swept is None else max(self.live_from, self.swept - SEEN_AFTER)
        (plan,) = plan_reads([self.meaning], Window(self.live_from - self.meaning.look_back, now))
        log = log_of(rows, plan, self.world.members)
        found = held(self.meaning, log)
        for index, at in zip(*(array.tolist() for array in candidates(found, self.meaning, log, self.live_from)), strict=True):
            if at >= bottom and (units is None or log.units[index] in units):
                self._fire(log.units[index], at, now)
        spans = [
            (log.units[unit], start, stop)
            for unit, start, stop in zip(found.intervals.unit.tolist(), found.intervals.start, found.intervals.stop, strict=True)
        ]
        entry = dict(zip(log.units, log.entry(self.meaning).tolist(), strict=True))
        for one in self.told:
            if one.merged_into is None and one.at >= bottom and (units is None or one.unit in units):
                counts = not self.meaning.counts_entrants_only or entry.get(one.unit, 0) >= self.live_from
                one.revised = not (counts and any(unit == one.unit and start <= one.at < stop for unit, start, stop in spans))

    def _fire(self, unit: str, at: int, now: int) -> None:
        again = self.meaning.fires_again_after
        before = [one for one in (*self.told, *self.already) if one.unit == unit]
        if before and (again is None or at < max(one.at for one in before) + again):
            return
        fire = Told(unit, at, max((one.occurrence for one in before), default=0) + 1, now, unit)
        (self.already if self.swept is None and at < self.seen_until else self.told).append(fire)

    def _fold(self, merge: Merge) -> None:
        """The later of two signals of one person is marked with the earlier; within a cool-down, where there is one."""
        if self.world.accounts:
            return
        last = max((one.occurrence for one in (*self.told, *self.already) if one.unit == merge.new), default=0)
        for one in (*self.told, *self.already):
            if one.unit == merge.old:
                one.unit, one.occurrence = merge.new, last + one.occurrence
        again = self.meaning.fires_again_after
        kept: list[Told] = []
        for one in sorted(self.told, key=lambda one: (one.sent, one.at, one.named)):
            if one.unit != merge.new or one.merged_into is not None:
                continue
            near = [other for other in kept if again is None or abs(one.at - other.at) < again]
            if near:
                one.merged_into = near[0]
            else:
                kept.append(one)

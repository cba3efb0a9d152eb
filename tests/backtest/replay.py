"""The live state without database and HTTP: what sweeps and pushes do with `backtest.live`, fed from a world of arrivals."""

from collections.abc import Sequence
from dataclasses import replace

from backtest.atoms import remember
from backtest.events import EventLog, Window
from backtest.language import Hypothesis
from backtest.live import LATE, OVERLAP, LiveFire, Memory, entries_in, horizon, needs_history
from backtest.plan import plan_new_events, plan_reads
from tests.backtest.oracle import Row
from tests.backtest.random_logs import COHORT, TYPES
from tests.backtest.replay_oracle import Arrival, Told, World, log_of


class Replay:
    """One live hypothesis over a world; `most` is the largest number of matches that were ever kept between two sweeps."""

    def __init__(self, world: World, meaning: Hypothesis, live_from: int, seen_until: int) -> None:
        self.world, self.meaning, self.seen_until = world, meaning, seen_until
        self.memory = Memory(meaning, live_from)
        self.told: dict[tuple[str, int], Told] = {}
        self.order: list[Told] = []
        self.cursor: int | None = None
        self.most = 0

    def sweep(self, now: int) -> None:
        """One sweep; the first reads the whole window."""
        memory = self.memory
        if self.cursor is None:
            since = memory.live_from
            self._start(now)
        else:
            since = max(memory.live_from, horizon(self.cursor))
            self._fold(now)
            if log := self._news(self.world.visible(now, self.cursor - OVERLAP), self.cursor, now):
                memory.absorb(log, horizon(self.cursor))
        self._judge(memory, now, since)
        memory.settle(horizon(now))
        self.cursor, self.most = now, max(self.most, len(memory.kept))

    def push(self, now: int, arrivals: Sequence[Arrival]) -> None:
        """Events as they come: only the memory of their units is looked at."""
        if self.cursor is None:
            return
        rows = [self.world.seen(one.row, now) for one in arrivals]
        units, whole = {row.unit for row in rows}, self.memory
        part = Memory(self.meaning, whole.live_from)
        part.kept = {key: match for key, match in whole.kept.items() if key[0] in units}
        part.entries = {unit: at for unit, at in whole.entries.items() if unit in units}
        part.fired = {unit: list(fires) for unit, fires in whole.fired.items() if unit in units}
        if log := self._news(rows, self.cursor, now):
            part.absorb(log, horizon(self.cursor))
        self._judge(part, now, max(whole.live_from, horizon(self.cursor)))
        whole.keep(part.fresh.values())
        whole.enter(part.fresh_entries)
        whole.fired |= part.fired

    def _start(self, now: int) -> None:
        (plan,) = plan_reads([self.meaning], Window(self.memory.start, now))
        log = log_of(self.world.visible(now), plan, self.world.members)
        self.memory.enter(entries_in(self.meaning, log))
        self.memory.keep(remember(self.meaning, log, self.memory.entries, self.memory.live_from, unsettled=horizon(now)))
        judged = self.memory.judge(now, self.memory.live_from, TYPES, self._members())
        self.memory.add_fires(fire for fire in judged.new if fire[1] < self.seen_until)

    def _news(self, rows: Sequence[Row], cursor: int, now: int) -> EventLog | None:
        window = Window(cursor - OVERLAP - LATE, now)
        (plan,) = plan_new_events([self.meaning], window)
        rows = [row for row in rows if window.start <= row.at < now]
        return log_of(rows, plan, self.world.members) if rows else None

    def _fold(self, now: int) -> None:
        merged = {
            merge.old: self.world.person(merge.old, now) for merge in self.world.merges if self.cursor is not None and self.cursor <= merge.at < now
        }
        if not merged:
            return
        if self.world.accounts:
            self.memory.rename_people(merged)
            return
        for old, new in merged.items():
            self._merge_signals(old, new)
        self.memory.fold(merged)
        if needs_history(self.meaning):
            (plan,) = plan_reads([self.meaning], Window(self.memory.start, now))
            rows = [row for row in self.world.visible(now) if row.unit in merged.values() and row.at >= self.memory.start]
            log = log_of(rows, replace(plan, firsts={}, lapses={}), self.world.members)
            self.memory.keep(remember(self.meaning, log, self.memory.entries, self.memory.live_from, unsettled=horizon(now)))

    def _merge_signals(self, old: str, new: str) -> None:
        last = max((occurrence for _, occurrence in self.memory.fired.get(new, ())), default=0)
        for (unit, occurrence), one in list(self.told.items()):
            if unit == old:
                self.told[new, last + occurrence] = self.told.pop((unit, occurrence))
                one.unit = new
        kept: list[Told] = []
        again = self.meaning.fires_again_after
        for one in sorted((one for one in self.order if one.unit == new), key=lambda one: (one.sent, one.at, one.named)):
            if one.merged_into is None:
                near = [other for other in kept if again is None or abs(one.at - other.at) < again]
                one.merged_into = near[0] if near else None
                kept += [] if near else [one]

    def _judge(self, memory: Memory, now: int, since: int) -> None:
        judged = memory.judge(now, since, TYPES, self._members())
        for key, holds in judged.holds.items():
            if key in self.told and self.told[key].merged_into is None:
                self.told[key].revised = not holds
        memory.add_fires(judged.new)
        for fire in judged.new:
            self._tell(fire, now)

    def _tell(self, fire: LiveFire, now: int) -> None:
        unit, at, occurrence = fire
        self.told[unit, occurrence] = one = Told(unit, at, occurrence, now, unit)
        self.order.append(one)

    def _members(self) -> dict[str, frozenset[str]]:
        return {COHORT: self.world.members}

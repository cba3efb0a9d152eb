"""The memory of one live hypothesis, and what arrives, passes and merges do to it: pure, so that tests replay it without a database.

    absorb    what has arrived since: new matches, earlier entries; an event that is known already counts once
    fold      two people turn out to be one: their memories become one
    judge     the evaluator of the backtest on what is remembered: new fires, and which of the recent ones still hold
    settle    forget what no late event can bring back into play

Events may arrive up to `LATE` after they happened, and be seen up to `OVERLAP` after they arrived. What lies before the horizon
(`horizon`) is settled: nothing that may still come changes what held there, save that two people turn out to be one, and then only what
holds from the horizon on counts. docs/explanation/how-live-works.md has the whole; tests/backtest/replay_oracle.py says it in plain loops.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from backtest.atoms import NO_EVENT, STATE, Remembered, on_atoms, reach, remember, remembered_log
from backtest.durations import HOUR
from backtest.events import EventLog, Window, first_key, first_per_unit
from backtest.fires import Held, candidates, held
from backtest.intervals import FOREVER, Ints
from backtest.language import Hypothesis, Last, Trend
from backtest.values import PropertyTypes

LATE = 72 * HOUR
"""Events that arrive up to this long after they happened count; later ones are not looked for."""

OVERLAP = HOUR
"""An event may show in the source up to this long after the source received it."""

Key = tuple[str, str, bytes]
"""Unit, atom, event: what a match is known by, whenever and however often it is read."""

LiveFire = tuple[str, int, int]
"""Unit id, instant in microseconds, occurrence."""


def horizon(read_until: int) -> int:
    """Before it everything is settled, once all that had arrived by `read_until` has been read."""
    return read_until - LATE - OVERLAP


@dataclass(frozen=True)
class Judged:
    """`new`: fires to be told. `holds`: of each recent fire, by unit and occurrence, whether the hypothesis holds there by what is known now."""

    new: list[LiveFire]
    holds: dict[tuple[str, int], bool]


@dataclass
class Memory:
    """What is remembered of one hypothesis, of all units or of some.

    `fired`: unit to instant and occurrence of its fires, oldest first. What has changed since it was loaded is in `fresh` and `fresh_entries`, what
    has been dropped in `gone`, and units that are others now in `left`.
    """

    meaning: Hypothesis
    live_from: int
    kept: dict[Key, Remembered] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    fired: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    fresh: dict[Key, Remembered] = field(default_factory=dict)
    fresh_entries: dict[str, int] = field(default_factory=dict)
    gone: dict[Key, Remembered] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    @property
    def start(self) -> int:
        """Nothing before it counts."""
        return self.live_from - self.meaning.look_back

    def absorb(self, log: EventLog, settled: int) -> None:
        """Take in what the source shows anew; nothing of it changes what held before `settled`."""
        self.enter(entries_in(self.meaning, log))
        self.keep(remember(self.meaning, log, self.entries, self.live_from, self._done(settled), settled))

    def enter(self, entries: Mapping[str, int]) -> None:
        """Take in entries; the earliest of a unit counts."""
        for unit, at in entries.items():
            if at < self.entries.get(unit, FOREVER):
                self.entries[unit] = self.fresh_entries[unit] = at

    def keep(self, matches: Iterable[Remembered]) -> None:
        """Take in matches: of the window, and states from before it. Deliveries of one event may disagree on when it happened: the earliest
        counts. Of what was known before the window the latest counts."""
        for match in matches:
            if match.at < self.start and not match.atom.startswith(STATE):
                continue
            known = self.kept.get(key := (match.unit, match.atom, match.event))
            if known is None or (match.at > known.at if match.event == NO_EVENT else match.at < known.at):
                self.kept[key] = self.fresh[key] = match
                self.gone.pop(key, None)

    def forget(self, keys: Collection[Key]) -> None:
        """Drop matches."""
        for key in keys:
            self.gone[key] = self.kept.pop(key)
            self.fresh.pop(key, None)

    def fold(self, merged: Mapping[str, str]) -> None:
        """Units (keys) that turned out to be others (values): matches, entries and fires go over."""
        moved = [key for key in self.kept if key[0] in merged]
        matches = [self.kept[key] for key in moved]
        self.forget(moved)
        self.keep(match._replace(unit=merged[match.unit]) for match in matches)
        for old, new in merged.items():
            if (at := self.entries.pop(old, None)) is not None:
                self.fresh_entries.pop(old, None)
                self.left.add(old)
                self.enter({new: at})
            if fires := self.fired.pop(old, None):
                last = max((occurrence for _, occurrence in self.fired.get(new, ())), default=0)
                self.fired[new] = sorted([*self.fired.get(new, ()), *((at, last + occurrence) for at, occurrence in fires)])

    def rename_people(self, merged: Mapping[str, str]) -> None:
        """The same for the people that an account's memory counts."""
        atoms = {key for key, (atom, _) in reach(self.meaning).items() if atom.person}
        for key, match in self.kept.items():
            if match.atom in atoms and match.value in merged:
                self.kept[key] = self.fresh[key] = match._replace(value=merged[str(match.value)])

    def judge(self, window_end: int, since: int, types: PropertyTypes, members: Mapping[str, frozenset[str]]) -> Judged:
        """New fires in `[since, window_end)`, and whether the fires known of that stretch still hold."""
        again = self.meaning.fires_again_after
        done = self._done(since)
        waiting = {unit: at for unit, at in self.entries.items() if unit not in done and at < window_end}
        log = remembered_log(self.meaning, list(self.kept.values()), waiting, Window(self.start, window_end), types, members)
        asked = on_atoms(self.meaning)
        found = held(asked, log)
        units, instants = candidates(found, asked, log, self.live_from)
        units, instants = units[instants >= since], instants[instants >= since]
        new: list[LiveFire] = []
        last = {unit: (fires[-1][0], max(occurrence for _, occurrence in fires)) for unit, fires in self.fired.items() if fires}
        for index, at in zip(units.tolist(), instants.tolist(), strict=True):
            before = last.get(unit := log.units[index])
            if before is not None and (again is None or at < before[0] + again):
                continue
            last[unit] = (at, (before[1] if before else 0) + 1)
            new.append((unit, *last[unit]))
        return Judged(new, self._holds(found, log, since))

    def _holds(self, found: Held, log: EventLog, since: int) -> dict[tuple[str, int], bool]:
        recent = [(unit, at, occurrence) for unit, fires in self.fired.items() for at, occurrence in fires if at >= since]
        if not recent:
            return {}
        position = {unit: index for index, unit in enumerate(log.units)}
        counts = set(log.units)
        if self.meaning.counts_entrants_only:
            counts = {unit for unit in counts if self.entries[unit] >= self.live_from}
        spans: dict[int, list[tuple[int, int]]] = {}
        wanted = {position[unit] for unit, _, _ in recent if unit in counts}
        for index in np.flatnonzero(np.isin(found.intervals.unit, list(wanted))).tolist():
            spans.setdefault(int(found.intervals.unit[index]), []).append((int(found.intervals.start[index]), int(found.intervals.stop[index])))
        return {
            (unit, occurrence): unit in counts and any(start <= at < stop for start, stop in spans.get(position[unit], ()))
            for unit, at, occurrence in recent
        }

    def add_fires(self, fires: Iterable[LiveFire]) -> None:
        """Who has fired from now on."""
        for unit, at, occurrence in fires:
            self.fired.setdefault(unit, []).append((at, occurrence))

    def settle(self, settled: int) -> None:
        """Forget what can decide nothing from `settled` on, whatever may still arrive."""
        done, look_back, all_forget = self._done(settled), self.meaning.look_back, forgets(self.meaning)
        lasting = {key: last for key, (_, last) in reach(self.meaning).items()}
        entrants = self.meaning.counts_entrants_only
        stale = []
        for key, match in self.kept.items():
            if match.at >= settled and match.unit not in done:
                continue
            entry = self.entries.get(match.unit)
            last = lasting[match.atom]
            outside = last is not None and (entry is None or not entry <= match.at < entry + last)
            too_early = entrants and entry is not None and entry < self.live_from
            if match.unit in done or too_early or (match.at < settled - look_back if all_forget else outside):
                stale.append(key)
        self.forget(stale)

    def _done(self, settled: int) -> frozenset[str]:
        """Units that need no signal any more and whose fire is beyond doubt."""
        if self.meaning.fires_again_after is not None:
            return frozenset()
        return frozenset(unit for unit, fires in self.fired.items() if fires[-1][0] < settled)


def needs_history(meaning: Hypothesis) -> bool:
    """Whether folding two units may ask for more than is remembered of them."""
    return not forgets(meaning)


def entries_in(hypothesis: Hypothesis, log: EventLog) -> dict[str, int]:
    """Unit id to entry: first-ever where the log tells it, else the first that its window shows.

    Also of units that entered too early to count: whoever forgot them would take their next such event for an entry.
    """
    first = log.firsts.get(first_key(hypothesis.entry))
    if first is None:
        first = _first_seen(hypothesis, log)
    return {log.units[index]: int(first[index]) for index in np.flatnonzero(first < FOREVER).tolist()}


def _first_seen(hypothesis: Hypothesis, log: EventLog) -> Ints:
    if hypothesis.entry is None:
        return first_per_unit(log.presence.unit, log.presence.first, len(log.units))
    found = log.matches(hypothesis.entry)
    return first_per_unit(found.unit, found.at, len(log.units))


def forgets(hypothesis: Hypothesis) -> bool:
    """Whether matches older than the look-back say nothing any more: true where every clause looks at a trailing span."""
    return all(isinstance(clause, Trend) or isinstance(getattr(clause, "span", None), Last) for clause in hypothesis.clauses)

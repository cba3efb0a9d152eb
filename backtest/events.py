"""The event log that the engine reads: flat arrays of one unit kind, sorted and sliced by event name, with no text in the hot part.

Everything a hypothesis may look at is here and nothing else: condition events of the window, first-ever instants of entries and outcomes, what was
known just before the window, and when each unit was present. Readers build it (`beton.posthog.events`, `beton.event_files`); the engine never reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backtest.intervals import ALWAYS, FOREVER, Codes, Flags, Ints, order
from backtest.language import Hypothesis, Lapse
from backtest.matching import Comparison, EventMatch, Json
from backtest.values import PropertyTypes, predicate

Path = tuple[str, ...]

Ids = np.ndarray[tuple[int], np.dtype[np.void]]
"""Ids of events, 16 bytes each (`V16`): what tells two deliveries of one event from two events."""


@dataclass(frozen=True)
class Window:
    """`[start, end)` in microseconds since 1970 UTC. `end` is the as-of instant: nothing at or after it may be seen."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError("a window ends after it starts")


@dataclass(frozen=True)
class Column:
    """One property of the events: `codes[i]` indexes `values`; -1 where event i does not carry it (or carries null)."""

    codes: Codes
    values: Sequence[Json]

    def test(self, comparison: Comparison, types: PropertyTypes, rows: Ints | slice) -> Flags:
        holds = predicate(comparison, types)
        answers = np.fromiter((holds(value) for value in (*self.values, None)), np.bool_, len(self.values) + 1)
        return answers[self.codes[rows]]  # -1 indexes the last answer: the missing value's


@dataclass(frozen=True)
class Matches:
    """Matching events sorted by (unit, at); `rows` points back into the log for values and persons."""

    unit: Codes
    at: Ints
    rows: Ints

    def __len__(self) -> int:
        return len(self.unit)

    def where(self, keep: Flags | Ints) -> Matches:
        return Matches(self.unit[keep], self.at[keep], self.rows[keep])


@dataclass(frozen=True)
class Presence:
    """When units were there at all: blocks `[first, last]` of any events, none with an inner gap of more than 7 days, sorted by (unit, first).

    The last event before the window is a block of its own. Enough to answer "an event in (t - d, t]" exactly for every d of 7 days or more.
    """

    unit: Codes
    first: Ints
    last: Ints


def first_key(match: EventMatch | None) -> str:
    """Names a first-ever array; `None` is the unit's first event of any kind."""
    return "any event" if match is None else json.dumps(match.canonical().model_dump(mode="json"), sort_keys=True)


def outcome_key(hypothesis: Hypothesis) -> str:
    outcome = hypothesis.outcome
    if isinstance(outcome, Lapse):
        return f"lapse {int(outcome.after)} {first_key(outcome.match)} after {first_key(hypothesis.entry)}"
    return first_key(outcome.match)


@dataclass(frozen=True)
class EventLog:
    """`units` in ascending order of id; every array of units follows it. Event arrays are sorted by (name, unit, at); build with `event_log`.

    `persons[i]` numbers the person behind event i (needed where accounts count persons); `people` are their ids, `ids` the events' own ids (16
    bytes each): both are kept only for the live state."""

    window: Window
    units: Sequence[str]
    names: Sequence[str]
    slices: Mapping[str, tuple[int, int]]
    unit: Codes
    at: Ints
    presence: Presence
    firsts: Mapping[str, Ints]
    persons: Codes | None = None
    people: Sequence[str] = ()
    ids: Ids | None = None
    columns: Mapping[Path, Column] = field(default_factory=dict)
    seeds: Mapping[Path, Column] = field(default_factory=dict)
    seeds_at: Mapping[Path, Ints] = field(default_factory=dict)
    """Since when a seed was known, per unit; kept only for the live state."""
    cohorts: Mapping[str, Flags] = field(default_factory=dict)
    types: PropertyTypes = field(default_factory=dict)
    _of_names: dict[tuple[str, ...], Matches] = field(default_factory=dict, compare=False, repr=False)
    """Rows by names, once merged: many hypotheses look at the same events."""

    def replaced(self, *, firsts: Mapping[str, Ints]) -> EventLog:
        """The same log with other first-ever instants: for another population of units."""
        return replace(self, firsts=firsts)

    def entry(self, hypothesis: Hypothesis) -> Ints:
        """First-ever entry of each unit; `FOREVER` for units outside the population."""
        return self.firsts[first_key(hypothesis.entry)]

    def outcome(self, hypothesis: Hypothesis) -> Ints:
        """First-ever outcome of each unit; `FOREVER` where there is none before the as-of instant."""
        return self.firsts[outcome_key(hypothesis)]

    def matches(self, match: EventMatch) -> Matches:
        names = self.slices if match.any_event else [name for name in sorted(set(match.events)) if name in self.slices]
        found = self._rows(names)
        for comparison in match.where:
            found = found.where(self._test(comparison, found))
        return found

    def carrying(self, path: Path) -> Matches:
        """All events that carry the property, whatever their name."""
        everything = self._rows(self.slices)
        return everything.where(self.columns[path].codes[everything.rows] >= 0)

    def _rows(self, names: Iterable[str]) -> Matches:
        key = tuple(names)
        if key not in self._of_names:
            self._of_names[key] = self._merged(key)
        return self._of_names[key]

    def _merged(self, names: Sequence[str]) -> Matches:
        parts = [np.arange(*self.slices[name], dtype=np.int64) for name in names]
        rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
        if len(parts) > 1:
            rows = rows[order(self.unit[rows], self.at[rows])]
        return Matches(self.unit[rows], self.at[rows], rows)

    def _test(self, comparison: Comparison, found: Matches) -> Flags:
        return self.columns[comparison.property].test(comparison, self.types, found.rows)


def event_log(
    *,
    window: Window,
    units: Sequence[str],
    names: Sequence[str],
    unit: Codes,
    name: Codes,
    at: Ints,
    presence: Presence,
    firsts: Mapping[str, Ints],
    persons: Codes | None = None,
    people: Sequence[str] = (),
    ids: Ids | None = None,
    columns: Mapping[Path, Column] | None = None,
    seeds: Mapping[Path, Column] | None = None,
    seeds_at: Mapping[Path, Ints] | None = None,
    cohorts: Mapping[str, Flags] | None = None,
    types: PropertyTypes | None = None,
) -> EventLog:
    """Sort event rows in any order into a log. `name[i]` indexes `names`; rows outside the window must already be gone."""
    by = order(unit, at)
    codes = name.astype(np.int16) if len(names) < 2**15 else name  # sixteen bits are sorted by radix
    by = by[np.argsort(codes[by], kind="stable")]
    ends = np.searchsorted(codes[by], np.arange(len(names) + 1))
    slices = {names[code]: (int(ends[code]), int(ends[code + 1])) for code in range(len(names)) if ends[code] < ends[code + 1]}
    return EventLog(
        window=window,
        units=units,
        names=names,
        slices=slices,
        unit=unit[by],
        at=at[by],
        presence=presence,
        firsts=firsts,
        persons=None if persons is None else persons[by],
        people=people,
        ids=None if ids is None else ids[by],
        columns={path: Column(column.codes[by], column.values) for path, column in (columns or {}).items()},
        seeds=seeds or {},
        seeds_at=seeds_at or {},
        cohorts=cohorts or {},
        types=types or {},
    )


def presence_blocks(unit: Codes, at: Ints, longest_gap: int) -> Presence:
    """Blocks of presence from all events (sorted by unit and instant), split at gaps of more than `longest_gap` microseconds."""
    if not len(unit):
        return Presence(unit, at, at)
    split = np.flatnonzero((np.diff(unit) != 0) | (np.diff(at) > longest_gap))
    first = np.concatenate(([0], split + 1))
    last = np.concatenate((split, [len(unit) - 1]))
    return Presence(unit[first], at[first], at[last])


def first_per_unit(unit: Codes, at: Ints, units: int) -> Ints:
    """The earliest instant of each unit; `FOREVER` for units without one."""
    first = np.full(units, FOREVER)
    np.minimum.at(first, unit, at)
    return first


def last_per_unit(unit: Codes, at: Ints, units: int) -> Ints:
    """The latest instant of each unit; `ALWAYS` for units without one."""
    last = np.full(units, ALWAYS)
    np.maximum.at(last, unit, at)
    return last

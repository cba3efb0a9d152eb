"""From all visible events of some units to the log that the engine reads, for sources that hold whole histories (files, object storage, tests)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backtest.durations import DAY
from backtest.events import (
    Column,
    EventLog,
    Ids,
    Matches,
    Path,
    Presence,
    Window,
    event_log,
    first_key,
    first_per_unit,
    last_per_unit,
    presence_blocks,
)
from backtest.intervals import ALWAYS, Codes, Flags, Ints, order
from backtest.matching import EventMatch
from backtest.plan import ReadPlan
from backtest.truth import lapse
from backtest.values import PropertyTypes, rank

LONGEST_GAP = 7 * DAY
"""Presence is split where a unit was silent for longer; see `Presence`."""


@dataclass(frozen=True)
class Rows:
    """Every event before the as-of instant, in any order, without duplicates. `unit` indexes `units` (ascending ids), `name` indexes `names`.

    `people` are the ids of `persons`, `ids` those of the events; only the live state asks for them."""

    units: Sequence[str]
    names: Sequence[str]
    unit: Codes
    name: Codes
    at: Ints
    persons: Codes | None = None
    columns: Mapping[Path, Column] = field(default_factory=dict)
    people: Sequence[str] = ()
    ids: Ids | None = None

    def where(self, keep: Flags) -> Rows:
        columns = {path: Column(column.codes[keep], column.values) for path, column in self.columns.items()}
        persons = None if self.persons is None else self.persons[keep]
        ids = None if self.ids is None else self.ids[keep]
        return Rows(self.units, self.names, self.unit[keep], self.name[keep], self.at[keep], persons, columns, self.people, ids)


def assemble(rows: Rows, plan: ReadPlan, types: PropertyTypes, cohorts: Mapping[str, Flags] | None = None) -> EventLog:
    """Entries, outcomes and state seeds from everything; condition events from the window alone."""
    everything = _log(rows, Window(int(ALWAYS), plan.window.end), types, {}, ({}, {}), Presence(rows.unit[:0], rows.at[:0], rows.at[:0]), {})
    firsts = {key: _first(everything, match) for key, match in plan.firsts.items()}
    for key, read in plan.lapses.items():
        heard = everything.matches(read.match)
        entry = firsts[first_key(read.entry)]
        firsts[key] = lapse(heard.unit, heard.at, read.after, entry, plan.window.end)
    found = {path: _seed(everything, path, plan.window.start) for path in plan.carrying}
    seeds = {path: seed for path, (seed, _) in found.items()}, {path: since for path, (_, since) in found.items()}
    inside = rows.where(rows.at >= plan.window.start)
    return _log(inside, plan.window, types, firsts, seeds, presence_of(rows, plan.window.start), cohorts or {})


def _log(
    rows: Rows,
    window: Window,
    types: PropertyTypes,
    firsts: Mapping[str, Ints],
    seeds: tuple[Mapping[Path, Column], Mapping[Path, Ints]],
    presence: Presence,
    cohorts: Mapping[str, Flags],
) -> EventLog:
    return event_log(
        window=window,
        units=rows.units,
        names=rows.names,
        unit=rows.unit,
        name=rows.name,
        at=rows.at,
        presence=presence,
        firsts=firsts,
        persons=rows.persons,
        people=rows.people,
        ids=rows.ids,
        columns=rows.columns,
        seeds=seeds[0],
        seeds_at=seeds[1],
        cohorts=cohorts,
        types=types,
    )


def _first(log: EventLog, match: EventMatch | None) -> Ints:
    found = Matches(log.unit, log.at, np.arange(len(log.at))) if match is None else log.matches(match)
    return first_per_unit(found.unit, found.at, len(log.units))


def _seed(log: EventLog, path: Path, start: int) -> tuple[Column, Ints]:
    """The latest value before the window, the greatest of tied ones, and its instant."""
    found = log.carrying(path)
    found = found.where(found.at < start)
    column, kind = log.columns[path], log.types.get(".".join(path))
    ranks = np.empty(len(column.values), np.int64)
    ranks[sorted(range(len(column.values)), key=lambda index: rank(column.values[index], kind))] = np.arange(len(column.values))
    codes = column.codes[found.rows]
    by = np.lexsort((ranks[codes], found.at, found.unit))
    seed = np.full(len(log.units), -1, np.int32)
    seed[found.unit[by]] = codes[by]  # the last write of each unit wins
    return Column(seed, column.values), last_per_unit(found.unit, found.at, len(log.units))


def presence_of(rows: Rows, start: int) -> Presence:
    """Blocks of the window, and the last event before it."""
    inside = rows.at >= start
    before = last_per_unit(rows.unit[~inside], rows.at[~inside], len(rows.units))
    known = np.flatnonzero(before > ALWAYS).astype(np.int32)
    unit = np.concatenate((rows.unit[inside], known))
    at = np.concatenate((rows.at[inside], before[known]))
    by = order(unit, at)
    return presence_blocks(unit[by], at[by], LONGEST_GAP)

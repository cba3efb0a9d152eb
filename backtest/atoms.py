"""What a live hypothesis must remember of the past: per unit, the instants at which its atoms matched, and the values that it names itself.

An atom is one matcher of a clause with, where the clause needs it, one value. A hypothesis rewritten onto its atoms (`on_atoms`) means on a log of
remembered matches (`remembered_log`) what the original means on the full log, so the live sweep asks the same `first_matches` as the backtest.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backtest.events import Column, EventLog, Matches, Path, Presence, Window, event_log, first_key
from backtest.intervals import FOREVER, Ints
from backtest.language import SESSION_CAP, Counted, Did, First, Hypothesis, State, Total, ValuesOf
from backtest.matching import EventMatch, Json
from backtest.values import PropertyTypes

ANY = EventMatch(any_event=True)
STATE = "state "
"""Begins the keys of atoms that are carriers of a property, whatever their name."""


@dataclass(frozen=True)
class Atom:
    """`key` names it in the live state; `path` is the property whose value is kept with each match, `person` whether the person is."""

    key: str
    match: EventMatch
    path: Path | None = None
    person: bool = False


NO_EVENT = b""
"""Stands for the event of what was known before the window: it has none."""


class Remembered(NamedTuple):
    """One match of one atom. `value` is the raw value of the atom's property, or the person's id; `event` the id of the event, 16 bytes."""

    atom: str
    unit: str
    at: int
    value: Json = None
    event: bytes = NO_EVENT


def atoms(hypothesis: Hypothesis) -> dict[str, Atom]:
    """The atoms of all clauses by key. A hypothesis that looks at first sessions also remembers any event."""
    found = [atom for clause in hypothesis.clauses for atom in _of_clause(clause)]
    return {atom.key: atom for atom in found}


def _of_clause(clause: object) -> Iterable[Atom]:
    if isinstance(clause, State):
        yield _state_atom(clause)
    for role in ("match", "then", "without"):
        if isinstance(match := getattr(clause, role, None), EventMatch):
            yield _atom(clause, match, role)
    if getattr(clause, "span", None) == "first_session":
        yield Atom(first_key(ANY), ANY)


def _atom(clause: object, match: EventMatch, role: str) -> Atom:
    key = first_key(match)
    if role == "match" and isinstance(clause, Total):
        return Atom(f"{key} {_written(clause.property)}", match, clause.property)
    if role == "match" and isinstance(clause, Did) and isinstance(clause.count, ValuesOf):
        return Atom(f"{key} {_written(clause.count.values_of)}", match, clause.count.values_of)
    if role == "match" and isinstance(clause, Did) and clause.count is Counted.persons:
        return Atom(f"{key} by person", match, person=True)
    return Atom(key, match)


def _state_atom(clause: State) -> Atom:
    return Atom(f"{STATE}{_written(clause.property)}", ANY, clause.property)


def _written(path: Path) -> str:
    return json.dumps(path)


def on_atoms(hypothesis: Hypothesis) -> Hypothesis:
    """The same hypothesis with each matcher replaced by the name of its atom."""
    clauses = []
    for clause in hypothesis.clauses:
        update = {
            role: EventMatch(events=(_atom(clause, match, role).key,))
            for role in ("match", "then", "without")
            if isinstance(match := getattr(clause, role, None), EventMatch)
        }
        clauses.append(clause.model_copy(update=update))
    return hypothesis.model_copy(update={"clauses": tuple(clauses)})


def remember(
    hypothesis: Hypothesis,
    log: EventLog,
    entries: Mapping[str, int],
    live_from: int,
    done: Container[str] = frozenset(),
    unsettled: int = int(FOREVER),
) -> list[Remembered]:
    """The matches that may still decide something, with the values that the hypothesis names.

    Nothing is kept of units that need no signal any more (`done`) or that entered too early to count; of a clause about a first span nothing
    outside of it; of other clauses also what lies before entry, and of units that may still enter. What was known before the window is kept
    as a match that no event stands for. From `unsettled` on everything is kept: an entry that is still on its way may make it count.
    """
    entry = np.array([entries.get(unit, FOREVER) for unit in log.units], np.int64)
    counts = np.array([unit not in done for unit in log.units], np.bool_)
    if hypothesis.counts_entrants_only:
        counts &= entry >= live_from
    kept: list[Remembered] = []
    for atom, last in reach(hypothesis).values():
        found = log.carrying(atom.path) if atom.key.startswith(STATE) and atom.path else log.matches(atom.match)
        since = entry[found.unit]
        matters = (last is None) | (found.at >= unsettled) | ((found.at >= since) & (found.at - since < (last or 0)))
        found = found.where(counts[found.unit] & matters)
        told = zip(found.unit.tolist(), found.at.tolist(), _values(atom, log, found), _events(log, found), strict=True)
        kept += [Remembered(atom.key, log.units[unit], at, value, event) for unit, at, value, event in told]
        if atom.key.startswith(STATE) and atom.path is not None and (seed := log.seeds.get(atom.path)) is not None:
            known = np.flatnonzero((seed.codes >= 0) & counts).tolist()
            since = log.seeds_at[atom.path]
            kept += [Remembered(atom.key, log.units[unit], int(since[unit]), seed.values[seed.codes[unit]]) for unit in known]
    return kept


def reach(hypothesis: Hypothesis) -> dict[str, tuple[Atom, int | None]]:
    """Each atom with how long after entry its matches matter; `None` where they matter at any time, also before entry."""
    reach: dict[str, tuple[Atom, int | None]] = {}
    for clause in hypothesis.clauses:
        span = getattr(clause, "span", None)
        last = int(span.first) if isinstance(span, First) else _AFTER_ENTRY.get(span) if isinstance(span, str) else None
        for atom in _of_clause(clause):
            before = reach.get(atom.key)
            longest = last if before is None else None if last is None or before[1] is None else max(last, before[1])
            reach[atom.key] = (atom, longest)
    return reach


_AFTER_ENTRY = {"first_session": SESSION_CAP, "ever": int(FOREVER)}


def _values(atom: Atom, log: EventLog, found: Matches) -> Sequence[Json]:
    if atom.path is not None:
        column = log.columns[atom.path]
        return [column.values[code] if code >= 0 else None for code in column.codes[found.rows].tolist()]
    if atom.person and log.persons is not None:
        return [str(log.people[code]) for code in log.persons[found.rows].tolist()]
    return [None] * len(found)


def _events(log: EventLog, found: Matches) -> Sequence[bytes]:
    """The events' ids; where the log has none, the place of each in it, so that two stay two."""
    if log.ids is not None:
        return log.ids[found.rows].tolist()
    return [row.to_bytes(16) for row in found.rows.tolist()]


def remembered_log(
    hypothesis: Hypothesis,
    kept: Sequence[Remembered],
    entries: Mapping[str, int],
    window: Window,
    types: PropertyTypes,
    members: Mapping[str, frozenset[str]],
) -> EventLog:
    """A log of remembered matches for `on_atoms(hypothesis)`. `entries`: unit id to entry instant, for all units of the population."""
    units = sorted(entries)
    position = {unit: index for index, unit in enumerate(units)}
    kept = [one for one in kept if one.unit in position]
    wanted = atoms(hypothesis)
    names = sorted(wanted)
    code = {name: index for index, name in enumerate(names)}
    people: dict[str, int] = {}
    persons = np.array([people.setdefault(str(one.value), len(people)) if wanted[one.atom].person else -1 for one in kept], np.int32)
    paths = {atom.path for atom in wanted.values() if atom.path is not None}
    return event_log(
        window=window,
        units=units,
        names=names,
        unit=np.array([position[one.unit] for one in kept], np.int32),
        name=np.array([code[one.atom] for one in kept], np.int32),
        at=np.array([one.at for one in kept], np.int64),
        presence=Presence(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)),
        firsts={first_key(hypothesis.entry): _instants(entries, units)},
        persons=persons,
        columns={path: _column(kept, wanted, path) for path in paths},
        cohorts={name: np.array([unit in whose for unit in units], np.bool_) for name, whose in members.items()},
        types=types,
    )


def _instants(entries: Mapping[str, int], units: Sequence[str]) -> Ints:
    return np.array([entries[unit] for unit in units], np.int64)


def _column(kept: Sequence[Remembered], wanted: Mapping[str, Atom], path: Path) -> Column:
    values: list[Json] = []
    codes = np.full(len(kept), -1, np.int32)
    for index, one in enumerate(kept):
        if wanted[one.atom].path == path and one.value is not None:
            codes[index] = len(values)
            values.append(one.value)
    return Column(codes, values)

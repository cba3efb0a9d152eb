"""Events that PostHog pushed, as matches and signals: at once, from memory, without a query to PostHog.

Each event is matched against every live hypothesis, remembered under its own id, and the units that it is about are judged. The next sweep reads the
same event again, knows it by its id, and finds the signal told: the same event by both ways makes one signal. What memory alone cannot tell (a
hypothesis that has not been started yet or names a cohort, an event without a person) waits for the sweep, which the answer says.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backtest import Hypothesis, Window
from backtest.assembly import Rows, assemble
from backtest.atoms import STATE, atoms
from backtest.events import Column, EventLog, Path
from backtest.live import LATE, Judged, Memory
from backtest.matching import EventMatch, Json
from backtest.plan import plan_new_events
from backtest.taxonomy import Taxonomy
from backtest.values import PropertyTypes, decode, predicate
from beton.errors import Conflict
from beton.posthog.belonging import Belongs
from beton.posthog.events import Receipt as Seen
from beton.signals import Signal
from beton.store import directing, signals
from beton.store.records import Connection
from beton.store.store import Transaction
from beton.work.arrived import Arrived
from beton.work.knowing import Known, asked_of, telling
from beton.work.live_state import Live, approved, as_it_stands, judge, load, mark, save
from beton.work.receipts import finding, remembered_receipts
from beton.work.workplace import Workplace, microseconds, property_types

NO_HYPOTHESIS = ("live.none", "No live hypothesis looks at this event.")
TOO_LATE = ("live.too_late", "It came more than 72 hours after it happened.")
NO_UNIT = ("live.no_unit", "It names neither a person nor an account that a live hypothesis is about; the next sweep looks it up.")
WAITS = ("live.waits", "Its hypothesis needs more than memory: the next sweep decides.")
NOT_YET = ("live.not_yet", "It is remembered; no hypothesis has become true by it.")
KNOWN = ("live.known", "It was known already, by polling or by an earlier push.")


@dataclass
class Received:
    """What became of one event: `status` is fired, matched or ignored, `code` and `why` say why it did not fire."""

    status: str = "ignored"
    code: str | None = NO_HYPOTHESIS[0]
    why: str | None = NO_HYPOTHESIS[1]
    signal_ids: list[str] = field(default_factory=list)

    def became(self, status: str, reason: tuple[str, str]) -> None:
        """Take over what went furthest: fired, then matched, then ignored."""
        if _RANK[status] > _RANK[self.status] or (self.status == status and self.code == NO_HYPOTHESIS[0]):
            self.status, self.code, self.why = status, *reason

    def fired(self, signal_id: str) -> None:
        """It led to a signal."""
        self.status, self.code, self.why = "fired", None, None
        self.signal_ids.append(signal_id)


_RANK = {"ignored": 0, "matched": 1, "fired": 2}


@dataclass(frozen=True)
class _Batch:
    """Events that came together; `timely` are the places of those that are not too late."""

    place: Workplace
    taxonomy: Taxonomy
    types: PropertyTypes
    now: int
    arrived: Sequence[Arrived]
    timely: Sequence[int]
    answers: Sequence[Received]


async def receive(place: Workplace, connection: Connection, arrived: Sequence[Arrived]) -> list[Received]:
    """Match and judge; the answers in the order of the events. Asks PostHog nothing. A second time the same events make nothing new."""
    answers = [Received() for _ in arrived]
    with place.store.reading() as tx:
        lives = approved(tx, connection.id)
    if not lives or not arrived:
        return answers
    taxonomy, now = place.taxonomy(connection), microseconds(place.clock())
    timely = [number for number, one in enumerate(arrived) if now - microseconds(one.at) <= LATE]
    for number in set(range(len(arrived))) - set(timely):
        answers[number].became("ignored", TOO_LATE)
    batch = _Batch(place, taxonomy, property_types(taxonomy), now, arrived, timely, answers)
    for live in lives:
        _of_hypothesis(batch, live)
    return answers


def _of_hypothesis(of: _Batch, live: Live) -> None:
    """One hypothesis and all events."""
    looked_at = [number for number in of.timely if concerns(live.meaning, of.arrived[number], of.types)]
    units = {number: unit for number in looked_at if (unit := unit_of(of.arrived[number], live.meaning, of.taxonomy)) is not None}
    for number in looked_at:
        if number not in units:
            of.answers[number].became("ignored", NO_UNIT)
        elif live.cursor is None or live.begun or live.cohorts:
            of.answers[number].became("ignored", WAITS)
    if not units or live.cursor is None or live.begun or live.cohorts:
        return
    with of.place.store.reading() as tx:
        live, memory = as_it_stands(tx, live), load(tx, live, set(units.values()))
        by_segment = any(way.rules.passes.cohort for way in directing.ways(tx))
    if live.cursor is None or live.begun:
        return  # its memory is being built anew
    memory.absorb(_log(live.meaning, units, of), live.judged_from)
    fresh = {key[2] for key in memory.fresh} | {event_id(of.arrived[number].event_uuid) for number in units if units[number] in memory.fresh_entries}
    found = judge(live, memory, of.now, of.types, {})
    if by_segment and found.new:  # who is in a segment is asked of PostHog: the sweep tells these
        found = replace(found, new=[])
    written = _record(of, live, memory, found, [of.arrived[number] for number in units])
    for number, unit in units.items():
        mine = [one for one in written if one.unit_id == unit and _led_to(number, one, units, of)]
        for signal in mine:
            of.answers[number].fired(signal.id)
        if not mine:
            of.answers[number].became("matched", NOT_YET if event_id(of.arrived[number].event_uuid) in fresh else KNOWN)


def _led_to(number: int, signal: Signal, units: Mapping[int, str], of: _Batch) -> bool:
    """Whether it is the last event of the unit up to the fire, or the last at all where it fired later than all of them."""
    mine = sorted((of.arrived[one].at, one) for one in units if units[one] == units[number])
    return number == max((one for one in mine if one[0] <= signal.fired_at), default=mine[-1])[1]


def _record(of: _Batch, live: Live, memory: Memory, found: Judged, arrived: Sequence[Arrived]) -> list[Signal]:
    """Signals, marks and memory in one transaction; the cursor stays, for the sweep reads all of it once more."""
    seen = remembered_receipts(memory, {fire[0] for fire in found.new})
    for one in arrived:
        unit = unit_of(one, live.meaning, of.taxonomy)
        if unit is not None:
            seen.setdefault(unit, []).append(Seen(one.name, microseconds(one.at), one.event_uuid))
    shown = {unit: sorted(set(events), key=lambda event: (event.at, event.name, event.event_id)) for unit, events in seen.items()}
    try:
        with of.place.store.transaction() as tx:
            known = _known(tx, live, of, arrived)
            findings = [known.told(finding(live, fire, shown.get(fire[0], ()))) for fire in found.new]
            written = signals.record(tx, live.row.id, live.row.version, findings) if findings else []
            mark(tx, live, found)
            save(tx, live, memory)
            return written
    except Conflict:
        return []  # paused or revised a moment ago


def _known(tx: Transaction, live: Live, of: _Batch, arrived: Sequence[Arrived]) -> Known:
    """Accounts as far as the events tell them."""
    asked = asked_of(telling(tx, live.row.connection_id), of.taxonomy)
    told = {}
    for one in arrived:
        unit = unit_of(one, live.meaning, of.taxonomy)
        if unit is not None and live.unit_kind == "account":
            told[unit] = Belongs(group_key=unit)
        elif unit is not None:
            group = None if asked.group is None else one.groups.get(asked.group)
            email, owner = (_text(one.person_properties.get(name)) if name else None for name in (asked.email, asked.owner))
            told[unit] = Belongs(group_key=group, email=email, owner=owner)
    return Known(told, {})


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


# --- what an event is about ------------------------------------------------------------------------------------------


def event_id(text: str) -> bytes:
    """The 16 bytes by which an event is known, by push and by polling alike."""
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return hashlib.sha256(text.encode()).digest()[:16]


def unit_of(one: Arrived, meaning: Hypothesis, taxonomy: Taxonomy) -> str | None:
    """The person or account whom the event is about; `None` where it does not say. An event whose person is counted has to name one."""
    if meaning.unit == "person":
        return one.person_id
    if one.person_id is None and any(atom.person for atom in atoms(meaning).values()):
        return None
    known = taxonomy.group_type(meaning.unit.group)
    return (one.groups.get(known.index) if known else None) or one.group_keys.get(meaning.unit.group) or None


def concerns(meaning: Hypothesis, one: Arrived, types: PropertyTypes) -> bool:
    """Whether the event is an entry or matches something that the hypothesis looks at."""
    if meaning.entry is None or _matches(meaning.entry, one, types):
        return True
    return any(
        _looked_up(one.properties, atom.path) is not None if key.startswith(STATE) and atom.path else _matches(atom.match, one, types)
        for key, atom in atoms(meaning).items()
    )


def _matches(match: EventMatch, one: Arrived, types: PropertyTypes) -> bool:
    named = match.any_event or one.name in match.events
    return named and all(predicate(test, types)(_looked_up(one.properties, test.property)) for test in match.where)


def _looked_up(properties: Mapping[str, Any], path: Path) -> Json:
    value: Any = properties
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def _log(meaning: Hypothesis, units: Mapping[int, str], of: _Batch) -> EventLog:
    """The events as a log of their units."""
    rows = [(unit, of.arrived[number]) for number, unit in units.items()]
    at = np.array([microseconds(one.at) for _, one in rows], np.int64)
    (plan,) = plan_new_events([meaning], Window(int(at.min()), int(at.max()) + 1))
    known, names, people = sorted(set(units.values())), sorted({one.name for _, one in rows}), sorted({one.person_id or "" for _, one in rows})
    return assemble(
        Rows(
            units=known,
            names=names,
            unit=np.array([known.index(unit) for unit, _ in rows], np.int32),
            name=np.array([names.index(one.name) for _, one in rows], np.int32),
            at=at,
            persons=np.array([people.index(one.person_id or "") for _, one in rows], np.int32),
            columns={path: _column(path, [one for _, one in rows]) for path in plan.columns},
            people=people,
            ids=np.array([event_id(one.event_uuid) for _, one in rows], "V16"),
        ),
        replace(plan, carrying=frozenset()),
        of.types,
    )


def _column(path: Path, arrived: Sequence[Arrived]) -> Column:
    values = [_looked_up(one.properties, path) for one in arrived]
    codes = np.array([-1 if value is None else index for index, value in enumerate(values)], np.int32)
    return Column(codes, [None if value is None else decode(json.dumps(value)) for value in values])

"""What is new in a project, for a live sweep: one query whatever the unit kinds, and one about people who turned out to be one.

What is new is told by `created_at`, PostHog's own clock at receipt; the bounds on `timestamp` keep ClickHouse from looking further back than events
may be late. `event_person_id` is the person that an event came in with, `person_id` who that is by now: where they differ, two people became one.
PostHog merges people in answer to three events; merging by hand leaves none and is noticed when one of the three comes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson

from backtest.events import Column, EventLog, Path, Presence, event_log
from backtest.language import Unit
from backtest.matching import EventMatch
from backtest.plan import ReadPlan
from backtest.values import PropertyTypes, decode
from beton.errors import PostHogTooHeavy
from beton.posthog.client import PostHogClient
from beton.posthog.events import LITTLE, OTHER, EventReader
from beton.posthog.hogql import ROWS, Query, arrived, between, carries, named, raw, since, unit_column

MERGING = EventMatch(events=("$create_alias", "$identify", "$merge_dangerously"))
"""After these PostHog may take two people for one."""


@dataclass(frozen=True)
class Source:
    """A project as the reader needs it: `groups` are the indices of the group types."""

    client: PostHogClient
    types: PropertyTypes
    groups: Mapping[Unit, int | None]


@dataclass(frozen=True)
class News:
    """What has arrived, by unit kind; `merging`: person and event id of each event after which two people may have become one."""

    logs: Mapping[Unit, EventLog]
    merging: tuple[tuple[str, bytes], ...] = ()


async def read_news(source: Source, plans: Sequence[ReadPlan]) -> News:
    """The news of all plans, which share a window and an arrival. One query, unless much has arrived."""
    plans = _with_people(plans)
    span = plans[0].arrived or plans[0].window
    logs: dict[Unit, EventLog] | None = None
    if span.end - span.start <= LITTLE:
        try:
            logs = await _together(source, plans)
        except PostHogTooHeavy:
            logs = None  # one kind after the other, in slices
    if logs is None:
        logs = {plan.unit: await _reader(source, plan).read_new() for plan in plans}
    people = logs.get("person")
    return News(logs, () if people is None else _merging(people))


def _with_people(plans: Sequence[ReadPlan]) -> list[ReadPlan]:
    """Where people count, what may make two of them one is read, too."""
    found = list(plans)
    if any(plan.unit == "person" or plan.persons for plan in plans):
        if all(plan.unit != "person" for plan in plans):
            found.append(ReadPlan("person", plans[0].window, arrived=plans[0].arrived, ids=True))
        found = [replace(plan, names=plan.names | set(MERGING.events)) if plan.unit == "person" else plan for plan in found]
    return found


def _reader(source: Source, plan: ReadPlan) -> EventReader:
    return EventReader(source.client, plan, types=source.types, group_index=source.groups[plan.unit])


async def _together(source: Source, plans: Sequence[ReadPlan]) -> dict[Unit, EventLog]:
    """Every event once for each of its units, whose ids begin with the number of their kind."""
    columns = [unit_column(plan.unit, source.groups[plan.unit]) for plan in plans]
    told = ", ".join(f"if({column} = '', '', concat('{number}', {column}))" for number, column in enumerate(columns))
    whole = ReadPlan(
        unit="person",
        window=plans[0].window,
        names=frozenset().union(*(plan.names for plan in plans)),
        every_event=any(plan.every_event for plan in plans),
        columns={path: None for plan in plans for path in plan.columns},
        carrying=frozenset().union(*(plan.carrying for plan in plans)),
        persons=any(plan.persons for plan in plans),
        arrived=plans[0].arrived,
        ids=True,
    )
    reader = EventReader(source.client, whole, types=source.types, unit=f"arrayJoin(arrayFilter(x -> x != '', [{told}]))")
    log = await reader.read_new()
    return {plan.unit: _of_kind(log, str(number)) for number, plan in enumerate(plans)}


def _of_kind(log: EventLog, prefix: str) -> EventLog:
    """The part of a log whose units begin so, without the prefix."""
    mine = np.fromiter((unit.startswith(prefix) for unit in log.units), np.bool_, len(log.units))
    renumber = (np.cumsum(mine) - 1).astype(np.int32)
    rows, blocks = mine[log.unit], mine[log.presence.unit]
    name = np.empty(len(log.unit), np.int32)
    for code, text in enumerate(log.names):
        name[slice(*log.slices.get(text, (0, 0)))] = code
    return event_log(
        window=log.window,
        units=[unit[len(prefix) :] for unit in log.units if unit.startswith(prefix)],
        names=log.names,
        unit=renumber[log.unit[rows]],
        name=name[rows],
        at=log.at[rows],
        presence=Presence(renumber[log.presence.unit[blocks]], log.presence.first[blocks], log.presence.last[blocks]),
        firsts={},
        persons=None if log.persons is None else log.persons[rows],
        people=log.people,
        ids=None if log.ids is None else log.ids[rows],
        columns={path: Column(column.codes[rows], column.values) for path, column in log.columns.items()},
        types=log.types,
    )


def _merging(log: EventLog) -> tuple[tuple[str, bytes], ...]:
    found = log.matches(MERGING)
    ids = log.ids[found.rows].tolist() if log.ids is not None else []
    return tuple((log.units[unit], event) for unit, event in zip(found.unit.tolist(), ids, strict=True))


async def read_people(source: Source, plan: ReadPlan, people: Collection[str]) -> tuple[dict[str, str], EventLog]:
    """Who turned out to be whom of `people` (ids that events came in with, to those of today), and what the plan needs of these people.

    One query."""
    query, paths = Query(), sorted(plan.columns)
    needed = _needed(query, plan)
    values = "".join(f", any({raw(query, path)}) AS c{index}" for index, path in enumerate(paths))
    event = ", ".join(["us", "id", "name", *(f"c{index}" for index in range(len(paths)))])
    text = (
        f"SELECT u, groupUniqArray(was), groupArrayIf(tuple({event}), needed > 0) FROM ("
        f"SELECT toString(person_id) AS u, toString(uuid) AS id, min({since(query, 0)}) AS us, any(event) AS name, "
        f"any(toString(event_person_id)) AS was, max(if({needed}, 1, 0)) AS needed{values} FROM events "
        f"WHERE {between(query, plan.window.start, plan.window.end)}{arrived(query, plan.arrived)} "
        f"AND toString(person_id) IN {query.of(sorted(people))} GROUP BY u, id) GROUP BY u LIMIT {ROWS}"
    )
    rows = orjson.loads(await source.client.query_bytes(text, query.values, name="histories of merged people"))["results"]
    merged = {was: unit for unit, before, _ in rows for was in before if was != unit}
    return merged, _log_of(plan, paths, [(unit, *one) for unit, _, events in rows for one in events], source.types)


def _needed(query: Query, plan: ReadPlan) -> str:
    if plan.every_event:
        return "1 = 1"
    carried = [carries(query, path) for path in sorted(plan.carrying)]
    return " OR ".join([*([named(query, plan.names)] if plan.names else []), *carried]) or "1 = 0"


def _log_of(plan: ReadPlan, paths: Sequence[Path], rows: Sequence[tuple], types: PropertyTypes) -> EventLog:
    units, names = sorted({row[0] for row in rows}), [*sorted(plan.names), OTHER]
    position = {unit: index for index, unit in enumerate(units)}
    code = {name: index for index, name in enumerate(names)}
    unit = np.array([position[row[0]] for row in rows], np.int32)
    at = np.array([row[1] for row in rows], np.int64)
    columns = {}
    for index, path in enumerate(paths):
        texts: dict[str, int] = {}
        codes = [-1 if row[4 + index] in ("", "null", None) else texts.setdefault(row[4 + index], len(texts)) for row in rows]
        columns[path] = Column(np.array(codes, np.int32), [decode(text) for text in texts])
    return event_log(
        window=plan.window,
        units=units,
        names=names,
        unit=unit,
        name=np.array([code.get(row[3], len(names) - 1) for row in rows], np.int32),
        at=at,
        presence=Presence(unit[:0], at[:0], at[:0]),
        firsts={},
        persons=unit if plan.persons else None,
        people=units,
        ids=np.array([bytes.fromhex(row[2].replace("-", "")) for row in rows], "V16"),
        columns=columns,
        types=types,
    )

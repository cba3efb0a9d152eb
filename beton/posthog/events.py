"""The event log through PostHog's Query API: grouped on the server, one packed row per unit and slice of time.

What is read: for the events that the plan names, their instants to the microsecond and the properties that conditions compare; for every unit the
first and last instant per slice; first-ever entries and outcomes. PostHog's terms ask not to export raw events in bulk through this API; this reader
aggregates per unit, but of a large project it is still much reading. Past some ten million events per window, read PostHog's batch exports instead
(`beton.event_files`), which is the route PostHog recommends. docs/how-to/read-from-posthog.md says so to users.

An event travels as a fixed number of hex digits: its code and its microseconds since the slice began. Duplicates (same uuid) are removed on the
server. No OFFSET anywhere; a slice that times out is halved, never asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from backtest.durations import DAY
from backtest.events import Column, EventLog, Ids, Path, Presence, event_log
from backtest.intervals import Codes, Ints, order
from backtest.plan import ReadPlan
from backtest.tally import ACTIVE_WITHIN
from backtest.values import PropertyTypes, decode
from beton.errors import PostHogTooHeavy
from beton.posthog.client import PostHogClient
from beton.posthog.firsts import FirstsReader, instants
from beton.posthog.hogql import ROWS, Query, arrived, between, carries, in_bucket, named, raw, since, unit_column
from beton.posthog.slices import MOST_HALVINGS, Sizes, Slice, cut, size_query

Progress = Callable[[int, int], None]
"""Slices done, slices in all (grows where a slice had to be halved)."""

OTHER = ""
"""The name of events that are needed only for having happened (any event, sessions) or for a property they carry."""


LITTLE = 2 * DAY
"""What arrived within it is read in one query."""

MOST_RECEIPTS = 200
"""Events per unit that are looked at for receipts; a signal carries the last few before its fire."""


SHARED_ROWS = 4_096
"""Rows of a slice whose units share rows."""


@dataclass(frozen=True)
class Receipt:
    """One event to show for a fire: its name, instant in microseconds, and id in PostHog."""

    name: str
    at: int
    event_id: str


@dataclass
class _Pass:
    """What the slices of one pass have brought so far; units numbered in order of arrival."""

    position: dict[str, int] = field(default_factory=dict)
    unit: list[Codes] = field(default_factory=list)
    name: list[Codes] = field(default_factory=list)
    at: list[Ints] = field(default_factory=list)
    present: list[tuple[Codes, Ints, Ints]] = field(default_factory=list)
    texts: dict[Path, dict[str, int]] = field(default_factory=dict)
    columns: dict[Path, list[Codes]] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    persons: list[Codes] = field(default_factory=list)
    ids: list[Ids] = field(default_factory=list)

    def number(self, unit: str) -> int:
        return self.position.setdefault(unit, len(self.position))


class EventReader:
    """Reads the log of one plan. `group_index` is PostHog's index of the plan's group type (`None` for persons); `unit` an expression for other
    units than the plan's."""

    def __init__(
        self, client: PostHogClient, plan: ReadPlan, *, types: PropertyTypes, group_index: int | None = None, unit: str | None = None
    ) -> None:
        self.client, self.plan, self.types = client, plan, types
        self.group_index = group_index
        self.unit = unit or unit_column(plan.unit, group_index)
        self.names = sorted(plan.names)
        self.paths = sorted(plan.columns)
        self.wide = len(self.names) > 250

    async def sizes(self, bucket: tuple[int, int] | None = None) -> Sizes:
        """Events and units per candidate slice: one aggregated query."""
        query = Query()
        text = size_query(query, self.unit, self._guard(query, bucket), self.plan.window.start, self.plan.window.end)
        result = await self.client.query(text, query.values, name="events and units per day")
        return Sizes({(level, week, place): (events, units) for level, week, place, events, units in result.rows})

    async def read(self, *, bucket: tuple[int, int] | None = None, sizes: Sizes | None = None, progress: Progress | None = None) -> EventLog:
        """The log of all units, or of one hash bucket `(number, of)` of them.

        One bucket is right where everything fits in memory: every bucket makes ClickHouse scan the window once more.
        """
        sizes = sizes or await self.sizes(bucket)
        firsts = FirstsReader(self.client, self.plan, self.types, self.group_index, bucket)
        found, ever, seeds, before, cohorts = await asyncio.gather(
            self._slices(cut(sizes, self.plan.window.start, self.plan.window.end), bucket, progress),
            firsts.firsts(),
            firsts.seeds(),
            firsts.last_before(self.plan.window.start - ACTIVE_WITHIN),
            asyncio.gather(*(firsts.cohort(cohort) for cohort in sorted(self.plan.cohorts))),
        )
        return self._log(found, ever, seeds, before, dict(zip(sorted(self.plan.cohorts), cohorts, strict=True)))

    async def read_new(self) -> EventLog:
        """Condition events of the plan's window alone: the steady state of the live sweep, one query where little has arrived."""
        arrived = self.plan.arrived or self.plan.window
        pieces = [Slice(self.plan.window.start, self.plan.window.end)] if arrived.end - arrived.start <= LITTLE else await self.pieces()
        return await self.read_pieces(pieces)

    async def pieces(self) -> list[Slice]:
        """The window cut into slices: one aggregated query."""
        return cut(await self.sizes(), self.plan.window.start, self.plan.window.end)

    async def read_pieces(self, pieces: list[Slice], progress: Progress | None = None) -> EventLog:
        """Condition events of some slices of the window alone."""
        return self._log(await self._slices(pieces, None, progress), {}, {}, {}, {})

    async def read_before(self) -> EventLog:
        """First-ever instants and the states from before the window, without an event."""
        firsts = FirstsReader(self.client, self.plan, self.types, self.group_index, None)
        ever, seeds = await asyncio.gather(firsts.firsts(), firsts.seeds())
        return self._log(_Pass(texts={path: {} for path in self.paths}, columns={path: [] for path in self.paths}), ever, seeds, {}, {})

    async def cohorts(self) -> dict[str, list[str]]:
        """Unit ids of the members of each cohort that the plan names, as of today."""
        firsts = FirstsReader(self.client, self.plan, self.types, self.group_index, None)
        return {cohort: await firsts.cohort(cohort) for cohort in sorted(self.plan.cohorts)}

    async def receipts(self, units: Sequence[str], names: Sequence[str] | None) -> dict[str, list[Receipt]]:
        """The latest events of some units in the plan's window, oldest first: name, microseconds, event id; no properties."""
        query = Query()
        which = "" if names is None else f" AND {named(query, names)}"
        text = (
            f"SELECT u, arraySlice(arraySort(groupUniqArray(tuple(us, event, id))), -{MOST_RECEIPTS}) FROM ("
            f"SELECT {self.unit} AS u, {since(query, 0)} AS us, event, toString(uuid) AS id FROM events "
            f"WHERE {between(query, self.plan.window.start, self.plan.window.end)} AND {self.unit} IN {query.of(list(units))}{which}) "
            f"GROUP BY u LIMIT {ROWS}"
        )
        result = await self.client.query(text, query.values, name="receipts of new signals")
        return {unit: [Receipt(name, at, event_id) for at, name, event_id in found] for unit, found in result.rows}

    # --- the main pass -----------------------------------------------------------------------------------------------

    async def _slices(self, pieces: list[Slice], bucket: tuple[int, int] | None, progress: Progress | None) -> _Pass:
        found = _Pass(texts={path: {} for path in self.paths}, columns={path: [] for path in self.paths})
        total, done = len(pieces), 0

        async def one(piece: Slice) -> None:
            nonlocal total, done
            try:
                body = await self.client.query_bytes(*self._packed(piece, bucket), name="packed unit histories")
            except PostHogTooHeavy:
                if piece.halvings >= MOST_HALVINGS:
                    raise
                rest = piece.halves()
            else:
                rows = orjson.loads(body)["results"]
                if piece.shared:
                    rows = [row for shared in rows for row in shared[0]]
                rest = (piece.sharing(),) if len(rows) >= ROWS and not piece.shared else ()
                if not rest:
                    self._unpack(rows, piece, found)
            if rest:
                total += len(rest) - 1
                for smaller in rest:  # one after the other: what is hopeless is told after a few queries, not after hundreds
                    await one(smaller)
                return
            done += 1
            if progress:
                progress(done, total)

        await asyncio.gather(*map(one, pieces))
        return found

    def _packed(self, piece: Slice, bucket: tuple[int, int] | None) -> tuple[str, dict[str, object]]:
        """Innermost: duplicates gone (one row per uuid). Middle: one row per unit. Outermost: instants as hex, properties as raw JSON texts."""
        query = Query()
        code = self._code(query)
        extras = [f"any({raw(query, path)}) AS c{index}" for index, path in enumerate(self.paths)]
        if self.plan.persons:
            extras.append("any(toString(person_id)) AS c_person")
        ids = ["replaceAll(toString(uuid), '-', '') AS id"] if self.plan.ids else []
        taken = [f"c{index}" for index in range(len(self.paths))] + (["c_person"] if self.plan.persons else [])
        shift = "72057594037927936" if self.wide else "281474976710656"  # 2^56, 2^48: a leading 01 keeps the number of digits fixed
        event = f"tuple({', '.join((f'{shift} + code * 1099511627776 + us', *taken, *(['id'] if ids else [])))})"
        digits = f"substring(hex(e.1), 3, {14 if self.wide else 12})"
        digits = f"concat({digits}, e.{len(taken) + 2})" if ids else digits
        later = "".join(f", arrayMap(e -> e.{index + 2}, es) AS x{index}" for index in range(len(taken)))
        guard = self._guard(query, bucket) + in_bucket(query, f"concat('part ', {self.unit})", (piece.part, piece.parts))
        text = (
            f"SELECT u, f, l, arrayStringConcat(arrayMap(e -> {digits}, es), '') AS h{later} FROM ("
            f"SELECT u, min(us) AS f, max(us) AS l, arraySort(groupArrayIf({event}, code > 0)) AS es FROM ("
            f"SELECT {self.unit} AS u, uuid, min({since(query, piece.start)}) AS us, {', '.join([f'min({code}) AS code', *ids, *extras])} "
            f"FROM events WHERE {between(query, piece.start, piece.end)}{guard} GROUP BY u, uuid) GROUP BY u)"
        )
        if piece.shared:
            fields = ", ".join(["u", "f", "l", "h", *(f"x{index}" for index in range(len(taken)))])
            text = f"SELECT groupArray(tuple({fields})) FROM ({text}) GROUP BY cityHash64(u) % {SHARED_ROWS}"
        return f"{text} LIMIT {ROWS}", query.values

    def _code(self, query: Query) -> str:
        """1, 2, … for the named events, one more for others that are needed at all, 0 for the rest."""
        other = len(self.names) + 1
        index = f"indexOf({query.of(self.names)}, event)" if self.names else "0"
        if self.plan.every_event:
            return f"if({index} = 0, {other}, {index})"
        carried = " OR ".join(carries(query, path) for path in sorted(self.plan.carrying))
        return f"if({index} = 0 AND ({carried}), {other}, {index})" if carried else index

    def _guard(self, query: Query, bucket: tuple[int, int] | None) -> str:
        known = "" if self.plan.unit == "person" else f" AND {self.unit} != ''"
        return in_bucket(query, self.unit, bucket) + known + arrived(query, self.plan.arrived)

    def _unpack(self, rows: list[list], piece: Slice, found: _Pass) -> None:
        if not rows:
            return
        unit = np.fromiter((found.number(row[0]) for row in rows), np.int32, len(rows))
        first, last = (np.fromiter((row[index] for row in rows), np.int64, len(rows)) + piece.start for index in (1, 2))
        found.present.append((unit, first, last))
        digits = (14 if self.wide else 12) + (32 if self.plan.ids else 0)
        packed = np.frombuffer(bytes.fromhex("".join(row[3] for row in rows)), np.uint8).reshape(-1, digits // 2)
        lengths = np.fromiter((len(row[3]) // digits for row in rows), np.int64, len(rows))
        found.unit.append(np.repeat(unit, lengths))
        if self.plan.ids:
            found.ids.append(np.ascontiguousarray(packed[:, -16:]).view("V16")[:, 0])
            packed = packed[:, :-16]
        high = packed[:, :-5].astype(np.int32)
        found.name.append((high[:, 0] * 256 + high[:, 1] if self.wide else high[:, 0]).astype(np.int16) - 1)
        at = np.zeros(len(packed), np.int64)
        for place in range(5):
            at = at * 256 + packed[:, place - 5]
        found.at.append(at + piece.start)
        for index, path in enumerate(self.paths):
            texts = found.texts[path]
            codes = (-1 if text in ("", "null", None) else texts.setdefault(text, len(texts)) for row in rows for text in row[4 + index])
            found.columns[path].append(np.fromiter(codes, np.int32, len(packed)))
        if self.plan.persons:
            people = (found.people.setdefault(person, len(found.people)) for row in rows for person in row[4 + len(self.paths)])
            found.persons.append(np.fromiter(people, np.int32, len(packed)))

    # --- together ----------------------------------------------------------------------------------------------------

    def _log(
        self,
        found: _Pass,
        ever: Mapping[str, dict[str, int]],
        seeds: Mapping[Path, dict[str, tuple[str, int]]],
        before: dict[str, int],
        cohorts: Mapping[str, list[str]],
    ) -> EventLog:
        units = sorted({*found.position, *before, *(unit for one in ever.values() for unit in one)})
        position = {unit: index for index, unit in enumerate(units)}
        renumber = np.fromiter((position[unit] for unit in found.position), np.int32, len(found.position))
        return event_log(
            window=self.plan.window,
            units=units,
            names=[*self.names, OTHER],
            unit=renumber[_joined(found.unit, np.int32)],
            name=_joined(found.name, np.int16),
            at=_joined(found.at, np.int64),
            presence=_presence(found, renumber, before, position),
            firsts={key: instants(one, position) for key, one in ever.items()},
            persons=_joined(found.persons, np.int32) if self.plan.persons else None,
            people=list(found.people),
            ids=_joined(found.ids, np.dtype("V16")) if self.plan.ids else None,
            columns={path: Column(_joined(found.columns[path], np.int32), [decode(text) for text in found.texts[path]]) for path in self.paths},
            seeds={path: _seed(one, position) for path, one in seeds.items()},
            seeds_at={path: instants({unit: at for unit, (_, at) in one.items()}, position) for path, one in seeds.items()},
            cohorts={cohort: np.isin(units, members) for cohort, members in cohorts.items()},
            types=self.types,
        )


def _joined(parts: list, kind: npt.DTypeLike) -> np.ndarray:
    """One array; the parts are given up, because both together would be half of the reader's memory."""
    whole = np.concatenate(parts) if parts else np.empty(0, kind)
    parts.clear()
    return whole


def _seed(found: dict[str, tuple[str, int]], position: Mapping[str, int]) -> Column:
    texts: dict[str, int] = {}
    codes = np.full(len(position), -1, np.int32)
    for unit, (text, _) in found.items():
        if unit in position:
            codes[position[unit]] = texts.setdefault(text, len(texts))
    return Column(codes, [decode(text) for text in texts])


def _presence(found: _Pass, renumber: Codes, before: dict[str, int], position: Mapping[str, int]) -> Presence:
    """One block per unit and slice, and the last event before the window; blocks of at most seven days need no joining."""
    unit = [renumber[unit] for unit, _, _ in found.present] + [np.fromiter((position[one] for one in before), np.int32, len(before))]
    earlier = np.fromiter(before.values(), np.int64, len(before))
    first = np.concatenate([first for _, first, _ in found.present] + [earlier])
    last = np.concatenate([last for _, _, last in found.present] + [earlier])
    by = order(whole := np.concatenate(unit), first)
    return Presence(whole[by], first[by], last[by])

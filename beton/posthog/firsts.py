"""First-ever instants, from all history: one aggregated read per kind, on the server.

A comparison is never translated to SQL: its meaning stays in `backtest.values`. The server lists the distinct raw values, we judge each once, and
the server then selects by raw text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from backtest.events import Path
from backtest.intervals import FOREVER
from backtest.matching import Comparison, EventMatch
from backtest.plan import LapseRead, ReadPlan
from backtest.values import PropertyTypes, decode, predicate, rank
from beton.errors import BadInput
from beton.posthog.client import PostHogClient
from beton.posthog.hogql import ROWS, Query, arrived, between, carries, in_bucket, named, raw, since, unit_column

PACKED = 4_096
"""Rows in which units travel: the cap of 50,000 rows is on rows, and one row can hold many units' instants."""

FIRST_VISIBLE = 0
"""PostHog keeps no events before 1970."""


class FirstsReader:
    """Reads `plan.firsts`, `plan.lapses` and state seeds for the units of one hash bucket."""

    def __init__(self, client: PostHogClient, plan: ReadPlan, types: PropertyTypes, group_index: int | None, bucket: tuple[int, int] | None) -> None:
        self.client, self.plan, self.types = client, plan, types
        self.unit = unit_column(plan.unit, group_index)
        self.bucket = bucket
        self._values: dict[tuple[bool, tuple[str, ...], Path], list[str]] = {}

    def _visible(self, query: Query) -> str:
        return between(query, FIRST_VISIBLE, self.plan.window.end)

    def _guard(self, query: Query) -> str:
        known = "" if self.plan.unit == "person" else f" AND {self.unit} != ''"
        return in_bucket(query, self.unit, self.bucket) + known + arrived(query, self.plan.arrived)

    async def firsts(self) -> dict[str, dict[str, int]]:
        """Per key of `plan.firsts` and `plan.lapses`: unit id to instant."""
        found = await self._plain(self.plan.firsts)
        for key, read in self.plan.lapses.items():
            found[key] = await self._lapse(read)
        return found

    async def _plain(self, wanted: Mapping[str, EventMatch | None]) -> dict[str, dict[str, int]]:
        query = Query()
        keys = list(wanted)
        conditions = [await self._condition(query, wanted[key]) for key in keys]
        everything = any(match is None or match.any_event for match in wanted.values())
        names = {name for match in wanted.values() if match for name in match.events}
        scope = "1 = 1" if everything else named(query, names)
        firsts = ", ".join(f"min(if({condition}, {since(query, 0)}, NULL)) AS f{index}" for index, condition in enumerate(conditions))
        source = f"SELECT {self.unit} AS u, {firsts} FROM events WHERE {self._visible(query)} AND {scope}{self._guard(query)} GROUP BY u"
        rows = await self._packed(query, source, [f"f{index}" for index in range(len(keys))], "first-ever entries and outcomes")
        return {key: {row[0]: row[1 + index] for row in rows if row[1 + index] is not None} for index, key in enumerate(keys)}

    async def _condition(self, query: Query, match: EventMatch | None) -> str:
        if match is None:
            return "1 = 1"
        parts = ["1 = 1"] if match.any_event else [named(query, match.events)]
        return " AND ".join(parts + [await self._comparison(query, match, comparison) for comparison in match.where])

    async def _comparison(self, query: Query, match: EventMatch, comparison: Comparison) -> str:
        values = await self._distinct(match, comparison.property)
        holds = predicate(comparison, self.types)
        true_of = [text for text in values if holds(decode(text) if text else None)]
        return f"{raw(query, comparison.property)} IN {query.of(true_of)}" if true_of else "1 = 0"

    async def _distinct(self, match: EventMatch, path: Path) -> list[str]:
        """Asked once per reader, however many comparisons look at the property of these events."""
        key = match.any_event, match.events, path
        if key not in self._values:
            self._values[key] = await self._ask_distinct(match, path)
        return self._values[key]

    async def _ask_distinct(self, match: EventMatch, path: Path) -> list[str]:
        query = Query()
        scope = "1 = 1" if match.any_event else named(query, match.events)
        source = f"SELECT DISTINCT {raw(query, path)} AS u FROM events WHERE {self._visible(query)} AND {scope}{arrived(query, self.plan.arrived)}"
        return [row[0] or "" for row in await self._packed(query, source, [], "distinct values of a property")]

    async def _packed(self, query: Query, source: str, columns: Sequence[str], name: str) -> list[list[Any]]:
        """All rows of `source`, many units to a row of the answer, so that one scan is enough whatever the number of units."""
        fields = ", ".join(("u", *columns))
        text = f"SELECT groupArray(tuple({fields})) FROM ({source}) GROUP BY cityHash64(u) % {PACKED} LIMIT {ROWS}"
        body = await self.client.query_bytes(text, query.values, name=name)
        return [row for packed in orjson.loads(body)["results"] for row in packed[0]]

    async def _lapse(self, read: LapseRead) -> dict[str, int]:
        """The first instant t < end with t >= entry + after and no match in (t - after, t]; the twin of `backtest.truth.lapse`."""
        query = Query()
        entered, heard = await self._condition(query, read.entry), await self._condition(query, read.match)
        d, never = read.after, int(FOREVER)
        source = (
            f"SELECT u, e, arrayReduce('min', arrayConcat("
            f"[if(length(arrayFilter(m -> m > e AND m <= e + {d}, ms)) = 0, e + {d}, {never})], "
            f"arrayMap(i -> if(ms[i] >= e AND (i = length(ms) OR ms[i + 1] > ms[i] + {d}), ms[i] + {d}, {never}), arrayEnumerate(ms)))) AS c "
            f"FROM (SELECT {self.unit} AS u, min(if({entered}, {since(query, 0)}, NULL)) AS e, "
            f"arraySort(groupUniqArrayIf({since(query, 0)}, {heard})) AS ms "
            f"FROM events WHERE {self._visible(query)}{self._guard(query)} GROUP BY u) WHERE e IS NOT NULL"
        )
        rows = await self._packed(query, source, ["c"], "first-ever lapses")
        return {unit: instant for unit, instant in rows if instant < self.plan.window.end}

    async def seeds(self) -> dict[Path, dict[str, tuple[str, int]]]:
        """Per carried property: unit id to the raw text of its latest value before the window (the greatest of tied ones), and its instant."""
        found = await asyncio.gather(*(self._seed(path) for path in sorted(self.plan.carrying)))
        return dict(zip(sorted(self.plan.carrying), found, strict=True))

    async def _seed(self, path: Path) -> dict[str, tuple[str, int]]:
        query = Query()
        value, carried = raw(query, path), carries(query, path)
        source = (
            f"SELECT u, arrayMap(x -> x.2, arrayFilter(x -> x.1 = newest, xs)) AS latest, newest FROM ("
            f"SELECT u, max(t) AS newest, groupArray(tuple(t, value)) AS xs FROM ("
            f"SELECT {self.unit} AS u, {value} AS value, max({since(query, 0)}) AS t FROM events "
            f"WHERE {between(query, FIRST_VISIBLE, self.plan.window.start)} AND {carried}{self._guard(query)} GROUP BY u, value) GROUP BY u)"
        )
        kind = self.types.get(".".join(path))
        rows = await self._packed(query, source, ["latest", "newest"], "state before the window")
        return {unit: (max(latest, key=lambda text: rank(decode(text), kind)), newest) for unit, latest, newest in rows}

    async def last_before(self, earliest: int) -> dict[str, int]:
        """The last event of any kind before the window, not older than `earliest`: decides who was active at the window's start."""
        query = Query()
        bounds = f"{between(query, earliest, self.plan.window.start)}{self._guard(query)}"
        source = f"SELECT {self.unit} AS u, max({since(query, 0)}) AS l FROM events WHERE {bounds} GROUP BY u"
        rows = await self._packed(query, source, ["l"], "activity before the window")
        return {str(unit): int(last) for unit, last in rows}

    async def cohort(self, cohort: str) -> list[str]:
        """Today's members. Raises BadInput for what no cohort of PostHog can be."""
        if not cohort.isdigit():
            raise BadInput(f"{cohort!r} is no cohort of PostHog.", code="input.cohort", fix="Name the cohort by its number, as its address shows it.")
        found: list[str] = []
        for table in ("cohort_people", "static_cohort_people"):
            query = Query()
            source = f"SELECT DISTINCT toString(person_id) AS u FROM {table} WHERE cohort_id = {query.of(int(cohort))}"
            found += [row[0] for row in await self._packed(query, source, [], "cohort members")]
        return found


def instants(found: Mapping[str, int], position: Mapping[str, int]) -> np.ndarray:
    """Instants by unit position; `FOREVER` where there is none."""
    first = np.full(len(position), FOREVER)
    for unit, at in found.items():
        if unit in position:
            first[position[unit]] = at
    return first

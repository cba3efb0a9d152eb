"""A backtest through a connection: plan, read in as many hash buckets as memory asks for, add up, tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backtest import Backtest, EventLog, Hypothesis, ReadPlan, Score, Window, plan_reads
from backtest.durations import DAY
from backtest.language import Unit
from backtest.taxonomy import Taxonomy
from beton.errors import BadInput
from beton.posthog.client import PostHogClient
from beton.posthog.events import EventReader
from beton.posthog.slices import Sizes
from beton.store.records import BacktestFire, Connection
from beton.work.firing import Collected
from beton.work.workplace import Workplace, microseconds, property_types

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, of how much."""

BYTES_PER_EVENT = 90
"""Peak memory of the reader and the engine per event of one bucket: arrays, their sorted copies, one answer in flight. Measured by `make bench`."""


@dataclass(frozen=True)
class Tested:
    """Scores in the order of the hypotheses; `buckets` is how often the window was scanned."""

    hypotheses: tuple[Hypothesis, ...]
    scores: tuple[Score, ...]
    window: Window
    buckets: int
    fires: Mapping[int, Sequence[BacktestFire]] = field(default_factory=dict, repr=False)
    """The last fires of each hypothesis, by its place."""


def window_of(as_of: datetime, window_days: float) -> Window:
    """`[as_of - window, as_of)`."""
    end = microseconds(as_of)
    return Window(end - round(window_days * DAY), end)


async def backtest_hypotheses(
    place: Workplace, connection: Connection, hypotheses: Sequence[Hypothesis], window: Window, progress: Progress = lambda *_: None
) -> Tested:
    """Score hypotheses against a project in one go. Nothing that was read is kept."""
    collected = Collected(hypotheses)
    whole = Backtest(tuple(hypotheses), on_fires=collected)
    buckets = await count_buckets(place, connection, hypotheses, window)
    for number in range(buckets):
        await add_bucket(place, connection, whole, window, (number, buckets), progress)
    return Tested(tuple(hypotheses), tuple(whole.scores()), window, buckets, collected.by_place)


async def count_buckets(place: Workplace, connection: Connection, hypotheses: Sequence[Hypothesis], window: Window) -> int:
    """How many hash buckets of units memory asks for: one aggregated query per unit kind."""
    taxonomy = place.taxonomy(connection)
    async with place.client(connection) as client:
        sizes = [await reader_for(client, plan, taxonomy).sizes() for plan in plan_reads(hypotheses, window)]
    return max(buckets_for(place, one) for one in sizes)


async def add_bucket(
    place: Workplace, connection: Connection, whole: Backtest, window: Window, bucket: tuple[int, int], progress: Progress = lambda *_: None
) -> None:
    """Read one hash bucket of every unit kind and add it up."""
    taxonomy = place.taxonomy(connection)
    async with place.client(connection) as client:
        for plan in plan_reads(whole.hypotheses, window):
            reader = reader_for(client, plan, taxonomy)
            log = await read_bucket(reader, bucket, await reader.sizes(None if bucket[1] == 1 else bucket), progress)
            _score(whole, plan.unit, log, progress)


async def read_log(client: PostHogClient, plan: ReadPlan, taxonomy: Taxonomy, progress: Progress) -> EventLog:
    """The log of one plan in one piece."""
    reader = reader_for(client, plan, taxonomy)
    return await read_bucket(reader, (0, 1), await reader.sizes(), progress)


async def read_bucket(reader: EventReader, bucket: tuple[int, int], sizes: Sizes, progress: Progress) -> EventLog:
    """One hash bucket of the units, with the reading told as it goes."""
    what = "Reading" if bucket[1] == 1 else f"Reading part {bucket[0] + 1} of {bucket[1]}"
    return await reader.read(bucket=bucket, sizes=sizes, progress=lambda done, total: progress(what, done, total))


def reader_for(client: PostHogClient, plan: ReadPlan, taxonomy: Taxonomy) -> EventReader:
    """A reader that knows the project's property types and the number of the plan's group type."""
    return EventReader(client, plan, types=property_types(taxonomy), group_index=group_index(taxonomy, plan.unit))


def group_index(taxonomy: Taxonomy, unit: Unit) -> int | None:
    """PostHog's number of a group type; `None` for persons."""
    if unit == "person":
        return None
    known = taxonomy.group_type(unit.group)
    if known is None:
        names = [one.name for one in taxonomy.group_types]
        raise BadInput(f"The project has no group type called {unit.group!r}.", fix=f"It has: {', '.join(names) or 'none'}.")
    return known.index


def buckets_for(place: Workplace, sizes: Sizes) -> int:
    """One bucket where everything fits in memory, because each one makes ClickHouse scan the window once more."""
    if place.settings.hash_buckets:
        return place.settings.hash_buckets
    return max(1, math.ceil(sizes.events * BYTES_PER_EVENT / (place.settings.memory_limit_mb * 1_000_000)))


def _score(whole: Backtest, unit: Unit, log: EventLog, progress: Progress) -> None:
    count = sum(one.unit == unit for one in whole.hypotheses)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress("Scoring", done, count)

    whole.add(unit, log, step)


def default_as_of(now: datetime) -> datetime:
    """Now, less the minutes that PostHog may need to show an event."""
    return now - timedelta(minutes=1)

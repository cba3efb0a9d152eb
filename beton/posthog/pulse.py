"""Do the names still come? Distinct persons by name over the last hours, and over the same hours of the weeks before: one query per connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backtest.breakage import Use
from backtest.durations import DAY, HOUR
from beton.posthog.client import PostHogClient
from beton.posthog.hogql import Query, at, between, carries, named

WEEKS = 4
"""The same hours of so many weeks before are looked at: what rests on Sundays rested then too."""

STRETCHES = (6 * HOUR, DAY)
"""Names that are busy are missed after six hours, others after a day."""

WEEK = 7 * DAY


@dataclass(frozen=True)
class Beat:
    """Of one name over one stretch: distinct persons in the last one, and in those of the weeks before, the latest first."""

    last: int
    before: tuple[int, ...]


async def read_pulse(client: PostHogClient, names: Sequence[Use], now: int) -> Mapping[Use, tuple[Beat, ...]]:
    """Per name its beats, one for each of `STRETCHES`. `now` in microseconds."""
    if not names:
        return {}
    query = Query()
    reach = " OR ".join(f"({between(query, now - week * WEEK - max(STRETCHES), now - week * WEEK)})" for week in range(WEEKS + 1))
    scope = "" if any(not one.event for one in names) else f" AND {named(query, {one.event for one in names})}"
    past = f"dateDiff('microsecond', timestamp, {at(query, now)}) - 1"  # the stretches end before `now`
    columns = [
        f"uniqIf(person_id, past % {WEEK} < {length} AND {_condition(query, one)}) AS c{place}"
        for place, (one, length) in enumerate((one, length) for one in names for length in STRETCHES)
    ]
    text = (
        f"SELECT intDiv(past, {WEEK}) AS week, {', '.join(columns)} "
        f"FROM (SELECT {past} AS past, event, properties, person_id FROM events WHERE ({reach}){scope}) GROUP BY week LIMIT 100"
    )
    result = await client.query(text, query.values, name="whether names still come")
    weeks = {int(row[0]): [int(one) for one in row[1:]] for row in result.rows}
    nothing = [0] * len(columns)
    counts = [weeks.get(week, nothing) for week in range(WEEKS + 1)]
    beats = [Beat(column[0], tuple(column[1:])) for column in zip(*counts, strict=True)]
    return {one: tuple(beats[place * len(STRETCHES) : (place + 1) * len(STRETCHES)]) for place, one in enumerate(names)}


def _condition(query: Query, one: Use) -> str:
    parts = [f"event = {query.of(one.event)}"] if one.event else []
    return " AND ".join(parts + ([carries(query, (one.property,))] if one.property else []))

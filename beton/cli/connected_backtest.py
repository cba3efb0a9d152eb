"""A backtest through a connection, with the taxonomy read first where it is missing or old."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backtest import Hypothesis
from backtest.durations import Duration
from backtest.report import published
from backtest.taxonomy import Taxonomy
from beton.cli.opening import actor, opened
from beton.cli.options import property_types
from beton.cli.progress import Progress, showing
from beton.cli.scores import record
from beton.hypothesis_files import HypothesisFile, check_against
from beton.store import taxonomies
from beton.store.records import Connection
from beton.work.backtesting import Tested, backtest_hypotheses, default_as_of, window_of
from beton.work.deciding import resources
from beton.work.keeping import keep_tested
from beton.work.observing import observe
from beton.work.populating import Population, comparisons_of, read_segment, within
from beton.work.workplace import Workplace

if TYPE_CHECKING:
    from beton.cli.backtest import Source

FRESH = timedelta(days=1)
"""An older taxonomy is read again before names are checked against it."""


def score(where: Source, told: HypothesisFile, as_of: datetime | None, window_days: int, *, save: bool) -> list[dict[str, Any]]:
    """The records of a file's hypotheses on the connection's window, in the file's order; with `save` they become proposals."""
    declared = dict(told.property_types) | property_types(where.property)
    with opened(where.settings()) as place:
        connection = place.connection(where.connection or "")
        until = as_of or default_as_of(place.clock())
        with showing() as tell:
            tested = asyncio.run(_tested(replace(place, declared=declared), connection, where, told, until, window_days, tell))
        more: dict[str, Any] = {"as_of": until.isoformat().replace("+00:00", "Z"), "connection": connection.name, "reading": place.reading.to_json()}
        scored = list(zip(tested.hypotheses, (published(one, tested.window) for one in tested.scores), strict=True))
        records = [record(one, numbers, place.bar, **more) for one, numbers in scored]
        if not save:
            return records
        kept = resources(place, keep_tested(place, connection, tested, actor=actor()))
        return [one | resource.to_json() | {"name": one["name"] or resource.hypothesis.name} for one, resource in zip(records, kept, strict=True)]


async def _tested(
    place: Workplace, connection: Connection, where: Source, told: HypothesisFile, until: datetime, window_days: int, tell: Progress
) -> Tested:
    taxonomy = await fresh_taxonomy(place, connection, tell)
    told = replace(told, hypotheses=counting(place, connection, where, told.hypotheses))
    check_against(told, taxonomy, Duration.days(window_days))
    return await backtest_hypotheses(place, connection, told.hypotheses, window_of(until, window_days), tell)


def counting(place: Workplace, connection: Connection, where: Source, hypotheses: Iterable[Hypothesis]) -> tuple[Hypothesis, ...]:
    """The hypotheses of the population that `--population` and `--leave-out-internal` name, whose names have been read. Raises BadInput."""
    asked = Population(where.leave_out_internal, read_segment("\n".join(where.population)))
    if not asked.asks:
        return tuple(hypotheses)
    met = comparisons_of(place, connection, asked)
    return tuple(within(one, met) for one in hypotheses)


async def fresh_taxonomy(place: Workplace, connection: Connection, tell: Progress, as_of: datetime | None = None) -> Taxonomy:
    """The kept taxonomy, or a new one where there is none or it is older than a day. With `as_of` its volumes are of that day."""
    with place.store.reading() as tx:
        snapshot = taxonomies.latest(tx, connection.id)
    if snapshot is not None:
        kept = Taxonomy.model_validate(snapshot.content)
        if (place.clock() - snapshot.taken_at if as_of is None else abs(as_of - kept.taken_at)) < FRESH:
            return kept
    tell("Reading the taxonomy", 0, 1)
    taxonomy, _ = await observe(place, connection, as_of=as_of)
    tell("Reading the taxonomy", 1, 1)
    return taxonomy

"""A world: everything that one (spec, seed, as-of instant) gives, in memory, and as a folder on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from backtest.durations import DAY
from backtest.intervals import Ints
from beton.sandbox.worlds.behaviour import behave
from beton.sandbox.worlds.outcomes import draw_outcomes, effects_of, happened, told_outcomes
from beton.sandbox.worlds.people import Population, Streams, populate
from beton.sandbox.worlds.reading import parse_spec, read_spec
from beton.sandbox.worlds.spec import Delivery, WorldRefused, WorldSpec
from beton.sandbox.worlds.tables import EventTable, Names, has_second_device, second_device
from beton.sandbox.worlds.traces import Traces, plans
from beton.sandbox.worlds.truth import truth_of, units_frame

AS_OF = datetime(2026, 6, 30, tzinfo=UTC)
DAYS = 180


@dataclass(frozen=True)
class World:
    """`events()` gives frames in order of time: uuid, event, distinct_id, person_id, timestamp (UTC, µs), properties (JSON), created_at, and one
    column per group type. `units` tells the truth per unit. `persons` and `groups` hold today's properties: what PostHog's API would tell."""

    name: str
    truth: dict[str, Any]
    spec: WorldSpec | None
    units: pl.DataFrame
    persons: pl.DataFrame
    groups: pl.DataFrame
    source: EventTable | Path

    def slices(self) -> Iterator[pl.DataFrame]:
        if isinstance(self.source, Path):
            yield pl.read_parquet(self.source)
        else:
            yield from self.source.slices()

    @cached_property
    def events(self) -> pl.DataFrame:
        return pl.concat(self.slices())

    def write(self, directory: Path) -> None:
        """`events.parquet`, `persons.parquet`, `groups.parquet`, `units.parquet`, `truth.json`, `taxonomy.json` and `world.yaml`."""
        directory.mkdir(parents=True, exist_ok=True)
        _write_slices(self.slices(), directory / "events.parquet")
        for name in ("persons", "groups", "units"):
            getattr(self, name).write_parquet(directory / f"{name}.parquet")
        (directory / "truth.json").write_text(json.dumps(self.truth, indent=1) + "\n")
        (directory / "taxonomy.json").write_text(json.dumps({"property_types": self.truth["property_types"]}, indent=1) + "\n")
        if self.spec is not None:
            plain = self.spec.model_dump(mode="json", exclude_defaults=True)
            (directory / "world.yaml").write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def generate(
    spec: WorldSpec | str,
    seed: int,
    *,
    as_of: datetime = AS_OF,
    days: int = DAYS,
    scale: float = 1.0,
    null: bool = False,
    delivery: Delivery | None = None,
    name: str | None = None,
) -> World:
    """The world of a spec (or of a built-in name): the same for the same arguments, to the last byte.

    `days` of history end at `as_of`; `scale` multiplies the number of units. In a null world every cause has factor 1, and neither traits nor age
    matter, at the same expected share of outcomes. `delivery` replaces the spec's.
    """
    named = name or (spec if isinstance(spec, str) else spec.title)
    spec = read_spec(spec) if isinstance(spec, str) else spec
    if as_of.tzinfo is None or days < 1 or scale <= 0 or seed < 0:
        raise WorldRefused("a world needs an as-of instant with a time zone, a day of history or more, a scale above 0 and a seed of 0 or more")
    end = (as_of - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    streams = Streams(seed)
    population = populate(spec, streams, end - days * DAY, end, scale)
    behaviour = behave(spec, population, streams)
    effects = effects_of(spec, population, behaviour.batches)
    outcome, _ = draw_outcomes(spec, population, effects, streams, null=null)
    traces = Traces(spec, population, outcome, streams)
    batches = [one for batch in behaviour.batches if len(one := traces.thinned(batch))] + traces.batches()
    if not np.array_equal(told_outcomes(spec, population, batches), outcome):
        raise WorldRefused(
            "the outcome also comes about by itself: some other part of the world sends events that match it, or its properties never do"
        )
    names = Names.of(spec, population, behaviour.sessions, streams)
    told = delivery or spec.delivery
    table = EventTable(spec, population, batches, names, behaviour.sessions, streams, told)
    return World(
        name=named,
        truth=truth_of(spec, named, seed, population, batches, outcome, effects, null=null),
        spec=spec,
        units=units_frame(spec, population, names, outcome, effects),
        persons=_persons(spec, population, names, outcome, told),
        groups=_groups(spec, population, names, outcome),
        source=table,
    )


def load_world(directory: Path, seed: int | None = None, **options: Any) -> World:
    """A folder with `events.parquet` and `truth.json` is used as it is; one with only a `world.yaml` is generated with the seed (1 by default)."""
    directory = Path(directory)
    events, truth = directory / "events.parquet", directory / "truth.json"
    if events.is_file() != truth.is_file():
        raise WorldRefused(f"{directory}: events.parquet and truth.json belong together; one of them is missing")
    if not events.is_file():
        return generate(read_spec(directory), 1 if seed is None else seed, name=directory.name, **options)
    told = json.loads(truth.read_text())
    if seed is not None and told.get("seed") not in (None, seed):
        raise WorldRefused(f"{directory}: holds the events of seed {told.get('seed')}, not of {seed}; leave only its world.yaml to generate others")
    described = directory / "world.yaml"
    return World(
        name=told.get("world", directory.name),
        truth=told,
        spec=parse_spec(described.read_text(), str(described)) if described.is_file() else None,
        units=_read(directory / "units.parquet"),
        persons=_read(directory / "persons.parquet"),
        groups=_read(directory / "groups.parquet"),
        source=events,
    )


def _read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path) if path.is_file() else pl.DataFrame()


def _persons(spec: WorldSpec, population: Population, names: Names, outcome: Ints, delivery: Delivery) -> pl.DataFrame:
    """Person properties as they are today: `plan` is the outcome itself."""
    unit = population.unit_of
    before, after = plans(spec)
    columns = {"email": names.email, "name": names.title, "plan": pl.Series(np.where(happened(outcome)[unit], after, before))}
    columns |= {trait: pl.Series(list(spec.traits[trait])).gather(codes[unit]) for trait, codes in population.traits.items()}
    columns["is_internal"] = pl.Series(population.internal[unit])
    return pl.DataFrame(
        {
            "person_id": names.person,
            "distinct_ids": _distinct_ids(names, delivery),
            "created_at": pl.Series(population.joined).cast(pl.Datetime("us", "UTC")),
            "properties": pl.DataFrame(columns).select(pl.struct(pl.all()).struct.json_encode()).to_series(),
        }
    )


def _distinct_ids(names: Names, delivery: Delivery) -> pl.Series:
    """The one they log in with, the one they had as visitors, and that of a second device."""
    frame = pl.DataFrame({"own": names.distinct, "visitor": names.visitor, "second": has_second_device(np.arange(len(names.person)), delivery)})
    device = second_device(pl.col("own"))
    ids = pl.when(pl.col("second")).then(pl.concat_list("own", "visitor", device)).otherwise(pl.concat_list("own", "visitor"))
    return frame.select(ids).to_series()


def _groups(spec: WorldSpec, population: Population, names: Names, outcome: Ints) -> pl.DataFrame:
    schema = {"type": pl.String, "key": pl.String, "created_at": pl.Datetime("us", "UTC"), "properties": pl.String}
    if not spec.seats:
        return pl.DataFrame(schema=schema)
    before, after = plans(spec)
    columns = {
        "name": names.account_title,
        "domain": pl.select(pl.concat_str(names.account, pl.lit(".example"))).to_series(),
        "plan": pl.Series(np.where(happened(outcome), after, before)),
        "seats": pl.Series(population.seats),
    }
    columns |= {trait: pl.Series(list(spec.traits[trait])).gather(codes) for trait, codes in population.traits.items()}
    return pl.DataFrame(
        {
            "type": pl.select(pl.repeat(spec.seats.group, population.units, dtype=pl.String)).to_series(),
            "key": names.account,
            "created_at": pl.Series(population.entered).cast(pl.Datetime("us", "UTC")),
            "properties": pl.DataFrame(columns).select(pl.struct(pl.all()).struct.json_encode()).to_series(),
        },
        schema=schema,
    )


def _write_slices(slices: Iterator[pl.DataFrame], path: Path) -> None:
    """One file from slices, so that a large world never stands in memory as text."""
    from polars.io.plugins import register_io_source

    first = next(slices)

    def source(columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None) -> Iterator[pl.DataFrame]:  # noqa: ARG001
        yield first
        yield from slices

    register_io_source(source, schema=first.schema, is_pure=False).sink_parquet(path, row_group_size=250_000, maintain_order=True)

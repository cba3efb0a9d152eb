"""What a file holds, in one pass and without its properties: names, volumes, rows that cannot be used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from backtest.events import Window
from backtest.language import Group, Unit
from backtest.taxonomy import EventDefinition, GroupType, PropertyDefinition, PropertyType, Taxonomy
from beton.event_files import instants
from beton.event_files.columns import Columns
from beton.event_files.properties import BROKEN, distinct_texts, read_object
from beton.event_files.source import Source

NO_INSTANT, BEFORE, INSIDE, LATER = range(4)
"""Where a row lies in time: nowhere, before the window, in it, at or after the as-of instant."""

ROWS_SAMPLED = 50_000
KEYS_SHOWN = 500


@dataclass(frozen=True)
class SkippedRows:
    """Rows that were left out or read only in part, for one unit kind. A row counts under the first reason that applies, in this order:
    no instant, no event, no unit, duplicate.

    `broken_properties` are kept without properties; only rows whose properties were needed are judged. `cut_instants` were cut to the
    microsecond. `later` lie at or after the as-of instant: not skipped, but not there yet. `examples`: up to five rows for each reason.
    """

    no_instant: int = 0
    no_event: int = 0
    no_unit: int = 0
    duplicates: int = 0
    broken_properties: int = 0
    cut_instants: int = 0
    later: int = 0
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Rows that no number rests on, though they should have counted."""
        return self.no_instant + self.no_event + self.no_unit

    def as_json(self) -> dict[str, Any]:
        counts = {name: value for name, value in vars(self).items() if name != "examples"}
        return counts | {"examples": {reason: list(rows) for reason, rows in self.examples.items()}}


@dataclass(frozen=True)
class Survey:
    """Counts of rows by name, by which units they lack, and by where they lie: `counts` has one row for each combination."""

    window: Window
    counts: pl.DataFrame
    kinds: tuple[Unit, ...]

    @property
    def rows(self) -> int:
        """All rows of the file."""
        return int(self.counts["rows"].sum())

    def visible(self, unit: Unit, names: Collection[str] | None = None) -> int:
        """Rows that count for units of this kind, duplicates included; those of some names alone where they are given."""
        seen = self.counts.filter(pl.col("place").is_in([BEFORE, INSIDE]) & pl.col("name").is_not_null() & ~pl.col(lacking(unit)))
        return int((seen if names is None else seen.filter(pl.col("name").is_in(sorted(names))))["rows"].sum())

    def skipped(self, unit: Unit) -> SkippedRows:
        visible = pl.col("place").is_in([BEFORE, INSIDE])
        reasons = {
            "no_instant": pl.col("place") == NO_INSTANT,
            "no_event": visible & pl.col("name").is_null(),
            "no_unit": visible & pl.col("name").is_not_null() & pl.col(lacking(unit)),
            "later": pl.col("place") == LATER,
        }
        found = {reason: int(self.counts.filter(rows)["rows"].sum()) for reason, rows in reasons.items()}
        cut = self.counts.filter(visible & pl.col("name").is_not_null() & ~pl.col(lacking(unit)))["cut"].sum()
        return replace(SkippedRows(cut_instants=int(cut)), **found)


def lacking(unit: Unit) -> str:
    return f"no {unit.group}" if isinstance(unit, Group) else "no person"


def place_of(at: pl.Expr, window: Window) -> pl.Expr:
    before, inside = pl.when(at.is_null()).then(NO_INSTANT).when(at < window.start).then(BEFORE), INSIDE
    return before.when(at < window.end).then(inside).otherwise(LATER).cast(pl.Int8)


def take_survey(source: Source, columns: Columns, kinds: tuple[Unit, ...], window: Window) -> Survey:
    """One streaming pass. `units` of a group of rows is approximate, as PostHog's own are."""
    wanted = {columns.event, columns.timestamp}.union(*(columns.unit_columns(kind) for kind in kinds))
    who = columns.unit(kinds[0])
    rows = source.scan(wanted).select(
        columns.name().alias("name"),
        columns.at().alias("at"),
        instants.cut(columns.timestamp, columns.schema[columns.timestamp]).alias("cut"),
        who.alias("who"),
        *(columns.unit(kind).is_null().alias(lacking(kind)) for kind in kinds),
    )
    keys = ["name", "place", *map(lacking, kinds)]
    counted = rows.with_columns(place_of(pl.col("at"), window).alias("place")).group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("rows"),
        pl.col("cut").sum(),
        pl.col("at").min().alias("first"),
        pl.col("at").max().alias("last"),
        pl.col("who").approx_n_unique().alias("units"),
    )  # fmt: skip
    return Survey(window, counted.collect(engine="streaming"), kinds)


def taxonomy_of(survey: Survey, source: Source, columns: Columns, wanted: Iterable[str]) -> Taxonomy:
    """Names from all rows before the as-of instant, volumes from the window; keys of properties from a sample, except that each key in
    `wanted` is looked for in all rows before it is said not to exist."""
    usable = pl.col("name").is_not_null() & pl.col("place").is_in([BEFORE, INSIDE])
    inside = pl.col("place") == INSIDE
    names = (
        survey.counts.filter(usable)
        .group_by("name")
        .agg(
            pl.col("rows").filter(inside).sum().alias("volume"),
            pl.col("units").filter(inside).max().alias("units"),
            pl.col("first").filter(inside).min(),
            pl.col("last").filter(inside).max(),
        )
        .sort("name")
    )
    sample = _sampled(source, columns, survey.window.end)
    roles = {columns.event, columns.timestamp, columns.person, columns.properties, columns.uuid, *columns.groups.values()}
    keys: dict[str, PropertyType] = dict.fromkeys((name for name in columns.schema if name not in roles), "unknown")
    keys |= sample.types
    keys |= dict.fromkeys(_confirmed(source, columns, survey.window.end, set(wanted) - keys.keys()), "unknown")
    return Taxonomy(
        events=tuple(
            EventDefinition(
                name=name,
                volume=volume,
                units=units or 0,
                first_seen=_when(first),
                last_seen=_when(last),
                internal=name.startswith("$"),
                properties=sample.of_event.get(name, ()),
            )
            for name, volume, units, first, last in names.iter_rows()
        ),
        properties=tuple(PropertyDefinition(name=name, type=kind, internal=name.startswith("$")) for name, kind in sorted(keys.items())),
        group_types=tuple(GroupType(index=index, name=name) for index, name in enumerate(list(columns.groups)[:5])),
        taken_at=_when(survey.window.end) or datetime.now(UTC),
        window_days=max(1, round((survey.window.end - survey.window.start) / 86_400_000_000)),
        notes=(f"Properties and their types come from the first {sample.rows} rows of the file.",) if sample.rows else (),
    )


def _when(micros: int | None) -> datetime | None:
    """None also for what lies outside the years that a datetime can hold."""
    if micros is None or not -62_135_596_800_000_000 <= micros < 253_402_300_800_000_000:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


@dataclass(frozen=True)
class _Sample:
    rows: int
    types: Mapping[str, PropertyType]
    of_event: Mapping[str, tuple[str, ...]]


def _visible_properties(source: Source, columns: Columns, end: int) -> pl.LazyFrame | None:
    text = columns.properties_text()
    if text is None or columns.properties is None:
        return None
    rows = source.scan({columns.event, columns.timestamp, columns.properties})
    return rows.select(columns.name().alias("name"), text.alias("text"), columns.at().alias("at")).filter(
        (pl.col("at") < end) & pl.col("text").is_not_null() & pl.col("name").is_not_null()
    )


def _sampled(source: Source, columns: Columns, end: int) -> _Sample:
    rows = _visible_properties(source, columns, end)
    if rows is None:
        return _Sample(0, {}, {})
    frame = rows.head(ROWS_SAMPLED).collect(engine="streaming")
    place, texts = distinct_texts(frame["text"])
    objects = [read_object(text) for text in texts]
    source.trust(broken=sum(one is BROKEN for one in objects))
    kinds: dict[str, set[str]] = {}
    for one in objects:
        for key, value in one.items():
            kinds.setdefault(key, set()).add(_kind(value))
    of_event: dict[str, dict[str, None]] = {}
    pairs = pl.DataFrame({"name": frame["name"], "place": place}).unique(maintain_order=True)
    for name, index in pairs.iter_rows():
        of_event.setdefault(name, {}).update(dict.fromkeys(objects[index]))
    types = {
        key: _TYPES.get(next(iter(found - {"none"}), ""), "unknown") if len(found - {"none"}) == 1 else "unknown" for key, found in kinds.items()
    }
    return _Sample(len(frame), types, {name: tuple(list(found)[:KEYS_SHOWN]) for name, found in of_event.items()})


_TYPES: dict[str, PropertyType] = {"number": "numeric", "boolean": "boolean", "text": "string"}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "none" if value is None else "nested"


def _confirmed(source: Source, columns: Columns, end: int, wanted: set[str]) -> set[str]:
    """Those of the wanted keys that any row before the as-of instant carries; reads until all are found, or everything."""
    rows = _visible_properties(source, columns, end)
    if rows is None or not wanted:
        return set()
    if columns.schema[columns.properties or ""] == pl.String:
        # A key stands in the text as it is, unless it is escaped there (or should have been: see `LinesNeeded`).
        quoted = [f'"{key}"' for key in wanted]
        rows = rows.filter(pl.col("text").str.contains_any(quoted) | pl.col("text").str.contains("\\", literal=True))
    found: set[str] = set()
    for batch in rows.select("text").collect_batches(engine="streaming"):
        for text in distinct_texts(batch["text"])[1]:
            one = read_object(text)
            source.trust(broken=one is BROKEN)
            found |= wanted & one.keys()
        if found == wanted:
            break
    return found

"""An opened file of events: what it holds, and its logs for the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import polars as pl

from backtest.events import EventLog, Window
from backtest.language import Group, Unit
from backtest.plan import ReadPlan
from backtest.taxonomy import Taxonomy
from backtest.values import PropertyTypes
from beton.errors import BadInput
from beton.event_files.buckets import MEMORY_LIMIT_MB, BucketReader, Dropped, choose_buckets, members
from beton.event_files.columns import ColumnMap, Columns, find_columns
from beton.event_files.properties import needed_properties
from beton.event_files.source import Kind, LinesNeeded, Source, example_rows, open_source, telling
from beton.event_files.survey import SkippedRows, Survey, take_survey, taxonomy_of

T = TypeVar("T")


def open_event_file(
    location: str, columns: ColumnMap | None = None, *, kind: Kind | None = None, storage_options: Mapping[str, str] | None = None
) -> EventFile:
    """A file, a folder, a glob, or an address in object storage (`s3://`, `gs://`, `az://`, whatever else fsspec opens; not http).

    `kind` says what the names do not. Credentials come from the environment unless given. Raises BadInput where it cannot be read or lacks a
    column.
    """
    source = open_source(str(location), kind, storage_options)
    found = find_columns(source, columns or ColumnMap())
    if source.kind == "jsonl" and any(place not in source.schema for place in found.groups.values()):
        source = replace(source, line_by_line=True)  # ids out of properties must be as they were written
    return EventFile(source, found)


@dataclass
class EventFile:
    """Reads lazily; remembers the latest survey, and what the latest `logs` of each unit kind dropped."""

    source: Source
    columns: Columns
    _survey: Survey | None = None
    _dropped: dict[Unit, Dropped] = field(default_factory=dict)
    _winners: dict[tuple[Unit, Window, int], pl.DataFrame | None] = field(default_factory=dict, repr=False)

    @property
    def kinds(self) -> tuple[Unit, ...]:
        """The unit kinds that the file knows: persons, and each group type that was named."""
        persons: tuple[Unit, ...] = ("person",) if self.columns.person else ()
        return (*persons, *(Group(group=name) for name in self.columns.groups))

    def survey(self, window: Window) -> Survey:
        """Names, volumes and unusable rows, in one pass (remembered)."""
        if self._survey is None or self._survey.window != window:
            self._survey = self._reading(lambda: take_survey(self.source, self.columns, self.kinds, window))
        return self._survey

    def taxonomy(self, window: Window, properties: Iterable[str] = ()) -> Taxonomy:
        """What the file knows before `window.end`. Each of `properties` is looked for in all rows; others are told from a sample."""
        survey = self.survey(window)
        return self._reading(lambda: taxonomy_of(survey, self.source, self.columns, properties))

    def buckets_for(self, plan: ReadPlan, memory_limit_mb: int = MEMORY_LIMIT_MB) -> int:
        """As few buckets as the memory limit allows."""
        reader, survey = BucketReader(self.source, self.columns, plan, 1), self.survey(plan.window)
        values = sum(survey.visible(plan.unit, names) for names in reader.needed.values())
        rows = survey.visible(plan.unit)
        return choose_buckets(rows, len(reader.needed), values, every_row=reader.keeps_every_row, memory_limit_mb=memory_limit_mb)

    def logs(
        self,
        plan: ReadPlan,
        types: PropertyTypes | None = None,
        *,
        cohorts: Mapping[str, Collection[str]] | None = None,
        buckets: int | None = None,
        memory_limit_mb: int = MEMORY_LIMIT_MB,
    ) -> Iterator[EventLog]:
        """Logs of disjoint units, at least one, that together hold what the plan asks of this file.

        `cohorts`: member ids of each cohort that the plan names. `buckets` None: as few as the memory limit allows. Each bucket is one pass.
        Raises BadInput for a unit kind, a cohort or a file that cannot be read.
        """
        self._knows(plan, cohorts)
        count = buckets or self.buckets_for(plan, memory_limit_mb)
        self._dropped[plan.unit], given = Dropped(), False
        for bucket in range(count):
            log, dropped = self.bucket(plan, types, (bucket, count), cohorts=cohorts)
            self._dropped[plan.unit] += dropped
            if log.units or (not given and bucket == count - 1):
                given = True
                yield log
            del log

    def bucket(
        self, plan: ReadPlan, types: PropertyTypes | None, bucket: tuple[int, int], *, cohorts: Mapping[str, Collection[str]] | None = None
    ) -> tuple[EventLog, Dropped]:
        """One of the buckets of `logs`, perhaps without any unit, and what reading it left out. `bucket`: its number, and of how many.

        Whoever reads the others must hash alike (`hash_probe`) and have the same file. Raises as `logs` does.
        """
        self._knows(plan, cohorts)
        number, count = bucket
        winners = self._winning(plan, count)
        # A reader is made anew each time: reading may find that the source must be read another way.
        rows, dropped = self._reading(lambda: BucketReader(self.source, self.columns, plan, count).read(number, winners))
        flags = members(rows.units, {name: frozenset(ids) for name, ids in (cohorts or {}).items() if name in plan.cohorts})
        return BucketReader(self.source, self.columns, plan, count).log(rows, types or {}, flags), dropped

    def _knows(self, plan: ReadPlan, cohorts: Mapping[str, Collection[str]] | None) -> None:
        self.columns.unit(plan.unit)
        if lacking := sorted(plan.cohorts - set(cohorts or {})):
            raise BadInput(f"the members of cohort {lacking[0]} are not known here", fix=f"Give a file of their ids: --cohort {lacking[0]}=<file>.")

    def _winning(self, plan: ReadPlan, count: int) -> pl.DataFrame | None:
        """Which copies of repeated events count: looked for once, whatever the bucket."""
        key = plan.unit, plan.window, count
        if key not in self._winners:
            holds = self.survey(plan.window).visible(plan.unit) > 0
            self._winners[key] = self._reading(lambda: BucketReader(self.source, self.columns, plan, count).winners()) if holds else None
        return self._winners[key]

    def skipped(self, unit: Unit, window: Window, *, examples: bool = True, dropped: Dropped | None = None) -> SkippedRows:
        """Rows that do not count for units of this kind; duplicates and broken properties are those `dropped`, or as the latest `logs` found
        them."""
        counted = self.survey(window).skipped(unit)
        counted = replace(counted, **vars(dropped or self._dropped.get(unit, Dropped())))
        return replace(counted, examples=self._reading(lambda: self._examples(unit, window, counted))) if examples else counted

    def _examples(self, unit: Unit, window: Window, counted: SkippedRows) -> dict[str, tuple[str, ...]]:
        columns = self.columns
        visible = pl.col("at") < window.end
        reasons = {
            "no_instant": pl.col("at").is_null(),
            "no_event": visible & pl.col("name").is_null(),
            "no_unit": visible & pl.col("name").is_not_null() & pl.col("unit").is_null(),
            "broken_properties": visible & pl.col("name").is_not_null() & pl.col("unit").is_not_null() & pl.col("broken"),
        }
        shown = {"name": columns.name(), "at": columns.at(), "unit": columns.unit(unit)}

        def build(reason: str) -> Callable[[Source], pl.LazyFrame]:
            wanted = {columns.event, columns.timestamp} | columns.unit_columns(unit)
            exprs = [value.alias(name) for name, value in shown.items()]
            if reason == "broken_properties" and (text := columns.properties_text()) is not None:
                wanted.add(columns.properties or "")
                whole = text.str.json_path_match("$").str.starts_with("{").fill_null(value=False)
                exprs.append((text.is_not_null() & ~text.is_in(["", "null"]) & ~whole).alias("broken"))
            return lambda part: part.scan(wanted).with_row_index("row", offset=1).select("row", *exprs).filter(reasons[reason])

        return {reason: example_rows(self.source, build(reason)) for reason in reasons if getattr(counted, reason)}

    def _reading(self, read: Callable[[], T]) -> T:
        """Only reading shows that JSON lines must be read one by one; then they are, from there on."""
        with telling(self.source.location):
            try:
                return read()
            except (pl.exceptions.ComputeError, LinesNeeded):
                if self.source.kind != "jsonl" or self.source.line_by_line:
                    raise
                self.source = replace(self.source, line_by_line=True)
                return read()


def wanted_properties(plans: Iterable[ReadPlan]) -> set[str]:
    """The top-level keys that plans compare."""
    return {path[0] for plan in plans for path in needed_properties(plan)}

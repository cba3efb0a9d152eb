"""One bucket of units as the engine's log: codes and instants only, read in one streaming pass over the file.

Units fall into buckets by a hash of their id. Which bucket a unit falls into changes no number (tallies of disjoint units add exactly), so the
hash may differ between versions; processes that share one reading compare a probe of theirs first. Every bucket reads the file anew: no raw
event is written anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.assembly import LONGEST_GAP, Rows, assemble
from backtest.events import Column, EventLog, Path, Presence, presence_blocks
from backtest.intervals import Codes, Flags, Ints
from backtest.plan import ReadPlan
from backtest.values import PropertyTypes
from beton.event_files import instants
from beton.event_files.columns import Columns
from beton.event_files.duplicates import Duplicates, find_duplicates, hashes
from beton.event_files.properties import Extraction, needed_properties
from beton.event_files.source import Source

SEED = 5
MEMORY_LIMIT_MB = 1500
BYTES_PER_ROW, BYTES_PER_FULL_ROW, BYTES_PER_PATH, BYTES_PER_VALUE = 45, 45, 8, 250
"""Measured at the peak: each row of a bucket, again where all rows stay (any event is looked at), its code for each property, and each value
that is unlike all others (at worst all are: amounts, addresses)."""

RESERVED_MB, RESERVED_FOR_PROPERTIES_MB = 450, 550
"""What the libraries, the scan and the results take whatever the number of buckets. Polars decodes row groups ahead: with properties these are
the larger part, and bounded, but not by us."""

PLAIN = "plain:"


@dataclass(frozen=True)
class Dropped:
    """What reading left out: copies of rows, and properties that were broken (their rows stay)."""

    duplicates: int = 0
    broken_properties: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(self.duplicates + other.duplicates, self.broken_properties + other.broken_properties)


def hash_probe() -> str:
    """What this process makes of a few ids. Processes of one probe put every unit into the same bucket; polars promises that within one
    version, and says nothing of unlike processors."""
    return "/".join(str(one % 2**32) for one in pl.Series(["", "a", "019af0c2-unit", "Zoë", "x" * 100]).hash(SEED))


@dataclass(frozen=True)
class BucketReader:
    """Reads the buckets of one plan."""

    source: Source
    columns: Columns
    plan: ReadPlan
    buckets: int

    @property
    def needed(self) -> Mapping[Path, frozenset[str] | None]:
        return needed_properties(self.plan)

    @property
    def keeps_every_row(self) -> bool:
        """Any-event clauses, and matchers of any event with a comparison, look at rows of every name."""
        matches = [*self.plan.firsts.values(), *(read.match for read in self.plan.lapses.values())]
        return self.plan.every_event or any(match is not None and match.any_event for match in matches)

    def winners(self) -> pl.DataFrame | None:
        """Which copies of repeated events count; None where the file has no uuid, or nothing twice."""
        if self.columns.uuid is None:
            return None
        winners = find_duplicates(self._rows().select("uuid", "uuid2", "at", "tie", "unit", "name"), self.buckets)
        return winners if len(winners) else None

    def read(self, bucket: int, winners: pl.DataFrame | None) -> tuple[Rows, Dropped]:
        """All rows of the bucket before the as-of instant, sorted by unit and instant."""
        extraction = Extraction(self.needed, cells_are_json=self.source.kind != "parquet")
        duplicates = None if winners is None else Duplicates(winners)
        text = {name: pl.Categorical(pl.Categories.random()) for name in ("unit", "name", *(["person"] if self.plan.persons else []))}
        rows = self._rows()
        if self.buckets > 1:
            rows = rows.filter(pl.col("unit").hash(SEED) % self.buckets == bucket)
        extra = [] if duplicates is None else ["uuid", "uuid2", "tie"]
        if self.needed:
            extra += [
                *sorted(set(self._needs().values())),
                *(["properties"] if self.columns.properties else []),
                *(PLAIN + name for name in self._plain()),
            ]
        rows = rows.select("at", *(pl.col(name).cast(kind) for name, kind in text.items()), *extra)
        parts = [self._coded(batch, list(text), extraction, duplicates) for batch in rows.collect_batches(engine="streaming")]
        self.source.trust(broken=extraction.broken)
        frame = pl.concat([pl.DataFrame(schema={"at": pl.Int64, **text}), *parts], rechunk=False)
        return _sorted(frame, extraction), Dropped(duplicates.dropped if duplicates else 0, extraction.broken)

    def _coded(self, batch: pl.DataFrame, text: list[str], extraction: Extraction, duplicates: Duplicates | None) -> pl.DataFrame:
        """A batch without its properties, which go into the extraction as codes."""
        if duplicates is not None:
            batch = duplicates.without(batch)
        if self.needed:
            needing = {path: batch[need].to_numpy() for path, need in self._needs().items()}
            wanting = batch.filter(pl.any_horizontal(set(self._needs().values())))
            raw = wanting["properties"] if self.columns.properties else None
            extraction.add(len(batch), needing, raw, {name: wanting[PLAIN + name] for name in self._plain()})
        return batch.select("at", *text)

    def _plain(self) -> Set[str]:
        roles = {self.columns.properties, self.columns.timestamp}
        return {path[0] for path in self.needed if path[0] in self.columns.schema} - roles

    def _rows(self) -> pl.LazyFrame:
        """Usable rows before the as-of instant; columns that nobody selects are never read."""
        columns, end = self.columns, self.plan.window.end
        wanted = {columns.event, columns.timestamp, columns.uuid or "", columns.person or "", columns.properties or ""}
        rows = self.source.scan(wanted | columns.unit_columns(self.plan.unit) | self._plain())
        early = instants.before(columns.timestamp, columns.schema[columns.timestamp], end)
        if early is not None:
            rows = rows.filter(early)
        unit, name = columns.unit(self.plan.unit), columns.name()
        shown: dict[str, pl.Expr] = {"unit": unit, "name": name, "at": columns.at()}
        for path, need in self._needs().items():
            names = self.needed[path]
            shown[need] = name.is_not_null() if names is None else name.is_in(sorted(names))
        shown |= {PLAIN + column: pl.col(column) for column in self._plain()}
        if self.plan.persons:
            shown["person"] = columns.actor()
        if (text := columns.properties_text()) is not None:
            shown["properties"] = text
        tell_apart = hashes(_filled(columns), name, unit) if columns.uuid else []
        usable = rows.select(*(value.alias(key) for key, value in shown.items()), *tell_apart)
        return usable.filter(pl.col("unit").is_not_null() & pl.col("name").is_not_null() & (pl.col("at") < end))

    def _needs(self) -> dict[Path, str]:
        """For each path the column that says which rows need it; paths that the same events need share one."""
        named: dict[frozenset[str] | None, str] = {}
        return {path: named.setdefault(names, f"needs {len(named)}") for path, names in self.needed.items()}

    def log(self, rows: Rows, types: PropertyTypes, cohorts: Mapping[str, Flags]) -> EventLog:
        """Presence from every row, everything else from the rows that the plan looks at and each unit's first."""
        presence = _presence(rows.unit, rows.at, self.plan.window.start)
        if not self.keeps_every_row:
            wanted = self.plan.names.union(*(match.events for match in self.plan.firsts.values() if match))
            wanted = wanted.union(*(read.match.events for read in self.plan.lapses.values()))
            keep = np.array([name in wanted for name in rows.names], np.bool_)[rows.name] if rows.names else np.empty(0, np.bool_)
            keep |= np.diff(rows.unit, prepend=-1) != 0
            for path in self.plan.carrying:
                keep |= rows.columns[path].codes >= 0
            rows = rows.where(keep)
        return replace(assemble(rows, self.plan, types, cohorts), presence=presence)


def _filled(columns: Columns) -> pl.Expr:
    text = (
        pl.col(columns.uuid or "").cast(pl.String)
        if columns.schema[columns.uuid or ""] != pl.Binary
        else pl.col(columns.uuid or "").bin.encode("hex")
    )
    return pl.when(text != "").then(text)


def _sorted(frame: pl.DataFrame, extraction: Extraction) -> Rows:
    units, unit = _ranked(frame["unit"])
    names, name = _ranked(frame["name"])
    persons = _ranked(frame["person"])[1] if "person" in frame.columns else None
    at = frame["at"].to_numpy()
    by = _order(unit, at)
    columns = {path: Column(column.codes[by], column.values) for path, column in extraction.columns().items()}
    return Rows(units, names, unit[by], name[by], at[by], None if persons is None else persons[by], columns)


def _order(unit: Codes, at: Ints) -> NDArray[np.intp]:
    """By unit and instant; as one number where both fit into one, which is several times faster."""
    if not len(at):
        return np.empty(0, np.intp)
    earliest = int(at.min())
    bits = (int(at.max()) - earliest).bit_length()
    if bits + int(unit.max()).bit_length() > 62:
        return np.lexsort((at, unit))
    return np.argsort((unit.astype(np.int64) << bits) | (at - earliest), kind="stable")


def _ranked(coded: pl.Series) -> tuple[list[str], Codes]:
    """Distinct texts in ascending order, and for each row which one it has (-1: none)."""
    distinct = coded.drop_nulls().unique()
    texts, codes = distinct.cast(pl.String), distinct.to_physical().cast(pl.Int64).to_numpy()
    by = texts.arg_sort().to_numpy()
    rank = np.full(int(codes.max(initial=-1)) + 2, -1, np.int32)
    rank[codes[by]] = np.arange(len(by), dtype=np.int32)
    return texts.gather(by).to_list(), rank[coded.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()]


def _presence(unit: Codes, at: Ints, start: int) -> Presence:
    """As `backtest.assembly.presence_of`, from rows that are already sorted."""
    inside = at >= start
    followed = np.append((unit[1:] == unit[:-1]) & ~inside[1:], False) if len(unit) else np.empty(0, np.bool_)
    keep = inside | ~followed
    return presence_blocks(unit[keep], at[keep], LONGEST_GAP)


def choose_buckets(rows: int, paths: int, values: int, *, every_row: bool, memory_limit_mb: int) -> int:
    """The fewest buckets that keep within the limit. `values`: at most so many property values are read over all paths. Hashed units spread
    evenly; for one huge unit no number helps."""
    per_row = BYTES_PER_ROW + BYTES_PER_PATH * paths + BYTES_PER_FULL_ROW * every_row
    reserved = RESERVED_MB + RESERVED_FOR_PROPERTIES_MB * (paths > 0)
    room = max(memory_limit_mb - reserved, 50) * 1_000_000
    return max(1, ceil((rows * per_row + values * BYTES_PER_VALUE) / room))


def members(units: Sequence[str], cohorts: Mapping[str, Any]) -> dict[str, Flags]:
    return {cohort: np.fromiter((unit in ids for unit in units), np.bool_, len(units)) for cohort, ids in cohorts.items()}

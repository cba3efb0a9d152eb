"""A backtest of an event file that several processes read: each of them opens the file by itself and takes hash buckets of its units.

What they must agree on is told by whoever begins and compared by the others: the hash that cuts the buckets, and the rows of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from backtest import Backtest, Hypothesis, ReadPlan, Window, plan_reads
from backtest.durations import Duration
from backtest.language import Unit
from backtest.taxonomy import PropertyType
from beton.errors import BetonError
from beton.event_files import ColumnMap, Dropped, EventFile, hash_probe, open_event_file
from beton.hypothesis_files import check_against
from beton.local_backtest import file_taxonomy, read_cohorts, window_before

FEWEST_BUCKETS = 8
"""So that several workers find something to do. Each bucket scans the file once more, so not many."""


class FileRequest(BaseModel):
    """What is asked for, as it stands in the run. `events` and the files of `cohorts` (unit ids, one a line) are addresses that every worker can
    open; `columns` are fields of a `ColumnMap`; `hypotheses` in the language's JSON form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: str
    hypotheses: list[dict[str, Any]]
    as_of: datetime
    window_days: int = 90
    columns: dict[str, str] = {}
    groups: dict[str, str] = {}
    types: dict[str, PropertyType] = {}
    cohorts: dict[str, str] = {}
    buckets: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For a run's `request`; `model_validate` reads it back."""
        return self.model_dump(mode="json")


@dataclass
class FileBacktest:
    """One process's view of a shared file."""

    request: FileRequest
    file: EventFile
    batch: tuple[Hypothesis, ...]
    window: Window
    cohorts: Mapping[str, frozenset[str]] = field(repr=False)

    @property
    def plans(self) -> tuple[ReadPlan, ...]:
        return plan_reads(self.batch, self.window)

    def check(self) -> None:
        """Names against the file. Raises BadInput."""
        for one in self.batch:
            self.file.columns.unit(one.unit)
        check_against(self.batch, file_taxonomy(self.file, self.window, self.batch), Duration.days(self.request.window_days))

    def buckets(self, memory_limit_mb: int) -> int:
        """How many buckets: as asked for, or as memory asks."""
        return self.request.buckets or max(FEWEST_BUCKETS, *(self.file.buckets_for(plan, memory_limit_mb) for plan in self.plans))

    def facts(self) -> dict[str, Any]:
        """What all who read must find alike."""
        return {"hash": hash_probe(), "rows_read": self.file.survey(self.window).rows}

    def compare(self, facts: Mapping[str, Any]) -> None:
        """Raises BetonError where this process would read something else than the one that began."""
        mine = self.facts()
        if mine["rows_read"] != facts["rows_read"]:
            raise BetonError(
                f"{self.request.events} has {mine['rows_read']:,} rows here, but {facts['rows_read']:,} where the backtest began.",
                code="worker.file_differs",
                fix="Name an address at which every worker finds the same file, and leave the file alone while it is read.",
            )
        if mine["hash"] != facts["hash"]:
            raise BetonError(
                "This worker cuts units into other buckets than the one that began the backtest.",
                code="worker.hash_differs",
                fix="Run all workers with the same version of polars on the same kind of processor.",
            )

    def add_bucket(self, whole: Backtest, bucket: tuple[int, int]) -> dict[str, list[int]]:
        """Read one bucket of every unit kind and add it up; what was left out, by kind: duplicates and broken properties."""
        dropped: dict[str, list[int]] = {}
        for plan in self.plans:
            log, left = self.file.bucket(plan, self.request.types, bucket, cohorts=self.cohorts)
            whole.add(plan.unit, log)
            dropped[kind_of(plan.unit)] = [left.duplicates, left.broken_properties]
        return dropped

    def skipped(self, parts: Iterable[Mapping[str, list[int]]]) -> dict[str, Any]:
        """Skipped rows by unit kind, from what the buckets left out."""
        every = list(parts)
        sums = {kind_of(plan.unit): sum((Dropped(*part[kind_of(plan.unit)]) for part in every), Dropped()) for plan in self.plans}
        return {kind_of(plan.unit): self.file.skipped(plan.unit, self.window, dropped=sums[kind_of(plan.unit)]).as_json() for plan in self.plans}


def open_file_backtest(request: FileRequest) -> FileBacktest:
    """Raises BadInput where the file, a cohort or a hypothesis cannot be read."""
    return FileBacktest(
        request,
        open_event_file(request.events, ColumnMap(groups=request.groups, **request.columns)),
        tuple(Hypothesis.model_validate(one) for one in request.hypotheses),
        window_before(request.as_of, request.window_days),
        read_cohorts({name: Path(path) for name, path in request.cohorts.items()}),
    )


def kind_of(unit: Unit) -> str:
    """`person`, or the group type."""
    return unit if isinstance(unit, str) else unit.group

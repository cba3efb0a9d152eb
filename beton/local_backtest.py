"""A backtest of hypotheses against a file of events: what `beton backtest --events` does, without a store, a server or PostHog."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from backtest.durations import DAY, Duration
from backtest.engine import Backtest, Fired
from backtest.events import Window
from backtest.language import Hypothesis, Unit
from backtest.plan import ReadPlan, plan_reads
from backtest.report import published
from backtest.score import Score
from backtest.taxonomy import Taxonomy
from backtest.values import PropertyTypes
from beton.errors import BadInput
from beton.event_files import Dropped, EventFile, SkippedRows
from beton.event_files.buckets import MEMORY_LIMIT_MB
from beton.event_files.event_file import wanted_properties
from beton.hypothesis_files import HypothesisFile, check_against
from beton.partial_results import Partial, StoppedEarly, StopRule, Watching

FEWEST_LOOKS = 8
"""Buckets of a file that would fit into one, where somebody wants to see numbers early. Each scans the file once more."""


@dataclass(frozen=True)
class BacktestResult:
    """`scores` in the order of `hypotheses`; `skipped` and `buckets` by unit kind (`person`, or the group type); `fires` only where asked for:
    each unit's first fires and those after a cool-down, sorted by instant and unit."""

    window: Window
    hypotheses: tuple[Hypothesis, ...]
    scores: tuple[Score, ...]
    skipped: Mapping[str, SkippedRows]
    buckets: Mapping[str, int]
    rows_read: int
    seconds: float
    fires: tuple[tuple[Fired, ...], ...] | None = None
    stopped_early: Mapping[str, StoppedEarly] = field(default_factory=dict)
    """By unit kind, where the reading ended before its last bucket."""

    def published(self) -> list[dict[str, Any]]:
        """The `backtest` object of each hypothesis."""
        told = []
        for one, score in zip(self.hypotheses, self.scores, strict=True):
            stopped = self.stopped_early.get(_kind(one.unit))
            told.append(published(score, self.window) | ({} if stopped is None else {"stopped_early": stopped.as_json()}))
        return told

    def as_json(self) -> dict[str, Any]:
        rows = [
            {"name": one.name, "fingerprint": one.fingerprint, "backtest": told} for one, told in zip(self.hypotheses, self.published(), strict=True)
        ]
        skipped = {kind: rows.as_json() for kind, rows in self.skipped.items()}
        return {"hypotheses": rows, "rows_read": self.rows_read, "skipped_rows": skipped, "seconds": round(self.seconds, 3)}


def window_before(as_of: datetime, window_days: float) -> Window:
    """The window that ends at `as_of`. Raises BadInput for an instant without a zone or a window without a day."""
    if as_of.tzinfo is None:
        raise BadInput("the as-of instant needs its time zone, for example 2026-01-31T09:00:00Z")
    if window_days < 1:
        raise BadInput("a window has at least one day")
    since = as_of - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    end = since.days * DAY + since.seconds * 1_000_000 + since.microseconds
    return Window(end - round(window_days * DAY), end)


def file_taxonomy(file: EventFile, window: Window, hypotheses: Sequence[Hypothesis] = ()) -> Taxonomy:
    """What the file knows; each property that the hypotheses name is looked for in all rows before the as-of instant."""
    return file.taxonomy(window, wanted_properties(plan_reads(hypotheses, window)))


def read_cohorts(files: Mapping[str, Path]) -> dict[str, frozenset[str]]:
    """Unit ids of each cohort from text files, one id a line; blank lines do not count. Raises BadInput."""
    cohorts = {}
    for cohort, path in files.items():
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--cohort {cohort}={path}: {error}", fix="Give a text file with one unit id a line.") from error
        cohorts[cohort] = frozenset(line.strip() for line in lines if line.strip())
    return cohorts


@dataclass
class _Steps:
    """Tells how many of all (bucket, hypothesis) pairs are done."""

    tell: Callable[[int, int], None]
    total: int
    done: int = field(default=0)

    def __call__(self) -> None:
        self.done += 1
        self.tell(min(self.done, self.total), self.total)


def backtest_file(
    file: EventFile,
    hypotheses: HypothesisFile | Sequence[Hypothesis],
    *,
    as_of: datetime,
    window_days: int = 90,
    types: PropertyTypes | None = None,
    cohorts: Mapping[str, Collection[str]] | None = None,
    buckets: int | None = None,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
    keep_fires: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    on_partial: Callable[[Partial], None] | None = None,
    stop: StopRule | None = None,
    stopwatch: Callable[[], float] = time.monotonic,
) -> BacktestResult:
    """Score all hypotheses on one reading of the file (for each unit kind, and each bucket).

    Names are checked against the file first. `types`: declared types of properties (default: those of the hypothesis file). The numbers do
    not depend on `buckets`. `progress` is told how many of how many steps are done, `on_partial` the scores so far after each bucket; with
    `stop` the reading ends when no verdict can change any more. Raises BadInput for names, properties, units or cohorts that the file does not
    know.
    """
    began = stopwatch()
    window = window_before(as_of, window_days)
    batch = hypotheses.hypotheses if isinstance(hypotheses, HypothesisFile) else tuple(hypotheses)
    declared = types if types is not None else hypotheses.property_types if isinstance(hypotheses, HypothesisFile) else {}
    plans = plan_reads(batch, window)
    _need_cohorts(set().union(*(plan.cohorts for plan in plans)) - set(cohorts or {}))
    check_against(hypotheses, file_taxonomy(file, window, batch), Duration.days(window_days))
    fewest = FEWEST_LOOKS if on_partial or stop else 1
    chosen = {plan.unit: buckets or max(fewest, file.buckets_for(plan, memory_limit_mb)) for plan in plans}
    steps = _Steps(progress, sum(chosen[one.unit] for one in batch))
    reading = _Reading(file, Backtest(batch, keep_fires=keep_fires), chosen, Watching(batch, window, stop), steps, on_partial)
    for plan in plans:
        reading.read(plan, declared, cohorts)
    return BacktestResult(
        window=window,
        hypotheses=batch,
        scores=tuple(reading.whole.scores()),
        skipped={_kind(plan.unit): file.skipped(plan.unit, window, dropped=reading.dropped[plan.unit]) for plan in plans},
        buckets={_kind(unit): count for unit, count in chosen.items()},
        rows_read=file.survey(window).rows,
        seconds=stopwatch() - began,
        fires=tuple(_in_order(reading.whole.fires.get(index, [])) for index in range(len(batch))) if keep_fires else None,
        stopped_early=reading.stopped,
    )


@dataclass
class _Reading:
    """Bucket after bucket of each unit kind, with those who want to know told after each."""

    file: EventFile
    whole: Backtest
    chosen: Mapping[Unit, int]
    watching: Watching
    steps: _Steps
    on_partial: Callable[[Partial], None] | None
    buckets_done: int = 0
    dropped: dict[Unit, Dropped] = field(default_factory=dict)
    stopped: dict[str, StoppedEarly] = field(default_factory=dict)

    def read(self, plan: ReadPlan, types: PropertyTypes, cohorts: Mapping[str, Collection[str]] | None) -> None:
        """All buckets of one kind, or as many as it takes."""
        unit, count, given = plan.unit, self.chosen[plan.unit], False
        self.dropped[unit] = Dropped()
        for number in range(count):
            log, dropped = self.file.bucket(plan, types, (number, count), cohorts=cohorts)
            self.dropped[unit] += dropped
            if log.units or (not given and number == count - 1):
                given = True
                self.whole.add(unit, log, self.steps)
            del log
            self.buckets_done += 1
            enough = self.watching.look(self.whole, unit, number + 1, count)
            if self.on_partial:
                self.on_partial(Partial(self.buckets_done, sum(self.chosen.values()), self.watching.standings(self.whole)))
            if enough and self.watching.rule:
                self.stopped[_kind(unit)] = StoppedEarly(number + 1, count, self.watching.rule.error)
                return


def _need_cohorts(lacking: set[str]) -> None:
    if lacking:
        names = ", ".join(sorted(lacking))
        raise BadInput(f"the members of cohort {names} are not known here", fix=f"Give a file of unit ids: --cohort {min(lacking)}=<file>.")


def _in_order(fires: list[Fired]) -> tuple[Fired, ...]:
    return tuple(sorted(fires, key=lambda fire: (fire[1], fire[0], fire[2])))


def _kind(unit: Unit) -> str:
    return unit if isinstance(unit, str) else unit.group

"""A backtest of an event file by the workers of this installation: asked for here, read there, told here."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backtest.durations import Duration
from beton.cli.opening import opened
from beton.cli.options import column_names, now, pairs, property_types
from beton.cli.printing import say
from beton.cli.progress import Progress, showing
from beton.cli.scores import bar_of, record
from beton.errors import BadInput, BetonError
from beton.event_files import SkippedRows, group_columns
from beton.hypothesis_files import HypothesisFile, check_against
from beton.local_backtest import file_taxonomy, window_before
from beton.store import runs
from beton.store.durable import enqueue
from beton.store.records import Run, RunStatus
from beton.work.durable_backtests import BACKTESTS, backtest_run
from beton.work.file_backtests import FileRequest, kind_of
from beton.work.workplace import Workplace

if TYPE_CHECKING:
    from beton.cli.backtest import Source

LOOK_EVERY = 0.25
PATIENCE = 10.0
"""Seconds after which somebody who waits is told that no worker has begun."""


def score(where: Source, told: HypothesisFile, as_of: datetime | None, window_days: int) -> list[dict[str, Any]]:
    """The records of a file's hypotheses, as a backtest in this process would tell them. Raises what the run ended with."""
    from beton.cli.backtest import rows_of, tell_rows

    until = as_of or now()
    request = _request(where, told, until, window_days)
    _check(where, told, until, window_days)
    settings = where.settings()
    with opened(settings) as place:
        run = _queued(place, request)
        say(f"{run.id}: the workers read. Ctrl-C leaves them to it.")
        with showing() as tell:
            run = _over(place, run.id, tell)
    skipped = {kind: SkippedRows(**rows) for kind, rows in run.counts["skipped_rows"].items()}
    for kind, rows in skipped.items():
        tell_rows(kind, run.counts["rows_read"], rows)
    as_told, read = until.isoformat().replace("+00:00", "Z"), run.counts["rows_read"]
    return [
        record(one, numbers, bar_of(settings), as_of=as_told, rows=rows_of(read, skipped[kind_of(one.unit)]))
        for one, numbers in zip(told.hypotheses, run.counts["results"], strict=True)
    ]


def _request(where: Source, told: HypothesisFile, until: datetime, window_days: int) -> FileRequest:
    asked = {
        "events": _address(where.events or ""),
        "hypotheses": [one.to_json() for one in told.hypotheses],
        "as_of": until,
        "window_days": window_days,
        "columns": column_names(where.column),
        "groups": group_columns(where.group),
        "types": dict(told.property_types) | property_types(where.property),
        "cohorts": {name: _address(path) for name, path in pairs("--cohort", where.cohort).items()},
        "buckets": where.settings().hash_buckets or None,
    }
    return FileRequest.model_validate(asked)


def _address(given: str) -> str:
    """A path means the same wherever a worker was started. What is asked for is kept and shown, so it may hold no password. Raises BadInput."""
    if urlsplit(given).password:
        raise BadInput("An address for the workers must not hold a password.", fix="Give the credentials to the workers, in their environment.")
    return given if "://" in given else str(Path(given).expanduser().absolute())


def _check(where: Source, told: HypothesisFile, until: datetime, window_days: int) -> None:
    """Every fault with its line, before anybody is troubled."""
    file = where.open()
    for one in told.hypotheses:
        file.columns.unit(one.unit)
    taxonomy = file_taxonomy(file, window_before(until, window_days), told.hypotheses)
    check_against(told, taxonomy, Duration.days(window_days))


def _queued(place: Workplace, request: FileRequest) -> Run:
    with place.store.transaction() as tx:
        run = runs.queue(tx, "backtest", request=request.to_json())
    try:
        enqueue(place.settings, BACKTESTS, backtest_run.__qualname__, run.id, run.id)
    except BetonError as error:
        with place.store.transaction() as tx:
            runs.finish(tx, run.id, RunStatus.FAILED, error=error.as_problem())
        raise
    return run


def _over(
    place: Workplace, run_id: str, tell: Progress, stopwatch: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Run:
    """The run when it is done. Raises what it failed with."""
    began, told = stopwatch(), False
    while True:
        with place.store.reading() as tx:
            run = runs.get(tx, run_id)
        if run.status is RunStatus.DONE:
            return run
        if run.status.over:
            problem = run.error or {"detail": f"The run {run_id} was {run.status}."}
            raise BetonError(problem["detail"], code=problem.get("code"), fix=problem.get("fix"))
        if run.progress["total"]:
            tell(run.progress["message"], run.progress["done"], run.progress["total"])
        elif run.status is RunStatus.QUEUED and not told and stopwatch() - began > PATIENCE:
            told = True
            say("No worker has begun yet. Is one running? Start it with: beton worker")
        sleep(LOOK_EVERY)

"""`beton backtest`: hypotheses on a file of events, without any set-up, or on a connected project."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.options import FLAG, MANY, AsJson, AsOf, Columns, Groups, PropertyTypes, WindowDays, column_names, instant, now, pairs, property_types
from beton.cli.printing import say
from beton.cli.progress import Progress, showing
from beton.cli.scores import bar_of, print_records, record
from beton.errors import BadInput

if TYPE_CHECKING:
    from datetime import datetime

    from backtest.taxonomy import Taxonomy
    from beton.event_files import EventFile, SkippedRows
    from beton.hypothesis_files import HypothesisFile
    from beton.partial_results import Partial
    from beton.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """Where the events are."""

    events: Annotated[str | None, Parameter(help="A file, folder, glob or object-storage address of events (Parquet, CSV, JSON lines).")] = None
    connection: Annotated[str | None, Parameter(help="A connected project, by name.")] = None
    group: Groups = ()
    column: Columns = ()
    property: PropertyTypes = ()
    cohort: Annotated[
        Sequence[str],
        MANY,
        Parameter(name="--cohort", help="Of a file: the members of a cohort, as id=file with one unit id a line. Repeatable."),
    ] = ()
    population: Annotated[
        Sequence[str],
        MANY,
        Parameter(
            help='Of a connection: count only units whose entry event meets this, such as "plan = team". Repeatable: all of them have to hold.'
        ),
    ] = ()
    leave_out_internal: Annotated[
        bool,
        FLAG,
        Parameter(name="--leave-out-internal", help="Of a connection: count no internal and test traffic, as confirmed or as its names suggest."),
    ] = False
    buckets: Annotated[
        int | None, Parameter(help="Hash buckets of units; chosen from the size of the log unless given. No number depends on it.")
    ] = None
    memory_mb: Annotated[int | None, Parameter(name="--memory-mb", help="Memory that one read may take.")] = None

    def check(self) -> None:
        """One source, and no option of the other. Raises BadInput."""
        if (self.events is None) == (self.connection is None):
            raise BadInput("Name one source of events.", fix="Give --events FILE or --connection NAME.")
        if self.events is None and (self.group or self.column or self.cohort):
            raise BadInput("--group, --column and --cohort describe a file; a connection knows its own.", fix="Leave them out.")
        if self.connection is None and (self.population or self.leave_out_internal):
            raise BadInput("--population and --leave-out-internal are about a connection; in a file, say it in `entry.where`.", fix="Leave them out.")
        if (self.buckets is not None and self.buckets < 1) or (self.memory_mb is not None and self.memory_mb < 128):
            raise BadInput("--buckets is at least 1, and --memory-mb at least 128.")

    def settings(self) -> Settings:
        """Those of the environment, with what these options say instead."""
        from beton.settings import load_settings

        given = {"hash_buckets": self.buckets, "memory_limit_mb": self.memory_mb}
        return load_settings().model_copy(update={name: value for name, value in given.items() if value is not None})

    def open(self) -> EventFile:
        """The file that `--events` names."""
        from beton.event_files import ColumnMap, group_columns, open_event_file

        return open_event_file(self.events or "", ColumnMap(groups=group_columns(self.group), **column_names(self.column)))


@Parameter(name="*")
@dataclass(frozen=True)
class Looking:
    """What is to be seen and done while a file is read."""

    progressive: Annotated[
        bool, FLAG, Parameter(help="Of a file: show the numbers of the part read so far, whose intervals narrow (on standard error).")
    ] = False
    stop_early: Annotated[bool, FLAG, Parameter(name="--stop-early", help="Of a file: stop reading when no verdict can change any more.")] = False
    error: Annotated[float, Parameter(help="Of --stop-early: how likely a verdict may be another one than that of the whole file.")] = 0.05

    def check(self, where: Source, *, shared: bool) -> None:
        """Raises BadInput where nobody could look."""
        if (self.progressive or self.stop_early) and (where.connection is not None or shared):
            raise BadInput("--progressive and --stop-early are about a file that this process reads.", fix="Leave them out.")
        if not 0 < self.error < 1:
            raise BadInput("--error lies between 0 and 1.")


def backtest(
    *,
    hypotheses: Annotated[Path, Parameter(help="A file of hypotheses (YAML or JSON). Refused whole when one of them is wrong.")],
    source: Source | None = None,
    looking: Looking | None = None,
    as_of: AsOf = None,
    window_days: WindowDays = 90,
    shared: Annotated[bool, FLAG, Parameter(help="Of a file: let all workers of this installation read it; each must reach the address.")] = False,
    save: Annotated[bool, FLAG, Parameter(help="Of a connection: keep the hypotheses as proposals with these results.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score hypotheses on a file of events (--events) or on a connected project (--connection)."""
    where, look = source or Source(), looking or Looking()
    where.check()
    look.check(where, shared=shared)
    if window_days < 1:
        raise BadInput("--window-days is at least 1.")
    if save and where.connection is None:
        raise BadInput("--save keeps hypotheses with their connection; a file has none.", fix="Leave --save out, or name a --connection.")
    if shared and where.connection is not None:
        raise BadInput("--shared is about files; for a connection the API queues a backtest for the workers.", fix="Leave --shared out.")
    until = instant(as_of)
    told = read_file(hypotheses, window_days, lambda: _known(where, until, window_days))
    if shared:
        from beton.cli.shared_backtest import score as score_shared

        records = score_shared(where, told, until, window_days)
    elif where.connection is None:
        records = _of_file(where, told, until, window_days, look, as_json=as_json)
    else:
        from beton.cli.connected_backtest import score

        records = score(where, told, until, window_days, save=save)
    print_records(records, as_json=as_json)


def read_file(path: Path, window_days: int, known: Callable[[], Taxonomy | None]) -> HypothesisFile:
    """The hypotheses of a file, with every fault found before any event is read. Raises BadInput."""
    from backtest.durations import Duration
    from beton.hypothesis_files import read_hypothesis_file

    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}.", fix="Name a YAML or JSON file of hypotheses.") from error
    return read_hypothesis_file(content, name=str(path), window=Duration.days(window_days), known=known)


def _known(where: Source, until: datetime | None, window_days: int) -> Taxonomy | None:
    """The names that can be had without asking PostHog: those in the file, or the kept taxonomy of a connection."""
    from beton.errors import BetonError
    from beton.local_backtest import window_before

    try:
        if where.connection is None:
            return where.open().taxonomy(window_before(until or now(), window_days))
        from beton.cli.opening import opened

        with opened(where.settings()) as place:
            return place.taxonomy(place.connection(where.connection))
    except BetonError:
        return None  # the file of hypotheses is refused in any case, and that is said first


def _of_file(where: Source, told: HypothesisFile, as_of: datetime | None, window_days: int, look: Looking, *, as_json: bool) -> list[dict[str, Any]]:
    declared = dict(told.property_types) | property_types(where.property)
    settings = where.settings()
    from beton.local_backtest import backtest_file, read_cohorts
    from beton.partial_results import StopRule

    cohorts = read_cohorts({name: Path(path) for name, path in pairs("--cohort", where.cohort).items()})
    file = where.open()
    for one in told.hypotheses:
        file.columns.unit(one.unit)  # a kind of account that was not named is told with the option that names it
    until, bar = as_of or now(), bar_of(settings)
    with _watching(look, as_json=as_json) as (tell, on_partial):
        result = backtest_file(
            file,
            told,
            as_of=until,
            window_days=window_days,
            types=declared,
            cohorts=cohorts,
            buckets=settings.hash_buckets or None,
            memory_limit_mb=settings.memory_limit_mb,
            progress=lambda done, total: tell("Scoring", done, total),
            on_partial=on_partial,
            stop=StopRule(bar, look.error) if look.stop_early else None,
        )
    for kind, stopped in result.stopped_early.items():
        say(f"Stopped after {stopped.buckets_done} of {stopped.buckets} parts of {kind}: no verdict can change (error at most {stopped.error:g}).")
    for kind, skipped in result.skipped.items():
        tell_rows(kind, result.rows_read, skipped)
    records = []
    for one, numbers in zip(result.hypotheses, result.published(), strict=True):
        skipped = result.skipped[one.unit if isinstance(one.unit, str) else one.unit.group]
        rows = rows_of(result.rows_read, skipped)
        records.append(record(one, numbers, bar, as_of=until.isoformat().replace("+00:00", "Z"), rows=rows))
    return records


@contextmanager
def _watching(look: Looking, *, as_json: bool) -> Generator[tuple[Progress, Callable[[Partial], None] | None]]:
    """Who is told how far it is, and who is told the numbers so far: one display at a time."""
    if look.progressive:
        from beton.cli.partials import telling

        with telling(as_json=as_json) as on_partial:
            yield (lambda _what, _done, _total: None), on_partial
    else:
        with showing() as tell:
            yield tell, None


SKIPPED = ("no_instant", "no_event", "no_unit", "duplicates", "broken_properties")


def rows_of(read: int, rows: SkippedRows) -> dict[str, Any]:
    """What became of the rows of a file, for one unit kind: `later` lie at or after the as-of instant, `cut_instants` were cut to microseconds."""
    told = rows.as_json()
    return {"read": read, "skipped": {reason: told[reason] for reason in SKIPPED}, "later": told["later"], "cut_instants": told["cut_instants"]}


def tell_rows(kind: str, read: int, rows: SkippedRows) -> None:
    """What was not counted, and why, with examples."""
    told = rows.as_json()
    counts = [f"{reason.replace('_', ' ')} {told[reason]:,}" for reason in (*SKIPPED, "later", "cut_instants") if told[reason]]
    if counts:
        say(f"Rows for {kind}: {read:,} read; {', '.join(counts)}")
    for reason, examples in rows.examples.items():
        for row in examples:
            say(f"  {reason.replace('_', ' ')}: {row}")

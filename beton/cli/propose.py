"""`beton propose`: search a connected project, or a file of events, for behaviour that precedes an outcome."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.backtest import Source
from beton.cli.opening import opened
from beton.cli.options import AsJson, AsOf, WindowDays, instant, now, property_types
from beton.cli.printing import say
from beton.cli.progress import Progress, showing
from beton.cli.scores import bar_of, print_records, record
from beton.errors import BadInput, Fault

if TYPE_CHECKING:
    from agent.search import Question
    from backtest.language import Hypothesis

PERSONS = ("person", "person_id", "distinct_id")


def propose(
    *,
    outcome: Annotated[str, Parameter(help="The event that is to be predicted.")],
    entry: Annotated[str | None, Parameter(help="The event with which a unit begins. Its first event of any name unless given.")] = None,
    horizon_days: Annotated[int, Parameter(name="--horizon-days", help="Days within which the outcome has to follow.")] = 14,
    unit: Annotated[str, Parameter(help="person, or group:TYPE; of a file also the name of its column.")] = "person",
    most: Annotated[int, Parameter(help="How many proposals at most.")] = 10,
    source: Source | None = None,
    as_of: AsOf = None,
    window_days: WindowDays = 90,
    as_json: AsJson = False,
) -> None:
    """Search for behaviour that precedes an outcome. Finds in a connection are kept as proposals; those in a file only printed."""
    where = source or Source()
    where.check()
    if most < 1 or window_days < 1:
        raise BadInput("--most and --window-days are at least 1.")
    shape = _shape(unit, entry, outcome, horizon_days, file=where.events is not None)
    find = _in_file if where.connection is None else _in_connection
    with showing() as tell:
        records, tried = find(where, shape, instant(as_of), window_days, most, tell)
    say(f"{len(records)} proposed of {tried:,} tried.")
    if records or not as_json:
        print_records(records, as_json=as_json)


def _shape(unit: str, entry: str | None, outcome: str, days: int, *, file: bool) -> Hypothesis:
    """A hypothesis that asks the question; its clause is a placeholder. Raises BadInput."""
    from backtest.language import Hypothesis
    from backtest.reading import read_hypothesis

    group = unit.removeprefix("group:")
    if unit not in PERSONS and group == unit and not file:
        raise BadInput(f"--unit {unit}: this is neither person nor group:TYPE.", fix=f"For accounts of type {unit}: --unit group:{unit}")
    asked = {
        "unit": "person" if unit in PERSONS else {"group": group},
        "clauses": [{"kind": "age", "at_least": "1d"}],
        "outcome": {"kind": "event", "match": outcome, "horizon": f"{days}d"},
    }
    read = read_hypothesis(asked if entry is None else asked | {"entry": entry})
    if isinstance(read, Hypothesis):
        return read
    raise BadInput("This question cannot be asked.", [Fault(one.field, one.message, nearest=(one.nearest,) if one.nearest else ()) for one in read])


def _question(shape: Hypothesis) -> Question:
    from agent.search import Question

    return Question(shape.unit, shape.entry, shape.outcome)


def _in_connection(
    where: Source, shape: Hypothesis, as_of: datetime | None, window_days: int, most: int, tell: Progress
) -> tuple[list[dict[str, Any]], int]:
    from dataclasses import replace

    from backtest.durations import Duration
    from beton.cli.connected_backtest import fresh_taxonomy
    from beton.hypothesis_files import check_against
    from beton.work.backtesting import default_as_of, window_of
    from beton.work.deciding import resources
    from beton.work.proposing import Proposed
    from beton.work.proposing import propose as search_connection

    async def found() -> Proposed:
        check_against([shape], await fresh_taxonomy(place, connection, tell, until), Duration.days(window_days))
        return await search_connection(place, connection, _question(shape), window, most=most, progress=tell)

    with opened(where.settings()) as place:
        place = replace(place, declared=property_types(where.property))
        connection = place.connection(where.connection or "")
        until = as_of or default_as_of(place.clock())
        window = window_of(until, window_days)
        proposed = asyncio.run(found())
        return [one.to_json() for one in resources(place, list(proposed.kept))], proposed.found.tried


def _in_file(
    where: Source, shape: Hypothesis, as_of: datetime | None, window_days: int, most: int, tell: Progress
) -> tuple[list[dict[str, Any]], int]:
    from agent.search import conditions, search
    from backtest.durations import Duration
    from backtest.plan import plan_reads
    from beton.hypothesis_files import check_against
    from beton.local_backtest import file_taxonomy, window_before

    settings, until = where.settings(), as_of or now()
    window = window_before(until, window_days)
    groups = where.group if shape.unit == "person" or where.group else (shape.unit.group,)
    file = Source(events=where.events, group=groups, column=where.column).open()
    taxonomy = file_taxonomy(file, window, [shape])
    check_against([shape], taxonomy, Duration.days(window_days))
    question = _question(shape)
    singles = conditions(question, taxonomy, window)
    if not singles:
        raise BadInput("No event of this file is used widely enough to search.", fix="Check --as-of, --window-days and the columns of the file.")
    (plan,) = plan_reads(singles, window)
    tell("Reading", 0, 1)
    (log,) = file.logs(plan, property_types(where.property), buckets=1)
    tell("Reading", 1, 1)
    bar, told_as_of = bar_of(settings), until.isoformat().replace("+00:00", "Z")
    found = search(question, singles, log, most=most, progress=lambda done, total, what: tell(f"Trying {what}", done, total), bar=bar)
    for one in found.lacks:
        say(f"Too little data: {one.sentence}.")
    return [record(one.hypothesis, one.backtest, bar, selected=True, as_of=told_as_of) for one in found.proposals], found.tried

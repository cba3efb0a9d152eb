"""`beton propose`: search a connected project, or a file of events, for behaviour that precedes an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.backtest import Source
from beton.cli.opening import opened
from beton.cli.options import FLAG, AsJson, AsOf, instant, now, property_types
from beton.cli.printing import print_json, say, table
from beton.cli.progress import Progress, showing
from beton.cli.scores import bar_of, print_records, record
from beton.errors import BadInput, Fault

if TYPE_CHECKING:
    from agent.search import Question
    from backtest.language import Hypothesis
    from backtest.taxonomy import Taxonomy
    from beton.work.workplace import Workplace

PERSONS = ("person", "person_id", "distinct_id")
HORIZON_DAYS, WINDOW_DAYS = 14, 90


@dataclass(frozen=True)
class Asked:
    """What the command line says of the question; an outcome of `None` leaves it to the one that was confirmed."""

    outcome: str | None
    entry: str | None
    unit: str
    horizon_days: int
    window_days: int | None
    as_of: datetime | None
    most: int
    with_model: bool


@dataclass(frozen=True)
class Answer:
    """Proposals as they are printed, and the record of how they came about."""

    records: list[dict[str, Any]]
    search: dict[str, Any]


def propose(
    *,
    outcome: Annotated[str | None, Parameter(help="The event that is to be predicted. Of a connection: what was confirmed unless given.")] = None,
    entry: Annotated[str | None, Parameter(help="The event with which a unit begins. Its first event of any name unless given.")] = None,
    horizon_days: Annotated[int, Parameter(name="--horizon-days", help="Days within which the outcome has to follow.")] = HORIZON_DAYS,
    unit: Annotated[str, Parameter(help="person, or group:TYPE; of a file also the name of its column.")] = "person",
    most: Annotated[int, Parameter(help="How many proposals at most.")] = 10,
    no_model: Annotated[bool, FLAG, Parameter(name="--no-model", help="Ask no model, though one is configured. For a file none is asked.")] = False,
    source: Source | None = None,
    as_of: AsOf = None,
    window_days: Annotated[
        int | None, Parameter(name="--window-days", help="Days before the as-of instant: 90, or those of the confirmed question.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search for behaviour that precedes an outcome. Finds in a connection are kept as proposals; those in a file only printed."""
    where = source or Source()
    where.check()
    if most < 1 or (window_days is not None and window_days < 1):
        raise BadInput("--most and --window-days are at least 1.")
    if outcome is None and entry is not None:
        raise BadInput("--entry goes with --outcome.", fix="Give both, or confirm a question with: beton outcomes NAME")
    asked = Asked(outcome, entry, unit, horizon_days, window_days, instant(as_of), most, not no_model)
    find = _in_file if where.connection is None else _in_connection
    try:
        with showing() as tell:
            answer = find(where, asked, tell)
    except BadInput as missing:
        if missing.code == "question.missing" and not as_json:
            _suggest(missing.details["questions"])
        raise
    for sentence in answer.search["lacks"]:
        say(f"Too little data: {sentence}")
    say(answer.search["sentence"])
    say(f"{len(answer.records)} proposed of {answer.search['tried']:,} tried.")
    if answer.records or not as_json:
        print_records(answer.records, as_json=as_json)
    else:
        print_json({"proposals": 0} | {name: answer.search[name] for name in ("sentence", "tried", "tested", "lacks", "question", "window", "how")})


def _suggest(questions: Sequence[dict[str, Any]]) -> None:
    """What may be asked, instead of a guess."""
    rows = [(str(one["number"]), one["sentence"], one["outcome"]["sentence"]) for one in questions]
    table(("", "question", "why"), rows, title="What may be predicted", right=("",))


def shape_of(unit: str, entry: str | None, outcome: str, days: int, *, file: bool) -> Hypothesis:
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


def question_of(shape: Hypothesis) -> Question:
    """The question that such a hypothesis asks."""
    from agent.search import Question

    return Question(shape.unit, shape.entry, shape.outcome)


def _in_connection(where: Source, asked: Asked, tell: Progress) -> Answer:
    from dataclasses import replace

    from beton.cli.connected_backtest import counting, fresh_taxonomy
    from beton.hypothesis_files import check_against
    from beton.work.backtesting import default_as_of, window_of
    from beton.work.proposing import Proposed
    from beton.work.proposing import propose as search_connection
    from beton.work.the_model import chosen_model

    async def found() -> Proposed:
        taxonomy = await fresh_taxonomy(place, connection, tell, until)
        shape, days = _asked_of_connection(place, connection.name, asked)
        (shape,) = counting(place, connection, where, [shape])
        check_against([shape], taxonomy, _length(days))
        model = await chosen_model(place.settings) if asked.with_model else None
        window = window_of(until, days)
        return await search_connection(place, connection, question_of(shape), window, most=asked.most, progress=_spoken(tell), model=model)

    with opened(where.settings()) as place:
        place = replace(place, declared=property_types(where.property))
        connection = place.connection(where.connection or "")
        until = asked.as_of or default_as_of(place.clock())
        proposed = asyncio.run(found())
        return Answer(_told_of_connection(place, proposed), proposed.record)


def _spoken(tell: Progress) -> Progress:
    """What a model does and what is left of its budget as a line each time; one bar for all of it."""

    def told(what: str, done: int, total: int) -> None:
        if what.startswith("The model"):
            say(what)
            tell("Asking the model", done, total)
        else:
            tell(what, done, total)

    return told


def _asked_of_connection(place: Workplace, name: str, asked: Asked) -> tuple[Hypothesis, float]:
    """The question as a hypothesis, and the days of the window: as given, else as a person has confirmed them. Raises BadInput."""
    from beton.work.asking import confirmed_question, question_from

    if asked.outcome is not None:
        shape = shape_of(asked.unit, asked.entry, asked.outcome, asked.horizon_days, file=False)
        return shape, asked.window_days or WINDOW_DAYS
    kept = confirmed_question(place, place.connection(name))
    return question_from(kept.definition).ask({"kind": "age", "at_least": "1d"}), asked.window_days or kept.window_days


def _told_of_connection(place: Workplace, proposed: Any) -> list[dict[str, Any]]:
    from beton.work.deciding import resources
    from beton.work.provenance import provenance

    lines, search = proposed.record["proposals"], proposed.record
    told = [one.to_json() for one in resources(place, list(proposed.kept))]
    beside = ("redundant_with", "new_recall_given_live")
    return [
        one | {name: line[name] for name in beside} | {"run_id": proposed.run_id, "provenance": provenance(search, line)}
        for one, line in zip(told, lines, strict=True)
    ]


def _in_file(where: Source, asked: Asked, tell: Progress) -> Answer:
    from agent.budget import Budget
    from agent.mine import mine
    from agent.search import conditions, discover
    from backtest.plan import plan_reads
    from beton.hypothesis_files import check_against
    from beton.local_backtest import file_taxonomy, window_before
    from beton.work.keeping_finds import Beside
    from beton.work.provenance import line, provenance, record_of

    settings, until, days = where.settings(), asked.as_of or now(), asked.window_days or WINDOW_DAYS
    window = window_before(until, days)
    if asked.outcome is None:
        raise _missing_in_file(file_taxonomy(Source(events=where.events, group=where.group, column=where.column).open(), window))
    shape = shape_of(asked.unit, asked.entry, asked.outcome, asked.horizon_days, file=True)
    file = Source(events=where.events, group=_groups(where, shape), column=where.column).open()
    taxonomy, question = file_taxonomy(file, window, [shape]), question_of(shape)
    check_against([shape], taxonomy, _length(days))
    singles = conditions(question, taxonomy, window)
    if not singles:
        raise BadInput("No event of this file is used widely enough to search.", fix="Check --as-of, --window-days and the columns of the file.")
    (plan,) = plan_reads(singles, window)
    tell("Reading", 0, 1)
    (log,) = file.logs(plan, property_types(where.property), buckets=1)
    tell("Reading", 1, 1)
    bar, told_as_of = bar_of(settings), until.isoformat().replace("+00:00", "Z")
    found = discover(question, singles, log, bar=bar, taxonomy=taxonomy, progress=lambda done, total, what: tell(f"Trying {what}", done, total))
    mined = mine(found, taxonomy, model=None, budget=Budget(clock=now), most=asked.most)
    search = record_of(question, window, found, mined, mined.found, bar)
    records = []
    for number, one in enumerate(mined.found.proposals, 1):
        of_line = line(number, one.hypothesis.fingerprint, one.source, Beside(), mined)
        more: dict[str, Any] = {"as_of": told_as_of, "redundant_with": None, "new_recall_given_live": None}
        records.append(record(one.hypothesis, one.backtest, bar, selected=True, **more, provenance=provenance(search, of_line)))
    return Answer(records, search)


def _missing_in_file(taxonomy: Taxonomy) -> BadInput:
    """What may be meant, instead of a guess."""
    from agent.outcomes import suggest

    found = suggest(taxonomy)
    flags = [f"--entry {one.entry.event!r} --outcome {one.outcome.event!r}" for one in found.questions if one.entry and one.outcome.event]
    return BadInput(
        "Say what is to be predicted." + (f" The likeliest: {found.questions[0].sentence}" if found.questions else ""),
        code="question.missing",
        fix=f"Give for example: {flags[0]}" if flags else "Give --outcome EVENT, and --entry EVENT if the units begin with one.",
        details=found.to_json(),
    )


def _groups(where: Source, shape: Hypothesis) -> Sequence[str]:
    return where.group if shape.unit == "person" or where.group else (shape.unit.group,)


def _length(days: float) -> Any:
    from backtest.durations import DAY, Duration

    return Duration(round(days * DAY))

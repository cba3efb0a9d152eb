"""`beton outcomes`: which question may be asked of a project, and a person's confirmation of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import actor, choose_connection, opened
from beton.cli.options import FLAG, MANY, AsJson, pairs
from beton.cli.printing import print_json, say, table, write
from beton.cli.progress import showing
from beton.errors import BadInput

if TYPE_CHECKING:
    from agent.outcomes import Suggestions
    from agent.search import Question
    from beton.store.questions import ConfirmedQuestion
    from beton.store.records import Connection
    from beton.work.workplace import Workplace


def outcomes(
    name: Annotated[str | None, Parameter(help="The connection; may be left out where there is only one.")] = None,
    /,
    *,
    confirm: Annotated[int | None, Parameter(help="Keep the suggestion with this number as the connection's question.")] = None,
    outcome: Annotated[str | None, Parameter(help="Keep a question of your own: the event that is to be predicted.")] = None,
    entry: Annotated[str | None, Parameter(help="With --outcome: the event with which a unit begins.")] = None,
    unit: Annotated[str, Parameter(help="With --outcome: person, or group:TYPE.")] = "person",
    at_least: Annotated[float | None, Parameter(name="--at-least", help="The value that a suggested property has to reach.")] = None,
    where: Annotated[
        Sequence[str], MANY, Parameter(name="--where", help="Only outcome events with this property value, as property=value. Repeatable.")
    ] = (),
    horizon_days: Annotated[int, Parameter(name="--horizon-days", help="Days within which the outcome has to follow.")] = 14,
    window_days: Annotated[int, Parameter(name="--window-days", help="Days of history that searches look at.")] = 90,
    keep_internal: Annotated[bool, FLAG, Parameter(name="--keep-internal", help="Count internal and test traffic too.")] = False,
    share_values: Annotated[
        bool | None,
        Parameter(name="--share-values", negative="--no-share-values", help="A model may see values of event properties.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what may be predicted in a project, with reasons; with --confirm or --outcome, keep one for `beton propose`."""
    if confirm is not None and outcome is not None:
        raise BadInput("Give --confirm or --outcome, not both.")
    with opened() as place:
        connection = choose_connection(place, name)
        with showing() as tell:
            found = asyncio.run(_suggested(place, connection, tell))
        question = _chosen(found, connection.name, confirm, outcome, entry, unit, at_least, where, horizon_days, keep_internal=keep_internal)
        kept = _keep(place, connection, question, window_days, share_values)
    if as_json:
        told = None if kept is None else kept.model_dump(mode="json", exclude={"connection_id"})
        print_json({"connection": connection.name, "confirmed": told} | found.to_json())
        return
    if question is None:
        _list(found)
    _tell(connection.name, kept, asked=question is not None)


async def _suggested(place: Workplace, connection: Connection, tell: Any) -> Suggestions:
    from beton.cli.connected_backtest import fresh_taxonomy
    from beton.work.asking import posthog_filters, suggestions

    await fresh_taxonomy(place, connection, tell)
    return suggestions(place, connection, await posthog_filters(place, connection))


def _chosen(
    found: Suggestions,
    name: str,
    confirm: int | None,
    outcome: str | None,
    entry: str | None,
    unit: str,
    at_least: float | None,
    where: Sequence[str],
    days: int,
    *,
    keep_internal: bool,
) -> Question | None:
    from beton.cli.propose import question_of, shape_of
    from beton.work.asking import internal_filter, leaving_out, suggested_question

    if confirm is not None:
        question = suggested_question(found, confirm, horizon_days=days, at_least=at_least, leave_out_internal=not keep_internal)
    elif outcome is not None:
        question = question_of(shape_of(unit, entry, outcome, days, file=False))
        question = question if keep_internal else leaving_out(question, internal_filter(found))
    elif where or at_least is not None or entry is not None:
        raise BadInput("This goes with --confirm or --outcome.", fix=f"For example: beton outcomes {name} --confirm 1")
    else:
        return None
    return _narrowed(question, pairs("--where", where)) if where else question


def _narrowed(question: Question, where: dict[str, str]) -> Question:
    """The same question about outcome events with these property values."""
    from agent.search import Question
    from backtest.matching import Comparison

    match = getattr(question.outcome, "match", None)
    if question.outcome.kind != "event" or match is None:
        raise BadInput("--where narrows an event, and this outcome is none.")
    more = tuple(Comparison.model_validate({"property": name, "op": "equals", "value": value}) for name, value in where.items())
    narrowed = match.model_copy(update={"where": (*match.where, *more)})
    return Question(question.unit, question.entry, question.outcome.model_copy(update={"match": narrowed}))


def _keep(
    place: Workplace, connection: Connection, question: Question | None, window_days: int, share_values: bool | None
) -> ConfirmedQuestion | None:
    """What is kept afterwards: the question that was chosen, or the former one with another consent."""
    from beton.store import questions
    from beton.work.asking import confirm_question

    if question is not None:
        return confirm_question(place, connection, question, window_days=window_days, actor=actor(), share_values=share_values)
    with place.store.transaction() as tx:
        if share_values is not None:
            return questions.share_values(tx, connection.id, allowed=share_values, actor=actor())
        return questions.confirmed(tx, connection.id)


def _list(found: Suggestions) -> None:
    rows = [
        (str(number), one.sentence, one.outcome.sentence if one.needs is None else f"{one.outcome.sentence} (needs --at-least)")
        for number, one in enumerate(found.questions, 1)
    ]
    table(("", "question", "why"), rows, title="What may be predicted", right=("",))
    table(("entry", "why"), [(one.event or "", one.sentence) for one in found.entries], title="Where units may begin")
    table(("unit", "why"), [(_unit(one), one.sentence) for one in found.units], title="Whose behaviour")
    if found.internal:
        table(("internal traffic", "filters", "why"), [(one.code, "yes" if one.where else "no", one.sentence) for one in found.internal])


def _unit(one: Any) -> str:
    return one.unit if isinstance(one.unit, str) else f"group:{one.unit.group}"


def _tell(name: str, kept: ConfirmedQuestion | None, *, asked: bool) -> None:
    if kept is None:
        write("Nothing is confirmed yet, so nothing is searched for.")
        say(f"Confirm one with: beton outcomes {name} --confirm 1")
        return
    import yaml

    write("Confirmed:" if asked else f"Confirmed by {kept.confirmed_by}:")
    write(yaml.safe_dump(kept.definition | {"window_days": kept.window_days}, sort_keys=False, allow_unicode=True).rstrip())
    write(f"A model may {'' if kept.share_values else 'not '}see values of event properties.")
    say(f"Next: beton propose --connection {name}")

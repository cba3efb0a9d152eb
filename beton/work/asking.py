"""Which question is asked of a connection: suggested from its taxonomy, confirmed by a person, kept until another one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.outcomes import Suggestions, suggest
from agent.search import Question
from backtest import Hypothesis
from backtest.durations import DAY
from backtest.matching import Comparison, EventMatch
from backtest.reading import read_hypothesis
from backtest.refusals import Fault as LanguageFault
from backtest.refusals import taxonomy_faults
from backtest.taxonomy import Taxonomy
from beton.errors import BadInput, Fault, PostHogError
from beton.store import questions, taxonomies
from beton.store.questions import ConfirmedQuestion
from beton.store.records import Connection
from beton.work.workplace import Workplace

PARTS = ("unit", "entry", "outcome")


def sampled_taxonomy(place: Workplace, connection: Connection) -> Taxonomy:
    """The kept taxonomy with the values that were sampled, as long as those are kept. For this process only: they never leave the store in clear."""
    taxonomy = place.taxonomy(connection)
    with place.store.reading() as tx:
        samples = taxonomies.samples(tx, connection.id) or {}
    known = tuple(
        one.model_copy(update={"values": tuple(samples[one.name])}) if one.kind == "event" and one.name in samples else one
        for one in taxonomy.properties
    )
    return taxonomy.model_copy(update={"properties": known})


async def posthog_filters(place: Workplace, connection: Connection) -> list[dict[str, Any]]:
    """PostHog's own filters against internal and test accounts; none where they cannot be read, since nothing depends on them."""
    try:
        async with place.client(connection) as client:
            told = await client.get("")
    except PostHogError:
        return []
    filters = told.get("test_account_filters") if isinstance(told, dict) else None
    return [one for one in filters if isinstance(one, dict)] if isinstance(filters, list) else []


def suggestions(place: Workplace, connection: Connection, filters: Sequence[Mapping[str, Any]] = ()) -> Suggestions:
    """What may be asked of a connection, with reasons, from what is kept about it."""
    return suggest(sampled_taxonomy(place, connection), filters)


def suggested_question(
    found: Suggestions, number: int, *, horizon_days: int | None = None, at_least: float | None = None, leave_out_internal: bool = True
) -> Question:
    """The suggestion with this number as a question. Raises BadInput where there is none, or where it needs a value."""
    if not 1 <= number <= len(found.questions):
        have = f"There are {len(found.questions)}." if found.questions else "Nothing is suggested: no name tells an outcome."
        raise BadInput(f"There is no suggestion {number}.", code="question.no_such_suggestion", fix=have)
    chosen = found.questions[number - 1]
    if chosen.needs and at_least is None:
        raise BadInput(f"Suggestion {number} needs {chosen.needs}.", code="question.value_needed", fix="Say it with --at-least NUMBER.")
    return chosen.question(horizon_days=horizon_days, at_least=at_least, leave_out=internal_filter(found) if leave_out_internal else ())


def internal_filter(found: Suggestions) -> tuple[Comparison, ...]:
    """Comparisons that leave internal traffic out, as far as an entry event can tell."""
    each = {str(one.model_dump()): one for suggestion in found.internal for one in suggestion.where}
    return tuple(each.values())


def read_question(unit: Any, entry: Any, outcome: Any, window_days: float) -> Question:
    """A question from its JSON form. A question is a hypothesis without clauses: a stand-in lets the language's reader judge it. Raises BadInput."""
    read = read_hypothesis({"unit": unit, "entry": entry, "outcome": outcome, "clauses": [{"kind": "age", "at_least": "1d"}]})
    if not isinstance(read, Hypothesis):
        raise BadInput("The question cannot be read.", [_fault(one) for one in read])
    if read.horizon >= window_days * DAY:
        raise BadInput("The question leaves nothing of the window.", [Fault("outcome.horizon", "is as long as the window", None, ("14d",))])
    return Question(read.unit, read.entry, read.outcome)


def leaving_out(question: Question, comparisons: Sequence[Comparison]) -> Question:
    """The same question of units whose entry event also meets these. Without an entry event nothing can be left out."""
    if question.entry is None:
        return question
    return Question(question.unit, question.entry.model_copy(update={"where": (*question.entry.where, *comparisons)}), question.outcome)


def question_json(question: Question) -> dict[str, Any]:
    """Unit, entry and outcome as a hypothesis file writes them."""
    told = question.ask({"kind": "age", "at_least": "1d"}).canonical().to_json()
    return {key: value for key, value in told.items() if key in PARTS}


def question_from(told: Mapping[str, Any]) -> Question:
    """The way back, for what was checked when it was kept."""
    shape = Hypothesis.model_validate(dict(told) | {"clauses": [{"kind": "age", "at_least": "1d"}]})
    return Question(shape.unit, shape.entry, shape.outcome)


def confirm_question(
    place: Workplace, connection: Connection, question: Question, *, window_days: float, actor: str, share_values: bool | None = None
) -> ConfirmedQuestion:
    """Keep a person's question. Raises BadInput where the project does not know its names."""
    taxonomy = place.taxonomy(connection)
    if faults := list(taxonomy_faults(question.ask({"kind": "age", "at_least": "1d"}), taxonomy)):
        raise BadInput("The question names what the project does not know.", [_fault(one) for one in faults])
    with place.store.transaction() as tx:
        definition = question_json(question)
        return questions.confirm(tx, connection.id, definition, window_days=window_days, actor=actor, share_values=share_values)


def confirmed_question(place: Workplace, connection: Connection) -> ConfirmedQuestion:
    """The connection's question. Raises BadInput where nobody has confirmed one: it is never guessed."""
    with place.store.reading() as tx:
        found = questions.confirmed(tx, connection.id)
    if found is None:
        raise missing_question(connection.name, suggestions(place, connection))
    return found


def missing_question(name: str, found: Suggestions) -> BadInput:
    """What to say instead of guessing: the suggestions, and how to confirm one."""
    first = found.questions[0].sentence if found.questions else "No name in its taxonomy tells an outcome."
    choose = f"Confirm one with: beton outcomes {name} --confirm 1" if found.questions else "Name them with: --entry EVENT --outcome EVENT"
    return BadInput(
        f"Nobody has confirmed yet what is to be predicted in {name}. The likeliest: {first}",
        code="question.missing",
        fix=f"{choose} (list them all with: beton outcomes {name})" if found.questions else choose,
        details=found.to_json(),
    )


def entry_names(entry: EventMatch | None) -> str:
    """The entry event for people."""
    return " or ".join(entry.events) if entry else "the first event"


def _fault(one: LanguageFault) -> Fault:
    return Fault(one.field, one.message, None, (one.nearest,) if one.nearest else ())

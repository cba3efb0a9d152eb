"""The population of a hypothesis: who is counted at all, told by the properties of the entry event.

A population is part of the hypothesis, in `entry.where`, and nowhere else: so the backtest, the sweeps of the live one, its sentence and its
fingerprint mean the same units. Who had the outcome already is never at risk, whatever the population (rules of the reference).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from backtest import Hypothesis as Definition
from backtest.matching import Comparison
from beton.errors import BadInput, Fault
from beton.store import hypotheses, questions
from beton.store.records import Connection
from beton.store.records import Hypothesis as Kept
from beton.work.asking import internal_filter, question_from, suggestions
from beton.work.drafting import Draft, read_definition
from beton.work.workplace import Workplace
from beton.work.writing import write_hypothesis

_LINE = re.compile(r"(.+?)\s*(!=|>=|<=|==|=|>|<)\s*(.+)")


@dataclass(frozen=True)
class Population:
    """`leave_out_internal`: as the connection's question has it, else as its names suggest. `where`: comparisons that name a segment."""

    leave_out_internal: bool = False
    where: tuple[Comparison, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether it narrows anything."""
        return self.leave_out_internal or bool(self.where)


def internal_of(place: Workplace, connection: Connection) -> tuple[Comparison, ...]:
    """Comparisons that leave internal and test traffic out: those that a person has confirmed with the connection's question; where its entry
    event has none, those that the names of the project suggest. Empty where nothing tells."""
    with place.store.reading() as tx:
        found = questions.confirmed(tx, connection.id)
    entry = None if found is None else question_from(found.definition).entry
    if entry is not None and entry.where:
        return entry.where
    try:
        return internal_filter(suggestions(place, connection))
    except BadInput:  # the names have not been read yet
        return ()


def within(hypothesis: Definition, where: Sequence[Comparison]) -> Definition:
    """The hypothesis of those units only whose entry event meets these comparisons too. Their clock starts at the first entry event that does.

    Raises `BadInput` where no entry event is named: the first event of any kind says nothing about who somebody is.
    """
    if hypothesis.entry is None:
        raise BadInput(
            "A population is told by the entry event, and this hypothesis names none.",
            [Fault("entry", "is missing")],
            code="population.no_entry",
            fix="Name the event with which a unit begins, such as: entry: user_signed_up",
        )
    more = tuple(one for one in where if one not in hypothesis.entry.where)
    entry = hypothesis.entry.model_copy(update={"where": (*hypothesis.entry.where, *more)})
    return Definition.model_validate(hypothesis.to_json() | {"entry": entry.model_dump()})


def comparisons_of(place: Workplace, connection: Connection, population: Population) -> tuple[Comparison, ...]:
    """All comparisons of a population. Raises `BadInput` where internal traffic is to be left out and nothing tells which it is."""
    internal = internal_of(place, connection) if population.leave_out_internal else ()
    if population.leave_out_internal and not internal:
        raise BadInput(
            f"Nothing in {connection.name} tells internal and test traffic.",
            [Fault("population.leave_out_internal", "has nothing to go by")],
            code="population.unknown_internal",
            fix="Give the comparisons yourself, or confirm a question whose entry event leaves it out.",
        )
    return (*internal, *population.where)


def narrowed(place: Workplace, connection: Connection, ids: Sequence[str], population: Population, actor: str) -> list[str]:
    """Ids of these hypotheses for a population: a proposal of its own for each, or the known one of that meaning.

    One whose numbers may have been seen before it was narrowed counts as selected: only later data confirm it.
    """
    where = comparisons_of(place, connection, population)
    with place.store.reading() as tx:
        rows = [hypotheses.get(tx, one) for one in ids]
    meanings = [(within(Definition.model_validate(one.definition), where), _seen(one)) for one in rows]
    kept = [write_hypothesis(place, connection, one, actor, selected=seen, field="population")[0].id for one, seen in meanings]
    return list(dict.fromkeys(kept))


def populated(place: Workplace, connection: Connection, draft: Draft, population: Population) -> Draft:
    """A draft for a population, judged again as a whole: the segment may name what the project does not know."""
    if draft.definition is None or not population.asks:
        return draft
    try:
        whole = within(draft.definition, comparisons_of(place, connection, population))
    except BadInput as refused:
        return replace(draft, definition=None, known=None, faults=refused.faults)
    return replace(read_definition(place, connection, whole.to_json()), text=draft.text)


def read_segment(text: str) -> tuple[Comparison, ...]:
    """Comparisons from lines such as `plan = team` or `seats >= 10`; a number or true is one, unless it is in quotes. Raises `BadInput` with every
    line that is none."""
    found, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        parts = _LINE.fullmatch(line.strip())
        if parts is None and line.strip():
            faults.append(Fault("segment", "is not of the form: property = value", number))
        elif parts is not None:
            try:
                found.append(Comparison.model_validate({"property": parts[1], "op": parts[2], "value": _value(parts[3])}))
            except ValidationError as refused:
                faults.append(Fault("segment", refused.errors()[0]["msg"].removeprefix("Value error, "), number))
    if faults:
        raise BadInput("The segment cannot be read.", faults, fix="Write one comparison a line, such as: plan = team")
    return tuple(found)


def _value(text: str) -> Any:
    try:
        read = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return read if isinstance(read, str | int | float) else text


def _seen(row: Kept) -> bool:
    return row.selected or row.newest_backtest_id is not None

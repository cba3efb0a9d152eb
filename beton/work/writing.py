"""A hypothesis that a person has written: held against the project's taxonomy and kept as a proposal."""

from __future__ import annotations

from collections.abc import Iterable

from backtest import Hypothesis as Definition
from backtest.refusals import Fault as LanguageFault
from backtest.refusals import taxonomy_faults
from backtest.sentence import sentence, short_title
from backtest.taxonomy import Taxonomy
from beton.errors import BadInput, Fault
from beton.store import hypotheses, taxonomies
from beton.store.records import Connection, Hypothesis, NewHypothesis, Source
from beton.store.store import Transaction
from beton.work.workplace import Workplace


def write_hypothesis(
    place: Workplace, connection: Connection, hypothesis: Definition, actor: str, *, selected: bool = False, field: str = ""
) -> tuple[Hypothesis, bool]:
    """Keep a person's hypothesis as proposed; whether it is new. One that means the same as a known one is that one, and stays as it is.

    Raises `BadInput` with every name that the project does not know, where its taxonomy has been read. `field` is where in the caller's input the
    hypothesis came from.
    """
    with place.store.transaction() as tx:
        if (snapshot := taxonomies.latest(tx, connection.id)) is not None:
            refuse(taxonomy_faults(hypothesis, Taxonomy.model_validate(snapshot.content)), field)
        return keep_hypothesis(tx, connection, hypothesis, actor, selected=selected)


def keep_hypothesis(
    tx: Transaction, connection: Connection, hypothesis: Definition, actor: str, *, source: Source = "person", selected: bool = False
) -> tuple[Hypothesis, bool]:
    """The same within a transaction, for one whose names have been checked: by whoever read the file, or by the search that found it."""
    new = NewHypothesis(
        connection_id=connection.id,
        name=hypothesis.name or short_title(hypothesis),
        fingerprint=hypothesis.fingerprint,
        definition=hypothesis.canonical().to_json(),
        sentence=sentence(hypothesis),
        type=hypothesis.outcome.goal.value,
        source=source,
        selected=selected,
    )
    return hypotheses.add(tx, new, actor=actor)


def refuse(faults: Iterable[LanguageFault], field: str = "") -> None:
    """Raise `BadInput` with all faults of a hypothesis, each under the field that it came in; nothing when there are none."""
    told = [Fault(f"{field}.{one.field}".strip("."), one.message, None, (one.nearest,) if one.nearest else ()) for one in faults]
    if told:
        count = "one fault" if len(told) == 1 else f"{len(told)} faults"
        raise BadInput(f"The hypothesis has {count}; the first is {told[0]}", told)

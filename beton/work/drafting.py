"""A hypothesis while it is being written: what it says as a sentence, or everything that is wrong with it and the nearest that would be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backtest import Hypothesis as Definition
from backtest.reading import read_hypothesis
from backtest.refusals import Fault as LanguageFault
from backtest.refusals import structural_faults, taxonomy_faults
from backtest.sentence import sentence
from backtest.taxonomy import Taxonomy
from beton.errors import BadInput, Fault
from beton.hypothesis_files import write_hypotheses
from beton.store import hypotheses, taxonomies
from beton.store.records import Connection, Hypothesis
from beton.work.workplace import Workplace
from beton.work.writing import refuse
from beton.yaml_text import Document, read_yaml

MOST_CHARACTERS = 20_000
SUGGESTED = 24
"""Of the project's events, the most used ones, to choose from."""


@dataclass(frozen=True)
class Draft:
    """`definition` is there once nothing is wrong; `known` is the kept hypothesis that means the same."""

    text: str
    definition: Definition | None
    faults: tuple[Fault, ...]
    known: Hypothesis | None = None

    @property
    def sentence(self) -> str:
        """What it says; empty while it cannot be read."""
        return "" if self.definition is None else sentence(self.definition)


def read_draft(place: Workplace, connection: Connection | None, text: str) -> Draft:
    """One hypothesis in YAML or JSON, held against what is known of the connection's project."""
    if not text.strip():
        return Draft(text, None, ())
    if len(text) > MOST_CHARACTERS:
        return Draft(text, None, (Fault("", f"is longer than {MOST_CHARACTERS:,} characters"),))
    document = read_yaml(text)
    return Draft(text, None, tuple(document.faults)) if document.faults else _judged(place, connection, text, document)


def read_definition(place: Workplace, connection: Connection | None, data: Any) -> Draft:
    """The same of one that is data already."""
    return _judged(place, connection, "", Document(data))


def _judged(place: Workplace, connection: Connection | None, text: str, document: Document) -> Draft:
    read = read_hypothesis(_one(document.data))
    if not isinstance(read, Definition):
        return Draft(text, None, tuple(_told(read, document)))
    wrong = list(structural_faults(read))
    known = None
    if connection is not None:
        with place.store.reading() as tx:
            snapshot = taxonomies.latest(tx, connection.id)
            known = hypotheses.with_fingerprint(tx, connection.id, read.fingerprint)
        wrong += taxonomy_faults(read, Taxonomy.model_validate(snapshot.content)) if snapshot is not None else []
    return Draft(text, None if wrong else read, tuple(_told(wrong, document)), None if wrong else known)


def revise(
    place: Workplace, hypothesis_id: str, definition: Definition, *, actor: str, expected_row_version: int | None, field: str = ""
) -> Hypothesis:
    """Let a hypothesis say something else: its next version, which has to be tested and approved anew. Raises as `store.hypotheses.revise`
    does, and `BadInput` for names that the project does not know; `field` is where in the caller's input it came from."""
    with place.store.transaction() as tx:
        row = hypotheses.get(tx, hypothesis_id)
        if (snapshot := taxonomies.latest(tx, row.connection_id)) is not None:
            refuse(taxonomy_faults(definition, Taxonomy.model_validate(snapshot.content)), field)
        if definition.fingerprint == row.fingerprint:
            raise BadInput("This says what it said before.", fix="Change something, or leave it as it is.")
        return hypotheses.revise(
            tx,
            hypothesis_id,
            definition=definition.canonical().to_json(),
            fingerprint=definition.fingerprint,
            sentence=sentence(definition),
            expected_row_version=row.row_version if expected_row_version is None else expected_row_version,
            actor=actor,
        )


def as_text(definition: dict[str, Any]) -> str:
    """A kept definition as one would have written it."""
    lines = write_hypotheses([Definition.model_validate(definition)]).splitlines()
    body = [line for line in lines if not line.startswith(("#", "hypotheses:"))]
    return "\n".join(line[2:] for line in body).strip() + "\n"


def events_of(place: Workplace, connection: Connection) -> list[tuple[str, int]]:
    """Name and volume of the events that are used most; none before the taxonomy has been read."""
    with place.store.reading() as tx:
        snapshot = taxonomies.latest(tx, connection.id)
    if snapshot is None:
        return []
    known = [one for one in Taxonomy.model_validate(snapshot.content).events if one.volume and not one.hidden]
    return [(one.name, one.volume) for one in sorted(known, key=lambda one: -one.volume)[:SUGGESTED]]


def _one(data: Any) -> Any:
    """A file of one hypothesis is as good as the hypothesis."""
    if isinstance(data, dict) and set(data) == {"hypotheses"}:
        data = data["hypotheses"]
    return data[0] if isinstance(data, list) and len(data) == 1 else data


def _told(faults: list[LanguageFault], document: Document) -> Iterator[Fault]:
    for one in faults:
        path = tuple(int(part) if part.isdecimal() else part for part in one.field.split(".") if part)
        yield Fault(one.field, one.message, document.line(path), (one.nearest,) if one.nearest else ())

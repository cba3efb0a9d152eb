"""Hypotheses in files: one YAML or JSON document, read whole or refused whole with every fault and its line.

    schema:                      # optional: types of properties, where PostHog does not know them
      properties: {seats: numeric}
    hypotheses:
      - clauses: [{kind: did, match: invited_teammate, span: {first: 7d}}]
        outcome: {kind: event, match: paid, horizon: 14d}

A file may also be just the list. Nothing is read from PostHog before a file is found right; `check_against` then asks what only the
project can tell: do the names exist, does the window suffice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args

import yaml

from backtest import refusals
from backtest.durations import Duration
from backtest.language import Hypothesis
from backtest.reading import faults_of_parts, read_hypothesis
from backtest.sentence import sentence
from backtest.taxonomy import PropertyType, Taxonomy
from beton.errors import BadInput
from beton.yaml_text import Document, Path, plain_scalar, read_yaml

TYPES = tuple(get_args(PropertyType))


@dataclass(frozen=True)
class HypothesisFile:
    """What a file says. `property_types` are its declared types by property name (nested: `billing.seats`); `lines` finds faults again."""

    hypotheses: tuple[Hypothesis, ...]
    name: str = "hypotheses"
    property_types: Mapping[str, PropertyType] = field(default_factory=dict)
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)


def read_hypotheses(content: str | bytes, *, name: str) -> list[Hypothesis]:
    """The hypotheses of a file without its declared types. Raises BadInput with every fault."""
    return list(read_hypothesis_file(content, name=name).hypotheses)


def read_hypothesis_file(
    content: str | bytes, *, name: str, window: Duration | None = None, known: Callable[[], Taxonomy | None] = lambda: None
) -> HypothesisFile:
    """The whole file; `name` is what it is called in messages. Raises BadInput with every fault, in the order of the lines.

    A file that is refused anyway is also held against the `window` and what is `known` of the project's names without asking PostHog, so that
    whoever corrects it sees everything at once. For a file that is right so far that is `check_against`'s.
    """
    document = read_yaml(content)
    if isinstance(document.data, list):
        document.put_under("hypotheses")
    blamed = frozenset(document.places)
    rows = _rows(document)
    types = _property_types(document)
    read = [(index, _hypothesis(index, row, document, blamed)) for index, row in enumerate(rows)]
    hypotheses = [(index, one) for index, one in read if one is not None]
    _find_doubles(hypotheses, document)
    if document.faults:
        taxonomy = known()
        for index, row in enumerate(rows):
            _add(faults_of_parts(row, lambda parts: _project_faults(parts, taxonomy, window)), index, document, blamed)
    _raise(document, name)
    return HypothesisFile(tuple(one for _, one in hypotheses), name, types, document.lines)


def _rows(document: Document) -> list[Any]:
    data = document.data
    if not isinstance(data, dict):
        if not document.faults:
            document.fault((), "a file holds a list of hypotheses", "hypotheses: [...]")
        return []
    if "clauses" in data or "outcome" in data:
        document.fault((), "this is one hypothesis; a file holds a list of them", "hypotheses: [...]")
        return []
    strangers = [key for key in data if key not in ("schema", "hypotheses")]
    for key in strangers:
        document.fault((key,), f"a file has no field called {key!r}", *_close(key, ("hypotheses", "schema")))
    rows = data.get("hypotheses")
    if isinstance(rows, list) and rows:
        return rows
    if "hypotheses" in data or not strangers:
        document.fault(("hypotheses",), "there is no list of hypotheses", "hypotheses: [...]")
    return []


def _property_types(document: Document) -> dict[str, PropertyType]:
    schema = document.data.get("schema") if isinstance(document.data, dict) else None
    if schema is None:
        return {}
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        document.fault(("schema",), "a schema gives the types of properties", "{properties: {seats: numeric}}")
        return {}
    for key in schema.keys() - {"properties"}:
        document.fault(("schema", key), f"a schema has no field called {key!r}", "properties")
    types = schema.get("properties", {})
    for key, kind in types.items():
        if kind not in TYPES:
            document.fault(("schema", "properties", key), f"{kind!r} is not a type; the types are {', '.join(TYPES)}", *_close(str(kind), TYPES))
    return {key: kind for key, kind in types.items() if kind in TYPES}


def _hypothesis(index: int, row: Any, document: Document, blamed: Set[Path]) -> Hypothesis | None:
    read = read_hypothesis(row)
    if isinstance(read, Hypothesis):
        return read
    _add(read, index, document, blamed)
    return None


def _add(faults: Iterable[refusals.Fault], index: int, document: Document, blamed: Set[Path] = frozenset()) -> None:
    """The engine's faults with their lines, save where the text itself is to blame already."""
    for fault in faults:
        path = ("hypotheses", index, *(int(part) if part.isdigit() else part for part in fault.field.split(".") if part))
        if not any(path[:end] in blamed for end in range(len(path) + 1)):
            document.fault(path, fault.message, fault.nearest)


def _find_doubles(hypotheses: Sequence[tuple[int, Hypothesis]], document: Document) -> None:
    """Two hypotheses of one name, or of one meaning under any names."""
    by_name, by_meaning = {}, {}
    for index, one in hypotheses:
        if one.name is not None and (first := by_name.setdefault(one.name, index)) != index:
            document.fault(("hypotheses", index, "name"), f"the name {one.name!r} is taken by hypotheses[{first}]", f"{one.name} (2)")
        elif (first := by_meaning.setdefault(one.fingerprint, index)) != index:
            other = dict(hypotheses)[first].name
            called = f" ({other!r})" if other else ""
            document.fault(("hypotheses", index), f"says the same as hypotheses[{first}]{called}: {sentence(one)}", "leave one of the two out")


def _raise(document: Document, name: str) -> None:
    if not document.faults:
        return
    faults = sorted(document.faults, key=lambda fault: fault.line or 0)
    count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
    raise BadInput(f"{name}: {count}; the first is {faults[0]}", faults, fix="Correct what is listed; nothing was read.", details={"file": name})


def check_against(file: HypothesisFile | Sequence[Hypothesis], taxonomy: Taxonomy | None = None, window: Duration | None = None) -> None:
    """Refuse hypotheses whose names the project does not know, or whose spans exceed the window. Raises BadInput with every fault."""
    if not isinstance(file, HypothesisFile):
        file = HypothesisFile(tuple(file))
    document = Document(lines=dict(file.lines))
    for index, hypothesis in enumerate(file.hypotheses):
        _add(_project_faults(hypothesis, taxonomy, window), index, document)
    _raise(document, file.name)


def _project_faults(hypothesis: Hypothesis, taxonomy: Taxonomy | None, window: Duration | None) -> list[refusals.Fault]:
    faults = refusals.window_faults(hypothesis, window) if window is not None else []
    return faults + (refusals.taxonomy_faults(hypothesis, taxonomy) if taxonomy is not None else [])


# --- writing ---------------------------------------------------------------------------------------------------------


def write_hypotheses(hypotheses: Iterable[Hypothesis], property_types: Mapping[str, PropertyType] | None = None) -> str:
    """A file that reads back to equal hypotheses, each under its sentence as a comment."""
    head = {"schema": {"properties": dict(property_types)}} if property_types else {}
    text = _dumped(head) if head else ""
    rows = [f"# {sentence(one)}\n{_dumped([one.to_json()])}" for one in hypotheses]
    return text + "hypotheses:\n" + "\n".join(rows) if rows else text + "hypotheses: []\n"


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, and quotes every word that this package's own reader would not read back as text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = plain_scalar(value) == (value, "") and value.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def _dumped(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=None)


def _close(given: str, known: Iterable[str]) -> list[str]:
    return get_close_matches(str(given).casefold(), list(known), n=1, cutoff=0.5)

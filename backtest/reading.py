"""From plain data (a file, a model's answer, a request) to a hypothesis, or to every reason why not, in plain words.

Theory of operation. Pydantic checks the data against `backtest.language` and reports errors that are exact but not for people: a union
reports every branch that did not fit, and a misspelt field reports both the stranger and the field it should have been. So each error is

1. *placed*: its location is walked along the data, which tells real fields from the labels of union branches;
2. *chosen*: of a union, only the branch that the writer meant survives, known by the keys that are present;
3. *paired*: an unknown field takes away the missing one that it must have been meant for;
4. *told*: the field, what is wrong, the nearest valid choice.

One mistake gives one fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from backtest.durations import SPELLING
from backtest.language import Clause, Hypothesis, Outcome
from backtest.matching import SYNONYMS, Comparison, EventMatch, Match, Op
from backtest.refusals import Fault, structural_faults

Path = tuple[str | int, ...]

CLAUSES: dict[str, type[BaseModel]] = {get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(get_args(Clause)[0])}
OUTCOMES: dict[str, type[BaseModel]] = {get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(get_args(Outcome)[0])}

_CLAUSE: TypeAdapter[Any] = TypeAdapter(Clause)
_OUTCOME: TypeAdapter[Any] = TypeAdapter(Outcome)
_ENTRY: TypeAdapter[Any] = TypeAdapter(Match | None)

OTHER_KINDS = {
    "event": "did", "count": "did", "performed": "did", "not": "did_not", "didnt": "did_not", "absent": "did_not", "funnel": "sequence",
    "then": "sequence", "a_without_b": "without", "sum": "total", "change": "trend", "property": "state", "trial_day": "age",
    "converts": "event", "conversion": "event", "churn": "lapse", "inactive": "lapse", "becomes": "property",
}  # fmt: skip
OTHER_FIELDS = {
    "event": "match", "events": "match", "name": "match", "times": "at_least", "period": "span", "window": "span", "days": "span",
    "operator": "op", "key": "property", "filters": "where", "properties": "where", "population": "entry", "cooldown": "fires_again_after",
    "cool_down": "fires_again_after", "any": "any_event", "min": "at_least", "max": "at_most", "conditions": "clauses", "trigger": "clauses",
}  # fmt: skip
"""What people and models write when they have another language in mind."""

BRANCHES = {
    "span": {"first": "First", "last": "Last"},
    "count": {"values_of": "ValuesOf"},
    "unit": {"group": "Group"},
    "value": {"instant": "Instant"},
}
"""The fields that hold a union, and for the key that shows which branch was meant, that branch."""

SPELLED = {
    "span": "a span is written {first: 7d}, {last: 14d}, first_session or ever",
    "count": "a count is written events, days, persons or {values_of: plan}",
    "unit": "a unit is written person or {group: company}",
    "value": "a value is a text, a finite number, true, false or {instant: 2026-01-31T09:00:00Z}; any_of takes a list of them",
    "match": "events are written as a name, or as {events: [...], where: [...]} or {any_event: true, where: [...]}",
    "clauses": "a hypothesis has one to three clauses, in a list; more than three, or an \"or\", are several hypotheses",
    "where": "where is a list of comparisons such as {property: plan, op: equals, value: free}",
}  # fmt: skip
NOT_EVER = "the span of did_not is written {first: 7d}, {last: 14d} or first_session: that something never happens is never known"
EXAMPLES = {
    "clauses": "[{kind: did, match: an event name, span: ever}]",
    "span": "{first: 7d}",
    "horizon": "14d",
    "within": "1d",
    "match": "an event name",
    "outcome": "{kind: event, match: paid, horizon: 14d}",
}


def read_hypothesis(data: Any) -> Hypothesis | list[Fault]:
    """The hypothesis, or all its faults; `Fault.field` is a dotted path into `data`."""
    try:
        return Hypothesis.model_validate(data)
    except ValidationError as error:
        placed = [one for raw in _expanded(error) if not _echo(one := _place(raw, data), data)]
        faults = [*_unions(placed, data), *_fields(placed, data), *(_told(one, data) for one in placed if one.ordinary), *_refusals(data)]
        return list({(fault.field, fault.message): fault for fault in faults}.values())


def _refusals(data: Any) -> Iterator[Fault]:
    """The structural refusals of the parts that can be read: pydantic asks for them only once every part can."""
    return faults_of_parts(data, structural_faults)


def faults_of_parts(data: Any, check: Callable[[Hypothesis], Iterable[Fault]]) -> Iterator[Fault]:
    """What `check` says of the clauses, the entry and the outcome that can be read, whatever is wrong with the rest."""
    if not isinstance(data, Mapping):
        return
    given = data.get("clauses")
    clauses = {index: _part(_CLAUSE, raw) or _Remains.of(raw) for index, raw in enumerate(given if isinstance(given, list | tuple) else ())}
    entry, outcome = (_part(adapter, data.get(name)) for adapter, name in ((_ENTRY, "entry"), (_OUTCOME, "outcome")))
    parts = Hypothesis.model_construct(clauses=tuple(clauses.values()), outcome=outcome, entry=entry)
    yield from check(parts)


@dataclass(frozen=True)
class _Remains:
    """What can be read of a clause that cannot be read whole."""

    match: EventMatch | None = None
    then: EventMatch | None = None
    without: EventMatch | None = None

    @classmethod
    def of(cls, raw: Any) -> _Remains:
        return cls(**{name: _part(_ENTRY, raw.get(name)) for name in ("match", "then", "without")}) if isinstance(raw, Mapping) else cls()


def _part(adapter: TypeAdapter[Any], raw: Any) -> Any:
    try:
        return adapter.validate_python(raw)
    except ValidationError:
        return None


# --- 1. placed -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Placed:
    """One error: where in the data, and, below a union, which branch of it reports."""

    type: str
    path: Path
    message: str
    given: Any
    context: Mapping[str, Any] = field(default_factory=dict)
    union: Path | None = None
    branch: str = ""

    @property
    def ordinary(self) -> bool:
        return self.union is None and self.type not in ("refused", "missing", "extra_forbidden")


def _expanded(error: ValidationError, above: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The errors with their locations; a model validated inside a validator reports its own errors, which are taken out."""
    for one in error.errors(include_url=False):
        inner = one.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):
            yield from _expanded(inner, (*above, *one["loc"]))
        else:
            yield (*above, *one["loc"]), one


def _place(raw: tuple[Path, Mapping[str, Any]], data: Any) -> _Placed:
    location, error = raw
    path, node, union, branch = (), data, None, ""
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if path == ("outcome",) and part in OUTCOMES and index == 1:
            continue  # the discriminator's tag
        if len(path) == 2 and path[0] == "clauses" and part in CLAUSES and index == 2:
            continue
        if union is None and path and path[-1] in BRANCHES:
            union, branch = path, str(part)
        elif (isinstance(node, Mapping) and part in node) or (isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)):
            path, node = (*path, part), node[part]
        elif last and error["type"] == "missing":
            path = (*path, part)
    return _Placed(error["type"], path, error["msg"], error.get("input"), error.get("ctx", {}), union, branch)


def _echo(error: _Placed, data: Any) -> bool:
    """A list whose items failed is also reported as too short."""
    return error.type == "too_short" and len(_at(error.path, data)) >= error.context["min_length"]


def _at(path: Path, data: Any) -> Any:
    for part in path:
        data = data[part]
    return data


# --- 2. chosen -------------------------------------------------------------------------------------------------------


def _unions(errors: list[_Placed], data: Any) -> Iterator[Fault]:
    for union in dict.fromkeys(one.union for one in errors if one.union is not None):
        mine = [one for one in errors if one.union == union]
        name, given = str(union[-1]), _at(union, data)
        meant = [branch for key, branch in BRANCHES[name].items() if isinstance(given, Mapping) and key in given]
        chosen = [one for one in mine if len(meant) == 1 and re.fullmatch(rf"(function-after\[.*, )?{meant[0]}\]?", one.branch)]
        if chosen:
            inside = [_Placed(one.type, one.path, one.message, one.given, one.context) for one in chosen]
            yield from _fields(inside, data)
            yield from (_told(one, data) for one in inside if one.ordinary)
        elif name == "value" and isinstance(given, list):
            yield from (Fault(_dotted(one.path[: len(union) + 1]), SPELLED["value"]) for one in mine if len(one.path) > len(union))
        else:
            absence = name == "span" and _at(union[:-1], data).get("kind") == "did_not"
            near = "{first: 14d}" if absence and given == "ever" else _nearest_form(name, given)
            yield Fault(_dotted(union), NOT_EVER if absence else SPELLED[name], near)


def _nearest_form(name: str, given: Any) -> str:
    if name == "span":
        return _nearest_span(given)
    if name == "unit" and isinstance(given, str):
        return "person" if _close(given, ["person", "people", "user"]) else f"{{group: {given}}}"
    return _close(given, ["events", "days", "persons"]) if name == "count" else ""


def _nearest_span(given: Any) -> str:
    """`7d`, `last 7d`, `{frist: 7d}` and `session` all show what was meant."""
    if isinstance(given, Mapping):
        return next((f"{{{word}: {given[key]}}}" for key in given if (word := _close(key, ["first", "last"]))), "")
    if not isinstance(given, str):
        return ""
    if SPELLING.fullmatch(given):
        return f"{{first: {given}}} or {{last: {given}}}"
    if found := re.fullmatch(r"\s*(first|last)[\s:_]*(\d.*)", given, re.IGNORECASE):
        return f"{{{found[1].lower()}: {found[2]}}}"
    return {"first": "{first: 7d}", "last": "{last: 14d}"}.get(given) or _close(given, ["first_session", "ever"])


# --- 3. paired -------------------------------------------------------------------------------------------------------


def _fields(errors: list[_Placed], data: Any) -> Iterator[Fault]:
    """Unknown and missing fields, an unknown one paired with the missing one it was meant for."""
    missing = {one.path: None for one in errors if one.type == "missing" and one.union is None}
    for error in errors:
        if error.type != "extra_forbidden" or error.union is not None:
            continue
        above, written = error.path[:-1], str(error.path[-1])
        title, known = _part_at(above, data)
        lacking = [str(path[-1]) for path in missing if path[:-1] == above]
        meant = _meant(written, lacking, [name for name in known if name not in _at(above, data)])
        missing.pop((*above, meant), None)
        told = f"{title} has no field called {written!r}" + ("" if meant else f"; it has {', '.join(known)}")
        yield Fault(_dotted(error.path), told, meant)
    for path in missing:
        yield Fault(_dotted(path), "is missing", EXAMPLES.get(str(path[-1]), ""))


def _meant(written: str, lacking: list[str], open_to: list[str]) -> str:
    other = OTHER_FIELDS.get(written.casefold(), "")
    if near := _close(written, lacking) or (other if other in lacking else "") or _close(written, open_to):
        return near
    return other if other in open_to else lacking[0] if len(lacking) == 1 else ""


def _part_at(path: Path, data: Any) -> tuple[str, list[str]]:
    """What the part of a hypothesis at `path` is called, and its fields."""
    last = path[-1] if path else ""
    if not path:
        return "a hypothesis", list(Hypothesis.model_fields)
    if path == ("outcome",) or (len(path) == 2 and path[0] == "clauses"):
        kind = _at(path, data).get("kind")
        return str(kind), list((OUTCOMES if path[0] == "outcome" else CLAUSES)[kind].model_fields)
    if last in BRANCHES:
        return f"a {last}", list(BRANCHES[str(last)])
    if isinstance(last, int):
        return "a comparison", list(Comparison.model_fields)
    return "a match", list(EventMatch.model_fields)


# --- 4. told ---------------------------------------------------------------------------------------------------------


def _told(error: _Placed, data: Any) -> Fault:
    if error.type in ("union_tag_invalid", "union_tag_not_found"):
        return _kind_fault(error, data)
    name = next((part for part in reversed(error.path) if isinstance(part, str)), "")
    where = _dotted(error.path)
    if error.type in ("enum", "literal_error"):
        known = [*Op, *SYNONYMS] if name == "op" else re.findall(r"'([^']*)'", str(error.context.get("expected", "")))
        shown = [*Op] if name == "op" else known
        near = _close(error.given, known)
        return Fault(where, f"{_short(error.given)} is not known here; it is one of {', '.join(shown)}", str(SYNONYMS.get(near, near)))
    if error.type == "value_error":
        told = str(error.context["error"])
        return Fault(where, told, _nearest_length(error.given) if told.startswith("a length of time") else "")
    return Fault(where, _words(error, str(name)))


def _nearest_length(given: Any) -> str:
    found = re.fullmatch(r"\s*(\d{1,4})\s*([a-z]?)[a-z]*\s*", str(given).casefold())
    days = {"w": 7, "m": 30, "y": 365}.get(found[2], 1) if found else 0
    return f"{max(1, int(found[1]) * days)}d" if found else ""


def _kind_fault(error: _Placed, data: Any) -> Fault:
    table, noun = (OUTCOMES, "outcome") if error.path[0] == "outcome" else (CLAUSES, "clause")
    part, kinds = _at(error.path, data), ", ".join(table)
    where = _dotted((*error.path, "kind"))
    if "kind" in part:
        other = OTHER_KINDS.get(str(part["kind"]).casefold(), "")
        near = _close(part["kind"], table) or (other if other in table else "")
        return Fault(where, f"{_short(part['kind'])} is no kind of {noun}; the kinds are {kinds}", near)
    near = max(table, key=lambda kind: len(part.keys() & table[kind].model_fields.keys()) - len(part.keys() - table[kind].model_fields.keys()))
    return Fault(where, f"is missing; the kinds of {noun} are {kinds}", f"kind: {near}")


def _words(error: _Placed, name: str) -> str:
    family, context = error.type.split("_")[0], error.context
    if error.type in ("too_long", "too_short", "tuple_type") and name in SPELLED:
        return SPELLED[name]
    if error.type.startswith(("greater_than", "less_than")):
        return f"is {_short(error.given)}; {error.message.replace('Input should', 'it must')}"
    if error.type in ("model_type", "model_attributes_type", "dict_type"):
        key = "match" if name in ("match", "then", "without", "entry") else name
        return SPELLED[key] if key in SPELLED and error.path[-1] == name else f"{_short(error.given)} is not a set of fields"
    plain = {"int": "a whole number", "float": "a number", "finite": "a finite number", "bool": "true or false", "tuple": "a list"}
    if family in plain:
        return f"{_short(error.given)} is not {plain[family]}"
    if error.type in ("string_too_short", "too_short"):
        return "must not be empty"
    if error.type == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    if error.type == "string_type":
        return f"{_short(error.given)} is not text; if it is meant as text, put it in quotes"
    return error.message[:1].lower() + error.message[1:]


def _close(written: Any, known: Iterable[str]) -> str:
    """The closest known word in any case, or nothing."""
    return next(iter(get_close_matches(str(written).casefold(), [str(one) for one in known], n=1, cutoff=0.6)), "")


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))

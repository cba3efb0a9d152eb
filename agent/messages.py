"""What is said to a model and what it answers, whatever the provider; and how a conversation is kept within a length.

One turn is one request. Who asks again, and how often, is decided where the budget is kept (`agent.mine`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FailureCode = Literal[
    "refused_connection", "timeout", "rate_limited", "server_error", "unauthorised", "rejected", "too_long", "cut_short", "malformed", "adapting",
]  # fmt: skip
"""`too_long`: the messages exceed the model's context. `cut_short`: its answer reached the limit of tokens. `malformed`: no tool call can be read
from it. `adapting`: the provider does not know something that was asked of it, which is not asked again: repeat the turn."""

CHARACTERS_PER_TOKEN = 3
"""A careful estimate where the provider does not count: JSON with names takes more tokens than prose."""


@dataclass(frozen=True)
class Call:
    """A tool that is to be run. `id` is the provider's, where it has one."""

    tool: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Message:
    """`assistant` messages carry what the model said; a `tool` message answers the call before it."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    call: Call | None = None

    @property
    def length(self) -> int:
        """In characters."""
        return len(self.text) + (len(json.dumps(self.call.arguments)) + len(self.call.tool) if self.call else 0)


@dataclass(frozen=True)
class Tool:
    """`brief` is a JSON Schema of the arguments for providers that read it with the conversation; `exact` constrains what can be written at all, and
    may refer to `definitions`."""

    name: str
    description: str
    brief: dict[str, Any]
    exact: dict[str, Any]
    definitions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Used:
    """Tokens by the provider's count, None where it gave none."""

    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True)
class Reply:
    """A call, or text where there is none."""

    call: Call | None
    text: str = ""
    used: Used = Used()


class ModelFailure(Exception):
    """A turn that came to nothing. `retry_after`: seconds that the provider asks to wait; `text`: what was answered, if anything."""

    def __init__(self, code: FailureCode, sentence: str, *, retry_after: float | None = None, text: str = "", used: Used = Used()) -> None:
        super().__init__(sentence)
        self.code: FailureCode = code
        self.sentence, self.retry_after, self.text, self.used = sentence, retry_after, text, used


class Model(Protocol):
    """One turn of a conversation. `host` is where it runs, empty for one without an address."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> str: ...
    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        """Raises ModelFailure."""
        ...


def trimmed(messages: Sequence[Message], most_tokens: int) -> list[Message]:
    """The same conversation in at most so many tokens by estimate: the first two messages and as many of the last as fit.

    What an answer belongs to stays with it, and where anything is left out it is said. The first two stay whatever they take, and so does the last
    exchange, though what a tool answered there is cut where it alone takes more than half of the room.
    """
    room = most_tokens * CHARACTERS_PER_TOKEN
    head, tail = list(messages[:2]), _exchanges(messages[2:])
    kept: list[list[Message]] = []
    used = sum(one.length for one in head)
    for exchange in reversed(tail):
        used += sum(one.length for one in exchange)
        if kept and used > room:
            break
        kept.insert(0, exchange)
    if gone := len(tail) - len(kept):
        head = [*head[:-1], Message(head[-1].role, f"{head[-1].text}\n\n({gone} earlier steps are left out here.)")]
    return head + [_cut(one, room // 2) for exchange in kept for one in exchange]


def _cut(one: Message, most: int) -> Message:
    if one.role != "tool" or len(one.text) <= most:
        return one
    return Message("tool", f"{one.text[:most]}\n</data>\n(The rest is cut off here.)")


def _exchanges(messages: Sequence[Message]) -> list[list[Message]]:
    """A model's message with what answers it."""
    found: list[list[Message]] = []
    for one in messages:
        if one.role == "assistant" or not found:
            found.append([])
        found[-1].append(one)
    return found

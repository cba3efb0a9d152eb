"""The tools as JSON Schemas: briefly, for providers that read them with the conversation, and exactly, for those that constrain what is written.

The exact form of a hypothesis is that of the language with the names of the project as its only names, so even a small model writes names that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.aliases import LONGEST_WORDS, Aliases
from agent.messages import Tool
from backtest.matching import Op
from backtest.schema import hypothesis_schema

MOST_NAMES = 150
"""Names in one enumeration; providers refuse very long ones."""

TEXT: dict[str, Any] = {"type": "string", "maxLength": LONGEST_WORDS}
NOT_FOR_CLAUSES = ("Event", "Lapse", "PropertyOutcome", "Group", "Goal", "Cohort")
FLAGS = ["cause", "marker", "consequence", "own_path", "duplicate_of", None]
LENGTH = {"type": "string", "pattern": "^[1-9][0-9]{0,2}[dhm]$"}


def tools(aliases: Aliases, candidates: Sequence[str] = ()) -> tuple[Tool, ...]:
    """All five, `finish` last, with the names that `aliases` shows now and the ids of the candidates that were shown."""
    event, key = _one_of(aliases.names("e")), _one_of(aliases.names("p"))
    either = {"anyOf": [_one_of([*aliases.names("e"), *aliases.names("p")]), {"type": "null"}]}
    most = {"type": "integer", "minimum": 1, "maximum": 20}
    clauses = {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "object"}}
    definitions = _language(event, key)
    exact = {"type": "array", "minItems": 1, "maxItems": 3, "items": definitions.pop("Clause")}
    plain_note = {"candidate": {"type": "string"}, "sentence": TEXT, "reason": TEXT, "flag": {"enum": FLAGS}, "duplicate_of": _nullable}
    note = plain_note | {"candidate": {"enum": [*candidates]}, "duplicate_of": {"enum": [*candidates, None]}} if candidates else plain_note
    return (
        _tool("look_at_event", "What is known of an event.", {"name": {"type": "string"}}, {"name": event}),
        _tool("look_at_property", "What is known of a property of events.", {"name": {"type": "string"}}, {"name": key}),
        _tool(
            "candidates",
            "The best hypotheses so far, with the engine's numbers.",
            {"about": _nullable, "most": most},
            {"about": either, "most": most},
        ),
        _tool(
            "attempt",
            "Let the engine count a hypothesis of your own.",
            {"hypothesis": _closed({"clauses": clauses})},
            {"hypothesis": _closed({"clauses": exact})},
            definitions,
        ),
        _tool(
            "finish",
            "End, with a note for each candidate worth one.",
            {"notes": {"type": "array", "maxItems": 40, "items": _closed(plain_note)}},
            {"notes": {"type": "array", "maxItems": min(len(candidates), 20), "items": _closed(note)}},
        ),
    )


_nullable: dict[str, Any] = {"type": ["string", "null"]}


def _tool(name: str, description: str, brief: dict[str, Any], exact: dict[str, Any], definitions: dict[str, Any] | None = None) -> Tool:
    return Tool(name, description, _closed(brief), _closed(exact), definitions or {})


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"enum": names} if 0 < len(names) <= MOST_NAMES else {"type": "string", "maxLength": 100}


def _language(event: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
    """The definitions that clauses need, and `Clause` itself."""
    whole = hypothesis_schema()
    parts = {name: _bare(part) for name, part in whole["$defs"].items() if name not in NOT_FOR_CLAUSES}
    of = [one for one in whole["properties"]["clauses"]["items"]["oneOf"] if not one["$ref"].endswith("/Cohort")]
    where = {"type": "array", "maxItems": 3, "items": {"$ref": "#/$defs/Comparison"}}
    several = {"type": "array", "minItems": 1, "maxItems": 6, "items": {"$ref": "#/$defs/EventName"}}
    any_event = _closed({"any_event": {"const": True}, "where": where}) | {"required": ["any_event"]}
    named = _closed({"events": several, "where": where}) | {"required": ["events"]}
    return parts | {
        "Clause": {"anyOf": of},
        "EventName": event,
        "EventMatch": {"anyOf": [{"$ref": "#/$defs/EventName"}, named, any_event]},
        "Property": key,
        "Duration": LENGTH,
        "Op": {"enum": [*Op]},
    }


def _bare(node: Any) -> Any:
    """Without defaults and descriptions, which constrain nothing."""
    if isinstance(node, list):
        return [_bare(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {("anyOf" if key == "oneOf" else key): _bare(value) for key, value in node.items() if key not in ("default", "description")}

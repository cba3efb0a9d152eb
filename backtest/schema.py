"""The JSON Schema (2020-12) of hypothesis files, for editors, for programs that write hypotheses and for models that answer in JSON.

Pydantic derives the shape from `backtest.language`. It cannot see the short forms that people write, which validators open up on the way in
(`match: paid` for `match: {events: [paid]}`), so those are put into its answer here. What only the language itself can judge (a trend
needs exactly one bound, an operator its value) is left to it: whatever is refused by this schema is refused by the reader too.
"""

from __future__ import annotations

import json
from typing import Any, get_args

from backtest.durations import PATTERN
from backtest.language import Hypothesis
from backtest.matching import SYNONYMS, Op
from backtest.taxonomy import PropertyType

NAME = {"type": "string", "minLength": 1}
SHORT_FORMS: dict[str, dict[str, Any]] = {
    "events": {"anyOf": [NAME, {"type": "array", "items": NAME}], "description": "one event name, or several of which any counts"},
    "property": {"$ref": "#/$defs/Property"},
    "values_of": {"$ref": "#/$defs/Property"},
    "op": {"$ref": "#/$defs/Op"},
    "value": {"$ref": "#/$defs/Value"},
    "cohort": {"anyOf": [NAME, {"type": "integer"}], "description": "the number of a PostHog cohort"},
}
"""What replaces pydantic's account of a field, by its name: each name means one thing in the whole language."""


def hypothesis_schema() -> dict[str, Any]:
    """The schema of one hypothesis, as it may be written."""
    schema = _tidy(Hypothesis.model_json_schema(mode="validation"))
    parts = schema.pop("$defs")
    for part in parts.values():
        part.get("properties", {}).update({name: form for name, form in SHORT_FORMS.items() if name in part.get("properties", {})})
    match = parts["EventMatch"]
    parts["EventMatch"] = {"description": match.pop("description"), "anyOf": [NAME, match]}
    parts["Op"]["enum"] += sorted(SYNONYMS)
    parts["Op"]["description"] = f"{', '.join(Op)}; the other spellings mean the same"
    parts["Property"] = {"anyOf": [NAME, {"type": "array", "items": NAME, "minItems": 1}], "description": "a key, or a list of keys for a nested one"}
    scalars = [{"type": ["boolean", "number", "string"]}, {"$ref": "#/$defs/Instant"}]
    parts["Value"] = {"anyOf": [*scalars, {"type": "array", "items": {"anyOf": scalars}}, {"type": "null"}]}
    parts["Duration"] = {"type": "string", "pattern": PATTERN, "description": "a length of time: 7d, 24h, 30m or 90s"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": dict(sorted(parts.items()))}


def file_schema() -> dict[str, Any]:
    """The schema of a file of hypotheses: a list of them, or an object that also declares types of properties."""
    schema = hypothesis_schema()
    parts = schema.pop("$defs")
    draft = schema.pop("$schema")
    rows = {"type": "array", "items": {"$ref": "#/$defs/Hypothesis"}, "minItems": 1}
    types = {"type": "object", "additionalProperties": {"enum": list(get_args(PropertyType))}}
    declared = {"type": "object", "properties": {"properties": types}, "additionalProperties": False}
    envelope = {
        "type": "object",
        "properties": {"schema": declared, "hypotheses": rows},
        "required": ["hypotheses"],
        "additionalProperties": False,
    }
    return {
        "$schema": draft,
        "title": "A file of hypotheses",
        "description": "YAML or JSON; see docs/reference/language/README.md for what each part means.",
        "anyOf": [rows, envelope],
        "$defs": dict(sorted({**parts, "Hypothesis": schema}.items())),
    }


def schema_text() -> str:
    """The file schema as it is shipped in `docs/reference/hypothesis.schema.json`."""
    return json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(node: Any) -> Any:
    """Without pydantic's titles and OpenAPI's discriminators, descriptions on one line, lengths of time by reference."""
    if isinstance(node, list):
        return [_tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("pattern") == PATTERN:
        return {"$ref": "#/$defs/Duration"}
    kept = {key: _tidy(value) for key, value in node.items() if key != "discriminator" and not (key == "title" and isinstance(value, str))}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return kept

"""PostHog's own functions that stand for a longer HogQL expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.parse import Node, parse_expression


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _constant(node: Node, what: str) -> Any:
    if node["node"] != "Constant":
        raise HogQLError(f"{what} must be a constant")
    return node.get("value")


def _survey_response(arguments: list[Node]) -> Node:
    """The answer to question `i`, preferring the key with the question's id over the numbered one."""
    index = _constant(arguments[0], "getSurveyResponse first argument")
    keys = [f"$survey_response_{_constant(arguments[1], 'getSurveyResponse second argument')}"] if len(arguments) > 1 else []
    keys.append("$survey_response" if index == 0 else f"$survey_response_{index}")
    multiple = len(arguments) > 2 and bool(_constant(arguments[2], "getSurveyResponse third argument"))
    if multiple:
        parts = [f"JSONExtractArrayRaw(properties, {_text(key)})" for key in keys]
        return parse_expression(f"if(JSONHas(properties, {_text(keys[0])}), {parts[0]}, {parts[-1]})")
    parts = [f"nullIf(JSONExtractString(properties, {_text(key)}), '')" for key in keys]
    return parse_expression(f"coalesce({', '.join(parts)})")


def _unique_submissions(arguments: list[Node]) -> Node:
    """Keeps the latest event of every survey submission."""
    survey = _text(str(_constant(arguments[0], "uniqueSurveySubmissionsFilter argument")))
    return parse_expression(
        "uuid IN (SELECT argMax(uuid, timestamp) FROM events "
        f"WHERE event = 'survey sent' AND JSONExtractString(properties, '$survey_id') = {survey} "
        "GROUP BY if(JSONExtractString(properties, '$survey_submission_id') = '', toString(uuid), "
        "JSONExtractString(properties, '$survey_submission_id')))"
    )


EXPANSIONS: dict[str, Callable[[list[Node]], Node]] = {
    "getSurveyResponse": _survey_response,
    "uniqueSurveySubmissionsFilter": _unique_submissions,
}

"""The description of the API (OpenAPI 3.1): addresses and parameters from the handlers, bodies from the models.

Litestar describes the addresses. Of the models it knows less than pydantic does (descriptions, closed objects, constraints), and the
description of an error is its own; so the bodies are put in as pydantic tells them. `docs/reference/openapi.json` is `openapi_text()`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

from litestar import Litestar, MediaType, Response, get
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from pydantic.json_schema import models_json_schema

from beton.web.access.policy import NEEDS, OPEN
from beton.web.api import api_router
from beton.web.api.access_resources import ACCESS_SENT
from beton.web.api.bodies import TAKEN
from beton.web.api.persons import SENT_OF_PERSONS, TAKEN_OF_PERSONS
from beton.web.api.proof_resources import SENT_OF_PROOF
from beton.web.api.reach_resources import SENT_OF_REACH, TAKEN_OF_REACH
from beton.web.api.resources import SENT
from beton.web.api.route_kinds import SENT_OF_KINDS, TAKEN_OF_KINDS
from beton.web.api.rule_resources import SENT_OF_RULES, TAKEN_OF_RULES
from beton.web.api.search_resources import SENT_BY_SEARCHES
from beton.web.api.signal_resources import SENT_OF_SIGNALS
from beton.web.api.source_resources import SENT_OF_SOURCES, TAKEN_OF_SOURCES
from beton.web.api.weighing_resources import WEIGHED
from beton.web.injected import NAMES
from beton.web.probes import healthz, readyz
from beton.web.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
_SCHEME = "key"
_STREAMS: dict[str, dict[str, Any]] = {
    "text/csv": {"type": "string"},
    "text/event-stream": {
        "type": "object",
        "description": "Each event of the stream.",
        "properties": {
            "event": {"type": "string", "enum": ["progress", "over"]},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": {"$ref": _REF.format(model="RunRead")}},
        },
        "required": ["event", "data"],
        "additionalProperties": False,
    },
}
"""What is no JSON, as far as the description can tell."""

_DESCRIPTION = """Hypotheses about which behaviour predicts an outcome, tested on the events of a PostHog project, decided on by people,
and the signals of those that were approved.

Every call needs a key with the permission that is named at it. Listings are pages: `limit` and `cursor` in, `data`, `next_cursor` and `has_more` out.
Instants are RFC 3339 in UTC. Errors are `application/problem+json` with a stable `code`."""


@get("/openapi.json", opt=OPEN, sync_to_thread=True, include_in_schema=False)
def openapi() -> Response[bytes]:
    """The description of the API (OpenAPI 3.1)."""
    return Response(openapi_text().encode(), media_type=MediaType.JSON)


@cache
def openapi_text() -> str:
    """The description as it is served and shipped."""
    return json.dumps(openapi_document(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def openapi_document() -> dict[str, Any]:
    """The description as JSON values."""
    described = Litestar(
        route_handlers=[api_router(), healthz, readyz],
        # What handlers are handed stays unnamed here: they are only described, never called.
        dependencies={name: Provide(lambda: None, sync_to_thread=False) for name in NAMES},
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Beton",
            version=version("beton"),
            description=_DESCRIPTION,
            use_handler_docstrings=True,
            components=Components(
                security_schemes={_SCHEME: SecurityScheme(type="http", scheme="bearer", description="A key, which begins with btn_.")}
            ),
            security=[{_SCHEME: []}],
        ),
    )
    document = _without_false(json.loads(json.dumps(described.openapi_schema.to_schema())))
    document["servers"] = [{"url": "http://127.0.0.1:8321"}]
    components = document["components"]
    components["schemas"] |= _bodies()
    components["responses"] = {"problem_default": {"description": "Any other refusal or failure.", "content": _problem()}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _tell(operation, components["responses"])
            if not path.startswith("/api/"):
                operation["security"] = []
    for address, wanted in _needed(described):
        document["paths"][address[1]][address[0]]["x-needs"] = wanted
    return document


def _needed(described: Litestar) -> Iterator[tuple[tuple[str, str], str]]:
    """Method and path, and the permission that is asked for there."""
    for route in described.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if NEEDS in handler.opt and handler.include_in_schema:
                yield from (((method.lower(), route.path_format), str(handler.opt[NEEDS])) for method in handler.http_methods)


def _tell(operation: dict[str, Any], shared: dict[str, Any]) -> None:
    """One operation in the words of HTTP: parameters that may be left out instead of null ones, and problems by reference."""
    operation["summary"] = re.sub(r"(?=[A-Z])", " ", operation["operationId"]).capitalize()
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
        parameter["schema"].pop("description", None)
    for media in operation.get("requestBody", {}).get("content", {}).values():
        operation["requestBody"]["required"] = "oneOf" not in media["schema"]
        media["schema"] = _without_null(media["schema"])
    responses = operation["responses"]
    for status, response in responses.items():
        for media, told in response.get("content", {}).items():
            if media in _STREAMS:
                told["schema"] = _STREAMS[media]
        if MEDIA_TYPE in response.get("content", {}):
            shared[f"problem_{status}"] = response
            responses[status] = {"$ref": f"#/components/responses/problem_{status}"}
    responses["default"] = {"$ref": "#/components/responses/problem_default"}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What a parameter or body is when it is there."""
    branches = schema.get("oneOf")
    return schema if branches is None else next(one for one in branches if one != {"type": "null"})


def _without_false(node: Any) -> Any:
    """Litestar tells of every flag that it is not set."""
    if isinstance(node, list):
        return [_without_false(one) for one in node]
    if not isinstance(node, dict):
        return node
    flags = ("deprecated", "allowEmptyValue", "allowReserved")
    return {key: _without_false(value) for key, value in node.items() if not ((key in flags and value is False) or value == {})}


def _bodies() -> dict[str, Any]:
    """Everything that is sent or taken in, by the names of the models."""
    live = (*SENT_OF_SIGNALS, *SENT_OF_SOURCES, *SENT_OF_RULES, *SENT_OF_REACH, *SENT_OF_KINDS, *SENT_OF_PROOF, *SENT_OF_PERSONS)
    sent = (*SENT, *live, *WEIGHED, *SENT_BY_SEARCHES, *ACCESS_SENT)
    taken = (*TAKEN, *TAKEN_OF_SOURCES, *TAKEN_OF_RULES, *TAKEN_OF_REACH, *TAKEN_OF_KINDS, *TAKEN_OF_PERSONS)
    modes: list[Any] = [(model, "serialization") for model in sent] + [(model, "validation") for model in taken]
    _, whole = models_json_schema(modes, ref_template=_REF)
    return {name: _tidy(schema) for name, schema in whole["$defs"].items()}


def _problem() -> dict[str, Any]:
    return {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}


def _tidy(node: Any) -> Any:
    """Without pydantic's titles, which only repeat the names, and with descriptions on one line."""
    if isinstance(node, list):
        return [_tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidy(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return kept

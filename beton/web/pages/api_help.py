"""The documentation of the API as a page, drawn from its description: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from beton.roles import Permission
from beton.web.access.policy import needs
from beton.web.openapi import openapi_document
from beton.web.pages.page import ThePage


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body."""

    name: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    """What can be asked at an address."""

    anchor: str
    method: str
    path: str
    needs: str
    description: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answer: str
    answers: tuple[Field, ...]


@get("/help/api", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def help_api(page: ThePage) -> Response[str]:
    """Every address of the API: what it needs, takes and answers."""
    return page.render("help/api.html", title="The API", at="", tags=by_tag())


@cache
def by_tag() -> dict[str, tuple[Operation, ...]]:
    """All operations, by what they are about."""
    document = openapi_document()
    found: dict[str, list[Operation]] = {}
    for path, operations in sorted(document["paths"].items()):
        for method, told in operations.items():
            found.setdefault(told["tags"][0], []).append(_operation(document, path, method, told))
    return {tag: tuple(several) for tag, several in sorted(found.items())}


def _operation(document: dict[str, Any], path: str, method: str, told: dict[str, Any]) -> Operation:
    parameters = (
        Field(one["name"], kind_of(one["schema"]), one.get("required", False), one.get("description", "")) for one in told.get("parameters", [])
    )
    sent = _schema(told.get("requestBody", {}))
    status, answered = next((status, one) for status, one in told["responses"].items() if status.startswith("2"))
    schema = _schema(answered)
    return Operation(
        told["operationId"], method.upper(), path, told.get("x-needs", ""), told["description"], tuple(parameters),
        tuple(_fields(document, sent)), f"{status} {kind_of(schema)}", tuple(_fields(document, schema)),
    )  # fmt: skip


def _schema(told: dict[str, Any]) -> dict[str, Any]:
    return next((media["schema"] for media in told.get("content", {}).values()), {})


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[Field]:
    model = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
    required = model.get("required", [])
    for name, one in model.get("properties", {}).items():
        yield Field(name, kind_of(one), name in required, one.get("description", ""))


def kind_of(schema: dict[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if branches := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(kind_of(one) for one in branches))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    return {"date-time": "instant"}.get(schema.get("format", ""), kind)


HANDLERS: list[HTTPRouteHandler] = [help_api]

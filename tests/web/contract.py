"""A client that believes nothing: every answer is checked against the description of the API."""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema
from litestar.testing import TestClient
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from beton.web.openapi import openapi_document


@cache
def document() -> dict[str, Any]:
    return openapi_document()


@cache
def registry() -> Registry:
    return Registry().with_resource("urn:openapi", Resource.from_contents(document(), default_specification=DRAFT202012))


def check(schema: dict[str, Any], value: Any) -> None:
    """`value` against a schema of the document, with formats."""
    text = {"$ref": f"urn:openapi{schema['$ref']}"} if "$ref" in schema else schema
    jsonschema.Draft202012Validator(text, registry=registry(), format_checker=jsonschema.FormatChecker()).validate(value)


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request belongs to: words before parameters, and slashes in a row are one, as for the server."""
    path = re.sub(r"/{2,}", "/", path)
    for template, operations in sorted(document()["paths"].items(), key=lambda one: one[0].count("{")):
        if method.lower() in operations and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            return operations[method.lower()]
    return None


def check_answer(response: httpx.Response) -> None:
    """Status, media type, headers and body are as described."""
    request = response.request
    operation = operation_of(request.method, request.url.path)
    assert response.headers["x-request-id"]
    if operation is None:
        assert response.status_code in (404, 405), f"{request.method} {request.url.path} is not described"
        described = document()["components"]["responses"]["problem_default"]
    else:
        responses = operation["responses"]
        described = responses.get(str(response.status_code), responses["default"])
        if "$ref" in described:
            described = document()["components"]["responses"][described["$ref"].rpartition("/")[2]]
        assert "default" in responses
        assert response.status_code >= 400 or str(response.status_code) in responses
    ((media_type, content),) = described["content"].items()
    assert response.headers["content-type"].removesuffix("; charset=utf-8") == media_type
    for header in described.get("headers", {}):
        assert response.status_code >= 400 or header in response.headers
    if media_type == "text/csv":
        return
    for value in events_of(response.text) if media_type == "text/event-stream" else [response.json()]:
        check(content["schema"], value)


def events_of(stream: str) -> list[dict[str, str]]:
    """Server-sent events, field by field."""
    return [dict(line.split(": ", 1) for line in one.splitlines()) for one in stream.replace("\r\n", "\n").split("\n\n") if one]


class Contract:
    """Requests under `/api/v1`, or under the root where the path begins with a slash."""

    def __init__(self, client: TestClient, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.ask("POST", path, **({} if body is None else {"json": body}), **more)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        url = path if path.startswith("/") else f"/api/v1/{path}"
        headers = self.headers | more.pop("headers", {})
        response = self.client.request(method, url, headers=headers, **more)
        check_answer(response)
        return response

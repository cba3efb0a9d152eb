"""The description of the API: valid, complete, and equal to what is shipped."""

import re
from pathlib import Path
from typing import Any

import jsonschema
from litestar import Litestar

from beton.lifecycle import Action
from beton.roles import Permission
from beton.web.openapi import openapi_text
from tests.web.contract import Contract, document
from tests.web.test_access import PUBLIC, every_address

SHIPPED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
PAGE = SHIPPED.with_name("api.md")


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(method.upper(), path): one for path, several in document()["paths"].items() for method, one in several.items()}


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [one for part in node for one in references(part)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return here + [one for part in node.values() for one in references(part)]


def test_the_shipped_description_is_the_generated_one():
    assert SHIPPED.read_text(encoding="utf-8") == openapi_text(), "write it anew with openapi_text()"


def test_the_served_description_is_the_shipped_one(api: Contract):
    assert api.client.get("/openapi.json", headers=api.headers).text == openapi_text()


def test_every_address_is_described_and_every_described_one_exists(app: Litestar):
    served = {(method, re.sub(r"\{(\w+):\w+\}", r"{\1}", path)) for method, path in every_address(app) if method != "OPTIONS"}
    assert {one for one in served if one[1].startswith("/api/")} | PUBLIC == set(operations())


def test_the_page_names_every_address():
    page = PAGE.read_text(encoding="utf-8")
    for method, path in operations():
        last = path.rpartition("/")[2]
        if last in set(Action):
            assert f"`{last}`" in page, path
        else:
            assert f"`{method} {path.removeprefix('/api/v1')}`" in page, path


def test_it_is_openapi_3_1_in_structure():
    whole = document()
    assert whole["openapi"].startswith("3.1")
    assert {"title", "version", "description"} <= whole["info"].keys()
    names = [one["operationId"] for one in operations().values()]
    assert len(set(names)) == len(names)
    for (_, path), one in operations().items():
        assert one["description"]
        assert one["summary"]
        in_path = {parameter["name"] for parameter in one.get("parameters", []) if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(re.fullmatch(r"[1-5]\d\d|default", status) for status in one["responses"])
        assert all("description" in response or "$ref" in response for response in one["responses"].values())
        for parameter in one.get("parameters", []):
            assert parameter["schema"]
            needed = parameter["in"] == "path" or one["operationId"] == "compareHypotheses"
            assert parameter.get("required", False) is needed


def test_every_schema_is_a_schema_and_every_reference_leads_somewhere():
    whole = document()
    for schema in whole["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for reference in references(whole):
        node = whole
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    used = {reference.rpartition("/")[2] for reference in references(whole)}
    assert set(whole["components"]["schemas"]) <= used


def test_everything_that_is_sent_is_required_and_closed():
    for one in operations().values():
        for status, response in one["responses"].items():
            if status.startswith("2"):
                _closed(next(iter(response["content"].values()))["schema"])


def _closed(schema: dict[str, Any]) -> None:
    schemas = document()["components"]["schemas"]
    for name in {reference.rpartition("/")[2] for reference in references(schema)}:
        found = schemas[name]
        if found.get("type") == "object" and name != "BacktestNumbers":
            assert found["additionalProperties"] is False, name
            assert set(found["required"]) == set(found["properties"]), name
        _closed({key: value for key, value in found.items() if key != "$ref"})


def test_only_the_public_addresses_need_no_key():
    whole = document()
    assert whole["security"] == [{"key": []}]
    open_ones = {address for address, one in operations().items() if one.get("security") == []}
    assert open_ones == PUBLIC


def test_every_closed_address_names_its_permission():
    assert {address for address, one in operations().items() if "x-needs" not in one} == PUBLIC
    assert {one["x-needs"] for one in operations().values() if "x-needs" in one} <= set(Permission)

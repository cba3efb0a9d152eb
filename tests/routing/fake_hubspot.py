"""A HubSpot that refuses what its documents do not name, keeps unique values unique, and counts what would have made a duplicate.

https://developers.hubspot.com/docs/api-reference/latest/crm/objects/custom-objects/batch/upsert-custom-objects ·
https://developers.hubspot.com/docs/api-reference/latest/crm/objects/objects/batch/get-objects ·
https://developers.hubspot.com/docs/api-reference/latest/crm/objects/objects/batch/update-objects ·
https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm ·
https://developers.hubspot.com/docs/api-reference/latest/crm/properties/create-property ·
https://developers.hubspot.com/docs/api-reference/latest/error-handling
"""

# ruff: noqa: N815  HubSpot's own names
from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, ValidationError

from tests.routing.apis import Answered, Api, Asked, Strict

TOKEN = "pat-na1-0123456789"
WHEN = "2026-03-02T09:30:00.123Z"
TYPES = {"string": {"text", "textarea"}, "number": {"number"}, "datetime": {"date"}, "bool": {"booleancheckbox"}}


class Upserted(Strict):
    id: str
    idProperty: str
    properties: dict[str, str]
    objectWriteTraceId: str | None = None


class Updated(Strict):
    id: str
    idProperty: str | None = None
    properties: dict[str, str]
    objectWriteTraceId: str | None = None


class BatchUpsert(Strict):
    inputs: list[Upserted] = Field(min_length=1, max_length=100)


class BatchUpdate(Strict):
    inputs: list[Updated] = Field(min_length=1, max_length=100)


class OnlyId(Strict):
    id: str


class BatchRead(Strict):
    inputs: list[OnlyId] = Field(min_length=1, max_length=100)
    properties: list[str]
    propertiesWithHistory: list[str] = Field(default_factory=list)
    idProperty: str | None = None


class Filter(Strict):
    propertyName: str
    operator: Literal["EQ", "IN"]
    value: str | None = None
    values: list[str] | None = None


class FilterGroup(Strict):
    filters: list[Filter] = Field(max_length=6)


class Search(Strict):
    filterGroups: list[FilterGroup] = Field(max_length=5)
    properties: list[str] = Field(default_factory=list)
    limit: int = Field(default=10, ge=1, le=200)
    after: str | None = None
    sorts: list[str] = Field(default_factory=list)
    query: str | None = None


class NewProperty(Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)
    label: str
    type: Literal["string", "number", "datetime", "bool", "enumeration", "date"]
    fieldType: str
    groupName: str
    description: str = ""
    displayOrder: int | None = None
    formField: bool = False
    hasUniqueValue: bool = False
    hidden: bool = False
    options: list[Any] = Field(default_factory=list)


class NewGroup(Strict):
    name: str
    label: str
    displayOrder: int | None = None


class FakeHubSpot(Api):
    """Companies of one account. `spoil` names keys of which a batch fails for the part (207) with that category."""

    def __init__(self, records: str = "companies") -> None:
        super().__init__()
        self.records = records
        self.held: dict[str, dict[str, str]] = {}
        self.properties: dict[str, NewProperty] = {}
        self.groups: set[str] = {"companyinformation"}
        self.spoil: dict[str, str] = {}
        for name in ("domain", "name", "email", "lifecyclestage"):
            self.properties[name] = NewProperty(name=name, label=name, type="string", fieldType="text", groupName="companyinformation")

    def add(self, **properties: str) -> str:
        """A record that people made."""
        record_id = str(9000 + len(self.held))
        self.held[record_id] = properties
        return record_id

    def answer(self, asked: Asked) -> Answered:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refused(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        objects, properties = f"/crm/objects/2026-03/{self.records}", f"/crm/properties/2026-03/{self.records}"
        acts: dict[tuple[str, str], tuple[type[Strict], Callable[[Any], Answered]]] = {
            ("POST", f"{objects}/batch/read"): (BatchRead, self._read),
            ("POST", f"{objects}/search"): (Search, self._search),
            ("POST", f"{objects}/batch/update"): (BatchUpdate, self._update),
            ("POST", f"{objects}/batch/upsert"): (BatchUpsert, self._upsert),
            ("POST", properties): (NewProperty, self._new_property),
            ("POST", f"{properties}/groups"): (NewGroup, self._new_group),
        }
        route = acts.get((asked.method, asked.path))
        if asked.method == "GET" and asked.path.startswith(f"{properties}/"):
            return self._property(asked.path.rpartition("/")[2])
        if route is None:
            return Answered(405 if asked.method == "DELETE" else 404, {"status": "error", "message": "resource not found"})
        shape, act = route
        try:
            return act(shape.model_validate(asked.content))
        except ValidationError as error:
            return refused(400, "VALIDATION_ERROR", f"Invalid input JSON: {error.errors()[0]['loc']}")

    def _read(self, body: BatchRead) -> Answered:
        unknown = self._unknown([*body.properties, *filter(None, [body.idProperty])])
        if unknown:
            return unknown
        ids, results = [one.id for one in body.inputs], []
        for record_id, held in self.held.items():
            if (held.get(body.idProperty) if body.idProperty else record_id) in ids:
                results.append(self._shown(record_id, body.properties))
        missing = len(ids) - len(results)
        if not missing:
            return Answered(200, done(results))
        error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects", "context": {"ids": ids}}
        return Answered(207, done(results) | {"numErrors": 1, "errors": [error]})

    def _search(self, body: Search) -> Answered:
        unknown = self._unknown([*body.properties, *(one.propertyName for group in body.filterGroups for one in group.filters)])
        if unknown:
            return unknown
        found = []
        for record_id, held in self.held.items():
            if any(all(self._matches(held, one) for one in group.filters) for group in body.filterGroups):
                found.append(self._shown(record_id, body.properties))
        return Answered(200, {"total": len(found), "results": found[: body.limit]})

    @staticmethod
    def _matches(held: dict[str, str], one: Filter) -> bool:
        wanted = one.values if one.operator == "IN" else [one.value]
        return held.get(one.propertyName, "").lower() in (wanted or [])

    def _update(self, body: BatchUpdate) -> Answered:
        for one in body.inputs:
            wrong = self._wrong(one.properties)
            if wrong:
                return wrong
            if one.id not in self.held:
                return refused(404, "OBJECT_NOT_FOUND", f"{one.id} does not exist")
        for one in body.inputs:
            self._put(one.id, one.properties)
        return Answered(200, done([self._shown(one.id, list(one.properties)) for one in body.inputs]))

    def _upsert(self, body: BatchUpsert) -> Answered:
        keys = [one.id for one in body.inputs]
        if len(set(keys)) < len(keys):
            return refused(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
        for one in body.inputs:
            held = self.properties.get(one.idProperty)
            if held is None or not held.hasUniqueValue:
                return refused(400, "VALIDATION_ERROR", f"{one.idProperty} is not a unique property")
            wrong = self._wrong(one.properties)
            if wrong:
                return wrong
        results, errors = [], []
        for one in body.inputs:
            if one.id in self.spoil:
                context = {"objectWriteTraceId": [one.objectWriteTraceId]}
                errors.append({"status": "error", "category": self.spoil[one.id], "message": "not this one", "context": context})
                continue
            found = next((record_id for record_id, held in self.held.items() if held.get(one.idProperty) == one.id), None)
            record_id = found or self.add()
            self._put(record_id, one.properties | {one.idProperty: one.id})
            trace = {"objectWriteTraceId": one.objectWriteTraceId} if one.objectWriteTraceId else {}
            results.append(self._shown(record_id, [one.idProperty]) | {"new": found is None} | trace)
        return Answered(207, done(results) | {"numErrors": len(errors), "errors": errors}) if errors else Answered(200, done(results))

    def _put(self, record_id: str, properties: dict[str, str]) -> None:
        self.held[record_id] = {name: value for name, value in (self.held[record_id] | properties).items() if value}

    def _property(self, name: str) -> Answered:
        if name not in self.properties:
            return refused(404, "OBJECT_NOT_FOUND", f"Property {name} does not exist")
        return Answered(200, self.properties[name].model_dump() | {"archived": False, "hubspotDefined": False})

    def _new_property(self, body: NewProperty) -> Answered:
        if body.name in self.properties:
            return refused(409, "OBJECT_ALREADY_EXISTS", f"A property named '{body.name}' already exists.")
        if body.groupName not in self.groups or body.fieldType not in TYPES.get(body.type, ()):
            return refused(400, "VALIDATION_ERROR", "The group or the field type does not exist.")
        self.properties[body.name] = body
        return Answered(201, body.model_dump())

    def _new_group(self, body: NewGroup) -> Answered:
        if body.name in self.groups:
            return refused(409, "OBJECT_ALREADY_EXISTS", "A group with this name already exists.")
        self.groups.add(body.name)
        return Answered(201, body.model_dump())

    def _shown(self, record_id: str, names: list[str]) -> dict[str, Any]:
        held = self.held[record_id]
        properties = {name: held.get(name) for name in [*names, "hs_object_id"]}
        return {"id": record_id, "properties": properties, "createdAt": WHEN, "updatedAt": WHEN, "archived": False}

    def _wrong(self, properties: dict[str, str]) -> Answered | None:
        unknown = self._unknown(list(properties))
        if unknown:
            return unknown
        for name, value in properties.items():
            kind = self.properties[name].type
            if value and kind == "number" and not re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", value):
                return refused(400, "VALIDATION_ERROR", f"{value} was not a valid number.")
            if value and kind == "datetime":
                datetime.fromisoformat(value)
        return None

    def _unknown(self, names: list[str]) -> Answered | None:
        missing = [name for name in names if name not in self.properties]
        return refused(400, "VALIDATION_ERROR", f"Property values were not valid: PROPERTY_DOESNT_EXIST {missing}") if missing else None


def done(results: list[Any]) -> dict[str, Any]:
    """A batch's answer."""
    return {"status": "COMPLETE", "results": results, "startedAt": WHEN, "completedAt": WHEN}


def refused(status: int, category: str, message: str) -> Answered:
    """HubSpot's no."""
    return Answered(status, {"status": "error", "message": message, "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf", "category": category})

"""An Attio that refuses what its documents do not name, keeps unique attributes unique, and merges what it is told to assert.

https://docs.attio.com/rest-api/endpoint-reference/records/assert-a-record ·
https://docs.attio.com/rest-api/guides/filtering-and-sorting ·
https://docs.attio.com/rest-api/endpoint-reference/attributes/create-an-attribute ·
https://docs.attio.com/rest-api/guides/rate-limiting · https://docs.attio.com/docs/attribute-types/attribute-types-text ·
https://docs.attio.com/docs/attribute-types/attribute-types-timestamp
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, ValidationError

from tests.routing.apis import Answered, Api, Asked, Strict

TOKEN = "0123456789abcdef0123456789abcdef"
WORKSPACE = "14beef7a-99f7-4534-a87e-70b564330a4c"


class Values(Strict):
    values: dict[str, Any]


class Record(Strict):
    data: Values


class Query(Strict):
    filter: dict[str, str] = Field(default_factory=dict)
    sorts: list[Any] = Field(default_factory=list)
    limit: int = Field(default=500, ge=1, le=500)
    offset: int = 0


class NewAttribute(Strict):
    title: str
    description: str | None
    api_slug: str = Field(pattern=r"^[a-z0-9_-]+$")
    type: Literal["text", "number", "checkbox", "currency", "date", "timestamp", "rating", "select", "domain", "email-address"]
    is_required: bool
    is_unique: bool
    is_multiselect: bool
    config: dict[str, Any]
    default_value: Any = None
    relationship: Any = None


class NewAttributes(Strict):
    data: NewAttribute


class FakeAttio(Api):
    """Companies of one workspace."""

    def __init__(self, records: str = "companies") -> None:
        super().__init__()
        self.records = records
        self.held: dict[str, dict[str, list[Any]]] = {}
        self.attributes: dict[str, NewAttribute] = {}
        for slug, kind, several in (("name", "text", False), ("domains", "domain", True), ("email_addresses", "email-address", True)):
            shape = {"title": slug, "description": None, "api_slug": slug, "type": kind, "is_required": False, "is_unique": several}
            self.attributes[slug] = NewAttribute.model_validate(shape | {"is_multiselect": several, "config": {}})

    def add(self, **values: Any) -> str:
        """A record that people made."""
        record_id = str(uuid.uuid5(uuid.NAMESPACE_URL, str(len(self.held))))
        self.held[record_id] = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
        return record_id

    def answer(self, asked: Asked) -> Answered:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refused(401, "auth_error", "unauthorized", "This API key is not valid.")
        base = f"/v2/objects/{self.records}"
        try:
            if asked.method == "PUT" and asked.path == f"{base}/records":
                return self._assert(Record.model_validate(asked.content), asked.query)
            if asked.method == "PATCH" and asked.path.startswith(f"{base}/records/"):
                return self._update(Record.model_validate(asked.content), asked.path.rpartition("/")[2])
            if asked.method == "POST" and asked.path == f"{base}/records/query":
                return self._query(Query.model_validate(asked.content))
            if asked.method == "POST" and asked.path == f"{base}/attributes":
                return self._new_attribute(NewAttributes.model_validate(asked.content).data)
        except ValidationError as error:
            return refused(400, "invalid_request_error", "validation_type", f"Body payload validation error: {error.errors()[0]['loc']}")
        if asked.method == "GET" and asked.path.startswith(f"{base}/attributes/"):
            return self._attribute(asked.path.rpartition("/")[2])
        return refused(404, "invalid_request_error", "not_found", f"Could not find endpoint {asked.method} {asked.path}.")

    def _assert(self, body: Record, query: dict[str, str]) -> Answered:
        by = self.attributes.get(query.get("matching_attribute", ""))
        if by is None or not by.is_unique:
            return refused(400, "invalid_request_error", "value_not_found", "No attribute was found for matching_attribute slug/ID.")
        wrong = self._wrong(body.data.values)
        if wrong:
            return wrong
        wanted = self._listed(body.data.values.get(by.api_slug))
        if not wanted:
            return refused(400, "invalid_request_error", "missing_value", "A value for the matching attribute is required.")
        found = [record_id for record_id, held in self.held.items() if set(held.get(by.api_slug, ())) & set(wanted)]
        if len(found) > 1:
            return refused(400, "invalid_request_error", "multiple_match_results", "Multiple records match.")
        record_id = found[0] if found else self.add()
        self._put(record_id, body.data.values)
        return Answered(200, {"data": self._shown(record_id)})

    def _update(self, body: Record, record_id: str) -> Answered:
        if record_id not in self.held:
            return refused(404, "invalid_request_error", "not_found", f'Record with ID "{record_id}" was not found.')
        wrong = self._wrong(body.data.values)
        if wrong:
            return wrong
        self._put(record_id, body.data.values)
        return Answered(200, {"data": self._shown(record_id)})

    def _query(self, body: Query) -> Answered:
        unknown = [slug for slug in body.filter if slug not in self.attributes]
        if unknown:
            return refused(400, "invalid_request_error", "unknown_filter_attribute_slug", f"Unknown attribute slug: {unknown[0]}")
        found = [record_id for record_id, held in self.held.items() if all(wanted in held.get(slug, ()) for slug, wanted in body.filter.items())]
        return Answered(200, {"data": [self._shown(record_id) for record_id in found[: body.limit]]})

    def _new_attribute(self, body: NewAttribute) -> Answered:
        if body.api_slug in self.attributes:
            return refused(409, "invalid_request_error", "slug_conflict", "An attribute with that slug already exists.")
        self.attributes[body.api_slug] = body
        return Answered(200, {"data": self._described(body)})

    def _attribute(self, slug: str) -> Answered:
        if slug not in self.attributes:
            return refused(404, "invalid_request_error", "not_found", f'Attribute with slug/ID "{slug}" was not found.')
        return Answered(200, {"data": self._described(self.attributes[slug])})

    @staticmethod
    def _described(body: NewAttribute) -> dict[str, Any]:
        return body.model_dump() | {"is_archived": False, "is_writable": True, "is_system_attribute": False, "created_at": "2021-11-21T13:22:49.061Z"}

    def _wrong(self, values: dict[str, Any]) -> Answered | None:
        for slug, value in values.items():
            attribute = self.attributes.get(slug)
            if attribute is None:
                return refused(400, "invalid_request_error", "value_not_found", f'Cannot find attribute with slug/ID "{slug}".')
            for one in self._listed(value):
                right = isinstance(one, (int, float)) if attribute.type == "number" else isinstance(one, str)
                if not right or (attribute.type == "timestamp" and not is_instant(one)):
                    return refused(400, "invalid_request_error", "validation_type", f'Invalid value for attribute "{slug}".')
        return None

    @staticmethod
    def _listed(value: Any) -> list[Any]:
        return value if isinstance(value, list) else [value]

    def _put(self, record_id: str, values: dict[str, Any]) -> None:
        for slug, value in values.items():
            listed = self._listed(value)
            if self.attributes[slug].type == "timestamp":
                listed = [datetime.fromisoformat(one).strftime("%Y-%m-%dT%H:%M:%S.%f000Z") for one in listed]
            self.held[record_id][slug] = listed

    def _shown(self, record_id: str) -> dict[str, Any]:
        def entry(slug: str, value: Any) -> dict[str, Any]:
            kind, name = self.attributes[slug].type, {"domain": "domain", "email-address": "email_address"}.get(self.attributes[slug].type, "value")
            about = {"active_from": "2023-04-03T15:21:06.447000000Z", "active_until": None, "created_by_actor": {"type": "api-token", "id": None}}
            return about | {"attribute_type": kind, name: value}

        values = {slug: [entry(slug, one) for one in self.held[record_id].get(slug, ())] for slug in self.attributes}
        ids = {"workspace_id": WORKSPACE, "object_id": "97052eb9-e65e-443f-a297-f2d9a4a7f795", "record_id": record_id}
        return {"id": ids, "created_at": "2022-11-21T13:22:49.061281000Z", "web_url": "https://app.attio.com/x", "values": values}


def is_instant(text: str) -> bool:
    """A whole one, or a date."""
    return re.fullmatch(r"\d{4}(-\d{2}){0,2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?", text) is not None


def refused(status: int, kind: str, code: str, message: str) -> Answered:
    """Attio's no."""
    return Answered(status, {"status_code": status, "type": kind, "code": code, "message": message})

"""The two places of PostHog that Beton may write into, as its documents and its generated schema have them.

https://posthog.com/docs/api/annotations · https://posthog.com/docs/api/cohorts · https://us.posthog.com/api/schema/
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from tests.routing.apis import Answered, Api, Asked, Strict

KEY = "phx_0123456789abcdefghij"


class Annotation(Strict):
    content: str = Field(max_length=8192)
    date_marker: str
    scope: Literal["dashboard_item", "dashboard", "project", "organization"]
    creation_type: Literal["USR", "GIT"] = "USR"
    dashboard_item: int | None = None
    dashboard_id: int | None = None
    deleted: bool = False

    @field_validator("date_marker")
    @classmethod
    def _is_instant(cls, value: str) -> str:
        datetime.fromisoformat(value)
        return value


class Persons(Strict):
    person_ids: list[str] = Field(max_length=1000)


class FakePostHog(Api):
    """Project 7, with one static cohort (1) and one that is not (2). `scopes` are the key's."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes = {"annotation:write", "cohort:write"}
        self.annotations: list[dict[str, Any]] = []
        self.members: set[str] = set()

    def answer(self, asked: Asked) -> Answered:
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            return refused(401, "authentication_error", "authentication_failed", "Personal API key found in request Authorization header is invalid.")
        base, scope = "/api/projects/7", "annotation:write" if "annotations" in asked.path else "cohort:write"
        if scope not in self.scopes:
            return refused(403, "authentication_error", "permission_denied", f"API key missing required scope '{scope}'")
        try:
            if (asked.method, asked.path) == ("GET", f"{base}/annotations/"):
                found = [one for one in reversed(self.annotations) if asked.query["search"] in one["content"]]
                return Answered(200, {"count": len(found), "next": None, "previous": None, "results": found[: int(asked.query["limit"])]})
            if (asked.method, asked.path) == ("POST", f"{base}/annotations/"):
                made = Annotation.model_validate(asked.content).model_dump() | {"id": len(self.annotations) + 1}
                self.annotations.append(made)
                return Answered(201, made)
            if asked.method == "GET" and asked.path in (f"{base}/cohorts/1/", f"{base}/cohorts/2/"):
                return Answered(200, {"id": 1, "name": "Beton", "is_static": asked.path.endswith("/1/"), "count": len(self.members)})
            if (asked.method, asked.path) == ("PATCH", f"{base}/cohorts/1/add_persons_to_static_cohort/"):
                self.members |= {str(uuid.UUID(one)) for one in Persons.model_validate(asked.content).person_ids}
                return Answered(200, {"success": True})
        except (ValidationError, ValueError) as error:
            return refused(400, "validation_error", "invalid_input", str(error).splitlines()[0])
        return refused(404, "invalid_request", "not_found", "Not found.")


def refused(status: int, kind: str, code: str, detail: str) -> Answered:
    """PostHog's no."""
    return Answered(status, {"type": kind, "code": code, "detail": detail, "attr": None})

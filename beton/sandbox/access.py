"""Keys, scopes and projects: 401, 403 and 404 as PostHog words them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from beton.sandbox.refusals import Refusal, denied, not_found
from beton.sandbox.settings import ApiKey, Settings

_CHALLENGE = 'Bearer resource_metadata="{site}/.well-known/oauth-protected-resource"'


def authenticated(settings: Settings, headers: Mapping[str, str], query: Mapping[str, str], body: bytes, site: str) -> ApiKey:
    """The key of a request: its header, else its body, else its query string; only the first place found counts."""
    found, place = _presented(headers, query, body)
    challenge = {"WWW-Authenticate": _CHALLENGE.format(site=site)}
    if found is None:
        detail = "Authentication credentials were not provided."
        raise Refusal(401, "authentication_error", "not_authenticated", detail, challenge)
    key = settings.key(found) if not found.startswith("phc_") else None
    if key is None:
        detail = f"Personal API key found in request {place} is invalid."
        raise Refusal(401, "authentication_error", "authentication_failed", detail, challenge)
    return key


def _presented(headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> tuple[str | None, str]:
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind == "Bearer" and value:
        return value.strip(), "Authorization header"
    if b"personal_api_key" in body:
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            parsed = None
        if isinstance(parsed, dict) and parsed.get("personal_api_key"):
            return str(parsed["personal_api_key"]), "body"
    if query.get("personal_api_key"):
        return query["personal_api_key"], "query string"
    return None, ""


def allowed(key: ApiKey, scope: str) -> None:
    """Raises the 403 of a missing scope; write implies read, `*` is everything."""
    thing, _, action = scope.partition(":")
    wider = {"*", scope, f"{thing}:write"} if action == "read" else {"*", scope}
    if not wider & set(key.scopes):
        raise denied(f"API key missing required scope '{scope}'")


def in_project(settings: Settings, key: ApiKey, project: str) -> None:
    """Raises unless `project` is this sandbox's project and the key may use it."""
    number = settings.project_id if project == "@current" else int(project) if project.isdigit() else None
    if number is None:
        raise not_found()
    if key.projects is not None and number not in key.projects:
        raise denied(f"API key does not have access to the requested project: ID {number}.")
    if number != settings.project_id:
        raise not_found()


def outside_projects(key: ApiKey) -> None:
    """Keys bound to projects may not use the other routes."""
    if key.projects is not None:
        raise denied("API keys with scoped projects are only supported on project-based endpoints.")

"""The lists around the query endpoint: definitions, groups, persons, cohorts, values, project and user."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from beton.sandbox.hogql.scope import literal
from beton.sandbox.project import Sandbox
from beton.sandbox.refusals import invalid
from beton.sandbox.settings import ApiKey
from beton.sandbox.taxonomy import HIDDEN_EVENT_PROPERTIES, EventDefinition, PropertyDefinition

_NAMESPACE = uuid.UUID("6f5dbd7e-8f2c-5f0e-9d7a-5b1f9e2d4c11")
_PAGE = 100
_VIRTUAL = {
    "person": ("$virt_initial_channel_type", "$virt_initial_referring_domain_type", "$virt_revenue", "$virt_mrr"),
    "group": ("$virt_revenue", "$virt_mrr"),
}
Params = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """Where a list request stands: its address without paging, and its parameters."""

    address: str
    params: Params

    def limit(self, default: int = _PAGE) -> int:
        """The wanted page length."""
        return _number(self.params, "limit", default) or default

    def offset(self) -> int:
        """The wanted start."""
        return _number(self.params, "offset", 0)

    def link(self, offset: int) -> str:
        """The address of another page of the same list."""
        kept = {**self.params, "limit": str(self.limit()), "offset": str(offset)}
        if offset == 0:
            kept.pop("offset")
        return f"{self.address}?{urlencode(kept)}"


def _number(params: Params, name: str, default: int) -> int:
    text = params.get(name, "")
    return int(text) if text.isdigit() else default


def _enveloped(page: Page, items: Sequence[Any], render: Callable[[Any], dict[str, Any]], last: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """PostHog's list envelope. `last` are appended to the last page, beyond its length, and counted."""
    limit, offset = page.limit(), page.offset()
    end = offset + limit
    rows = [render(item) for item in items[offset:end]]
    if end >= len(items):
        rows.extend(last)
    return {
        "count": len(items) + len(last),
        "next": page.link(end) if end < len(items) else None,
        "previous": page.link(max(0, offset - limit)) if offset > 0 else None,
        "results": rows,
    }


def _listed(params: Params, name: str) -> list[str]:
    """A parameter that is a JSON list, or names divided by commas."""
    text = params.get(name, "")
    if not text:
        return []
    if text.startswith("["):
        try:
            return [str(item) for item in orjson.loads(text)]
        except orjson.JSONDecodeError as error:
            raise invalid(f"{name} must be a JSON list") from error
    return text.split(",")


def _identity(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def _moment(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def event_definitions(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET event_definitions/."""
    params = page.params
    kind = params.get("event_type", "event")
    if kind not in ("event", "event_custom", "event_posthog"):
        raise invalid(f'"{kind}" is not a valid choice.', "invalid_choice")
    wanted, search = set(_listed(params, "names")), params.get("search", "").lower()
    found = [
        item
        for item in sandbox.taxonomy.events.values()
        if (not wanted or item.name in wanted)
        and search in item.name.lower()
        and (kind == "event" or item.name.startswith("$") == (kind == "event_posthog"))
    ]
    return _enveloped(page, _ordered_events(found, params.get("ordering", "")), _event)


def _ordered_events(items: list[EventDefinition], ordering: str) -> list[EventDefinition]:
    items = sorted(items, key=lambda item: item.name)
    key = ordering.removeprefix("-").removesuffix("::date")
    reverse = ordering.startswith("-")
    if key == "name":
        return items[::-1] if reverse else items
    if key in ("last_seen_at", "created_at"):
        return sorted(items, key=lambda item: getattr(item, key), reverse=reverse)
    return sorted(items, key=lambda item: item.last_seen_at.date(), reverse=True)


def _event(item: EventDefinition) -> dict[str, Any]:
    empty = ("primary_property", "action_id", "last_calculated_at", "created_by", "enforcement_mode")
    return {
        "id": _identity("event", item.name),
        "name": item.name,
        "created_at": _moment(item.created_at),
        "last_seen_at": _moment(item.last_seen_at),
        "last_updated_at": _moment(item.last_seen_at),
        "tags": [],
        "is_action": False,
        "is_calculating": False,
        "post_to_slack": False,
        **dict.fromkeys(empty),
    }


def property_definitions(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET property_definitions/. The last page of persons and groups is longer by the virtual properties."""
    params = page.params
    kind = params.get("type", "event")
    if kind not in ("event", "person", "group", "session"):
        raise invalid(f'"{kind}" is not a valid choice.', "invalid_choice")
    index = params.get("group_type_index", "")
    if (kind == "group") != bool(index):
        raise invalid("`group_type_index` must be set if and only if `type` is `group`.")
    if index and index not in "01234":
        raise invalid("`group_type_index` must be between 0 and 4.")
    owner = f"group_{index}" if kind == "group" else kind
    names = set(_listed(params, "event_names")) if kind == "event" else set()
    found = [item for item in sandbox.taxonomy.properties.values() if item.owner == owner and _wanted(item, params, names)]
    found.sort(key=lambda item: (not (names & item.events), item.name))
    virtual = [_virtual(name) for name in _VIRTUAL.get(kind, ()) if params.get("search", "").lower() in name]
    return _enveloped(page, found, lambda item: _property(item, names), virtual)


def _wanted(item: PropertyDefinition, params: Params, names: set[str]) -> bool:
    chosen, excluded = set(_listed(params, "properties")), set(_listed(params, "excluded_properties"))
    flag, numerical = params.get("is_feature_flag"), params.get("is_numerical")
    return (
        (not chosen or item.name in chosen)
        and item.name not in excluded
        and params.get("search", "").lower() in item.name.lower()
        and not (item.owner == "event" and item.name in HIDDEN_EVENT_PROPERTIES)
        and not (params.get("filter_by_event_names") == "true" and names and not names & item.events)
        and (flag not in ("true", "false") or item.name.startswith("$feature/") == (flag == "true"))
        and (numerical != "true" or item.kind == "Numeric")
        and not (params.get("exclude_core_properties") == "true" and item.name.startswith("$"))
    )


def _property(item: PropertyDefinition, names: set[str]) -> dict[str, Any]:
    return {
        "id": _identity(item.owner, item.name),
        "name": item.name,
        "is_numerical": item.kind == "Numeric",
        "property_type": item.kind,
        "tags": [],
        "is_seen_on_filtered_events": bool(names & item.events) if names else None,
    }


def _virtual(name: str) -> dict[str, Any]:
    numeric = name.endswith(("revenue", "mrr"))
    return {
        "id": f"$builtin_{name}",
        "name": name,
        "is_numerical": numeric,
        "property_type": "Numeric" if numeric else "String",
        "tags": [],
        "is_seen_on_filtered_events": None,
        "virtual": True,
    }


def seen_together(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET property_definitions/seen_together/."""
    item = sandbox.taxonomy.properties.get(("event", page.params.get("property_name", "")))
    return {name: item is not None and name in item.events for name in _listed(page.params, "event_names")}


def group_types(sandbox: Sandbox, page: Page) -> list[dict[str, Any]]:
    """GET groups_types/: a bare array."""
    del page
    empty = dict.fromkeys(("name_singular", "name_plural", "default_columns", "detail_dashboard"))
    return [{"group_type": name, "group_type_index": index, **empty} for index, name in enumerate(sandbox.group_types)]


def groups(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET groups/: a cursor envelope without a count."""
    index = page.params.get("group_type_index", "")
    if index not in ("0", "1", "2", "3", "4"):
        raise invalid("group_type_index is required")
    cursor, search = _number(page.params, "cursor", 0), page.params.get("search", "")
    condition = f" AND positionCaseInsensitive(`key`, {literal(search)}) > 0" if search else ""
    rows = sandbox.clickhouse.query(
        f"SELECT `key`, properties, created_at FROM groups WHERE team_id = {sandbox.settings.project_id} AND `index` = {index}{condition} "
        f"ORDER BY `key` LIMIT {cursor}, {_PAGE + 1}"
    ).rows()
    found = [
        {"group_type_index": int(index), "group_key": key, "group_properties": orjson.loads(properties), "created_at": created}
        for key, properties, created in rows[:_PAGE]
    ]
    link = f"{page.address}?{urlencode({**page.params, 'cursor': cursor + _PAGE})}" if len(rows) > _PAGE else None
    return {"next": link, "previous": None, "results": found}


def group_property_names(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET groups/property_definitions."""
    del page
    found: dict[str, list[dict[str, Any]]] = {str(index): [] for index in range(len(sandbox.group_types))}
    for item in sandbox.taxonomy.properties.values():
        if item.owner.startswith("group_"):
            found[item.owner[-1]].append({"name": item.name, "count": 1})
    return found


def persons(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET persons/, with `search` on ids and properties, and `distinct_id`."""
    team, limit, offset = sandbox.settings.project_id, page.limit(), page.offset()
    conditions = [f"p.team_id = {team}"]
    if page.params.get("search"):
        text = literal(page.params["search"])
        conditions.append(f"(positionCaseInsensitive(p.properties, {text}) > 0 OR p.id = {text})")
    if page.params.get("distinct_id"):
        conditions.append(f"p.id IN (SELECT person_id FROM person_distinct_ids WHERE distinct_id = {literal(page.params['distinct_id'])})")
    rows = sandbox.clickhouse.query(
        "SELECT p.id, p.properties, p.created_at, groupArray(d.distinct_id), cityHash64(p.id) % 2147483647 FROM persons AS p "
        f"LEFT JOIN person_distinct_ids AS d ON d.person_id = p.id WHERE {' AND '.join(conditions)} "
        f"GROUP BY p.id, p.properties, p.created_at ORDER BY p.created_at DESC, p.id LIMIT {offset}, {limit + 1}"
    ).rows()
    found = []
    for key, text, created, ids, number in rows[:limit]:
        properties = orjson.loads(text)
        name = properties.get("email") or properties.get("name") or (ids[0] if ids else key)
        row = {"id": number, "uuid": key, "name": name, "distinct_ids": ids, "properties": properties, "created_at": created}
        found.append({**row, "last_seen_at": None})
    more, back = len(rows) > limit, max(0, offset - limit)
    return {"next": page.link(offset + limit) if more else None, "previous": page.link(back) if offset else None, "results": found}


def cohorts(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET cohorts/."""
    empty = ("filters", "query", "created_by", "last_calculation", "last_error_message", "pending_version")

    def render(item: Any) -> dict[str, Any]:
        return {
            "id": item.id,
            "name": item.name,
            "description": "",
            "is_static": item.is_static,
            "is_calculating": False,
            "count": item.count,
            "cohort_type": "static" if item.is_static else "behavioral",
            "created_at": _moment(item.created_at),
            "errors_calculating": 0,
            "version": 1,
            "deleted": False,
            **dict.fromkeys(empty),
        }

    return _enveloped(page, list(sandbox.cohorts.values()), render)


def event_values(sandbox: Sandbox, page: Page) -> dict[str, Any]:
    """GET events/values/: values of the last seven days, ten at most."""
    key, event = page.params.get("key"), page.params.get("event_name")
    if not key:
        raise invalid("You must provide a key")
    if not event:
        raise invalid("event_name is required when using a personal API key")
    value = f"replaceRegexpAll(JSONExtractRaw(properties, {literal(key)}), '^\"|\"$', '')"
    like = f" AND positionCaseInsensitive(v, {literal(page.params['value'])}) > 0" if page.params.get("value") else ""
    rows = sandbox.clickhouse.query(
        f"SELECT {value} AS v, count() AS n FROM events WHERE team_id = {sandbox.settings.project_id} AND event = {literal(event)} "
        f"AND timestamp > toDateTime64('{sandbox.now():%Y-%m-%d %H:%M:%S}', 6, 'UTC') - INTERVAL 7 DAY AND v NOT IN ('', 'null'){like} "
        "GROUP BY v ORDER BY n DESC, v LIMIT 10"
    ).rows()
    return {"results": [{"name": row[0]} for row in rows], "refreshing": False}


def project_info(sandbox: Sandbox) -> dict[str, Any]:
    """The project: what of it clients read."""
    settings = sandbox.settings
    return {
        "id": settings.project_id,
        "uuid": _identity("team", str(settings.project_id)),
        "organization": settings.organization_id,
        "project_id": settings.project_id,
        "api_token": settings.project_token,
        "name": settings.project_name,
        "completed_snippet_onboarding": True,
        "has_completed_onboarding_for": {},
        "ingested_event": bool(sandbox.taxonomy.events),
        "is_demo": False,
        "timezone": settings.timezone,
        "access_control": False,
        "test_account_filters": [dict(one) for one in sandbox.test_account_filters],
    }


def user_info(sandbox: Sandbox, key: ApiKey) -> dict[str, Any]:
    """GET users/@me/."""
    team = project_info(sandbox)
    organization = {"id": sandbox.settings.organization_id, "name": "Sandbox", "slug": "sandbox", "teams": [team]}
    return {
        "id": 1,
        "uuid": _identity("user", key.email),
        "distinct_id": _identity("distinct", key.email),
        "first_name": "Sandbox",
        "email": key.email,
        "team": team,
        "organization": organization,
        "organizations": [{"id": organization["id"], "name": "Sandbox", "slug": "sandbox"}],
        "is_staff": False,
    }


def key_info(key: ApiKey, now: datetime) -> dict[str, Any]:
    """GET personal_api_keys/@current/."""
    return {
        "id": _identity("key", key.value),
        "label": "Sandbox",
        "value": None,
        "mask_value": f"{key.value[:4]}...{key.value[-4:]}",
        "scopes": list(key.scopes),
        "scoped_teams": list(key.projects or ()),
        "scoped_organizations": [],
        "created_at": _moment(now),
        "last_used_at": _moment(now),
        "user_id": 1,
    }

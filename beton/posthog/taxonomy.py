"""Read what a project can tell: definitions from PostHog's lists, volumes and use from one aggregate query each.

The lists know names, types and what people hid; only the events know how much there is and which event carries which property. Names that
appear in one of the two alone are kept. Each query asks for less until it passes, and what could not be read is a note, never a zero.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from backtest.taxonomy import EventDefinition, GroupType, PropertyDefinition, PropertyKind, PropertyType, Taxonomy
from beton.errors import PostHogDenied, PostHogError, PostHogRefused, PostHogWrongAddress
from beton.posthog.client import MOST_ROWS, PostHogClient, QueryResult

WINDOW_DAYS = 90
USE_DAYS = 7.0
"""Days of events whose property names are read; the column of properties is by far the widest, so this is short."""

VALUES_DAYS = 1.0
PAGE = 500
MOST_VOLUME_PAGES = 4

ENUMERATED = 50
"""Values are kept only of properties with at most so many: plans and roles, not names and addresses."""

_LONGEST_VALUE = 80
_LONGEST_DESCRIPTION = 300

_TYPES: dict[str, PropertyType] = {
    "String": "string",
    "Numeric": "numeric",
    "Duration": "numeric",
    "Boolean": "boolean",
    "DateTime": "datetime",
}

_VOLUMES = """
SELECT event, count() AS volume, uniq(person_id) AS units, min(timestamp) AS first_seen, max(timestamp) AS last_seen
FROM events
WHERE timestamp >= toDateTime64({since}, 6, 'UTC') AND timestamp < toDateTime64({until}, 6, 'UTC') AND event > {after}
GROUP BY event
ORDER BY event
LIMIT 50000
"""

# One row for each event, so that the cap on rows falls on events and not on pairs.
_USE = """
SELECT event, arraySlice(
    arraySort(pair -> tuple(0 - tupleElement(pair, 2), tupleElement(pair, 1)), groupArray(tuple(property, uses))), 1, 500
) AS used
FROM (
    SELECT event, property, count() AS uses
    FROM (
        SELECT event, arrayJoin(JSONExtractKeys(properties)) AS property
        FROM events
        WHERE timestamp >= toDateTime64({since}, 6, 'UTC') AND timestamp < toDateTime64({until}, 6, 'UTC')
    )
    GROUP BY event, property
)
GROUP BY event
ORDER BY event
LIMIT 50000
"""

_VALUES = """
SELECT property, uniq(value) AS cardinality, topK(20)(substring(value, 1, 80)) AS top
FROM (
    SELECT tupleElement(pair, 1) AS property, tupleElement(pair, 2) AS value
    FROM (
        SELECT arrayJoin(JSONExtractKeysAndValues(properties, 'String')) AS pair
        FROM events
        WHERE timestamp >= toDateTime64({since}, 6, 'UTC') AND timestamp < toDateTime64({until}, 6, 'UTC')
    )
)
WHERE value != ''
GROUP BY property
ORDER BY count() DESC
LIMIT 5000
"""


@dataclass(slots=True)
class _Volume:
    volume: int
    units: int
    first_seen: datetime | None
    last_seen: datetime | None


@dataclass(slots=True)
class _Reading:
    """What was found so far, before it is joined."""

    notes: list[str] = field(default_factory=list)
    window_days: int = WINDOW_DAYS
    volumes: dict[str, _Volume] = field(default_factory=dict)
    complete_below: str | None = None
    use: dict[str, tuple[str, ...]] | None = None
    values: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)


async def read_taxonomy(client: PostHogClient, now: datetime, *, sample_values: bool = False) -> Taxonomy:
    """A snapshot of the project's names at `now`, with volumes over the 90 days before (fewer when PostHog cannot sum 90, with a note).

    `units` are distinct persons as PostHog's `uniq` estimates them. Values are sampled only when asked for, only of event properties, only
    of those with few distinct values. Raises PostHogError when the events or their definitions cannot be read at all.
    """
    found = _Reading()
    events = await _rows(client, "event_definitions/", {"ordering": "name"})
    groups = await _group_types(client, found)
    definitions = [prop async for prop in _properties(client, groups, found)]
    await _read_volumes(client, now, found)
    found.use = await _read_use(client, now, found)
    if sample_values:
        found.values = await _read_values(client, now, found)
    return Taxonomy(
        events=tuple(sorted(_events(events, found), key=lambda event: (-event.volume, event.name))),
        properties=tuple(sorted(_joined(definitions, found), key=lambda prop: (prop.kind, prop.group_type or "", prop.name))),
        group_types=groups,
        taken_at=now,
        window_days=found.window_days,
        notes=tuple(found.notes),
    )


async def _rows(client: PostHogClient, path: str, params: Mapping[str, str | int]) -> dict[str, dict[str, Any]]:
    """All rows of a list by name: pages may overlap when definitions are added while we read."""
    rows: dict[str, dict[str, Any]] = {}
    async for page in client.get_pages(path, {"limit": PAGE} | dict(params)):
        rows |= {row["name"]: row for row in page if isinstance(row, dict) and isinstance(row.get("name"), str)}
    return rows


async def _group_types(client: PostHogClient, found: _Reading) -> tuple[GroupType, ...]:
    try:
        content = await client.get("groups_types/")
    except (PostHogDenied, PostHogWrongAddress) as failure:
        if failure.code not in ("posthog.scope_missing", "posthog.forbidden", "posthog.endpoint_not_found"):
            raise
        found.notes.append(f"Group types could not be read: {failure.message} {failure.fix}")
        return ()
    rows = content.get("results", []) if isinstance(content, dict) else content
    types = [GroupType(index=row["group_type_index"], name=row["group_type"]) for row in rows if 0 <= row.get("group_type_index", -1) <= 4]
    return tuple(sorted(types, key=lambda group: group.index))


async def _properties(client: PostHogClient, groups: Iterable[GroupType], found: _Reading) -> AsyncIterator[PropertyDefinition]:
    """Definitions of every kind. A kind that this PostHog refuses is noted; event properties must be readable."""
    kinds: list[tuple[PropertyKind, GroupType | None]] = [("event", None), ("person", None), ("session", None)]
    kinds += [("group", group) for group in groups]
    for kind, group in kinds:
        params: dict[str, str | int] = {"type": kind} | ({"group_type_index": group.index} if group else {})
        try:
            rows = await _rows(client, "property_definitions/", params)
        except (PostHogRefused, PostHogWrongAddress) as failure:
            if kind == "event" or failure.code not in ("posthog.query_refused", "posthog.endpoint_not_found"):
                raise
            found.notes.append(f"Properties of {'group ' + group.name if group else kind + 's'} could not be read: {failure.message}")
            continue
        for row in rows.values():
            yield _property(row, kind, group)


def _property(row: Mapping[str, Any], kind: PropertyKind, group: GroupType | None) -> PropertyDefinition:
    known = _TYPES.get(str(row.get("property_type")))
    return PropertyDefinition(
        name=row["name"],
        kind=kind,
        type=known or ("numeric" if row.get("is_numerical") else "unknown"),
        group_type=group.name if group else None,
        description=_text(row.get("description")),
        internal=row["name"].startswith("$"),
        hidden=bool(row.get("hidden")),
        virtual=bool(row.get("virtual")) or str(row.get("id", "")).startswith("$builtin_"),
    )


async def _read_volumes(client: PostHogClient, now: datetime, found: _Reading) -> None:
    """Volumes in pages of event names, because PostHog cuts a table at 50,000 rows without a word."""
    after = ""
    for _ in range(MOST_VOLUME_PAGES):
        result, days = await _smaller(
            lambda since, after=after: client.query(_VOLUMES, _bounds(since, now) | {"after": after}, name="beton volumes"),
            now,
            [days for days in (90.0, 45.0, 21.0, 7.0, 3.0, 1.0) if days <= found.window_days],
        )
        if days < found.window_days:
            found.notes.append(f"Volumes are of the last {days:.0f} days: PostHog could not sum {WINDOW_DAYS} days in one query.")
            found.window_days, found.volumes = int(days), {}
            if after:  # this was a later page: pages of different windows do not add up, so begin again
                after = ""
                continue
        for name, volume, units, first, last in result.rows:
            found.volumes[name] = _Volume(int(volume), int(units), _instant(first), _instant(last))
        if len(result.rows) < MOST_ROWS:
            return
        after = result.rows[-1][0]
    found.complete_below = after
    found.notes.append(
        f"The project has more than {MOST_VOLUME_PAGES * MOST_ROWS:,} event names; those after {after!r} in the alphabet are left out."
    )


async def _read_use(client: PostHogClient, now: datetime, found: _Reading) -> dict[str, tuple[str, ...]] | None:
    """Which properties each event carried of late, most frequent first; None when PostHog cannot say."""
    try:
        result, _ = await _smaller(
            lambda since: client.query(_USE, _bounds(since, now), name="beton property use"), now, (USE_DAYS, 3.0, 1.0, 0.25, 1 / 24)
        )
    except PostHogError as failure:
        if not failure.shrink and failure.code != "posthog.query_refused":
            raise
        found.notes.append(f"Which event carries which property is not known: {failure.message}")
        return None
    # Equal counts come in any order from the server; a snapshot of the same project must not depend on it.
    return {event: tuple(name for name, _ in sorted(pairs, key=lambda pair: (-pair[1], pair[0]))) for event, pairs in result.rows}


async def _read_values(client: PostHogClient, now: datetime, found: _Reading) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Cardinality of each event property, and its values where they are few and name nobody."""
    try:
        result, _ = await _smaller(
            lambda since: client.query(_VALUES, _bounds(since, now), name="beton property values"), now, (VALUES_DAYS, 0.25, 1 / 24)
        )
    except PostHogError as failure:
        if not failure.shrink and failure.code != "posthog.query_refused":
            raise
        found.notes.append(f"Values of properties were not sampled: {failure.message}")
        return {}
    return {name: (int(count), _shown(top) if int(count) <= ENUMERATED else ()) for name, count, top in result.rows}


async def _smaller(ask: Callable[[datetime], Awaitable[QueryResult]], now: datetime, days: Iterable[float]) -> tuple[QueryResult, float]:
    """Ask for the first number of days that PostHog can compute; raises the last refusal when even the smallest is too much."""
    refused: PostHogError | None = None
    for number in days:
        try:
            return await ask(now - timedelta(days=number)), number
        except PostHogError as failure:
            if not failure.shrink:
                raise
            refused = failure
    raise refused or ValueError("no number of days was offered")


def _events(rows: Mapping[str, Mapping[str, Any]], found: _Reading) -> list[EventDefinition]:
    names = {name for name in rows.keys() | found.volumes.keys() if found.complete_below is None or name <= found.complete_below}
    return [_event(name, rows.get(name, {}), found) for name in names]


def _event(name: str, row: Mapping[str, Any], found: _Reading) -> EventDefinition:
    seen = found.volumes.get(name) or _Volume(0, 0, None, _instant(row.get("last_seen_at")))
    return EventDefinition(
        name=name,
        volume=seen.volume,
        units=seen.units,
        first_seen=seen.first_seen,
        last_seen=seen.last_seen,
        description=_text(row.get("description")),
        internal=name.startswith("$"),
        hidden=bool(row.get("hidden")) or bool(row.get("archived")),
        verified=bool(row.get("verified")),
        properties=(found.use or {}).get(name, ()),
    )


def _joined(definitions: Iterable[PropertyDefinition], found: _Reading) -> list[PropertyDefinition]:
    """Definitions with their use and values; properties seen on events that the list leaves out (PostHog never lists `$groups`) are added."""
    carriers: dict[str, list[str]] = defaultdict(list)
    for event, names in sorted((found.use or {}).items()):
        for name in names:
            carriers[name].append(event)
    joined: list[PropertyDefinition] = []
    listed: set[str] = set()
    for prop in definitions:
        if prop.kind != "event":
            joined.append(prop)
            continue
        listed.add(prop.name)
        joined.append(_with_use(prop, carriers, found))
    unlisted = [PropertyDefinition(name=name, internal=name.startswith("$")) for name in carriers if name not in listed]
    return joined + [_with_use(prop, carriers, found) for prop in unlisted]


def _with_use(prop: PropertyDefinition, carriers: Mapping[str, list[str]], found: _Reading) -> PropertyDefinition:
    cardinality, values = found.values.get(prop.name, (None, ()))
    events = tuple(carriers.get(prop.name, ())) if found.use is not None else None
    return prop.model_copy(update={"events": events, "cardinality": cardinality, "values": values})


def _bounds(since: datetime, until: datetime) -> dict[str, str]:
    return {"since": _utc(since), "until": _utc(until)}


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _instant(text: object) -> datetime | None:
    """An instant as PostHog prints it; a text without a zone is UTC."""
    if not isinstance(text, str):
        return None
    try:
        read = datetime.fromisoformat(text.replace(" ", "T", 1))
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)


def _text(value: object) -> str:
    return value.strip()[:_LONGEST_DESCRIPTION] if isinstance(value, str) else ""


def _shown(top: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(value)[:_LONGEST_VALUE] for value in top if "@" not in str(value))

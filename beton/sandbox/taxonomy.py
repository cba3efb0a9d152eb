"""What PostHog infers from events: event names, property types, persons, groups.

A property's type is Numeric when every value is a JSON number, Boolean when every value is true or false, DateTime when every value
is an ISO date, else String. PostHog keeps the type of the first value it sees; here a mixture is String.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from beton.sandbox.clickhouse import ClickHouse
from beton.sandbox.hogql.schema import MAX_GROUP_TYPES

SAMPLED_EVENTS = 1_000_000
HIDDEN_EVENT_PROPERTIES = frozenset(
    {"distinct_id", "$set", "$set_once", "$initial_referrer", "$initial_referring_domain", "$groups", "$group_type", "$group_key"}
    | {"$group_set"}
    | {f"$group_{index}" for index in range(MAX_GROUP_TYPES)}
)


@dataclass(frozen=True, slots=True)
class EventDefinition:
    """One event name with its first and last time."""

    name: str
    created_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class PropertyDefinition:
    """One property of events, persons or groups. `events` are the event names it was seen on."""

    owner: str
    name: str
    kind: str
    events: frozenset[str] = frozenset()


@dataclass(slots=True)
class Taxonomy:
    """Everything inferred so far; (owner, name) is a property's key, with owners event, person, group_0 ... group_4."""

    events: dict[str, EventDefinition] = field(default_factory=dict)
    properties: dict[tuple[str, str], PropertyDefinition] = field(default_factory=dict)

    def kinds(self) -> dict[tuple[str, str], str]:
        """The property types the translator needs."""
        return {key: definition.kind for key, definition in self.properties.items()}


def refresh_taxonomy(clickhouse: ClickHouse, team_id: int, group_types: tuple[str, ...]) -> Taxonomy:
    """Rebuilds persons and groups from the events and infers every definition."""
    _rebuild_persons(clickhouse, team_id)
    _rebuild_groups(clickhouse, team_id, group_types)
    taxonomy = Taxonomy(events=_event_definitions(clickhouse, team_id))
    total = clickhouse.column(f"SELECT count() FROM events WHERE team_id = {team_id}")[0]
    share = -(-total // SAMPLED_EVENTS) or 1
    sample = f" AND cityHash64(uuid) % {share} = 0" if share > 1 else ""
    source = f"SELECT properties, event FROM events WHERE team_id = {team_id}{sample}"
    for definition in _property_definitions(clickhouse, "event", source):
        if definition.name not in HIDDEN_EVENT_PROPERTIES:
            taxonomy.properties["event", definition.name] = definition
    owners = {"person": f"SELECT properties, '' AS event FROM persons WHERE team_id = {team_id}"}
    for index in range(len(group_types)):
        owners[f"group_{index}"] = f"SELECT properties, '' AS event FROM groups WHERE team_id = {team_id} AND `index` = {index}"
    for owner, text in owners.items():
        for definition in _property_definitions(clickhouse, owner, text):
            taxonomy.properties[owner, definition.name] = definition
    return taxonomy


def _event_definitions(clickhouse: ClickHouse, team_id: int) -> dict[str, EventDefinition]:
    rows = clickhouse.query(
        f"SELECT event, toUnixTimestamp(min(created_at)), toUnixTimestamp(max(timestamp)) FROM events WHERE team_id = {team_id} GROUP BY event"
    ).rows()
    return {name: EventDefinition(name, datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)) for name, first, last in rows}


def _property_definitions(clickhouse: ClickHouse, owner: str, source: str) -> list[PropertyDefinition]:
    dates = r"'^\"\\d{4}-\\d{2}-\\d{2}([T ]\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?(Z|[+-]\\d{2}:?\\d{2})?)?\"$'"
    rows = clickhouse.query(
        "SELECT kv.1 AS name, countIf(kv.2 != 'null') AS n, countIf(match(kv.2, '^-?[0-9]')) AS numbers, "
        "countIf(kv.2 IN ('true', 'false', '\"true\"', '\"false\"')) AS booleans, "
        f"countIf(match(kv.2, {dates})) AS dates, groupUniqArray(event) AS events "
        f"FROM (SELECT event, arrayJoin(JSONExtractKeysAndValuesRaw(properties)) AS kv FROM ({source} AND properties != '{{}}')) "
        "GROUP BY name ORDER BY name"
    ).rows()
    return [
        PropertyDefinition(owner, name, _kind(count, numbers, booleans, dated), frozenset(events))
        for name, count, numbers, booleans, dated, events in rows
    ]


def _kind(count: int, numbers: int, booleans: int, dates: int) -> str:
    if count == 0:
        return "String"
    for matching, kind in ((numbers, "Numeric"), (booleans, "Boolean"), (dates, "DateTime")):
        if matching == count:
            return kind
    return "String"


_MERGED = "concat('{', arrayStringConcat(groupArray(concat(toJSONString(name), ':', value)), ','), '}')"


def _rebuild_persons(clickhouse: ClickHouse, team_id: int) -> None:
    """Persons are the events' person ids; their properties the latest `$set` of each name, under the earliest `$set_once`."""
    sets = (
        f"SELECT person_id, timestamp, {{weight}} AS weight, arrayJoin(JSONExtractKeysAndValuesRaw(properties, '{{key}}')) AS kv FROM events "
        f"WHERE team_id = {team_id} AND position(properties, '\"{{key}}\"') > 0"
    )
    once = sets.format(key="$set_once", weight="-toUnixTimestamp64Milli(timestamp) - 1000000000000000")
    latest = sets.format(key="$set", weight="toUnixTimestamp64Milli(timestamp)")
    values = f"SELECT person_id, kv.1 AS name, argMax(kv.2, weight) AS value FROM ({latest} UNION ALL {once}) GROUP BY person_id, name"
    merged = f"SELECT person_id, {_MERGED} AS properties FROM (SELECT * FROM ({values}) ORDER BY person_id, name) GROUP BY person_id"
    seen = (
        f"SELECT person_id, min(timestamp) AS first, max(event = '$identify') AS identified FROM events WHERE team_id = {team_id} GROUP BY person_id"
    )
    _replace(
        clickhouse,
        "persons",
        f"SELECT {team_id}, s.person_id, s.first, if(m.properties = '', '{{}}', m.properties), "
        f"s.identified OR m.properties != '' FROM ({seen}) AS s LEFT JOIN ({merged}) AS m ON s.person_id = m.person_id",
    )
    _replace(
        clickhouse,
        "person_distinct_ids",
        f"SELECT {team_id}, distinct_id, argMax(person_id, timestamp) FROM events WHERE team_id = {team_id} GROUP BY distinct_id",
    )


def _rebuild_groups(clickhouse: ClickHouse, team_id: int, group_types: tuple[str, ...]) -> None:
    """Groups are the keys on events; their properties the latest `$group_set` of `$groupidentify`."""
    parts = [f"SELECT * FROM groups WHERE team_id != {team_id}"]
    for index, name in enumerate(group_types[:MAX_GROUP_TYPES]):
        quoted_name = "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
        identified = (
            "SELECT JSONExtractString(properties, '$group_key') AS gk, timestamp, "
            "arrayJoin(JSONExtractKeysAndValuesRaw(properties, '$group_set')) AS kv FROM events "
            f"WHERE team_id = {team_id} AND event = '$groupidentify' AND JSONExtractString(properties, '$group_type') = {quoted_name}"
        )
        values = f"SELECT gk, kv.1 AS name, argMax(kv.2, timestamp) AS value FROM ({identified}) GROUP BY gk, name"
        merged = f"SELECT gk, {_MERGED} AS properties FROM (SELECT * FROM ({values}) ORDER BY gk, name) GROUP BY gk"
        on_events = f"SELECT `$group_{index}` AS gk, timestamp FROM events WHERE team_id = {team_id} AND `$group_{index}` != ''"
        keys = f"SELECT gk, min(timestamp) AS first, max(timestamp) AS last FROM ({on_events} UNION ALL SELECT gk, timestamp FROM ({identified}))"
        parts.append(
            f"SELECT {team_id}, {index}, k.gk, k.first, k.last, if(m.properties = '', '{{}}', m.properties) "
            f"FROM ({keys} GROUP BY gk) AS k LEFT JOIN ({merged}) AS m ON k.gk = m.gk"
        )
    _replace(clickhouse, "groups", " UNION ALL ".join(parts))


def _replace(clickhouse: ClickHouse, table: str, rows: str) -> None:
    """Swaps a table's rows at once: a query sees the old ones or the new ones, never none."""
    clickhouse.execute(f"CREATE TABLE IF NOT EXISTS {table}_next AS {table}")
    clickhouse.execute(f"TRUNCATE TABLE {table}_next")
    clickhouse.execute(f"INSERT INTO {table}_next {rows}")
    clickhouse.execute(f"EXCHANGE TABLES {table} AND {table}_next")

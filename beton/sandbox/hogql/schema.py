"""The tables HogQL sees, and what each of their columns is in ClickHouse.

`{t}` in a column's text stands for the table's alias in the query. A column of kind `Json:<owner>` holds a JSON text whose members are
reached with dots; `<owner>` names the property definitions that give them a type (event, person, group_0 ... group_4, session).
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_GROUP_TYPES = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `hidden` ones are left out of `SELECT *`."""

    sql: str
    kind: str = "String"
    nullable: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """A table reached through a field (`events.person`): joined only when a query names it."""

    table: str
    on: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`relation` is ClickHouse's name of it, or a SELECT in parentheses; `{team}` is the project's id."""

    relation: str
    columns: dict[str, Column]
    joins: dict[str, Join] = field(default_factory=dict)
    stored: bool = True
    sampled: bool = False


def _stored(kind: str = "String", name: str = "", hidden: bool = False) -> Column:
    return Column(sql="{t}." + name, kind=kind, hidden=hidden)


def _named(kinds: dict[str, str]) -> dict[str, Column]:
    return {name: _stored(kind, f"`{name}`") for name, kind in kinds.items()}


def _from_properties(name: str) -> Column:
    return Column(sql=f"nullIf(JSONExtractString({{t}}.properties, '{name}'), '')", nullable=True)


def _events() -> Table:
    columns = _named(
        {
            "uuid": "UUID",
            "event": "String",
            "properties": "Json:event",
            "timestamp": "DateTime",
            "distinct_id": "String",
            "elements_chain": "String",
            "created_at": "DateTime",
        }
    )
    columns["$session_id"] = _from_properties("$session_id")
    columns["$window_id"] = _from_properties("$window_id")
    columns["$session_id_uuid"] = Column(
        sql="reinterpretAsUInt128(reverse(reinterpretAsString(toUUIDOrNull(JSONExtractString({t}.properties, '$session_id')))))",
        kind="Integer",
        nullable=True,
        hidden=True,
    )
    columns["person_mode"] = Column(sql="'full'", hidden=True)
    for index in range(MAX_GROUP_TYPES):
        columns[f"$group_{index}"] = _stored("String", f"`$group_{index}`")
    columns["person_id"] = _stored("String", "person_id", hidden=True)
    columns["event_person_id"] = _stored("String", "event_person_id", hidden=True)
    columns["elements_chain_href"] = Column(sql='extract({t}.elements_chain, \'(?::|\\")href="(.*?)"\')')
    for part, pattern in {"texts": 'text="(.*?)"', "ids": 'id="(.*?)"'}.items():
        columns[f"elements_chain_{part}"] = Column(sql=f"arrayDistinct(extractAll({{t}}.elements_chain, '(?::|\\\"){pattern}'))", kind="Array")
    columns["elements_chain_elements"] = Column(sql="arrayDistinct(extractAll({t}.elements_chain, '(?:^|;)([a-z]+)'))", kind="Array")
    person = Join("persons", "{l}.person_id = {r}.id")
    joins = {
        "person": person,
        "poe": person,
        "pdi": Join("person_distinct_ids", "{l}.distinct_id = {r}.distinct_id"),
        "session": Join("sessions", "JSONExtractString({l}.properties, '$session_id') = {r}.session_id"),
    }
    for index in range(MAX_GROUP_TYPES):
        joins[f"group_{index}"] = Join(f"groups_{index}", f"{{l}}.`$group_{index}` = {{r}}.`key`")
        joins[f"goe_{index}"] = joins[f"group_{index}"]
    return Table("events", columns, joins, sampled=True)


def _groups(index: int | None) -> Table:
    kinds = {"index": "Integer", "key": "String", "created_at": "DateTime", "updated_at": "DateTime"}
    owner = "group" if index is None else f"group_{index}"
    relation = "`groups`" if index is None else f"(SELECT * FROM `groups` WHERE team_id = {{team}} AND `index` = {index})"
    return Table(relation, _named({**kinds, "properties": f"Json:{owner}"}), stored=index is None)


_SESSIONS = """(SELECT JSONExtractString(properties, '$session_id') AS session_id, any(distinct_id) AS distinct_id,
 min(timestamp) AS `$start_timestamp`, max(timestamp) AS `$end_timestamp`,
 dateDiff('second', min(timestamp), max(timestamp)) AS `$session_duration`,
 countIf(event = '$pageview') AS `$pageview_count`, countIf(event = '$autocapture') AS `$autocapture_count`,
 countIf(event = '$screen') AS `$screen_count`,
 argMinIf(nullIf(JSONExtractString(properties, '$current_url'), ''), timestamp, event = '$pageview') AS `$entry_current_url`,
 argMaxIf(nullIf(JSONExtractString(properties, '$current_url'), ''), timestamp, event = '$pageview') AS `$end_current_url`
 FROM events WHERE team_id = {team} AND JSONHas(properties, '$session_id') GROUP BY session_id HAVING session_id != '')"""


def _sessions() -> Table:
    columns = _named(
        {
            "session_id": "String",
            "distinct_id": "String",
            "$start_timestamp": "DateTime",
            "$end_timestamp": "DateTime",
            "$session_duration": "Integer",
            "$pageview_count": "Integer",
            "$autocapture_count": "Integer",
            "$screen_count": "Integer",
        }
    )
    for name in ("$entry_current_url", "$end_current_url"):
        columns[name] = Column(sql=f"{{t}}.`{name}`", nullable=True)
    columns["id"] = Column(sql="{t}.session_id", hidden=True)
    return Table(_SESSIONS, columns, stored=False)


def _tables() -> dict[str, Table]:
    persons = Table(
        "persons",
        _named({"id": "String", "created_at": "DateTime", "properties": "Json:person", "is_identified": "Boolean"}),
        {"pdi": Join("person_distinct_ids", "{l}.id = {r}.person_id")},
    )
    distinct_ids = Table(
        "person_distinct_ids",
        _named({"distinct_id": "String", "person_id": "String"}),
        {"person": Join("persons", "{l}.person_id = {r}.id")},
    )
    members = _named({"person_id": "String", "cohort_id": "Integer"})
    static_members = Table("(SELECT * FROM cohort_people WHERE team_id = {team} AND is_static)", members, stored=False)
    tables = {
        "events": _events(),
        "persons": persons,
        "raw_persons": persons,
        "person_distinct_ids": distinct_ids,
        "raw_person_distinct_ids": distinct_ids,
        "groups": _groups(None),
        "raw_groups": _groups(None),
        "sessions": _sessions(),
        "cohort_people": Table("cohort_people", members, {"person": Join("persons", "{l}.person_id = {r}.id")}),
        "raw_cohort_people": Table("cohort_people", members),
        "static_cohort_people": static_members,
    }
    for index in range(MAX_GROUP_TYPES):
        tables[f"groups_{index}"] = _groups(index)
    return tables


TABLES = _tables()
# Reached only through events.group_N.
INTERNAL_TABLES = frozenset(f"groups_{index}" for index in range(MAX_GROUP_TYPES))

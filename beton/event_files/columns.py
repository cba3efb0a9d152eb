"""Which column of a file is what, and what a hypothesis's unit is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import polars as pl

from backtest.language import Group, Unit
from beton.errors import BadInput, Fault
from beton.event_files import instants
from beton.event_files.source import Source, columns_shown, json_path

PERSON_COLUMNS = ("person_id", "distinct_id")
"""Who acted, the first that the file has. Not mixed by row: the two are different kinds of ids."""


@dataclass(frozen=True)
class ColumnMap:
    """Names of columns, as PostHog's batch exports have them unless told otherwise.

    `groups`: for each group type the column with its keys, or a place within the properties (`properties.$groups.company`).
    `person` None: `person_id`, or `distinct_id` where there is none. `uuid` and `properties` may be missing from the file under these default
    names; without a uuid nothing is de-duplicated.
    """

    person: str | None = None
    event: str = "event"
    timestamp: str = "timestamp"
    properties: str = "properties"
    uuid: str = "uuid"
    groups: Mapping[str, str] = field(default_factory=dict)


def group_columns(options: Iterable[str]) -> dict[str, str]:
    """`company=account_id` names a group type and its column; `account_id` alone is both. Raises BadInput."""
    named: dict[str, str] = {}
    for option in options:
        kind, _, column = option.partition("=")
        if not kind or (not column and "=" in option) or kind in named:
            raise BadInput(f"--group {option}: give each group type once, as type=column", fix="For example --group company=account_id.")
        named[kind] = column or kind
    return named


@dataclass(frozen=True)
class Columns:
    """A column map that was found in a file."""

    schema: Mapping[str, pl.DataType]
    event: str
    timestamp: str
    person: str | None
    properties: str | None
    uuid: str | None
    groups: Mapping[str, str]

    def at(self) -> pl.Expr:
        return instants.instant(self.timestamp, self.schema[self.timestamp])

    def name(self) -> pl.Expr:
        return _text(self.event, self.schema[self.event])

    def unit(self, unit: Unit) -> pl.Expr:
        """The unit's id as text, null where the row has none. Raises BadInput where the file does not know such units."""
        if isinstance(unit, Group):
            if unit.group not in self.groups:
                raise BadInput(
                    f"the file was not told where accounts of type {unit.group!r} are", fix=f"Name their column: --group {unit.group}=<column>."
                )
            return self._group(self.groups[unit.group])
        return self.actor()

    def actor(self) -> pl.Expr:
        if self.person is None:
            raise BadInput(f"the file has no column of persons ({' or '.join(PERSON_COLUMNS)})", fix="Name it: --person <column>.")
        return _text(self.person, self.schema[self.person])

    def unit_columns(self, unit: Unit) -> set[str]:
        place = self.groups.get(unit.group, "") if isinstance(unit, Group) else self.person or ""
        return {place if place in self.schema else self.properties or place}

    def properties_text(self) -> pl.Expr | None:
        """The properties as JSON text (a Map stays one, see `properties.Extraction`); None where the file has none."""
        if self.properties is None:
            return None
        column, dtype = pl.col(self.properties), self.schema[self.properties]
        return pl.when(column.is_not_null()).then(column.struct.json_encode()) if isinstance(dtype, pl.Struct) else column

    def _group(self, place: str) -> pl.Expr:
        if place in self.schema:
            return _text(place, self.schema[place])
        keys = tuple(place.split(".")[1:])
        text = self.properties_text()
        if text is None:
            raise BadInput(f"the file has no properties to look for {place} in")
        return _filled(text.str.json_path_match(json_path(keys)))


def find_columns(source: Source, wanted: ColumnMap) -> Columns:
    """The columns in the file. Raises BadInput with a fault for each that is missing or of an impossible type."""
    schema, faults = source.schema, []
    default = ColumnMap()
    person = wanted.person or next((name for name in PERSON_COLUMNS if name in schema), None)
    properties = wanted.properties if wanted.properties in schema or wanted.properties != default.properties else None
    uuid = wanted.uuid if wanted.uuid in schema or wanted.uuid != default.uuid else None
    needed = {"event": wanted.event, "timestamp": wanted.timestamp, "person": person, "properties": properties, "uuid": uuid}
    if person is None and not wanted.groups:
        faults.append(_missing("person", PERSON_COLUMNS[0], schema))
    faults += [_missing(role, name, schema) for role, name in needed.items() if name is not None and name not in schema]
    for kind, place in wanted.groups.items():
        nested = place.split(".")[0] == wanted.properties and "." in place and properties is not None
        if place not in schema and not nested:
            faults.append(_missing(f"group {kind}", place, schema))
        elif nested and place not in schema and not isinstance(schema[wanted.properties], pl.String | pl.Struct):
            faults.append(Fault(f"group {kind}", f"{place} can be looked up in properties of JSON text or of a struct only"))
    if wanted.timestamp in schema and not instants.readable(schema[wanted.timestamp]):
        faults.append(Fault("timestamp", f"the column {wanted.timestamp!r} holds {schema[wanted.timestamp]}, which is no instant"))
    if properties and properties in schema and not isinstance(schema[properties], pl.String | pl.Struct | pl.Map):
        faults.append(Fault("properties", f"the column {properties!r} holds {schema[properties]}; give JSON text, a struct or a map"))
    ids = [name for name in (person, wanted.event, uuid, *wanted.groups.values()) if name is not None and name in schema]
    faults += [Fault(name, f"the column {name!r} holds {schema[name]}, which is no id") for name in ids if schema[name].is_nested()]
    if faults:
        raise BadInput(f"{source.location} does not have the columns needed: {faults[0]}", faults, fix="Name the columns that play these parts.")
    return Columns(schema, wanted.event, wanted.timestamp, person, properties, uuid, dict(wanted.groups))


def _missing(role: str, name: str, schema: Mapping[str, pl.DataType]) -> Fault:
    folded = {known.casefold(): known for known in schema}
    near = get_close_matches(name.casefold(), folded, n=3, cutoff=0.4)
    return Fault(role, f"there is no column called {name!r}; the columns are {columns_shown(schema)}", nearest=tuple(folded[one] for one in near))


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    return _filled(column if dtype == pl.String else column.bin.encode("hex") if dtype == pl.Binary else column.cast(pl.String))


def _filled(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)

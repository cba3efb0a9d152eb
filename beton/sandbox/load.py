"""Event files into the project, read by ClickHouse itself.

A file has one row per event: `person_id`, `event`, `timestamp` (date-time, ISO text, or an integer of seconds, milliseconds,
microseconds or nanoseconds, told apart by size), `properties` (JSON text or object), and optionally `uuid`, `distinct_id`,
`created_at`, `elements_chain`, and one column per group type with the group's key.

`person_id` is kept as the file's text, so counts by person are those of the file (PostHog's own are UUIDs). A row without `uuid`
gets one made of its time, its content, its file's name and its place in the file: the same on every machine. Repeated uuids stay
repeated rows, as in PostHog's table before it merges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from beton.sandbox.clickhouse import Answer, ClickHouse
from beton.sandbox.hogql.schema import MAX_GROUP_TYPES
from beton.sandbox.hogql.scope import literal, quoted

_FORMATS = {
    ".parquet": "Parquet",
    ".csv": "CSVWithNames",
    ".tsv": "TSVWithNames",
    ".jsonl": "JSONEachRow",
    ".ndjson": "JSONEachRow",
    ".json": "JSONEachRow",
}
_OWN = ("person_id", "event", "timestamp", "properties", "uuid", "distinct_id", "created_at", "elements_chain")
_JSON = "input_format_json_read_objects_as_strings = 1, input_format_json_try_infer_named_tuples_from_objects = 0"
_UUID_PATTERN = "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"


class UnreadableEvents(Exception):
    """A file that is not a table of events; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load added: rows, and the group types in index order."""

    rows: int
    group_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    reading: str
    columns: dict[str, str]


def load_events(clickhouse: ClickHouse, team_id: int, paths: Iterable[Path], group_types: Sequence[str] = (), seed: int = 0) -> Loaded:
    """Adds the events of some files. Group types that are not named are the files' other columns, at most five.

    Raises UnreadableEvents.
    """
    files = [_opened(clickhouse, path) for path in paths]
    names = list(group_types)
    if not names:
        names = list(dict.fromkeys(name for file in files for name in file.columns if _may_be_group(name)))[:MAX_GROUP_TYPES]
    before = _count(clickhouse)
    for file in files:
        clickhouse.execute(_insert(clickhouse, team_id, file, names, seed))
    clickhouse.execute("OPTIMIZE TABLE events FINAL")  # as a server's merges would in time: every part costs each range read two granules
    return Loaded(_count(clickhouse) - before, tuple(names))


def _may_be_group(name: str) -> bool:
    return name not in _OWN and not name.startswith("$")


def _count(clickhouse: ClickHouse) -> int:
    return clickhouse.column("SELECT count() FROM events")[0]


def _opened(clickhouse: ClickHouse, path: Path) -> _File:
    suffix = next((item for item in reversed(path.suffixes) if item not in (".gz", ".zst")), "")
    kind = _FORMATS.get(suffix)
    if kind is None or not path.is_file():
        raise UnreadableEvents(f"{path.name} is not a Parquet, CSV or JSON lines file")
    where = literal(str(path.resolve()))
    described: Answer = clickhouse.query(f"DESCRIBE file({where}, '{kind}') SETTINGS {_JSON}")
    columns = {row[0]: row[1] for row in described.rows()}
    missing = [name for name in ("person_id", "event", "timestamp") if name not in columns]
    if missing:
        raise UnreadableEvents(f"{path.name} has no column {', '.join(missing)}")
    if kind != "Parquet":
        # Texts stay texts: an id like 007 is not a number.
        columns = {name: _as_read(name, found) for name, found in columns.items()}
    structure = ", ".join(f"{quoted(name)} {found}" for name, found in columns.items())
    source = f"file({where}, '{kind}')" if kind == "Parquet" else f"file({where}, '{kind}', {literal(structure)})"
    return _File(source, columns)


def _as_read(name: str, found: str) -> str:
    return found if name in ("timestamp", "created_at") and "Int" in found else "Nullable(String)"


def _insert(clickhouse: ClickHouse, team_id: int, file: _File, group_types: Sequence[str], seed: int) -> str:
    columns = file.columns
    moment = _instant("timestamp", columns, _largest(clickhouse, file, "timestamp"))
    created = _instant("created_at", columns, _largest(clickhouse, file, "created_at")) if "created_at" in columns else moment
    person = "ifNull(toString(person_id), '')"
    properties = "ifNull(nullIf(toString(properties), ''), '{}')" if "properties" in columns else "'{}'"
    distinct = f"ifNull(nullIf(toString(distinct_id), ''), {person})" if "distinct_id" in columns else person
    groups = [f"ifNull(toString({quoted(group_types[i])}), '')" if _has(group_types, i, columns) else "''" for i in range(MAX_GROUP_TYPES)]
    row_hash = f"cityHash64({person}, ifNull(toString(event), ''), {properties}, _file, _row_number, {seed})"
    values = {
        "team_id": str(team_id),
        "uuid": _uuid(columns, f"({moment})", row_hash),
        "event": "ifNull(toString(event), '')",
        "properties": properties,
        "timestamp": moment,
        "distinct_id": distinct,
        "elements_chain": "ifNull(toString(elements_chain), '')" if "elements_chain" in columns else "''",
        "created_at": created,
        "person_id": person,
        "event_person_id": person,
        **{f"$group_{index}": text for index, text in enumerate(groups)},
    }
    targets = ", ".join(quoted(name) for name in values)
    return (
        f"INSERT INTO events ({targets}) SELECT {', '.join(values.values())} FROM {file.reading} "
        f"SETTINGS {_JSON}, max_insert_threads = 2, min_insert_block_size_rows = 2000000, optimize_on_insert = 0"
    )


def _has(group_types: Sequence[str], index: int, columns: dict[str, str]) -> bool:
    return index < len(group_types) and group_types[index] in columns


def _largest(clickhouse: ClickHouse, file: _File, name: str) -> int:
    if "Int" not in file.columns.get(name, ""):
        return 0
    return clickhouse.column(f"SELECT ifNull(max({name}), 0) FROM {file.reading}")[0]


def _instant(name: str, columns: dict[str, str], largest: int) -> str:
    """Microsecond UTC text of a time column."""
    kind = columns[name]
    if "Int" in kind:
        scales = ((10**17, "intDiv({}, 1000)"), (10**14, "{}"), (10**11, "{} * 1000"), (0, "{} * 1000000"))
        scale = next(text for least, text in scales if largest >= least)
        return f"fromUnixTimestamp64Micro({scale.format(f'toInt64(ifNull({name}, 0))')}, 'UTC')"
    if "String" in kind:
        return f"parseDateTime64BestEffort(ifNull({name}, '1970-01-01'), 6, 'UTC')"
    return f"toDateTime64(ifNull({name}, toDateTime64(0, 6, 'UTC')), 6, 'UTC')"


def _uuid(columns: dict[str, str], moment: str, row_hash: str) -> str:
    """The file's uuid; a text that is none is hashed; a missing one is a version 7 of the event's time and the row's hash."""
    high = f"bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli({moment})), 16), bitOr(28672, bitAnd({row_hash}, 4095)))"
    low = f"bitOr(toUInt128(9223372036854775808), bitShiftRight({row_hash}, 2))"
    made = f"reinterpretAsUUID(bitOr(bitShiftLeft({low}, 64), {high}))"
    if "uuid" not in columns:
        return made
    if columns["uuid"] in ("UUID", "Nullable(UUID)"):
        return f"ifNull(uuid, {made})"
    text = "ifNull(toString(uuid), '')"
    return f"multiIf({text} = '', {made}, match({text}, '{_UUID_PATTERN}'), toUUIDOrZero({text}), reinterpretAsUUID(sipHash128({text})))"

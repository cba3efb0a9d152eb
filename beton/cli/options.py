"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, get_args

from cyclopts import Parameter

from beton.errors import BadInput, Fault

AsJson = Annotated[bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON and nothing else.")]
FLAG = Parameter(negative=(), show_default=False)
MANY = FLAG
AsOf = Annotated[str | None, Parameter(name="--as-of", help="The instant to look from: ISO, UTC unless it says otherwise. Now unless given.")]
WindowDays = Annotated[int, Parameter(name="--window-days", help="Days before the as-of instant.")]
Groups = Annotated[
    Sequence[str],
    MANY,
    Parameter(name="--group", help="Of a file: a group type and its column, as type=column; a bare column is both. Repeatable."),
]
Columns = Annotated[
    Sequence[str],
    MANY,
    Parameter(name="--column", help="Of a file: which column plays which part, such as person_id=user. Repeatable."),
]
PropertyTypes = Annotated[
    Sequence[str],
    MANY,
    Parameter(name="--property", help="The type of a property, such as seats=numeric. Repeatable."),
]

ROLES = {"person_id": "person", "person": "person", "event": "event", "timestamp": "timestamp", "properties": "properties", "uuid": "uuid"}


def instant(text: str | None, option: str = "--as-of") -> datetime | None:
    """An aware UTC instant: a date is its midnight, a time without a zone is UTC. Raises BadInput."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(f"{option} {text}: this is no instant.", fix=f"Write it like {option} 2026-06-30T00:00:00Z or {option} 2026-06-30.") from error
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def now() -> datetime:
    """The clock of the command line."""
    return datetime.now(UTC)


def pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE`, each name once. Raises BadInput."""
    found: dict[str, str] = {}
    for one in given:
        name, _, value = one.partition("=")
        if not name or not value or name in found:
            raise BadInput(f"{option} {one}: give each name once, as name=value.")
        found[name] = value
    return found


def column_names(given: Iterable[str]) -> dict[str, str]:
    """Fields of a `ColumnMap` from `--column`. Raises BadInput with the nearest part."""
    named = pairs("--column", given)
    faults = [_unknown(f"--column {part}", f"no column plays a part called {part!r}", part, ROLES) for part in named if part not in ROLES]
    if faults:
        raise BadInput("--column names an unknown part.", faults, fix=f"The parts are: {', '.join(ROLES)}.")
    return {ROLES[part]: column for part, column in named.items()}


def property_types(given: Iterable[str]) -> dict[str, str]:
    """Declared types of properties from `--property`. Raises BadInput with the nearest type."""
    from backtest.taxonomy import PropertyType

    types = get_args(PropertyType)
    named = pairs("--property", given)
    faults = [_unknown(f"--property {name}", f"{kind!r} is not a type", kind, types) for name, kind in named.items() if kind not in types]
    if faults:
        raise BadInput("--property gives an unknown type.", faults, fix=f"The types are: {', '.join(types)}.")
    return named


def _unknown(field: str, message: str, given: str, known: Iterable[str]) -> Fault:
    from difflib import get_close_matches

    return Fault(field, message, nearest=tuple(get_close_matches(given, list(known), n=1, cutoff=0.5)))

"""HogQL texts for the reader: small expressions and whole queries, every stranger's word as a placeholder.

All instants travel as whole microseconds, because `toUnixTimestamp64Micro` is not in PostHog's list and a `DateTime64` in JSON costs three times the
bytes. Bounds on `timestamp` stay bare two-sided comparisons, so that ClickHouse prunes partitions and keys by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from backtest.events import Path, Window
from backtest.language import Unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROWS = 50_000
"""PostHog silently lowers any larger LIMIT to this."""


@dataclass
class Query:
    """A HogQL text and the values of its placeholders; `of` and `text` add one placeholder each and return how to write it."""

    values: dict[str, Any] = field(default_factory=dict)

    def of(self, value: str | int | Sequence[str]) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = list(value) if not isinstance(value, str | int) else value
        return f"{{{name}}}"


def at(query: Query, microseconds: int) -> str:
    """An instant with all its digits: `toDateTime` would cut it to milliseconds.

    As a placeholder, so that the text of a query is the same for every slice: a server parses it once.
    """
    moment = EPOCH + timedelta(microseconds=microseconds)
    return f"toDateTime64({query.of(moment.strftime('%Y-%m-%d %H:%M:%S.%f'))}, 6, 'UTC')"


def between(query: Query, start: int, end: int) -> str:
    return f"timestamp >= {at(query, start)} AND timestamp < {at(query, end)}"


def arrived(query: Query, within: Window | None) -> str:
    """Only what the source received then (`created_at`, its own clock); '' for whenever."""
    if within is None:
        return ""
    return f" AND created_at >= {at(query, within.start)} AND created_at < {at(query, within.end)}"


def since(query: Query, start: int) -> str:
    """Microseconds from an instant to an event; from 0 they are those since 1970."""
    return f"dateDiff('microsecond', {at(query, start)}, timestamp)"


def unit_column(unit: Unit, group_index: int | None) -> str:
    return "toString(person_id)" if unit == "person" else f"`$group_{group_index}`"


def raw(query: Query, path: Path) -> str:
    """The JSON text of a property as the event carries it, untouched by property types; '' where it is missing, 'null' where it is null."""
    keys = ", ".join(query.of(key) for key in path)
    return f"JSONExtractRaw(properties, {keys})"


def carries(query: Query, path: Path) -> str:
    return f"{raw(query, path)} NOT IN ('', 'null')"


def named(query: Query, names: Iterable[str]) -> str:
    return f"event IN {query.of(sorted(names))}"


def in_bucket(query: Query, unit_expression: str, bucket: tuple[int, int] | None) -> str:
    """Restricts to one hash bucket of the units. Each bucket makes ClickHouse read the same rows once more."""
    if bucket is None or bucket[1] == 1:
        return ""
    number, of = bucket
    return f" AND cityHash64({unit_expression}) % {query.of(of)} = {query.of(number)}"

"""What one event must look like: names, and comparisons of the properties it carries.

A comparison follows PostHog's filters: with a missing property (or JSON null) it is false, except *is not set* and *not equal*.
Equality is by JSON type; text counts as a number or a boolean only where the taxonomy says that the property is one (`backtest.values`).
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

Json = dict[str, Any] | list[Any] | str | int | float | bool | None


class Part(BaseModel):
    """A piece of a hypothesis: frozen, and closed to unknown fields, so that a misspelt field is an error and not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Op(StrEnum):
    equals = "equals"
    not_equals = "not_equals"
    any_of = "any_of"
    greater_than = "greater_than"
    at_least = "at_least"
    less_than = "less_than"
    at_most = "at_most"
    contains = "contains"
    starts_with = "starts_with"
    is_set = "is_set"
    is_not_set = "is_not_set"


SYNONYMS = {
    "=": Op.equals, "==": Op.equals, "is": Op.equals, "exact": Op.equals, "equal": Op.equals,
    "!=": Op.not_equals, "is_not": Op.not_equals, "not_equal": Op.not_equals, "in": Op.any_of,
    ">": Op.greater_than, "gt": Op.greater_than, ">=": Op.at_least, "gte": Op.at_least,
    "<": Op.less_than, "lt": Op.less_than, "<=": Op.at_most, "lte": Op.at_most, "icontains": Op.contains,
}  # fmt: skip
"""Spellings that mean the same; PostHog's own among them. All fold into the canonical name."""

NEEDS_NO_VALUE = {Op.is_set, Op.is_not_set}
ORDERED = {Op.greater_than, Op.at_least, Op.less_than, Op.at_most}
ON_TEXT = {Op.contains, Op.starts_with}


def _as_date(value: Any) -> Any:
    """Pydantic would read `2026` as seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)):
        return value
    raise ValueError("an instant is written like 2026-01-31T09:00:00Z")


class Instant(Part):
    """A point in time to compare a property with, as opposed to a text that happens to look like one."""

    instant: Annotated[datetime, BeforeValidator(_as_date)]

    @model_validator(mode="after")
    def _has_a_zone(self) -> Instant:
        if self.instant.tzinfo is None:
            raise ValueError("an instant needs its time zone, for example 2026-01-31T09:00:00Z")
        if not 1 < self.instant.year < 9999:
            raise ValueError("an instant lies in the years 2 to 9998")
        return self

    @model_serializer
    def _as_text(self) -> dict[str, str]:
        return {"instant": self.instant.astimezone(UTC).isoformat().replace("+00:00", "Z")}


Scalar = bool | int | float | str | Instant


def _as_instant(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_instant(one) for one in value]
    return Instant(instant=value if value.tzinfo else value.replace(tzinfo=UTC)) if isinstance(value, datetime) else value


def _as_op(value: Any) -> Any:
    return SYNONYMS.get(value, value) if isinstance(value, str) else value


def _as_path(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Comparison(Part):
    """One property of an event compared with a value.

    `property` is a key, or a list of keys for a nested one: `[billing, plan]` reads `{"billing": {"plan": …}}`.
    """

    property: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_path), Field(min_length=1)]
    op: Annotated[Op, BeforeValidator(_as_op)]
    value: Annotated[Scalar | tuple[Scalar, ...] | None, BeforeValidator(_as_instant)] = None

    @model_validator(mode="after")
    def _value_fits_op(self) -> Comparison:
        if self.op in NEEDS_NO_VALUE:
            if self.value is not None:
                raise ValueError(f"{self.op} takes no value")
        elif self.value is None:
            raise ValueError(f"{self.op} needs a value; to ask whether the property is missing use is_not_set")
        elif (self.op is Op.any_of) != isinstance(self.value, tuple):
            several = f"{self.op} takes one value; for several use any_of"
            raise ValueError("any_of takes a list of values" if self.op is Op.any_of else several)
        elif self.op is Op.any_of and not self.value:
            raise ValueError("any_of needs at least one value")
        elif any(isinstance(one, float) and not math.isfinite(one) for one in _several(self.value)):
            raise ValueError("a number is finite")
        elif self.op in ORDERED and isinstance(self.value, bool):
            raise ValueError(f"{self.op} compares numbers, texts or instants, not true and false")
        elif self.op is Op.starts_with and not isinstance(self.value, str):
            raise ValueError("starts_with compares text")
        return self

    @model_serializer
    def _short(self) -> dict[str, Json]:
        path: Json = self.property[0] if len(self.property) == 1 else list(self.property)
        short: dict[str, Json] = {"property": path, "op": self.op.value}
        if self.op not in NEEDS_NO_VALUE:
            short["value"] = [_plain(one) for one in self.value] if isinstance(self.value, tuple) else _plain(self.value)
        return short

    def canonical(self) -> Comparison:
        """One value in a list is *equals*; lists are sorted and without repeats; 1.0 is 1, as in JSON."""
        if not isinstance(self.value, tuple):
            return self.model_copy(update={"value": _whole(self.value)})
        whole = (_whole(one) for one in self.value)
        values = {json.dumps(_plain(one)): one for one in whole if one is not None}
        if len(values) == 1:
            return Comparison(property=self.property, op=Op.equals, value=next(iter(values.values())))
        return Comparison(property=self.property, op=Op.any_of, value=tuple(values[key] for key in sorted(values)))


def _several(value: Scalar | tuple[Scalar, ...] | None) -> tuple[Scalar | None, ...]:
    return value if isinstance(value, tuple) else (value,)


def _whole(value: Scalar | None) -> Scalar | None:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Scalar | None) -> Json:
    return value.model_dump() if isinstance(value, Instant) else value


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_match(value: Any) -> Any:
    return {"events": [value]} if isinstance(value, str) else value


class EventMatch(Part):
    """Which events count: named ones or any event, with zero or more comparisons that must all hold.

    In files a bare name is enough: `match: invited_teammate`.
    """

    events: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_names)] = ()
    any_event: bool = False
    where: tuple[Comparison, ...] = ()

    @model_validator(mode="after")
    def _names_or_any(self) -> EventMatch:
        if self.any_event == bool(self.events):
            raise ValueError("give either events (one name or a list) or any_event: true")
        return self

    @model_serializer
    def _short(self) -> Json:
        if len(self.events) == 1 and not self.where:
            return self.events[0]
        short: dict[str, Json] = {"any_event": True} if self.any_event else {"events": list(self.events)}
        return short | ({"where": [one.model_dump() for one in self.where]} if self.where else {})

    def canonical(self) -> EventMatch:
        where = {str(one.model_dump()): one for one in (one.canonical() for one in self.where)}
        return EventMatch(events=tuple(sorted(set(self.events))), any_event=self.any_event, where=tuple(where[key] for key in sorted(where)))


Match = Annotated[EventMatch, BeforeValidator(_as_match)]

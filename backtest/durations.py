"""Lengths of time, written `7d`, `24h`, `30m` or `90s`, held as whole microseconds.

A day is 86,400 seconds: "first 3 d" is 72 hours from entry, whatever the calendar does.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
NAMES = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
SPELLING = re.compile(r"\s*(\d+)\s*(d|h|m|s|days?|hours?|minutes?|min|seconds?|sec)\s*", re.IGNORECASE)
PATTERN = r"^\s*\d+\s*([dhms]|days?|hours?|minutes?|min|seconds?|sec)\s*$"


class Duration(int):
    """Microseconds, as an integer that prints as `7d`."""

    @classmethod
    def parse(cls, text: Any) -> Duration:
        if isinstance(text, Duration):
            return text
        found = SPELLING.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise ValueError("a length of time is written like 7d, 24h, 30m or 90s")
        length = int(found[1]) * UNITS[found[2][0].lower()]
        if not 0 < length <= 3650 * DAY:
            raise ValueError("a length of time is longer than nothing and at most 3650d")
        return cls(length)

    @classmethod
    def days(cls, days: float) -> Duration:
        return cls(round(days * DAY))

    def _largest_unit(self) -> tuple[int, str]:
        letter = next((letter for letter, unit in UNITS.items() if self % unit == 0), "s")
        return int(self) // UNITS[letter], letter

    def __str__(self) -> str:
        number, letter = self._largest_unit()
        return f"{number}{letter}"

    @property
    def words(self) -> str:
        number, letter = self._largest_unit()
        return f"{number} {NAMES[letter]}{'' if number == 1 else 's'}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": PATTERN, "description": "a length of time: 7d, 24h, 30m or 90s", "examples": ["7d"]}

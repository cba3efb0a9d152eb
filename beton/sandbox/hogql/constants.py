"""Values of a request as ClickHouse text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.scope import Value, literal


def constant(value: object) -> Value:
    """A JSON value as a constant: strings stay strings, lists become arrays."""
    if value is None:
        return Value("NULL", "Null", nullable=True, constant=True)
    if isinstance(value, bool):
        return Value("true" if value else "false", "Boolean", constant=True)
    if isinstance(value, int):
        return Value(str(value), "Integer", constant=True)
    if isinstance(value, float):
        return Value(_float_text(value), "Float", constant=True)
    if isinstance(value, str):
        return Value(literal(value), "String", constant=True, text=value)
    if isinstance(value, list | tuple):
        return Value("[" + ", ".join(constant(item).sql for item in value) + "]", "Array", constant=True)
    if isinstance(value, Mapping):
        return Value(literal(json.dumps(value)), "String", constant=True)
    raise HogQLError(f"Unsupported constant of type {type(value).__name__}")


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    # ClickHouse would read `1.0` as an integer.
    return f"toFloat64({value!r})" if value == int(value) else repr(value)

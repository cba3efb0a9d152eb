"""One HogQL function: how many arguments, what it is called in ClickHouse."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """`clickhouse` is a name, or a template when it has braces. `most` None means any number of arguments.

    `zone` says where the project's time zone goes when the query gave none: as the last argument.
    `kind` is the kind of the result when it is known; `never_null` that it is not nullable whatever the arguments;
    `makes_null` that it may be null although the arguments are not.
    """

    clickhouse: str
    least: int = 0
    most: int | None = 0
    least_params: int = 0
    most_params: int = 0
    aggregate: bool = False
    any_case: bool = False
    zone: bool = False
    kind: str = ""
    never_null: bool = False
    makes_null: bool = False

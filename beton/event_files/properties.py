"""The values of a few properties out of raw rows, as small codes: the raw text is dropped with its batch.

A property is looked up in the row's properties first. A row whose properties do not carry the key has the value of the plain column of that
name, where the file has one; in CSV and JSON lines such a cell is read as JSON where it is JSON (`5`, `true`), else as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import polars as pl

from backtest.events import Column, Path
from backtest.intervals import Codes, Flags
from backtest.matching import Json
from backtest.plan import ReadPlan
from backtest.values import decode, dig

MISSING, ABSENT = -1, -2
"""Codes of a null and of a key that is not there: only the latter leaves the word to the plain column."""

BROKEN: dict[str, Any] = {}
"""Stands for properties that are no JSON object; told from an empty object by identity."""


def needed_properties(plan: ReadPlan) -> dict[Path, frozenset[str] | None]:
    """All paths that a plan compares, in conditions, entries and outcomes, with the names of the events that need them (None: any)."""
    needed = dict(plan.columns)
    matches = [*plan.firsts.values(), *(read.match for read in plan.lapses.values())]
    for match in matches:
        for comparison in match.where if match else ():
            known = needed.get(comparison.property, frozenset())
            needed[comparison.property] = None if match is None or match.any_event or known is None else known | frozenset(match.events)
    return needed


class Extraction:
    """Codes of some paths, batch after batch; `broken` counts the rows whose properties could not be read."""

    def __init__(self, paths: Iterable[Path], *, cells_are_json: bool) -> None:
        self.codes: dict[Path, list[Codes]] = {path: [] for path in paths}
        self.known: dict[Path, dict[tuple[type, Any], int]] = {path: {} for path in self.codes}
        self.values: dict[Path, list[Json]] = {path: [] for path in self.codes}
        self.cells_are_json = cells_are_json
        self.broken = 0

    def add(self, rows: int, needing: Mapping[Path, Flags], raw: pl.Series | None, plain: Mapping[str, pl.Series]) -> None:
        """A batch: which of its `rows` rows need which path, and, of the rows that need any, the properties and the plain columns."""
        any_need = np.logical_or.reduce(list(needing.values()))
        place, texts = distinct_texts(raw) if raw is not None else (np.full(int(any_need.sum()), MISSING, np.int32), [])
        mine = {path: needing[path][any_need] for path in self.codes}
        found, broken = self._look_up(texts, {path: place[rows_] for path, rows_ in mine.items()})
        self.broken += int(np.isin(place, broken).sum()) if broken else 0
        for path, parts in self.codes.items():
            values = found[path][place[mine[path]]]
            if path[0] in plain and (absent := values == ABSENT).any():
                values[absent] = self._from_cells(path, plain[path[0]].filter(pl.Series(mine[path])).filter(pl.Series(absent)))
            codes = np.full(rows, MISSING, np.int32)
            codes[needing[path]] = np.maximum(values, MISSING)
            parts.append(codes)

    def columns(self) -> dict[Path, Column]:
        return {path: Column(np.concatenate(parts) if parts else np.empty(0, np.int32), self.values[path]) for path, parts in self.codes.items()}

    def _look_up(self, texts: list[str], places: Mapping[Path, Codes]) -> tuple[dict[Path, Codes], list[int]]:
        """For each path the code in each text that it is wanted of, and which texts are broken. Objects live for one turn of the loop:
        kept, they would take twenty times the room of their text."""
        found = {path: np.full(len(texts) + 1, ABSENT, np.int32) for path in places}  # the last one: rows without properties
        lookups = []
        for path, place in places.items():
            wanted = np.zeros(len(texts) + 1, np.bool_)
            wanted[place] = True
            lookups.append((path, path[0], path[1:], wanted.tolist(), found[path]))
        broken = []
        for index, text in enumerate(texts):
            one = read_object(text)
            if one is BROKEN:
                broken.append(index)
            for path, key, below, wanted, codes in lookups:
                if wanted[index] and key in one:
                    codes[index] = self._code_of(path, dig(one[key], below) if below else one[key])
        return found, broken

    def _code_of(self, path: Path, value: Json) -> int:
        if value is None:
            return MISSING
        # Types apart: 1, 1.0, true and "1" are different values.
        identity = (dict, json.dumps(value, sort_keys=True)) if isinstance(value, dict | list) else (type(value), value)
        known = self.known[path]
        code = known.get(identity)
        if code is None:
            code = known[identity] = len(known)
            self.values[path].append(value)
        return code

    def _from_cells(self, path: Path, cells: pl.Series) -> Codes:
        codes: dict[Any, int] = {}
        mine = np.empty(len(cells), np.int32)
        for index, cell in enumerate(cells.to_list()):
            key = (type(cell), cell) if not isinstance(cell, dict | list) else json.dumps(cell, sort_keys=True, default=str)
            if key not in codes:
                value = decode(cell) if self.cells_are_json and isinstance(cell, str) else as_json(cell)
                codes[key] = self._code_of(path, dig(value, path[1:]))
            mine[index] = codes[key]
        return mine


def distinct_texts(raw: pl.Series) -> tuple[Codes, list[str]]:
    """For each row which of the distinct texts it has (-1: none), and these."""
    if isinstance(raw.dtype, pl.Map):
        texts = [None if one is None else json.dumps(as_json(one)) for one in raw.to_list()]
        raw = pl.Series(texts, dtype=pl.String)
    coded = raw.cast(pl.Categorical(pl.Categories.random()))
    place = coded.to_physical().cast(pl.Int32).fill_null(-1).to_numpy()
    distinct = coded.drop_nulls().unique()
    return place, distinct.cast(pl.String).gather(distinct.to_physical().arg_sort()).to_list()


def read_object(text: str) -> dict[str, Any]:
    if not text or text == "null":
        return {}
    try:
        value = orjson.loads(text)
    except ValueError:
        return BROKEN
    return value if isinstance(value, dict) else BROKEN


def as_json(value: Any) -> Json:
    """A typed cell as the JSON value it would be in an export."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case dict():
            return {str(key): as_json(one) for key, one in value.items()}
        case list():
            return [as_json(one) for one in value]
        case float() if not np.isfinite(value):
            return None
        case _:
            return value

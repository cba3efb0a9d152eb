"""Batches of events of one name, and the values of their properties."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backtest.intervals import Codes, Flags, Ints
from beton.sandbox.worlds.people import Population, Streams
from beton.sandbox.worlds.spec import Values, WorldSpec

NO_SESSION = -1


@dataclass(frozen=True)
class Coded:
    """One property of the events of a batch: `codes[i]` indexes `values`, -1 where event i does not carry it."""

    codes: Codes
    values: Sequence[Any]


@dataclass(frozen=True)
class Batch:
    """Events of one name in any order: the index of the person, the instant, the index of the session. `before_entry`: sent by a visitor."""

    name: str
    person: Codes
    at: Ints
    session: Ints
    columns: Mapping[str, Coded] = field(default_factory=dict)
    before_entry: bool = False

    def __len__(self) -> int:
        return len(self.at)

    def where(self, keep: Flags) -> Batch:
        columns = {name: Coded(column.codes[keep], column.values) for name, column in self.columns.items()}
        return replace(self, person=self.person[keep], at=self.at[keep], session=self.session[keep], columns=columns)


@dataclass(frozen=True)
class Wardrobe:
    """Gives events their properties. `source` tells batches of one name apart, so that each draws from a stream of its own."""

    spec: WorldSpec
    population: Population
    streams: Streams

    def dressed(self, batch: Batch, source: str = "") -> Batch:
        wanted = self.spec.properties.get(batch.name, {})
        rng = self.streams[f"properties {batch.name} {source}"]
        columns: dict[str, Coded] = {}
        for name, how in sorted(wanted.items(), key=lambda one: (one[1].property is not None, one[0])):  # those that copy another come last
            columns[name] = self._column(how, batch, columns, rng)
        return replace(batch, columns={**columns, **batch.columns})

    def _column(self, how: Values, batch: Batch, known: Mapping[str, Coded], rng: np.random.Generator) -> Coded:
        column = self._values(how, batch, known, rng)
        if how.as_text:
            column = Coded(column.codes, [value if isinstance(value, str) else json.dumps(value) for value in column.values])
        if how.missing:
            column = Coded(np.where(rng.random(len(batch)) < how.missing, -1, column.codes).astype(np.int32), column.values)
        if how.to is not None and how.changed is not None:
            other = self._column(how.to, batch, known, rng)
            codes = np.where(other.codes >= 0, other.codes + len(column.values), -1)
            now = np.where(batch.at >= self.population.end - how.changed, codes, column.codes)
            column = Coded(now.astype(np.int32), [*column.values, *other.values])
        return column

    def _values(self, how: Values, batch: Batch, known: Mapping[str, Coded], rng: np.random.Generator) -> Coded:
        count = len(batch)
        if how.choice is not None:
            weights = np.array(how.weights) if how.weights else 1 / np.arange(1, len(how.choice) + 1)
            return Coded(rng.choice(len(how.choice), count, p=weights / weights.sum()).astype(np.int32), how.choice)
        if how.number is not None:
            return _numbers(_between(rng, how.number, count, how.logarithmic), how.decimals)
        if how.boolean is not None:
            return Coded((rng.random(count) < how.boolean).astype(np.int32), (False, True))
        if how.trait is not None:
            return Coded(self.population.traits[how.trait][self.population.unit_of[batch.person]], list(self.spec.traits[how.trait]))
        if how.running is not None:
            return _numbers(self._running(how, batch, _between(rng, how.running, count, logarithmic=False)), how.decimals)
        if how.nested is not None:
            return _nested({name: self._column(inner, batch, known, rng) for name, inner in how.nested.items()}, count)
        if how.array is not None:
            chosen = rng.random((count, len(how.array))) < 0.4
            sets, codes = np.unique(chosen @ (1 << np.arange(len(how.array))), return_inverse=True)
            lists = [[value for index, value in enumerate(how.array) if int(one) >> index & 1] for one in sets]
            return Coded(codes.astype(np.int32), lists)
        if how.property is not None:
            column = known[how.property]
            return Coded(column.codes, [f"{how.prefixed}{value}" for value in column.values])
        return Coded(np.zeros(count, np.int32), (how.constant,))

    def _running(self, how: Values, batch: Batch, step: np.ndarray) -> np.ndarray:
        """The running total of a unit, from nothing again after each period since its entry."""
        unit = self.population.unit_of[batch.person].astype(np.int64)
        age = batch.at - self.population.entered[unit]
        period = age // how.per if how.per else np.zeros(len(batch), np.int64)
        by = np.lexsort((batch.at, period, unit))
        if not len(by):
            return step
        fresh = np.concatenate(([True], (np.diff(unit[by]) != 0) | (np.diff(period[by]) != 0)))
        total = np.cumsum(step[by])
        before = (total - step[by])[fresh]
        running = np.empty(len(by))
        running[by] = total - before[np.cumsum(fresh) - 1]
        return running


def _between(rng: np.random.Generator, ends: tuple[float, float], count: int, logarithmic: bool) -> np.ndarray:
    low, high = ends
    return np.exp(rng.uniform(np.log(low), np.log(high), count)) if logarithmic else rng.uniform(low, high, count)


def _numbers(drawn: np.ndarray, decimals: int) -> Coded:
    distinct, codes = np.unique(np.round(drawn, decimals), return_inverse=True)
    return Coded(codes.astype(np.int32), [int(one) if decimals == 0 else float(one) for one in distinct])


def _nested(inner: Mapping[str, Coded], count: int) -> Coded:
    """One object per distinct combination of inner values."""
    whole = np.zeros(count, np.int64)
    for column in inner.values():
        whole = whole * (len(column.values) + 1) + (column.codes + 1)
    _, first, codes = np.unique(whole, return_index=True, return_inverse=True)
    objects = [{name: column.values[column.codes[row]] for name, column in inner.items() if column.codes[row] >= 0} for row in first]
    return Coded(codes.astype(np.int32), objects)


def constants(values: Mapping[str, Any], count: int) -> dict[str, Coded]:
    return {name: Coded(np.zeros(count, np.int32), (value,)) for name, value in values.items()}

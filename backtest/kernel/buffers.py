"""Scratch memory of one worker, written over by each hypothesis: a batch asks the system for memory a handful of times. A fresh page costs as
much as a hundred rows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from backtest.intervals import Codes, Flags, Ints
from backtest.kernel.keys import Questions


@dataclass
class Written:
    """The first `count` places of three arrays: intervals sorted by (unit, start), disjoint and not touching.

    `quiet` flags those that begin silently (a state that merely becomes known); empty where none does.
    """

    unit: Codes
    start: Ints
    stop: Ints
    count: int
    quiet: Flags = field(default_factory=lambda: np.empty(0, np.bool_))


class Room:
    """One place for a list of intervals, which grows and never shrinks."""

    def __init__(self) -> None:
        self.unit, self.start, self.stop = np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)

    def of(self, places: int) -> tuple[Codes, Ints, Ints]:
        if len(self.unit) < places:
            size = max(places + places // 4, 1 << 16)
            self.unit, self.start, self.stop = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int64)
        return self.unit, self.start, self.stop


class Shelf:
    """Where fires are put that outlive the pass: cut from large pieces, which numpy asks for in huge pages."""

    PIECE = 1 << 20

    def __init__(self) -> None:
        self._unit, self._at, self._used = np.empty(0, np.int32), np.empty(0, np.int64), 0

    def keep(self, unit: Codes, at: Ints, count: int) -> tuple[Codes, Ints]:
        if count > self.PIECE // 4:
            return unit[:count].copy(), at[:count].copy()
        if self._used + count > len(self._unit):
            self._unit, self._at, self._used = np.empty(self.PIECE, np.int32), np.empty(self.PIECE, np.int64), 0
        here = slice(self._used, self._used + count)
        self._used += count
        self._unit[here], self._at[here] = unit[:count], at[:count]
        return self._unit[here], self._at[here]


class Buffers:
    """`rooms` take a clause each and conjunctions in between; `fires` the fires. Everything else is scratch of single passes, found as they left it:
    `things` of `backtest.kernel.distinct`, flags that are all false, and places per unit that are all -1."""

    def __init__(self) -> None:
        self.rooms = [Room() for _ in range(6)]
        self.fires = Room()
        self.shelf = Shelf()
        self.counts = np.zeros(8, np.int64)
        self.serial = 0
        self._things = np.empty(0, np.int64)
        self._flags = np.empty(0, np.bool_)
        self._places = np.empty(0, np.int32)
        self._pairs = np.empty(0, np.int32), np.empty(0, np.int32)

    def seen(self, things: int) -> Ints:
        if len(self._things) < things:
            self._things = np.full(things, -1, np.int64)
        return self._things

    def unset(self, units: int) -> Flags:
        if len(self._flags) < units:
            self._flags = np.zeros(units, np.bool_)
        return self._flags

    def places(self, units: int) -> Codes:
        if len(self._places) < units:
            self._places = np.full(units, -1, np.int32)
        return self._places

    def pairs(self, runs: int) -> tuple[Codes, Codes]:
        if len(self._pairs[0]) < runs:
            self._pairs = np.empty(runs, np.int32), np.empty(runs, np.int32)
        return self._pairs


class Scratch:
    """Buffers that wait for a worker, and what is known of hypotheses. One object for many evaluations, also over different logs, saves most of the
    page faults and of the reading."""

    def __init__(self) -> None:
        self._idle: list[Buffers] = []
        self.questions = Questions()

    @contextmanager
    def borrowed(self) -> Generator[Buffers]:
        try:
            buffers = self._idle.pop()
        except IndexError:  # asking first whether one is left would let another worker take it in between
            buffers = Buffers()
        yield buffers
        buffers.shelf = Shelf()  # what lies on it belongs to results
        self._idle.append(buffers)

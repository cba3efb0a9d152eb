"""What all hypotheses over one log share: arrays that compiled code can read, and what is costly to make, made once and only if asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from backtest.events import Column, EventLog, Matches, Path, Presence, first_key, outcome_key
from backtest.intervals import Flags, Ints
from backtest.kernel.buffers import Scratch
from backtest.kernel.keys import Key, match_key, outcome_name
from backtest.kernel.slices import Slice, by_unit, kept, merged, named
from backtest.language import Hypothesis
from backtest.matching import Comparison, EventMatch
from backtest.spans import first_session
from backtest.values import predicate

Made = TypeVar("Made")


class Once:
    """Values by key, each made at most once however many threads ask: the first one makes it, the others wait."""

    def __init__(self) -> None:
        self._ready: dict[Key, Any] = {}
        self._made: dict[Key, Future[Any]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._ready

    def __call__(self, key: Key, make: Callable[[], Made]) -> Made:
        if key in self._ready:
            return self._ready[key]
        mine: Future[Any] = Future()
        found = self._made.setdefault(key, mine)
        if found is mine:
            try:
                mine.set_result(made := make())
                self._ready[key] = made
            except BaseException as error:
                mine.set_exception(error)
                raise
        return found.result()


@dataclass(frozen=True)
class Prepared(EventLog):
    """An event log that merges sorted slices where the plain one sorts, and remembers what outlives a batch. Make it with `prepare`.

    Slices of single matchers are remembered by the batch (`backtest.kernel.evaluation`) and not here: a miner's log would fill up with them.
    """

    remembered: Once = field(default_factory=Once)
    scratch: Scratch = field(default_factory=Scratch)

    def everything(self) -> Slice:
        """All rows in order of unit and instant."""
        return self.remembered(("everything",), lambda: by_unit(Slice(self.unit, self.at), len(self.units)))

    def matches(self, match: EventMatch) -> Matches:
        return self.slice(match).matches()

    def slice(self, match: EventMatch) -> Slice:
        """As `matches`, without copying where one name is all that is asked for."""
        if match.any_event and match.where:
            return self._any_where(match)
        names = [name for name in dict.fromkeys(match.events) if name in self.slices]
        return self.everything() if match.any_event else self._where(merged([self.named(name) for name in names]), match)

    def named(self, name: str) -> Slice:
        return self.remembered(("named", name), lambda: named(self, name))

    def _any_where(self, match: EventMatch) -> Slice:
        """Rows of any name that compare so. Where all rows are not in order yet, those few that are left are put in order."""
        if ("everything",) not in self.remembered:
            return by_unit(self._where(Slice(self.unit, self.at), match), len(self.units))
        found, first = self.everything(), match.where[0]
        codes = self.remembered(("in order", first.property), lambda: found.of(self.columns[first.property].codes))
        return self._where(kept(found, codes, self.answers(first), in_order=True), match.model_copy(update={"where": match.where[1:]}))

    def _where(self, found: Slice, match: EventMatch) -> Slice:
        for comparison in match.where:
            found = kept(found, self.columns[comparison.property].codes, self.answers(comparison))
        return found

    def answers(self, comparison: Comparison) -> Flags:
        """Per code of the property whether it compares so, and last the answer for the missing value."""
        holds, values = predicate(comparison, self.types), self.columns[comparison.property].values
        return np.fromiter((holds(value) for value in (*values, None)), np.bool_, len(values) + 1)

    def carrying(self, path: Path) -> Matches:
        column = self.columns[path]
        present = np.append(np.ones(len(column.values), np.bool_), False)
        return by_unit(kept(Slice(self.unit, self.at), column.codes, present), len(self.units)).matches()

    def entry(self, hypothesis: Hypothesis) -> Ints:
        return self.remembered(("entry", match_key(hypothesis.entry)), lambda: self.entry_of(hypothesis))

    def outcome(self, hypothesis: Hypothesis) -> Ints:
        return self.remembered(("outcome", outcome_name(hypothesis)), lambda: self.outcome_of(hypothesis))

    def entry_of(self, hypothesis: Hypothesis) -> Ints:
        return compiled_ready(self.firsts[first_key(hypothesis.entry)])

    def outcome_of(self, hypothesis: Hypothesis) -> Ints:
        return compiled_ready(self.firsts[outcome_key(hypothesis)])

    def sessions(self, hypothesis: Hypothesis) -> tuple[Ints, Ints]:
        """Per unit the end of its first session and the instant at which it is known to be over."""
        return self.remembered(("sessions", match_key(hypothesis.entry)), lambda: first_session(self, self.entry(hypothesis)))


def compiled_ready(array: np.ndarray) -> np.ndarray:
    """Contiguous and writeable, as compiled signatures are told apart by both; a copy only where it is not."""
    return array if array.flags.c_contiguous and array.flags.writeable else array.copy()


def prepare(log: EventLog) -> Prepared:
    """The same log, ready for `evaluate`. Copies only arrays that are strided or read-only."""
    here = log.presence
    return Prepared(
        window=log.window,
        units=log.units,
        names=log.names,
        slices=log.slices,
        unit=compiled_ready(log.unit),
        at=compiled_ready(log.at),
        presence=Presence(compiled_ready(here.unit), compiled_ready(here.first), compiled_ready(here.last)),
        firsts=log.firsts,
        persons=None if log.persons is None else compiled_ready(log.persons),
        people=log.people,
        columns={path: Column(compiled_ready(column.codes), column.values) for path, column in log.columns.items()},
        seeds=log.seeds,
        cohorts=log.cohorts,
        types=log.types,
    )

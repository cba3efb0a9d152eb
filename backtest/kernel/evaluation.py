"""Many hypotheses over one log: fires and counts, each made by one thread from the log alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backtest.baseline import AgeTable
from backtest.fires import Fires, Held
from backtest.intervals import Codes, Flags, Intervals, Ints
from backtest.kernel import firing, overlaps
from backtest.kernel.buffers import Buffers, Scratch, Written
from backtest.kernel.clauses import Scene, Site, write
from backtest.kernel.grids import Shared, shared_parts
from backtest.kernel.keys import Key, Question
from backtest.kernel.prepared import Prepared
from backtest.language import Hypothesis
from backtest.proportions import Closed
from backtest.tally import Tally


@dataclass(frozen=True)
class Result:
    """Counts by numbers 1.9 rules 2 to 7, and the fires they come from: `unit` and `at` are each unit's first, sorted by unit.

    `again` holds all fires where the hypothesis may fire again. What a merge over buckets or a score needs besides (`tally`) is made when asked for.
    """

    hypothesis: Hypothesis
    log: Prepared
    excluded_converted: int
    pending: int
    sample_size: int
    true_positives: int
    recall_converters: int
    recall_hits: int
    closed: Closed
    unit: Codes
    at: Ints
    again: Fires | None = None

    @property
    def fires_total(self) -> int:
        return len(self.unit)

    @property
    def fires(self) -> Fires:
        return Fires(self.unit, self.at, np.ones(len(self.unit), np.int32)) if self.again is None else self.again

    @cached_property
    def tally(self) -> Tally:
        ages, reached, last = self._sample()
        horizon = int(self.hypothesis.horizon)
        hits = reached <= ages + horizon
        return Tally(
            fires_total=self.fires_total,
            excluded_converted=self.excluded_converted,
            pending=self.pending,
            recall_converters=self.recall_converters,
            recall_hits=self.recall_hits,
            closed=self.closed,
            ages=ages,
            hits=hits,
            leads=(reached - ages)[hits],
            fired=_no_longer_comparable(ages, reached, last, horizon),
        )

    @cached_property
    def held(self) -> Held:
        """Where the hypothesis holds, as `backtest.fires.held` tells it. Evaluated anew: a batch keeps no intervals."""
        with self.log.scratch.borrowed() as buffers:
            return held_in_full(self.log.scratch.questions.of(self.hypothesis), Scene(self.log, self.log.scratch.questions), buffers)

    def _sample(self) -> tuple[Ints, Ints, Ints]:
        """Ages at the fires in the sample, at their outcomes, and the last ages with a complete horizon."""
        entry, outcome, horizon = self.log.entry(self.hypothesis), self.log.outcome(self.hypothesis), int(self.hypothesis.horizon)
        out = tuple(np.empty(self.sample_size + 1, np.int64) for _ in range(3))
        end = self.log.window.end
        count = firing.sample_ages(self.unit, self.at, len(self.unit), entry, outcome, horizon, end, *out)
        return out[0][:count], out[1][:count], out[2][:count]


def _no_longer_comparable(ages: Ints, reached: Ints, last: Ints, horizon: int) -> AgeTable:
    """Ages beyond the fires at which the units that fired would still be at risk. Only fires in the sample have any: the others have converted, or
    their horizon is not complete. Such a unit converts in time from `horizon` before its outcome on."""
    start, stop = ages + 1, np.minimum(last + 1, reached)
    real = start < stop
    start, stop, soonest = start[real], stop[real], np.maximum(start, reached - horizon)[real]
    hits = soonest < stop
    return AgeTable(np.sort(start), np.sort(stop), np.sort(soonest[hits]), np.sort(stop[hits]))


def evaluate(hypotheses: Sequence[Hypothesis], prepared: Prepared, threads: int = 2, scratch: Scratch | None = None) -> list[Result]:
    """Results in the order of `hypotheses`, all of them of the log's unit kind. The same for any number of threads, to the last digit.

    Whoever evaluates one log after the other passes one `scratch` to all of them, so that memory is asked for once.
    """
    scratch = scratch or prepared.scratch
    scene = Scene(prepared, scratch.questions)
    asked = [scratch.questions.of(one) for one in hypotheses]
    results: list[Result | None] = [None] * len(hypotheses)
    waiting = iter(_by_clause(asked))
    if threads <= 1:
        _work(waiting, asked, scene, results, scratch)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(_work, waiting, asked, scene, results, scratch) for _ in range(threads)]:
                done.result()
    return [one for one in results if one is not None]


def _by_clause(asked: Sequence[Question]) -> list[list[int]]:
    """Places of hypotheses in groups: those of the same clauses share their intervals whatever their outcome and horizon. Groups that begin with the
    same matcher come one after the other, while its slice is still in the processor's cache."""
    groups: dict[Key, list[int]] = {}
    for place, one in enumerate(asked):
        groups.setdefault(one.group, []).append(place)
    return sorted(groups.values(), key=lambda places: asked[places[0]].slice_name)


def _work(waiting: Iterator[list[int]], asked: Sequence[Question], scene: Scene, results: list[Result | None], scratch: Scratch) -> None:
    """Take groups until none is left; a list's iterator gives each to one thread only."""
    with scratch.borrowed() as buffers:
        for places in waiting:
            held = _held(asked[places[0]], scene, buffers)
            for place in places:
                results[place] = _result(asked[place], held, scene, buffers)


@dataclass
class _Held:
    """Where a hypothesis holds, and those of its intervals that may begin with a fire."""

    whole: Written
    firing: Written


def _held(asked: Question, scene: Scene, buffers: Buffers) -> _Held:
    parts = [write(clause, Site(asked, scene, buffers, room)) for clause, room in zip(asked.hypothesis.clauses, buffers.rooms, strict=False)]
    whole = parts[0]
    for room, part in zip(buffers.rooms[3:], parts[1:], strict=False):
        out = room.of(whole.count + part.count)
        lists = (whole.unit, whole.start, whole.stop, whole.count, part.unit, part.start, part.stop, part.count)
        whole = Written(*out, overlaps.overlap(*lists, *out))
    if not any(len(part.quiet) for part in parts):
        return _Held(whole, whole)
    return _Held(whole, _loud(whole, parts, scene.entry(asked), buffers))


def held_in_full(asked: Question, scene: Scene, buffers: Buffers) -> Held:
    """As `backtest.fires.held`: cut to entry, and which intervals begin with a fire."""
    entry, both = scene.entry(asked), _held(asked, scene, buffers)
    whole, loud = both.whole, both.firing
    unit, start, stop = whole.unit[: whole.count].copy(), whole.start[: whole.count].copy(), whole.stop[: whole.count].copy()
    fires = np.ones(len(unit), np.bool_)
    if loud is not whole:
        fires = np.zeros(len(unit), np.bool_)
        overlaps.mark_quiet(unit, start, loud.unit[: loud.count], loud.start[: loud.count], fires)
    start = np.maximum(start, entry[unit])
    real = start < stop
    return Held(Intervals(unit[real], start[real], stop[real]), fires[real])


def _loud(whole: Written, parts: Iterable[Written], entry: Ints, buffers: Buffers) -> Written:
    hushed, loud = _no_flags(whole.count), _no_flags(whole.count)
    for part in parts:
        overlaps.mark_starts(whole.unit, whole.start, whole.count, entry, part.unit, part.start, part.count, part.quiet, hushed, loud)
    out = buffers.rooms[5].of(whole.count)
    return Written(*out, overlaps.only_loud(whole.unit, whole.start, whole.stop, whole.count, entry, hushed, loud, *out))


def _no_flags(count: int) -> Flags:
    return np.zeros(count, np.bool_)


def _result(question: Question, held: _Held, scene: Scene, buffers: Buffers) -> Result:
    shared, horizon, hypothesis = shared_parts(question, scene), question.horizon, question.hypothesis
    entry, outcome, end, counts = scene.entry(question), scene.outcome(question), scene.log.window.end, buffers.counts
    some = held.firing
    bounds = (entry, shared.s0, end, shared.entered_from)
    unit, at, _ = buffers.fires.of(some.count + 1)
    count = firing.first_fires(some.unit, some.start, some.stop, some.count, *bounds, unit, at)
    firing.count_fires(unit, at, count, entry, outcome, horizon, end, question.ask_after, counts)
    whole = held.whole
    for grid in shared.grids:
        by = grid.steps
        rule = (by.s0, by.step, by.count, by.shift, by.table)
        firing.grid_hits(whole.unit, whole.start, whole.stop, whole.count, grid.asked, grid.converting, *rule, counts)
    excluded, pending, sample, hits, recall_hits, asked, asked_hits = counts[:7].tolist()
    kept_unit, kept_at = buffers.shelf.keep(unit, at, count)
    return Result(
        hypothesis=hypothesis,
        log=scene.log,
        excluded_converted=excluded,
        pending=pending,
        sample_size=sample,
        true_positives=hits,
        recall_converters=shared.recall_converters,
        recall_hits=recall_hits,
        closed=_closed(shared, asked, asked_hits),
        unit=kept_unit,
        at=kept_at,
        again=None if hypothesis.fires_again_after is None else _again(some, bounds, int(hypothesis.fires_again_after)),
    )


def _closed(shared: Shared, fired: int, hits: int) -> Closed:
    return Closed(hits, fired - hits, shared.converting - hits, shared.rows - fired - shared.converting + hits)


def _again(some: Written, bounds: tuple[Ints, int, int, int], cool_down: int) -> Fires:
    unit, at, occurrence = np.empty(some.count, np.int32), np.empty(some.count, np.int64), np.empty(some.count, np.int32)
    count = firing.repeated_fires(some.unit, some.start, some.stop, some.count, *bounds, cool_down, unit, at, occurrence)
    return Fires(unit[:count].copy(), at[:count].copy(), occurrence[:count].copy())

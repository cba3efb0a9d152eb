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
from backtest.kernel.grids import Shared, entered_from, s0_of, shared_parts
from backtest.kernel.keys import Key, Question
from backtest.kernel.prepared import Prepared
from backtest.language import Hypothesis
from backtest.proportions import Closed
from backtest.tally import Tally


@dataclass(frozen=True)
class _Fired:
    """Each unit's first fire, sorted by unit, and all fires where the hypothesis may fire again."""

    unit: Codes
    at: Ints
    again: Fires | None


@dataclass(frozen=True)
class Result:
    """Counts by numbers 1.9 rules 2 to 7, and the fires they come from: `unit` and `at` are each unit's first, sorted by unit.

    What a merge over buckets or a score needs besides (`tally`) is made when asked for, and so are the fires where the batch did not keep them.
    """

    hypothesis: Hypothesis
    log: Prepared
    fires_total: int
    excluded_converted: int
    pending: int
    sample_size: int
    true_positives: int
    recall_converters: int
    recall_hits: int
    closed: Closed
    kept: _Fired | None

    @cached_property
    def _fired(self) -> _Fired:
        if self.kept is not None:
            return self.kept
        questions = self.log.scratch.questions
        asked, scene = questions.of(self.hypothesis), Scene(self.log, questions)
        with self.log.scratch.borrowed() as buffers:
            return _kept(asked, _held(asked, scene, buffers).firing, scene, buffers, None)

    @property
    def unit(self) -> Codes:
        return self._fired.unit

    @property
    def at(self) -> Ints:
        return self._fired.at

    @property
    def fires(self) -> Fires:
        """All of them where the hypothesis may fire again, else each unit's first."""
        found = self._fired
        return Fires(found.unit, found.at, np.ones(len(found.unit), np.int32)) if found.again is None else found.again

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


def evaluate(
    hypotheses: Sequence[Hypothesis], prepared: Prepared, threads: int = 2, scratch: Scratch | None = None, *, keep_fires: bool = True
) -> list[Result]:
    """Results in the order of `hypotheses`, all of them of the log's unit kind. The same for any number of threads, to the last digit.

    Whoever evaluates one log after the other passes one `scratch` to all of them, so that memory is asked for once. Who wants counts only needs no
    fires: dense hypotheses leave millions of them, which take as long to write down as to count. Not kept, they are found anew when asked for.
    """
    scratch = scratch or prepared.scratch
    scene = Scene(prepared, scratch.questions)
    asked = [scratch.questions.of(one) for one in hypotheses]
    results: list[Result | None] = [None] * len(hypotheses)
    waiting = iter(_by_clause(asked))
    job = (waiting, asked, scene, results, scratch, keep_fires)
    if threads <= 1:
        _work(*job)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(_work, *job) for _ in range(threads)]:
                done.result()
    return [one for one in results if one is not None]


def _by_clause(asked: Sequence[Question]) -> list[list[int]]:
    """Places of hypotheses in groups: those of the same clauses share their intervals whatever their outcome and horizon. Groups that begin with the
    same matcher come one after the other, while its slice is still in the processor's cache."""
    groups: dict[Key, list[int]] = {}
    for place, one in enumerate(asked):
        groups.setdefault(one.group, []).append(place)
    return sorted(groups.values(), key=lambda places: asked[places[0]].slice_name)


def _work(
    waiting: Iterator[list[int]],
    asked: Sequence[Question],
    scene: Scene,
    results: list[Result | None],
    scratch: Scratch,
    keep_fires: bool,
) -> None:
    """Take groups until none is left; a list's iterator gives each to one thread only."""
    with scratch.borrowed() as buffers:
        for places in waiting:
            held = _held(asked[places[0]], scene, buffers)
            for place in places:
                results[place] = _result(asked[place], held, scene, buffers, keep_fires)


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


def _result(question: Question, held: _Held, scene: Scene, buffers: Buffers, keep_fires: bool) -> Result:
    shared, horizon = shared_parts(question, scene), question.horizon
    entry, outcome, end, counts = scene.entry(question), scene.outcome(question), scene.log.window.end, buffers.counts
    fired = _first_fires(question, held.firing, scene, buffers)
    firing.count_fires(*fired, entry, outcome, horizon, end, question.ask_after, counts)
    whole = held.whole
    for grid in shared.grids:
        by = grid.steps
        rule = (by.s0, by.step, by.count, by.shift, by.table)
        firing.grid_hits(whole.unit, whole.start, whole.stop, whole.count, grid.asked, grid.converting, *rule, counts)
    excluded, pending, sample, hits, recall_hits, asked, asked_hits = counts[:7].tolist()
    return Result(
        hypothesis=question.hypothesis,
        log=scene.log,
        fires_total=fired[2],
        excluded_converted=excluded,
        pending=pending,
        sample_size=sample,
        true_positives=hits,
        recall_converters=shared.recall_converters,
        recall_hits=recall_hits,
        closed=_closed(shared, asked, asked_hits),
        kept=_kept(question, held.firing, scene, buffers, fired) if keep_fires else None,
    )


Bounds = tuple[Ints, int, int, int]


def _bounds(question: Question, scene: Scene) -> Bounds:
    """What decides whether an interval's start is a fire: entries, the instants between which fires lie, and from when on units have to enter."""
    return scene.entry(question), s0_of(question, scene), scene.log.window.end, entered_from(question, scene)


def _first_fires(question: Question, some: Written, scene: Scene, buffers: Buffers) -> tuple[Codes, Ints, int]:
    """In the room for fires: unit, instant, and how many."""
    unit, at, _ = buffers.fires.of(some.count + 1)
    return unit, at, firing.first_fires(some.unit, some.start, some.stop, some.count, *_bounds(question, scene), unit, at)


def _kept(question: Question, some: Written, scene: Scene, buffers: Buffers, fired: tuple[Codes, Ints, int] | None) -> _Fired:
    """The fires in arrays of their own; `fired` are the first ones, if they are known already."""
    first = buffers.shelf.keep(*(fired or _first_fires(question, some, scene, buffers)))
    cool_down = question.hypothesis.fires_again_after
    return _Fired(*first, None if cool_down is None else _again(some, _bounds(question, scene), int(cool_down)))


def _closed(shared: Shared, fired: int, hits: int) -> Closed:
    return Closed(hits, fired - hits, shared.converting - hits, shared.rows - fired - shared.converting + hits)


def _again(some: Written, bounds: Bounds, cool_down: int) -> Fires:
    unit, at, occurrence = np.empty(some.count, np.int32), np.empty(some.count, np.int64), np.empty(some.count, np.int32)
    count = firing.repeated_fires(some.unit, some.start, some.stop, some.count, *bounds, cool_down, unit, at, occurrence)
    return Fires(unit[:count].copy(), at[:count].copy(), occurrence[:count].copy())

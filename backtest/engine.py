"""A backtest: many hypotheses over logs that arrive one after the other, one row of numbers per hypothesis.

In stages, with who does them:

0. `plan.plan_reads`: what all hypotheses together need;
1. a reader (outside this package) turns the plan into event logs: one per unit kind, or one per hash bucket of its units;
2. `tally.baseline`: the age tables, once per entry, outcome and horizon;
3. `fires.held`, `fires.fires_of`: where each hypothesis holds and fires;
4. `tally.tally_of`, `detail.detail_of`: whole numbers by designs F, L or G, and what tests and labels rest on, added up over the buckets;
5. `score.score_of`: ratios and intervals, once;
6. `report.published`: the fields that page, API, CLI and messages show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backtest.detail import Detail, detail_of
from backtest.events import EventLog, first_key, outcome_key
from backtest.fires import Fires, Held, fires_of, held
from backtest.language import Hypothesis, Unit
from backtest.score import Score, score_of
from backtest.tally import Baseline, Tally, baseline, tally_of

SharedKey = tuple[Unit, str, str, int]

Fired = tuple[str, int, int]
"""Unit id, instant in microseconds, occurrence."""


WORTH_COMPILING = 200_000_000
"""Events times hypotheses from which the compiled kernel is asked: below, loading it takes longer than the plain evaluator needs."""


@dataclass
class Backtest:
    """Adds logs of disjoint units; `scores()` tells the numbers of everything added so far.

    Only counts, ages and fires are kept: a log can be dropped as soon as it was added.
    """

    hypotheses: Sequence[Hypothesis]
    keep_fires: bool = False
    on_fires: Callable[[int, EventLog, Fires], None] | None = None
    """Gets the fires of each hypothesis (by its place) while their log is still there."""
    compile_from: int = WORTH_COMPILING
    tallies: dict[int, Tally] = field(default_factory=dict)
    details: dict[int, Detail] = field(default_factory=dict)
    baselines: dict[SharedKey, Baseline] = field(default_factory=dict)
    fires: dict[int, list[Fired]] = field(default_factory=dict)

    def add(self, unit: Unit, log: EventLog, progress: Callable[[], None] = lambda: None) -> None:
        """`progress` is called after each hypothesis."""
        places = [index for index, hypothesis in enumerate(self.hypotheses) if hypothesis.unit == unit]
        for index in {self.key_of(index): index for index in reversed(places)}.values():
            self.add_baseline(index, baseline(self.hypotheses[index], log))
        for index, (counted, truth, fires) in zip(places, self._evaluated([self.hypotheses[index] for index in places], log), strict=True):
            self.add_tally(index, counted)
            self.add_detail(index, detail_of(self.hypotheses[index], log, truth, fires))
            if self.on_fires is not None:
                self.on_fires(index, log, fires)
            if self.keep_fires:
                who = (log.units[unit_] for unit_ in fires.unit.tolist())
                self.fires.setdefault(index, []).extend(zip(who, fires.at.tolist(), fires.occurrence.tolist(), strict=True))
            progress()

    def _evaluated(self, batch: Sequence[Hypothesis], log: EventLog) -> Iterator[tuple[Tally, Held, Fires]]:
        """By the plain evaluator, or where there is much to do by the compiled one, which gives the same to the last digit."""
        if len(batch) * len(log.at) >= self.compile_from:
            from backtest.kernel.evaluation import evaluate
            from backtest.kernel.prepared import prepare

            yield from ((one.tally, one.held, one.fires) for one in evaluate(batch, prepare(log)))
            return
        for hypothesis in batch:
            truth = held(hypothesis, log)
            fires = fires_of(truth, hypothesis, log)
            yield tally_of(hypothesis, log, truth, fires), truth, fires

    def add_tally(self, index: int, more: Tally) -> None:
        """Add counts of further units to a hypothesis, named by its place."""
        self.tallies[index] = self.tallies[index] + more if index in self.tallies else more

    def add_detail(self, index: int, more: Detail) -> None:
        """Add what further units say about tests, lead times and labels."""
        self.details[index] = self.details[index] + more if index in self.details else more

    def add_baseline(self, index: int, more: Baseline) -> None:
        """Add further units to the baseline that a hypothesis shares with others."""
        key = self.key_of(index)
        self.baselines[key] = self.baselines[key] + more if key in self.baselines else more

    def key_of(self, index: int) -> SharedKey:
        """Names the baseline of a hypothesis: its unit kind, entry, outcome and horizon."""
        one = self.hypotheses[index]
        return one.unit, first_key(one.entry), outcome_key(one), int(one.horizon)

    def scores(self) -> list[Score]:
        """In the order of the hypotheses; each of them must have had at least one log."""
        return [self.score(index) for index in range(len(self.hypotheses))]

    def score(self, index: int) -> Score:
        """The numbers of one hypothesis, named by its place, which must have had at least one log."""
        return score_of(self.hypotheses[index], self.tallies[index], self.baselines[self.key_of(index)], self.details[index])


def run_backtest(hypotheses: Sequence[Hypothesis], logs: Mapping[Unit, Iterable[EventLog]]) -> list[Score]:
    """Scores in the order of `hypotheses`, from the logs of each unit kind."""
    whole = Backtest(hypotheses)
    for unit, parts in logs.items():
        for log in parts:
            whole.add(unit, log)
    return whole.scores()

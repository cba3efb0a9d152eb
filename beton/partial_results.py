"""What a backtest of a file can tell while it is still reading, and whether it may stop.

Buckets are cut by a hash of the unit, so those read so far are a random sample of all units: their ratios and intervals stand as they are, nothing
is scaled up. Counts are those of the part that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backtest.early_stopping import Counted, Sure, sure_verdict
from backtest.engine import Backtest
from backtest.events import Window
from backtest.language import Hypothesis, Unit
from backtest.proportions import Interval
from backtest.report import published
from backtest.score import Score
from backtest.verdict import Bar, judge

WORDS = {True: "clears", False: "does_not_clear", None: "cannot_tell"}


@dataclass(frozen=True)
class StopRule:
    """Stop when no verdict by this bar can change any more, and be wrong about any of them with probability at most `error`."""

    bar: Bar = field(default_factory=Bar)
    error: float = 0.05


@dataclass(frozen=True)
class Standing:
    """One hypothesis so far; `sure` is the verdict of the whole read, where it is known already."""

    hypothesis: Hypothesis
    score: Score | None
    sure: Sure | None

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self.hypothesis.name, "fingerprint": self.hypothesis.fingerprint}
        if self.score is not None:
            score = self.score
            ratios = {
                "precision": (score.precision, score.precision_interval),
                "recall": (score.recall, score.recall_interval),
                "lift_vs_baseline": (score.lift, score.lift_interval),
                "closed_lift": (score.closed.lift, score.closed.lift_interval),
            }
            told |= {"sample_size": score.sample_size}
            for name, (value, interval) in ratios.items():
                told |= {name: value, **_ends(name, interval)}
        return told | {"sure": None if self.sure is None else WORDS[self.sure.clears]}


@dataclass(frozen=True)
class Partial:
    """How much has been read, over all kinds of units, and where every hypothesis stands."""

    buckets_done: int
    buckets: int
    standings: tuple[Standing, ...]

    def as_json(self) -> dict[str, Any]:
        rows = [one.as_json() for one in self.standings]
        return {"partial": True, "buckets_done": self.buckets_done, "buckets": self.buckets, "hypotheses": rows}


@dataclass(frozen=True)
class StoppedEarly:
    """After how many of how many buckets of a kind of units, and how likely any verdict of this backtest is to be another one's."""

    buckets_done: int
    buckets: int
    error: float

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Watching:
    """Looks at a backtest after each bucket. Bounds hold at every look, so a verdict that was sure once stays so."""

    batch: Sequence[Hypothesis]
    window: Window
    rule: StopRule | None
    sure: dict[int, Sure] = field(default_factory=dict)

    def look(self, whole: Backtest, unit: Unit, done: int, buckets: int) -> bool:
        """Whether the rest of this kind of units need not be read: all its verdicts are sure, and the numbers so far say the same."""
        if self.rule is None or done == buckets:
            return False
        mine = [index for index, one in enumerate(self.batch) if one.unit == unit]
        for index in mine:
            if index not in self.sure and (found := self._sure(whole, index, done / buckets)):
                self.sure[index] = found
        return all(index in self.sure and self._agrees(whole, index) for index in mine)

    def _sure(self, whole: Backtest, index: int, share: float) -> Sure | None:
        if self.rule is None or index not in whole.tallies:
            return None
        counted = Counted(self.batch[index], whole.tallies[index], whole.baselines[whole.key_of(index)], whole.details[index])
        return sure_verdict(counted, self.rule.bar, share, self.rule.error / len(self.batch))

    def _agrees(self, whole: Backtest, index: int) -> bool:
        told = published(whole.score(index), self.window)
        return self.rule is not None and judge(told, self.rule.bar, selected=False).clears is self.sure[index].clears

    def standings(self, whole: Backtest) -> tuple[Standing, ...]:
        """In the order of the hypotheses; without a score where nothing has been read yet."""
        scores = [whole.score(index) if index in whole.tallies else None for index in range(len(self.batch))]
        return tuple(Standing(one, score, self.sure.get(index)) for index, (one, score) in enumerate(zip(self.batch, scores, strict=True)))


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    return {f"{name}_low": interval.low if interval else None, f"{name}_high": interval.high if interval else None}

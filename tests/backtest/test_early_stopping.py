"""Stopping early: seldom wrong, whatever one looks at and however often; soon where the case is clear."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from backtest import Backtest, Hypothesis, Window, plan_reads, published
from backtest.assembly import Rows, assemble
from backtest.durations import DAY
from backtest.early_stopping import Bounds, Counted, Sure, sure_verdict
from backtest.unread import totals
from backtest.verdict import Bar, judge

WINDOW = Window(20_000 * DAY, 20_090 * DAY)
OUTCOME = {"kind": "event", "match": "paid", "horizon": "14d"}
BATCH = [
    Hypothesis.model_validate({"entry": "signed_up", "clauses": [{"kind": "did", "match": "invited", "span": {span: "7d"}}], "outcome": OUTCOME})
    for span in ("first", "last")
]
BAR = Bar()
CODES = {False: "does_not_clear", True: "clears", None: "cannot_tell"}


@dataclass(frozen=True)
class World:
    """Persons who invite within a week of signing up (or not), and the chances that they pay later."""

    persons: int
    inviting: float
    paying: tuple[float, float]
    buckets: int = 12

    def parts(self, dice: np.random.Generator) -> Iterator[Backtest]:
        """The sums after each bucket."""
        persons = np.arange(self.persons, dtype=np.int32)
        entry = WINDOW.start + (dice.uniform(0, 75, self.persons) * DAY).astype(np.int64)
        invites = dice.random(self.persons) < self.inviting
        pays = dice.random(self.persons) < np.where(invites, *self.paying)
        invited = entry[invites] + (dice.uniform(0.1, 6.9, invites.sum()) * DAY).astype(np.int64)
        paid = entry[pays] + (dice.uniform(7.1, 15, pays.sum()) * DAY).astype(np.int64)
        unit = np.concatenate((persons, persons[invites], persons[pays]))
        name = np.repeat(np.arange(3, dtype=np.int32), [self.persons, invites.sum(), pays.sum()])
        at = np.concatenate((entry, invited, paid))
        by = np.lexsort((at, unit))
        rows = Rows([f"p{one:05}" for one in persons], ["signed_up", "invited", "paid"], unit[by], name[by], at[by])
        rows = rows.where(rows.at < WINDOW.end)
        (plan,) = plan_reads(BATCH, WINDOW)
        bucket = dice.integers(0, self.buckets, self.persons)
        whole = Backtest(BATCH)
        for number in range(self.buckets):
            whole.add("person", assemble(rows.where((bucket == number)[rows.unit]), plan, {}))
            yield whole


def looked_at(world: World, seed: int, error: float) -> list[tuple[int, Sure | None, str]]:
    """For each hypothesis after how many buckets its verdict was sure and what it was, and the verdict of the whole read."""
    sure: list[tuple[int, Sure | None]] = [(world.buckets, None)] * len(BATCH)
    for done, whole in enumerate(world.parts(np.random.default_rng(seed)), 1):
        for index, one in enumerate(BATCH):
            if done < world.buckets and sure[index][1] is None:
                so_far = Counted(one, whole.tallies[index], whole.baselines[whole.key_of(index)], whole.details[index])
                sure[index] = (done, sure_verdict(so_far, BAR, done / world.buckets, error / len(BATCH)))
    verdicts = [judge(published(score, WINDOW), BAR, selected=False) for score in whole.scores()]
    return [(*found, verdict.to_json()["verdict"]) for found, verdict in zip(sure, verdicts, strict=True)]


@pytest.mark.long
def test_an_early_verdict_differs_from_the_whole_read_no_more_often_than_stated() -> None:
    error, logs, dice = 0.2, 200, np.random.default_rng(5)
    wrong, stopped = 0, 0
    for seed in range(logs):
        paying = dice.uniform(0.08, 0.5)
        world = World(
            int(dice.integers(200, 2000)), float(dice.uniform(0.05, 0.5)), (float(paying), float(paying * dice.uniform(0.15, 1))), buckets=8
        )
        found = looked_at(world, seed, error)
        early = [(sure, word) for _, sure, word in found if sure is not None]
        stopped += len(early)
        wrong += any(CODES[sure.clears] != word for sure, word in early)
    assert stopped >= logs // 5, "else there is nothing to be wrong about"
    assert wrong / logs <= error + 2 * math.sqrt(error * (1 - error) / logs)


@pytest.mark.parametrize(
    ("world", "word"),
    [
        (World(8000, 0.3, (0.5, 0.05)), "clears"),
        (World(8000, 0.3, (0.1, 0.1)), "does_not_clear"),
        (World(200, 0.02, (0.5, 0.05)), "cannot_tell"),
    ],
    ids=["for", "against", "too little"],
)
def test_clear_cases_are_sure_before_everything_is_read(world: World, word: str) -> None:
    landmark, grid = looked_at(world, seed=1, error=0.05)
    for done, sure, told in (landmark, grid):
        assert sure is not None
        assert CODES[sure.clears] == told == word
        assert done < world.buckets
    assert word == "cannot_tell" or landmark[0] <= world.buckets // 2


def test_each_bound_is_a_bound_of_the_published_number_when_everything_is_read() -> None:
    *_, whole = World(3000, 0.3, (0.4, 0.1), buckets=2).parts(np.random.default_rng(3))
    for index, (one, score) in enumerate(zip(BATCH, whole.scores(), strict=True)):
        bounds = Bounds(Counted(one, whole.tallies[index], whole.baselines[whole.key_of(index)], whole.details[index]), 1.0, 0.05)
        told = published(score, WINDOW)
        assert bounds.lift_low.low == pytest.approx(told["closed"]["lift_low"])
        assert bounds.lift_low.high == pytest.approx(told["closed"]["lift_low"])
        assert bounds.recall.low == bounds.recall.high == told["recall"]
        assert bounds.precision.low == told["precision"]
        assert score.detail is not None
        log_p = score.detail.strata.log_p
        assert log_p is not None
        assert log_p <= bounds.log_chance() < log_p / 2
        assert 1 < bounds.aged_low() <= told["lift_vs_baseline_low"]
        assert bounds.no_label()
        assert not told["labels"]


# --- totals ----------------------------------------------------------------------------------------------------------


def test_totals_hold_the_truth_at_every_look() -> None:
    dice, truth, buckets, logs, missed = np.random.default_rng(8), np.array([0, 3, 40, 900]), 10, 400, 0
    for _ in range(logs):
        into = [dice.multinomial(one, [1 / buckets] * buckets).cumsum() for one in truth]
        looks = [totals(np.array([column[done - 1] for column in into]), done / buckets, 0.2) for done in range(1, buckets + 1)]
        missed += any((look.low > truth).any() or (look.high < truth).any() for look in looks)
    assert missed / logs <= 0.2


def test_totals_narrow_to_what_was_counted() -> None:
    widths = [
        int((found.high - found.low)[0]) for share in (0.1, 0.3, 0.6, 0.9, 1.0) for found in [totals(np.array([round(600 * share)]), share, 0.01)]
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


def test_the_bound_of_a_count_is_where_the_evidence_against_it_reaches_its_height() -> None:
    """By plain sums over the priors, for one count."""
    seen, share, delta = 7, 0.4, 0.05

    def chance(total: int) -> float:
        return math.comb(total, seen) * share**seen * (1 - share) ** (total - seen) if total >= seen else 0.0

    means = [10.0**power for power in range(9)]
    mixed = sum(chance(total) / len(means) / (1 + mean) * (mean / (1 + mean)) ** total for total in range(2000) for mean in means)
    within = [total for total in range(seen, 500) if mixed / chance(total) < 1 / delta]
    found = totals(np.array([seen]), share, delta)
    assert (found.low[0], found.high[0]) == (within[0], within[-1])

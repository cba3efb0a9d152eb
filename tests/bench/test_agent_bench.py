"""The benchmark of the agent: what counts as found, what rivals are, and that equal recall is equal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.conditions import Question
from backtest import EventLog, Hypothesis, Window
from backtest.durations import DAY
from backtest.events import event_log, first_key, outcome_key, presence_blocks
from backtest.intervals import FOREVER
from backtest.matching import EventMatch
from beton.bench import agent_figures
from beton.bench.agent import run_agent_bench
from beton.bench.agent_figures import Run
from beton.bench.counted import Column, columns_of, seen
from beton.bench.looks import Called, at_recall, called, looks_of, of_fires
from beton.bench.recovery import Shown, Sought
from beton.bench.rivalry import Beside, mean_of, over_worlds, rivalry
from beton.bench.rivals import RIVALS, odds_ratios
from beton.bench.subgroups import Environment, environment
from beton.errors import BadInput

EXAMPLE = Path(__file__).parents[2] / "docs" / "reference" / "worlds.md"
TRIED = EventMatch(events=("tried",))
SHAPE = Hypothesis.model_validate(
    {
        "unit": "person",
        "entry": "joined",
        "clauses": [{"kind": "did", "match": "tried", "span": {"first": "7d"}}],
        "outcome": {"kind": "event", "match": "paid", "horizon": "14d"},
    }
)


def log_of(entry: Sequence[float], outcome: Sequence[float | None], tried: Sequence[tuple[int, float]], days: int = 60) -> EventLog:
    """Units with entries, outcomes and events "tried" (unit, instant), in days of the window."""
    unit, at = np.array([one for one, _ in tried], np.int32), np.array([round(when * DAY) for _, when in tried], np.int64)
    by = np.lexsort((at, unit))
    return event_log(
        window=Window(0, days * DAY),
        units=[str(one) for one in range(len(entry))],
        names=["tried"],
        unit=unit,
        name=np.zeros(len(unit), np.int32),
        at=at,
        presence=presence_blocks(unit[by], at[by], 7 * DAY),
        firsts={
            first_key(SHAPE.entry): np.array([round(one * DAY) for one in entry], np.int64),
            outcome_key(SHAPE): np.array([FOREVER if one is None else round(one * DAY) for one in outcome], np.int64),
        },
    )


# --- looks and recall --------------------------------------------------------------------------------------------------


def test_a_unit_is_called_once_per_horizon_and_never_after_its_outcome() -> None:
    log = log_of([0.5] * 40, [20.5] * 20 + [None] * 20, [])
    looks = looks_of(SHAPE, log)
    (always,) = called(looks, looks.matrix(np.ones(int(looks.open.sum()))))

    assert always.recall == 1.0  # called at days 1 and 15; the second precedes the outcome at day 20.5
    assert always.calls == 20 * 2 + 20 * 4  # days 1, 15 (, 29, 43): those at 43 have a complete horizon up to day 60
    assert always.hits == 20
    assert always.lift == pytest.approx(1.0)


def test_fires_are_called_at_the_next_look_unless_the_unit_has_converted_by_then() -> None:
    log = log_of([0.5, 0.5, 0.5], [10.0, 3.25, None], [(0, 3.2), (1, 3.2), (2, 3.0)])
    looks = looks_of(SHAPE, log)
    score = of_fires([SHAPE], log, looks)

    assert np.argwhere(score == 1).tolist() == [[0, 4], [2, 3]]


def test_equal_recall_lies_between_two_thresholds_in_proportion() -> None:
    curve = [Called(10, 8, 2, 0.2), Called(50, 20, 10, 0.6), Called(100, 25, 25, 1.0)]

    middle = at_recall(curve, 0.4)
    assert middle is not None
    assert (middle.calls, middle.hits, middle.expected) == pytest.approx((30, 14, 6))
    assert middle.recall == pytest.approx(0.4)
    first = at_recall(curve, 0.1)
    assert first is not None
    assert first.lift == pytest.approx(4.0)  # a part of the strictest calls, drawn by lot, has their lift
    assert at_recall(curve[:1], 0.9) == curve[0]
    assert at_recall([], 0.5) is None


# --- rivals ------------------------------------------------------------------------------------------------------------


def tried_before_paying(units: int = 120) -> EventLog:
    """Of the first half, who tries, two thirds pay on the tenth day; of the others one in six."""
    half = units // 2
    pays = [one % 3 != 0 for one in range(half)] + [one % 6 == 0 for one in range(half)]
    return log_of([0.5 + 0.1 * (one % 10) for one in range(units)], [10.0 if one else None for one in pays], [(one, 3.0) for one in range(half)])


def test_the_odds_ratio_is_posthogs_with_one_added_to_each_count() -> None:
    part = seen(SHAPE, tried_before_paying(), [Column(TRIED, "last 14 d")])

    (ratio,) = odds_ratios(part)
    assert ratio == pytest.approx((40 + 1) * (50 + 1) / ((20 + 1) * (10 + 1)))


def test_what_converters_do_from_the_outcome_on_does_not_count() -> None:
    log = log_of([0.5] * 60, [5.0] * 30 + [None] * 30, [(one, 5.0) for one in range(30)] + [(one, 4.0) for one in range(30, 60)])
    (ratio,) = odds_ratios(seen(SHAPE, log, [Column(TRIED, "last 14 d")]))

    assert ratio < 0.01


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_every_rival_calls_those_first_who_tried(name: str) -> None:
    columns = [Column(TRIED, span) for span in ("first 7 d", "last 14 d")]
    part = seen(SHAPE, tried_before_paying(600), columns)
    score = part.looks.matrix(RIVALS[name](part)(part))

    assert score[:300, 4].min() > score[300:, 4].max()  # at day 4, the first half has tried


def test_counts_are_of_events_between_entry_and_look() -> None:
    log = log_of([5.0], [None], [(0, 1.0), (0, 5.0), (0, 6.2), (0, 6.4), (0, 7.0), (0, 20.0)])
    part = seen(SHAPE, log, [Column(TRIED, span) for span in ("first 7 d", "last 7 d", "last 14 d", "since entry", "days of 7")])
    by_day = dict(zip((part.looks.at[part.looks.open[0]] // DAY).tolist(), part.table.astype(int).tolist(), strict=True))

    assert by_day[6] == [1, 1, 1, 1, 1]
    assert by_day[7] == [4, 4, 4, 4, 2]  # a day ends with its midnight: 5.0 is of another one than 6.2 to 7.0
    assert by_day[12][0] == 4
    assert by_day[20] == [4, 1, 4, 5, 1]


def test_hidden_events_are_in_no_count_of_a_rival() -> None:
    question = Question(SHAPE.unit, SHAPE.entry, SHAPE.outcome)
    clauses = [{"kind": "did", "match": match, "span": {"first": "7d"}} for match in ("tried", "packed", "looked", {"any_event": True})]
    columns = columns_of(
        question, [question.ask(one) for one in clauses], log_of([0.5], [None], [(0, 1.0)]), Window(0, 60 * DAY), without=("packed",)
    )

    assert {one.match.events for one in columns} == {("tried",), ("looked",), ("looked", "tried")}
    assert not any(one.match.any_event for one in columns)


def test_a_rival_that_cannot_run_says_why() -> None:
    with environment(wanted=False) as none:
        assert none == Environment(None, "not asked for: --with-pysubgroup installs it in an environment of its own")


# --- figures -----------------------------------------------------------------------------------------------------------


def a_list(**more: Any) -> Shown:
    """A perfect list of two lines."""
    sought = (
        Sought("P1", findable=True, supported=True, jaccard=0.95, place=1, recommended=True),
        Sought("P2", findable=True, supported=True, jaccard=0.85, place=10, recommended=True),
    )
    told: dict[str, Any] = {
        "world": "shop",
        "seed": 1,
        "lines": 2,
        "recommended": frozenset({"a", "b"}),
        "steps": (),
        "of_no_use": (),
        "confounded": 0,
        "jaccards": (0.2,),
        "retained": (1.0, 1.02),
        "retained_recommended": (1.0,),
        "sought": sought,
        "ended": (False,),
        "tried": 100,
    }
    return Shown(**{**told, **more})


def holding(*lists: Shown) -> dict[str, bool]:
    return {name: one.holds for name, one in agent_figures.of_lists("", lists)}


def test_a_perfect_list_holds_every_bound() -> None:
    assert all(holding(a_list(), a_list(seed=2)).values())


def test_a_cause_below_the_tenth_line_is_not_recovered() -> None:
    late = a_list(sought=(Sought("P1", findable=True, supported=True, jaccard=0.9, place=11, recommended=True),))

    assert not holding(*[late] * 20)["recovered"]
    assert not holding(*[late] * 20)["recovered_all"]


def test_a_cause_with_too_little_support_is_left_out_and_counted() -> None:
    lost = a_list(sought=(Sought("P1", findable=False, supported=False, jaccard=0.1, place=None, recommended=False), *a_list().sought[1:]))

    assert holding(lost)["recovered"]
    assert [one["not_findable"] for one in agent_figures.causes([lost])] == [1, 0]


def test_a_cause_that_a_search_can_hardly_show_counts_as_missed_all_the_same() -> None:
    weak = a_list(sought=(Sought("P1", findable=True, supported=False, jaccard=0.1, place=None, recommended=False), *a_list().sought[1:]))

    assert not holding(*[weak] * 20)["recovered"]
    assert not holding(*[weak] * 20)["recovered_all"]
    assert [one["not_supported"] for one in agent_figures.causes([weak])] == [1, 0]


@pytest.mark.parametrize(
    ("broken", "figure"),
    [
        ({"steps": ("checkout",), "of_no_use": ("checkout",)}, "steps_recommended"),
        ({"of_no_use": ("activated",)}, "twins_recommended"),
        ({"jaccards": (0.1, 0.8)}, "closest_lines"),
        ({"retained": (0.5, 0.8)}, "lift_retained"),
    ],
)
def test_each_fault_breaks_its_bound(broken: dict[str, object], figure: str) -> None:
    told = holding(a_list(**broken))

    assert [name for name, holds in told.items() if not holds] == [figure]


def test_a_bad_model_that_pushes_a_cause_out_or_a_false_line_in_is_noticed() -> None:
    missed = Sought("P2", findable=True, supported=True, jaccard=0.85, place=None, recommended=False)
    worse = a_list(sought=(a_list().sought[0], missed), confounded=1)
    same = [Run(null=False, without=a_list(), models={"bad": a_list()})]
    harmed = [Run(null=False, without=a_list(), models={"bad": worse})]

    def told(runs: list[Run]) -> dict[str, float | None]:
        return {name: one.value for name, one in agent_figures.figures(runs, frozenset({"models"}), []) if "lost" in name or "added" in name}

    assert told(same) == {"bad_model_causes_lost": 0, "bad_model_false_added": 0}
    assert told(harmed) == {"bad_model_causes_lost": 1, "bad_model_false_added": 1}


def test_a_difference_is_paired_by_run_and_its_interval_grows_with_the_spread_between_seeds() -> None:
    assert mean_of([1.0]).low is None
    narrow, wide = mean_of([1.0, 1.1, 0.9]), mean_of([3.0, 1.0, -1.0])
    assert (narrow.value, wide.value) == (pytest.approx(1.0), pytest.approx(1.0))
    both = over_worlds([narrow, wide])
    assert both.value == pytest.approx(1.0)
    assert both.n == 6
    assert wide.low is not None
    assert both.low is not None
    assert wide.low < both.low < 1


def test_a_comparison_that_never_took_place_does_not_hold() -> None:
    nothing = rivalry("tree", "later", [Beside("a", 1, "later", None, None, {}, {"all": "nothing was recommended"})])
    missing = rivalry("tree", "later", [Beside("a", 1, "later", 0.5, 2.0, {}, {"tree": "not asked for"})])

    assert not dict(agent_figures.figures([], frozenset(), [nothing]))["ahead_of_tree"].holds
    assert not dict(agent_figures.figures([], frozenset(), [missing]))


def test_ahead_over_the_worlds_may_still_be_behind_in_one() -> None:
    def run(world: str, seed: int, ours: float) -> Beside:
        return Beside(world, seed, "later", 0.5, ours, {"tree": Called(10, 20, 10, 0.5)}, {})

    runs = [run("a", one, 6 + 0.1 * one) for one in range(4)] + [run("b", one, 1.5 + 0.01 * one) for one in range(4)]
    told = rivalry("tree", "later", runs)

    assert told.ahead
    assert told.behind == ["b"]
    assert told.difference.value == pytest.approx((4.15 - 0.485) / 2)


# --- the whole of it ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shop of the reference page, at a tenth of its size."""
    folder = tmp_path_factory.mktemp("shop")
    text = EXAMPLE.read_text().split("```yaml\n")[1].split("```")[0].replace("units: 4000", "units: 400")
    (folder / "world.yaml").write_text(text)
    return str(folder)


def test_every_figure_comes_with_its_bound_and_every_rival_with_its_row(small_world: str) -> None:
    told = run_agent_bench(4, seeds=1, given=(small_world,), parts=("recovery", "null", "rivals"), processes=1)

    assert {"recovered", "closest_lines", "null_silent"} & set(told["figures"])
    for figure in told["figures"].values():
        assert set(figure) == {"value", "bound", "replicates", "holds", "how"}
    assert told["holds"] == all(figure["holds"] for figure in told["figures"].values())
    assert [one["rival"] for one in told["rivals"] if one["measured_on"] == "later"] == [*RIVALS, "pysubgroup"]


@pytest.mark.long
def test_the_same_seed_gives_the_same_figures(small_world: str) -> None:
    once, again = (run_agent_bench(2, seeds=1, given=(small_world,), parts=("recovery",), processes=1) for _ in range(2))

    assert once == again


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match="no such part"):
        run_agent_bench(parts=("recovery", "luck"))

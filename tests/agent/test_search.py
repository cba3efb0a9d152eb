"""The search: what it finds, what it says of it, and that it says so when there is too little."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import islice

import numpy as np
import pytest

from agent.conditions import conditions
from agent.parts import Candidate, Parts, evaluated
from agent.parts import tested as with_p
from agent.search import Found, Question, search
from backtest import Hypothesis
from backtest.exposure import AGES, exposed_strata
from backtest.fires import fires_of, held
from backtest.split import cut_at
from backtest.tally import asked_rows
from backtest.verdict import Bar, judge
from beton.bench.projects import opened_world


@cache
def found_in(name: str, seed: int, scale: float) -> tuple[Found, list[str]]:
    """What is found in a world, and the names of units of each proposal's fires."""
    with opened_world(name, seed, scale) as project:
        singles = project.singles()
        return search(project.question, singles, project.log(singles)), project.truth["no_effect"]


@pytest.fixture(scope="module")
def found() -> Found:
    return found_in("freemium", 1, 1.0)[0]


def test_finds_are_different_from_each_other(found: Found) -> None:
    assert 4 <= len(found.proposals) <= 10
    assert len({one.hypothesis.fingerprint for one in found.proposals}) == len(found.proposals)
    ideas = [one for one in found.proposals if one.backtest["other_wording_of"] is None]
    for one in ideas[1:]:
        assert one.backtest["new_recall"] >= 0.02 or one.backtest["conditional_lift_low"] is None or one.backtest["conditional_lift_low"] > 1


def test_causes_that_still_work_clear_the_bar(found: Found) -> None:
    cleared = [one for one in found.proposals if judge(one.backtest, Bar(), selected=True).clears]
    named = " ".join(str(one.hypothesis.to_json()["clauses"]) for one in cleared)

    assert len(cleared) >= 3
    assert "invit" in named
    assert "plans_compared" in named


def test_a_find_says_how_much_was_tried_and_what_chance_would_reach(found: Found) -> None:
    assert found.tested <= found.tried
    for one in found.proposals:
        told = one.backtest
        assert told["tried"] == found.tried
        assert told["tested"] == found.tested
        assert told["best_null_lift"]["expected"] > 1
        assert told["best_null_lift"]["sentence"].startswith("The best of")
        assert 0 <= told["confidence"] <= 1
        assert 0 < told["confidence_asks_precision"] < 1
        assert told["p_search"] <= told["q_value"]


def test_confidence_grows_with_the_evidence(found: Found) -> None:
    strong = max(found.proposals, key=lambda one: one.backtest["discovery"]["counts"]["true_positives"])

    assert strong.backtest["confidence"] > 0.8  # no more than 0.88: an eighth of effects end


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_five_hundred_units_nothing_is_approvable_and_it_says_what_is_lacking(seed: int) -> None:
    few, _ = found_in("churn", seed, 0.12)

    assert not [one for one in few.proposals if judge(one.backtest, Bar(), selected=True).clears]
    assert any("converters" in one.what for one in few.lacks)
    assert all(one.needs > one.has for one in few.lacks)


def test_nothing_to_try_is_an_honest_result() -> None:
    with opened_world("freemium", 1, 0.05) as project:
        log = project.log(project.singles())

    assert search(project.question, [], log) == Found((), 0)


# --- equal exposure ---------------------------------------------------------------------------------------------------


@cache
def aged() -> tuple[Question, list[Hypothesis], Parts]:
    with opened_world("freemium", 2, 0.5) as project:
        singles = project.singles()
        log = project.log(singles)
    cut = cut_at(singles[0], log)
    assert cut is not None
    return project.question, singles, Parts(log, cut)


def rolling() -> Iterator[Candidate]:
    _, singles, parts = aged()
    for one in singles:
        if not one.anchored and (candidate := evaluated(one, parts, fewest=20, widest=0.95)) is not None:
            yield candidate


def test_strata_of_equal_exposure_hold_the_same_rows() -> None:
    for one in islice(rolling(), 20):
        closed = one.closed
        assert int(one.strata.units.sum()) == closed.population
        assert int(one.strata.hits.sum()) == closed.tp
        assert int(one.strata.fired.sum()) == closed.fired
        assert one.strata.units.shape[-1] % (len(AGES) + 1) == 0


def test_a_landmark_is_asked_within_entry_weeks() -> None:
    _, singles, parts = aged()
    anchored = next(one for one in singles if one.anchored)
    log = parts.of(anchored, confirming=False).log
    where = held(anchored, log)
    asked = asked_rows(anchored, log, where, fires_of(where, anchored, log).firsts())

    assert np.array_equal(exposed_strata(anchored, log, asked).units, np.bincount(asked.stratum, minlength=asked.strata))


def test_a_batch_is_tested_like_each_alone() -> None:
    batch = with_p(islice(rolling(), 12))
    for one in batch:
        alone = one.strata.log_p
        assert alone is not None
        assert one.log_p == pytest.approx(alone, rel=1e-6, abs=1e-9)


def test_conditions_come_in_the_same_order_whatever_the_order_of_the_taxonomy() -> None:
    from backtest.taxonomy import Taxonomy
    from beton.local_backtest import file_taxonomy

    with opened_world("freemium", 2, 0.05) as project:
        taxonomy = file_taxonomy(project.file, project.window, [])
        mixed = list(taxonomy.events)
        random.Random(1).shuffle(mixed)
        other = Taxonomy.model_validate(taxonomy.model_dump() | {"events": [one.model_dump() for one in mixed]})
        first, second = (conditions(project.question, one, project.window) for one in (taxonomy, other))

    assert [one.fingerprint for one in first] == [one.fingerprint for one in second]

"""The screen counts what the evaluator counts, and the model of the hazard explains what it has been told."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from agent.cuts import cuts, roundest, thresholds
from agent.explained import Explained, gain
from agent.parts import Parts, evaluated
from agent.screen import Kind, Screen
from agent.search import Question
from agent.tables import sampled
from agent.taste import price, usual
from backtest import Hypothesis
from backtest.language import Age, Total
from backtest.split import cut_at
from beton.bench.projects import opened_world


@cache
def screened(name: str) -> tuple[Question, list[Hypothesis], Screen]:
    with opened_world(name, 3, 0.25) as project:
        singles = project.singles()
        log = project.log(singles)
    cut = cut_at(singles[0], log)
    assert cut is not None
    parts = Parts(log, cut)
    rolling = parts.of(project.question.ask(Age(kind="age", at_least="1d")), confirming=False)
    parts.cuts += cuts(project.question, singles, rolling.log, log.window)
    every = [one for place, one in enumerate(singles) if place % 5 == 0 or usual(one.clauses[0])]
    screen = Screen(project.question, parts, lambda *_: None)
    screen.singles([*every, *parts.cuts])
    screen.sequences([name for name in log.slices if not name.startswith("$")][:12])
    screen.together()
    return project.question, singles, screen


@pytest.mark.parametrize("name", ["freemium", "usage"])
@pytest.mark.parametrize("kind", list(Kind))
def test_the_screen_counts_what_the_evaluator_counts(name: str, kind: Kind) -> None:
    _, _, screen = screened(name)
    entries = [one for one in screen.entries if one.kind is kind]
    step = max(1, len(entries) // 30)
    for one in entries[::step]:
        alone = evaluated(one.hypothesis, screen.parts, fewest=0, widest=1.0)
        assert alone is not None
        assert one.closed == alone.closed, one.clauses
        if one.z >= 1 and one.hypothesis.anchored:
            assert one.log_p == pytest.approx(alone.strata.log_p, rel=1e-6, abs=1e-9)


def test_numbers_sampled_at_once_are_those_of_the_evaluator() -> None:
    _, _, screen = screened("usage")
    totals = [one for one in screen.entries if isinstance(one.clauses[0], Total)]

    assert totals
    for one in totals[:40]:
        alone = evaluated(one.hypothesis, screen.parts, fewest=0, widest=1.0)
        assert alone is not None
        assert one.closed == alone.closed, one.clauses


def test_what_is_sampled_does_not_depend_on_the_compiled_kernel() -> None:
    _, singles, screen = screened("freemium")
    batch = [one for one in singles if not one.anchored][::25]
    plain, compiled = (screen.parts.with_outcomes(batch[0], screen.parts.log.outcome(batch[0])) for _ in range(2))
    found = []
    for parts, much in ((plain, False), (compiled, True)):
        part = parts.of(batch[0], confirming=False)
        part.sampled, part.compiled = {}, much
        found.append(sampled(part, batch, lambda one, start=part.log.window.start: [start + one.look_back], lambda _: None))
    for one, other in zip(*found, strict=True):
        assert one.fires == other.fires
        assert all(np.array_equal(one.bits[at], other.bits[at]) for at in one.bits)


def test_everything_that_was_evaluated_is_counted() -> None:
    _, _, screen = screened("freemium")

    assert screen.tried[Kind.single] > 500
    assert screen.tried[Kind.ordered] == 3 * 3 * 12 * 11
    assert screen.tried[Kind.pair] > 2_000


def test_thresholds_are_round_and_lie_between_their_neighbours() -> None:
    values = np.sort(np.random.default_rng(1).lognormal(3, 1, 4000))
    found = thresholds(values, (0.8, 0.6, 0.4, 0.2, 0.1, 0.05))

    assert found == sorted(found)
    assert all(len(f"{one:g}".strip("0").replace(".", "")) <= 2 for one in found)
    assert roundest(74, 78.3, 85) == 80
    assert roundest(0.12, 0.13, 0.16) == pytest.approx(0.15)
    assert roundest(3, 3, 3) == 3


def test_taste_prefers_one_plain_clause() -> None:
    question = screened("freemium")[0]

    def told(*clauses: object) -> float:
        return price(question.ask(*clauses).clauses)

    plain = {"kind": "did", "match": "note_shared", "span": {"first": "7d"}}
    assert told(plain) == 0
    assert told(plain) < told(plain | {"at_least": 20}) < told(plain, plain | {"match": "day_started"})
    assert told(plain) < told(plain | {"span": {"first": "14d"}})
    assert told(plain) < told(plain | {"match": {"any_event": True}})


def test_what_a_line_explains_is_no_surplus_any_more() -> None:
    question, _, screen = screened("freemium")
    line = question.ask({"kind": "did", "match": "day_started", "at_least": 4, "count": "days", "span": {"last": "7d"}})
    narrower = question.ask({"kind": "did", "match": "day_started", "at_least": 5, "count": "days", "span": {"last": "7d"}})
    part = screen.parts.of(line, confirming=False)
    model = Explained(part.log, line)
    horizon = int(line.horizon)
    before = model.surplus(model.spell(part.fires(narrower)[1], horizon))
    model.add(*part.fires(line), horizon)
    after = model.surplus(model.spell(part.fires(narrower)[1], horizon))

    assert before[0] == after[0]
    assert after[1] > 1.3 * before[1]
    assert gain(*before) > gain(*after)
    assert model.total[:, -1].sum() == pytest.approx(model.converts.sum(), rel=0.15)

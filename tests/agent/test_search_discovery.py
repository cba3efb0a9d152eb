"""Taking part in a search: attempts are counted, judged by the same gates, and cannot make the search's own list worse."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from agent.parts import Candidate
from agent.search import Concluded, Discovery, Found, Unfit, discover
from agent.so_far import Lead
from backtest import EventLog, Hypothesis
from backtest.verdict import Bar
from beton.bench.projects import Project, opened_world


@cache
def read() -> tuple[Project, list[Hypothesis], EventLog]:
    with opened_world("freemium", 2, 0.3) as project:
        singles = project.singles()
        return project, singles, project.log(singles)


@cache
def searched() -> Discovery:
    project, singles, log = read()
    return discover(project.question, singles, log)


def discovery() -> Discovery:
    """One in which nothing was attempted yet."""
    return replace(searched(), attempts={}, concluded=False)


@cache
def alone() -> Found:
    return discovery().conclude()


def idea(**changes: object) -> Hypothesis:
    clause = {"kind": "did", "match": "paywall_shown", "at_least": 4, "span": {"first": "9d"}} | changes
    return read()[0].question.ask(clause)


def test_an_attempt_is_counted_once() -> None:
    search = discovery()
    before = search.tried
    first = search.attempt(idea(at_least=1))
    again = search.attempt(idea(at_least=1))

    assert isinstance(first, Candidate)
    assert again is first
    assert search.tried == before + 1
    assert search.q_value(first) is not None


def test_what_cannot_be_evaluated_says_why() -> None:
    search = discovery()
    codes = {
        "too_few_units": idea(at_least=500),
        "too_wide": idea(match={"any_event": True}, at_least=1),
        "not_read": idea(match={"events": ["paywall_shown"], "where": [{"property": "never_read", "op": "equals", "value": 1}]}),
        "wrong_question": idea().model_copy(update={"entry": None}),
    }
    for code, hypothesis in codes.items():
        found = search.attempt(hypothesis)
        assert isinstance(found, Unfit)
        assert found.code == code
        assert found.sentence.endswith(".")


def test_attempts_add_lines_and_take_none_away() -> None:
    search = discovery()
    for count in (1, 2, 3):
        search.attempt(idea(at_least=count))
        search.attempt(idea(at_least=count, match="plans_compared", span={"first": "6d"}))
    found = search.conclude()
    own = [one for one in found.proposals if one.source == "search"]

    assert [one.hypothesis.fingerprint for one in own] == [one.hypothesis.fingerprint for one in alone().proposals]
    assert [one.backtest for one in own] == [one.backtest for one in alone().proposals]
    assert all(one.backtest["tried"] > own[0].backtest["tried"] for one in found.proposals if one.source == "model")


def test_nothing_is_attempted_after_the_conclusion() -> None:
    search = discovery()
    search.conclude()
    with pytest.raises(Concluded):
        search.attempt(idea())


def test_what_is_left_out_is_not_shown() -> None:
    rejected = alone().proposals[0].hypothesis.fingerprint
    found = discovery().conclude(leave_out=[rejected])

    assert rejected not in {one.hypothesis.fingerprint for one in found.proposals}


def test_finds_can_be_asked_about_a_name() -> None:
    search = discovery()

    assert search.finds()
    assert all("invited_teammate" in str(one.hypothesis.to_json()["clauses"]) for one in search.finds(about="invited_teammate"))
    assert search.finds(about="no_such_event") == []


def test_an_empty_run_tells_how_much_was_tried() -> None:
    found = alone()

    assert f"{found.tried:,} candidates tested" in found.sentence(Bar())
    assert "your bar is 99.0" in found.sentence(Bar(min_lift_low=99.0))
    assert found.considered
    assert len(found.considered) <= 50
    assert {one.code for one in found.considered} <= {"explained", "chance", "insufficient", "recall"}


def test_who_watches_is_told_what_stands_out_before_anything_is_confirmed() -> None:
    project, singles, log = read()
    told: list[list[Lead]] = []

    found = discover(project.question, singles, log, noticed=lambda leads: told.append(list(leads)))

    (leads,) = told
    assert 1 <= len(leads) <= 5
    assert all(one.lift > 1 for one in leads)
    assert not found.concluded
    steps = {one["event"] for one in project.truth["must_label"] if one["label"] == "own_path"}
    assert not [one for one in leads for clause in one.hypothesis.clauses if steps & {*getattr(getattr(clause, "match", None), "events", ())}]

"""Every hypothesis prints as one English sentence that states all it depends on."""

import re
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from backtest.language import Hypothesis
from backtest.sentence import GRAMMAR, PLAIN, sentence, short_title
from tests.backtest.strategies import hypotheses, neighbours, texts

PAID = {"kind": "event", "match": "paid", "horizon": "14d", "goal": "custom"}
INVITED = {"kind": "did", "match": "invited_teammate", "at_least": 2, "span": {"first": "7d"}}


def told(*clauses: dict, outcome: dict = PAID, **more: object) -> str:
    return sentence(Hypothesis.model_validate({"clauses": list(clauses), "outcome": outcome} | more))


@pytest.mark.parametrize(
    ("clause", "phrase"),
    [
        (INVITED, "who did invited_teammate at least 2 times within 7 days of user_signed_up"),
        (INVITED | {"at_least": 1, "span": "ever"}, "who did invited_teammate at least once at any time since user_signed_up"),
        (INVITED | {"count": "days", "span": "first_session"}, "on at least 2 different days (UTC) in the first session after user_signed_up"),
        (INVITED | {"count": "persons"}, "for whom at least 2 different people did invited_teammate within 7 days of user_signed_up"),
        (INVITED | {"count": {"values_of": ["team", "name"]}}, "did invited_teammate with at least 2 different values of team → name within 7 days"),
        ({"kind": "did_not", "match": "a", "span": {"first": "24h"}}, "who did not do a within 1 day of user_signed_up"),
        ({"kind": "sequence", "match": "a", "then": "b", "within": "90m", "span": "ever"}, "who did a and then b at most 90 minutes later, both"),
        ({"kind": "sequence", "match": "a", "then": "b", "span": "ever"}, "who did a and then b later, both at any time since user_signed_up,"),
        ({"kind": "age", "at_least": "12d"}, "for whom at least 12 days have passed since user_signed_up"),
    ],
)  # fmt: skip
def test_each_clause_that_counts_from_entry_names_it(clause, phrase):
    assert phrase in told(clause, entry="user_signed_up")


@pytest.mark.parametrize(
    ("clause", "phrase"),
    [
        ({"kind": "did", "match": {"any_event": True}, "at_least": 5, "span": {"last": "7d"}}, "did any event at least 5 times in the last 7 days"),
        ({"kind": "without", "match": "a", "without": ["c", "b"], "within": "24h"}, "who did a with no b or c within 1 day after it"),
        (
            {"kind": "trend", "match": "a", "over": "7d", "ratio_at_most": 0.5, "at_least_before": 10},
            "who did a at most 0.5 times as often in the last 7 days as in the 7 days before (then at least 10 times)",
        ),
        (
            {"kind": "total", "match": "a", "property": "amount", "measure": "sum", "at_least": 500, "span": {"last": "30d"}},
            "for whom the sum of amount over a in the last 30 days is at least 500",
        ),
        ({"kind": "state", "property": "plan", "op": "is", "value": "free"}, 'People whose latest plan is "free" do paid'),
        ({"kind": "cohort", "cohort": 12}, 'People who are in cohort "12" today do paid'),
    ],
)  # fmt: skip
def test_clauses_that_do_not_count_from_entry_do_not_mention_it(clause, phrase):
    clause = clause | ({"without": {"events": clause["without"]}} if "without" in clause else {})

    assert phrase in told(clause)


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        (PAID, "do paid within 14 days."),
        (PAID | {"goal": "converts"}, "convert (do paid) within 14 days."),
        (PAID | {"goal": "returns", "match": {"events": "seen", "where": [{"property": "n", "op": ">", "value": 1}]}},
         "return (do seen (where n is greater than 1)) within 14 days."),
        ({"kind": "property", "property": "seats", "op": ">=", "value": 50.0, "horizon": "30d", "goal": "expands"},
         "expand (have an event where seats is at least 50) within 30 days."),
        ({"kind": "lapse", "match": "session", "after": "14d", "horizon": "30d"}, 'churn (go 14 days without "session") within 30 days.'),
    ],
)  # fmt: skip
def test_outcomes_say_what_they_mean_to_the_business(outcome, ending):
    assert told(INVITED, outcome=outcome).endswith(ending)


def test_accounts_and_cool_downs_are_told():
    told_whole = told(INVITED, unit={"group": "company"}, fires_again_after="30d", entry="signed_up")

    assert told_whole == (
        "Companies (company accounts) that did invited_teammate at least 2 times within 7 days of signed_up do paid within 14 days; "
        "the same account may fire again 30 days later."
    )


def test_an_entry_that_no_clause_counts_from_is_still_told():
    rolling = {"kind": "did", "match": "a", "span": {"last": "7d"}}

    assert told(rolling, entry="signed_up").startswith("From their first signed_up on, people who did a at least once in the last 7 days")
    assert "within 7 days of that start" in told(INVITED, entry={"events": ["x", "y"]})


def test_names_are_quoted_only_when_they_are_not_plain_words():
    assert 'did "Signed Up" at least' in told(INVITED | {"match": "Signed Up"})
    assert 'did "or" at least' in told(INVITED | {"match": "or"})
    assert "did $pageview at least" in told(INVITED | {"match": "$pageview"})
    assert 'did "a\\u0000b\\u2028" at least' in told(INVITED | {"match": "a\0b\u2028"})


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(neighbours())
def test_different_hypotheses_print_different_sentences(pair):
    one, other = pair
    goals = one.outcome.goal, other.outcome.goal

    if one.fingerprint != other.fingerprint:
        assert sentence(one) != sentence(other)
    elif goals[0] == goals[1]:
        assert sentence(one) == sentence(other)


def test_no_two_of_many_small_hypotheses_share_a_sentence():
    random, seen = Random(11), {}
    names = ["a", "b", "or", "a or b", "any event", "last", "paid within 7 days", '"a"']

    def match() -> object:
        where = [{"property": random.choice(names), "op": random.choice(["is", "is_not", "contains"]), "value": random.choice([*names, 1, True])}]
        several = {"events": random.sample(names, random.randint(1, 3))}
        return random.choice(
            [random.choice(names), several, several | {"where": where}, {"any_event": True}, {"any_event": True, "where": where * 2}]
        )

    def span() -> object:
        return random.choice([{"first": "1d"}, {"first": "24h"}, {"last": "7d"}, "first_session", "ever"])

    def clause() -> dict:
        counts = ["events", "days", "persons"]
        return random.choice([
            {"kind": "did", "match": match(), "at_least": random.choice([1, 2]), "span": span(), "count": random.choice(counts)},
            {"kind": "sequence", "match": match(), "then": match(), "span": span()} | random.choice([{}, {"within": "1d"}]),
            {"kind": "without", "match": match(), "without": match(), "within": "1d"},
        ])  # fmt: skip

    for _ in range(2500):
        data = {"clauses": [clause() for _ in range(random.randint(1, 2))], "outcome": PAID | {"match": "x!"}} | random.choice(
            [{}, {"entry": match()}]
        )
        hypothesis = Hypothesis.model_validate(data)

        assert seen.setdefault(sentence(hypothesis), hypothesis.fingerprint) == hypothesis.fingerprint


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(hypotheses())
def test_a_sentence_is_that_of_the_canonical_form_and_stays_on_one_line(hypothesis):
    assert sentence(hypothesis) == sentence(hypothesis.canonical())
    assert sentence(hypothesis).isprintable()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(hypotheses())
def test_every_bare_word_of_a_sentence_is_a_word_of_the_grammar(hypothesis):
    bare = re.sub(r'"(\\.|[^"\\])*"', " ", sentence(hypothesis))
    words = {part for word in bare.split() for part in re.findall(r"[^(),;.]+", word)}

    plurals = {"Companies", "companies", "Buses", "buses"}

    assert {word for word in words if PLAIN.fullmatch(word)} <= plurals | texts(hypothesis.to_json()) | _cased(GRAMMAR)


def _cased(words: set[str]) -> set[str]:
    return words | {word.title() for word in words} | {"UTC"}


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(hypotheses())
def test_titles_are_short_and_on_one_line(hypothesis):
    title = short_title(hypothesis)

    assert 0 < len(title) <= 80
    assert title.isprintable()


def test_a_title_says_what_it_is_about():
    assert short_title(Hypothesis.model_validate({"clauses": [INVITED], "outcome": PAID})) == "invited_teammate ×2 → paid in 14d"
    assert short_title(Hypothesis.model_validate({"name": "Invites", "clauses": [INVITED], "outcome": PAID})) == "Invites"

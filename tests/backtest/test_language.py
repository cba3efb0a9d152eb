"""The language reads what people write, prints it back the same, folds synonyms, and refuses what it must."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from backtest.durations import DAY, Duration
from backtest.language import Hypothesis
from backtest.refusals import Fault, taxonomy_faults, window_faults
from backtest.taxonomy import EventDefinition, GroupType, PropertyDefinition, Taxonomy
from tests.backtest.strategies import hypotheses, written

DID = {"kind": "did", "match": "invited", "span": {"first": "7d"}}
PAID = {"kind": "event", "match": "paid", "horizon": "14d"}


def read(*clauses: dict, outcome: dict = PAID, **more: object) -> Hypothesis:
    return Hypothesis.model_validate({"clauses": list(clauses), "outcome": outcome} | more)


def refusals(*clauses: dict, outcome: dict = PAID) -> list[Fault]:
    with pytest.raises(ValidationError) as refused:
        read(*clauses, outcome=outcome)
    return [Fault(**fault) for error in refused.value.errors() for fault in error["ctx"]["faults"]]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(hypotheses())
def test_every_hypothesis_reads_back_from_json_and_yaml(hypothesis):
    data = hypothesis.to_json()

    assert Hypothesis.model_validate(json.loads(json.dumps(data))) == hypothesis
    assert Hypothesis.model_validate(yaml.safe_load(yaml.safe_dump(data))) == hypothesis


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(hypotheses())
def test_the_canonical_form_is_its_own_and_keeps_the_fingerprint(hypothesis):
    canonical = hypothesis.canonical()

    assert canonical.canonical().to_json() == canonical.to_json()
    assert canonical.fingerprint == hypothesis.fingerprint
    assert Hypothesis.model_validate(canonical.to_json()).fingerprint == hypothesis.fingerprint


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(written())
def test_order_and_name_change_no_fingerprint(data):
    turned = data | {"name": "another", "clauses": data["clauses"][::-1]}

    assert Hypothesis.model_validate(turned).fingerprint == Hypothesis.model_validate(data).fingerprint


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"span": {"first": "7d"}}, {"span": {"first": "168h"}}),
        ({"at_least": 1}, {}),
        ({"count": "events"}, {}),
        ({"count": "days"}, {}),
        ({"count": "persons"}, {}),
        ({"match": {"events": ["a", "b", "a"]}}, {"match": {"events": ["b", "a"]}}),
        ({"match": {"events": "a"}}, {"match": "a"}),
        ({"count": {"values_of": ["p"]}}, {"count": {"values_of": "p"}}),
    ],
)  # fmt: skip
def test_synonyms_are_one_hypothesis(one, same):
    assert read(DID | one).fingerprint == read(DID | same).fingerprint


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"op": "=", "value": 1}, {"op": "is", "value": 1.0}),
        ({"op": "in", "value": ["x"]}, {"op": "equals", "value": "x"}),
        ({"op": "in", "value": [2, 1, 2.0]}, {"op": "any_of", "value": [1, 2]}),
        ({"op": ">=", "value": 3}, {"op": "gte", "value": 3}),
        ({"op": ">", "value": {"instant": "2026-01-31T10:00:00+01:00"}}, {"op": "gt", "value": {"instant": "2026-01-31T09:00:00Z"}}),
        ({"op": ">", "value": datetime(2026, 1, 31, 9, tzinfo=UTC)}, {"op": "gt", "value": {"instant": "2026-01-31T09:00:00Z"}}),
        (
            {"op": "in", "value": [{"instant": "2026-01-31T10:00:00+01:00"}, {"instant": "2026-01-31T09:00:00Z"}]},
            {"op": "is", "value": {"instant": "2026-01-31T09:00:00Z"}},
        ),
    ],
)
def test_spellings_of_a_comparison_are_one(one, same):
    wheres = [{"match": {"any_event": True, "where": [{"property": "p"} | form]}} for form in (one, same)]
    outcomes = [{"kind": "property", "property": "p", "horizon": "7d"} | form for form in (one, same)]
    states = [{"kind": "state", "property": "p"} | form for form in (one, same)]

    assert read(DID | wheres[0]).fingerprint == read(DID | wheres[1]).fingerprint
    assert read(DID, outcome=outcomes[0]).fingerprint == read(DID, outcome=outcomes[1]).fingerprint
    assert read(states[0]).fingerprint == read(states[1]).fingerprint


def test_an_entry_of_any_event_is_the_first_event():
    assert read(DID, entry={"any_event": True}).fingerprint == read(DID).fingerprint
    assert read(DID, entry="signed_up").fingerprint != read(DID).fingerprint


def test_the_goal_changes_words_and_no_identity():
    assert read(DID, outcome=PAID | {"goal": "expands"}).fingerprint == read(DID).fingerprint


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), (True, "true"), ("2026-01-31T09:00:00Z", {"instant": "2026-01-31T09:00:00Z"})])
def test_values_of_different_types_are_different(one, other):
    assert read({"kind": "state", "property": "p", "op": "is", "value": one}).fingerprint != (
        read({"kind": "state", "property": "p", "op": "is", "value": other}).fingerprint
    )


@pytest.mark.parametrize(
    "where",
    [
        {"op": "is_set", "value": 1}, {"op": "equals"}, {"op": "equals", "value": None}, {"op": "any_of", "value": []}, {"op": "any_of", "value": 1},
        {"op": "equals", "value": [1]}, {"op": "greater_than", "value": True}, {"op": "starts_with", "value": 1},
        {"op": "equals", "value": float("nan")},
        {"op": "any_of", "value": [1, float("inf")]}, {"op": "equals", "value": {"instant": "2026"}}, {"op": "equals", "value": {"instant": 5}},
        {"op": "equals", "value": {"instant": "2026-01-31T09:00:00"}}, {"op": "near", "value": 1},
    ],
)  # fmt: skip
def test_a_value_must_fit_its_operator(where):
    with pytest.raises(ValidationError):
        read(DID | {"match": {"events": "a", "where": [{"property": "p"} | where]}})


@pytest.mark.parametrize("text", ["7", "0d", "-1d", "7 weeks", "1.5d", "", "d", "4000d", 7, None, True])
def test_a_length_that_is_not_written_as_one_is_refused(text):
    with pytest.raises(ValueError, match="a length of time"):
        Duration.parse(text)


def test_lengths_print_in_their_largest_unit():
    assert [str(Duration.parse(text)) for text in ("168h", "90 minutes", "7D", "86401s")] == ["7d", "90m", "7d", "86401s"]
    assert [Duration.parse(text).words for text in ("24h", "2h", "1 min")] == ["1 day", "2 hours", "1 minute"]


def test_gaps_below_a_minute_are_refused():
    faults = refusals(
        {"kind": "sequence", "match": "a", "then": "b", "within": "59s", "span": "ever"},
        {"kind": "without", "match": "a", "without": "b", "within": "1s"},
        {"kind": "without", "match": "a", "without": "b", "within": "60s"},
    )

    assert [(fault.field, fault.nearest) for fault in faults] == [("clauses.0.within", "60s"), ("clauses.1.within", "60s")]


def test_a_clause_must_not_look_at_the_outcome_event():
    sequence = {"kind": "sequence", "match": "a", "then": {"events": ["b", "paid"]}, "span": "ever"}

    assert [fault.field for fault in refusals(DID, sequence)] == ["clauses.1.then.events"]
    assert read(DID | {"match": {"any_event": True}}, entry="paid")


def test_trends_and_totals_have_exactly_one_bound():
    trend = {"kind": "trend", "match": "a", "over": "7d", "at_least_before": 2}
    total = {"kind": "total", "match": "a", "property": "p", "measure": "sum", "span": "ever"}

    assert len(refusals(trend, trend | {"ratio_at_least": 2, "ratio_at_most": 1}, total)) == 3
    assert read(trend | {"ratio_at_least": 2}, total | {"at_most": 0})


@pytest.mark.parametrize("count", [0, 4])
def test_a_hypothesis_has_one_to_three_clauses(count):
    with pytest.raises(ValidationError):
        read(*[DID] * count)


def test_spans_longer_than_the_window_are_refused():
    long = read(
        DID | {"span": {"last": "40d"}},
        {"kind": "trend", "match": "a", "over": "20d", "ratio_at_least": 2, "at_least_before": 2},
        {"kind": "without", "match": "a", "without": "b", "within": "31d"},
        outcome=PAID | {"horizon": "30d"},
    )

    assert [fault.field for fault in window_faults(long, Duration(30 * DAY))] == [
        "clauses.0.span", "clauses.1.over", "clauses.2.within", "outcome.horizon",
    ]  # fmt: skip
    assert window_faults(long, Duration(90 * DAY)) == []


def test_names_that_the_project_does_not_know_are_refused_with_the_nearest():
    taxonomy = Taxonomy(
        events=(EventDefinition(name="invited_teammate"), EventDefinition(name="paid")),
        properties=(PropertyDefinition(name="plan"), PropertyDefinition(name="email", kind="person")),
        group_types=(GroupType(index=0, name="company"),),
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        window_days=90,
    )
    hypothesis = read(
        DID | {"match": {"events": ["invited_teammates", "paid2"], "where": [{"property": ["plann", "x"], "op": "is_set"}]}},
        DID | {"match": "invited_teammate", "count": {"values_of": "email"}},
        {"kind": "state", "property": "Plan", "op": "is", "value": 1},
        outcome={"kind": "property", "property": "plans", "op": "is", "value": "pro", "horizon": "7d"},
        unit={"group": "team"},
    )

    faults = taxonomy_faults(hypothesis, taxonomy)

    assert [(fault.field, fault.nearest) for fault in faults] == [
        ("clauses.0.match.events", "invited_teammate"),
        ("clauses.0.match.events", "paid"),
        ("clauses.0.match.where.0.property", "plan"),
        ("outcome.property", "plan"),
        ("clauses.1.count.values_of", ""),
        ("clauses.2.property", "plan"),
        ("unit.group", "company"),
    ]
    assert "as it is today" in faults[4].message


def test_a_changed_copy_has_a_fingerprint_of_its_own() -> None:
    first = Hypothesis.model_validate(
        {"clauses": [{"kind": "did", "match": "invited", "span": {"first": "7d"}}], "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}}
    )
    known = first.fingerprint
    other = first.model_copy(update={"clauses": (first.clauses[0].model_copy(update={"at_least": 2}),)})

    assert other.fingerprint != known
    assert first.model_copy().fingerprint == known
    assert first == Hypothesis.model_validate(first.to_json())

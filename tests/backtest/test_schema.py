"""The JSON Schema says what people may write: all of it, and as little else as a schema can."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from backtest.schema import file_schema, hypothesis_schema, schema_text
from tests.backtest.strategies import written

SHIPPED = Path(__file__).parents[2] / "docs/reference/hypothesis.schema.json"
ONE = Draft202012Validator(hypothesis_schema())
FILE = Draft202012Validator(file_schema())

GOOD = {
    "clauses": [{"kind": "did", "match": "a", "span": {"first": "7d"}}],
    "outcome": {"kind": "event", "match": "paid", "horizon": "14d"},
}


def test_the_shipped_schema_is_the_generated_one():
    assert SHIPPED.read_text() == schema_text()


def test_both_schemas_are_schemas():
    Draft202012Validator.check_schema(hypothesis_schema())
    Draft202012Validator.check_schema(file_schema())


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(written())
def test_everything_that_may_be_written_is_valid(data):
    ONE.validate(data)
    FILE.validate([data])
    FILE.validate({"schema": {"properties": {"seats": "numeric"}}, "hypotheses": [data]})


@pytest.mark.parametrize(
    "clause",
    [
        {"kind": "did", "match": {"events": "a", "where": [{"property": ["p", "q"], "op": ">=", "value": {"instant": "2026-01-31T09:00:00Z"}}]},
         "span": "ever", "count": {"values_of": "plan"}},
        {"kind": "cohort", "cohort": 12},
        {"kind": "state", "property": "plan", "op": "in", "value": ["a", 1, True]},
    ],
)  # fmt: skip
def test_short_forms_are_valid(clause):
    ONE.validate(GOOD | {"clauses": [clause]})


@pytest.mark.parametrize(
    "change",
    [
        {"clauses": []}, {"clauses": GOOD["clauses"] * 4}, {"clauses": [GOOD["clauses"][0] | {"spn": 1}]}, {"outcome": None}, {"unit": "people"},
        {"clauses": [GOOD["clauses"][0] | {"span": {"first": "7 weeks"}}]}, {"clauses": [GOOD["clauses"][0] | {"match": ""}]}, {"extra": 1},
        {"clauses": [GOOD["clauses"][0] | {"kind": "didnt"}]}, {"clauses": [{"kind": "state", "property": [], "op": "is", "value": 1}]},
        {"clauses": [{"kind": "state", "property": "p", "op": "near", "value": 1}]},
        {"clauses": [{"kind": "state", "property": "p", "op": "is", "value": {}}]},
    ],
)  # fmt: skip
def test_mistakes_are_invalid(change):
    assert not ONE.is_valid(GOOD | change)
    assert not FILE.is_valid([GOOD | change])


def test_a_file_holds_at_least_one_hypothesis_and_nothing_else():
    assert not FILE.is_valid([])
    assert not FILE.is_valid({"hypotheses": [GOOD], "notes": ""})
    assert not FILE.is_valid({"hypotheses": [GOOD], "schema": {"properties": {"seats": "number"}}})

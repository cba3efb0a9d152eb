"""The reference of the language is true: every example loads, prints its sentence, fires where its case says, and nothing is left out."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator

from backtest.assembly import Rows, assemble
from backtest.events import EventLog, Window, outcome_key
from backtest.fires import first_matches
from backtest.intervals import FOREVER
from backtest.language import Age, Cohort, Counted, Goal, Hypothesis, Measure, State
from backtest.matching import Op
from backtest.plan import plan_reads
from backtest.reading import CLAUSES, OUTCOMES
from backtest.schema import file_schema
from backtest.sentence import sentence
from beton.hypothesis_files import HypothesisFile, read_hypothesis_file, write_hypotheses
from tests.backtest.engine_log import column_of
from tests.backtest.oracle import Oracle, Row

PAGES = Path(__file__).parents[1] / "docs/reference/language"
NAMES = sorted(path.stem for path in PAGES.glob("*.yaml") if not path.name.endswith(".case.yaml"))
PAGE = (PAGES / "README.md").read_text()


def micros(when: datetime) -> int:
    return int(when.replace(microsecond=0).timestamp()) * 1_000_000 + when.microsecond


START, END = micros(datetime(2026, 1, 1, tzinfo=UTC)), micros(datetime(2026, 3, 1, tzinfo=UTC))
"""The window of every case."""


@cache
def example(name: str) -> HypothesisFile:
    return read_hypothesis_file((PAGES / f"{name}.yaml").read_bytes(), name=f"{name}.yaml")


@cache
def case(name: str) -> Mapping[str, Any]:
    return yaml.safe_load((PAGES / f"{name}.case.yaml").read_text())


def rows_of(name: str) -> list[Row]:
    """Each event: unit, instant, event, then if there are any its properties and its person."""
    return [
        Row(unit, event, micros(when), rest[0] if rest else {}, rest[1] if len(rest) > 1 else unit)
        for unit, when, event, *rest in case(name)["events"]
    ]


def log_of(name: str, hypothesis: Hypothesis) -> EventLog:
    rows = rows_of(name)
    units, names, persons = (sorted({getattr(row, field) for row in rows}) for field in ("unit", "event", "person"))
    (plan,) = plan_reads([hypothesis], Window(START, END))
    compared = {comparison.property for match in plan.firsts.values() if match for comparison in match.where}
    whole = Rows(
        units=units,
        names=names,
        unit=np.array([units.index(row.unit) for row in rows], np.int32),
        name=np.array([names.index(row.event) for row in rows], np.int32),
        at=np.array([row.at for row in rows], np.int64),
        persons=np.array([persons.index(row.person) for row in rows], np.int32),
        columns={path: column_of(rows, path) for path in {*plan.columns, *compared}},
    )
    cohorts = {key: np.array([unit in members for unit in units], np.bool_) for key, members in case(name).get("cohorts", {}).items()}
    return assemble(whole, plan, example(name).property_types, cohorts)


def expected_fires(name: str) -> dict[str, list[int]]:
    return {unit: [micros(when) for when in instants] for unit, instants in case(name)["fires"].items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_example_has_one_hypothesis_that_prints_its_sentence(name):
    (hypothesis,) = example(name).hypotheses

    assert hypothesis.name == name
    assert sentence(hypothesis) == case(name)["sentence"]


@pytest.mark.parametrize("name", NAMES)
def test_every_example_round_trips_and_fits_the_schema(name):
    file = example(name)

    assert read_hypothesis_file(write_hypotheses(file.hypotheses, file.property_types), name=name).hypotheses == file.hypotheses
    Draft202012Validator(file_schema()).validate({"hypotheses": [one.to_json() for one in file.hypotheses]})
    Draft202012Validator(file_schema()).validate(_as_other_programs_see_it(name))


def _as_other_programs_see_it(name: str) -> Any:
    """By any reader of YAML; JSON Schema knows no moments, so those are quoted."""
    return yaml.safe_load(re.sub(r"instant: (\S+Z)", r'instant: "\1"', (PAGES / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_every_example_fires_where_its_case_says(name):
    (hypothesis,) = example(name).hypotheses
    log = log_of(name, hypothesis)
    found = first_matches(hypothesis, log)
    fires: dict[str, list[int]] = {}
    for unit, at in zip(found.unit.tolist(), found.at.tolist(), strict=True):
        fires.setdefault(log.units[unit], []).append(at)

    assert fires == expected_fires(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("outcome-")])
def test_every_outcome_is_dated_where_its_case_says(name):
    (hypothesis,) = example(name).hypotheses
    log = log_of(name, hypothesis)
    dated = {log.units[unit]: int(at) for unit, at in enumerate(log.firsts[outcome_key(hypothesis)]) if at < FOREVER}

    assert dated == {unit: micros(when) for unit, when in case(name)["outcomes"].items()}


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_agrees_with_every_case(name):
    (hypothesis,) = example(name).hypotheses
    cohorts = {key: set(members) for key, members in case(name).get("cohorts", {}).items()}
    oracle = Oracle(rows_of(name), START, END, types=dict(example(name).property_types), cohorts=cohorts)
    fires: dict[str, list[int]] = {}
    for unit, at, _ in oracle.fires(hypothesis):
        fires.setdefault(unit, []).append(at)

    assert fires == expected_fires(name)
    if "outcomes" in case(name):
        assert oracle.outcome(hypothesis) == {unit: micros(when) for unit, when in case(name)["outcomes"].items()}


# --- nothing is left out ---------------------------------------------------------------------------------------------


def test_every_form_of_the_language_has_an_example():
    several = [example(name).hypotheses[0] for name in NAMES]
    clauses = [clause for one in several for clause in one.clauses]
    spans = {
        (clause.kind, span if isinstance(span, str) else next(iter(span.model_dump())))
        for clause in clauses
        if (span := getattr(clause, "span", None))
    }
    ops = {comparison.op for clause in clauses if not isinstance(clause, State | Age | Cohort) for comparison in clause.match.where}

    assert {clause.kind for clause in clauses} == set(CLAUSES)
    assert {one.outcome.kind for one in several} == set(OUTCOMES)
    assert {one.outcome.goal for one in several} == set(Goal)
    assert {span for _, span in spans} == {"first", "last", "first_session", "ever"}
    assert {span for kind, span in spans if kind == "did_not"} == {"first", "last", "first_session"}
    assert ops == set(Op)
    assert {clause.measure for clause in clauses if clause.kind == "total"} == set(Measure)
    assert {clause.count for clause in clauses if clause.kind == "did" and isinstance(clause.count, Counted)} == set(Counted)


def test_the_page_names_every_word_and_links_every_example():
    words = {
        *CLAUSES,
        *OUTCOMES,
        *Op,
        *Goal,
        *Measure,
        *Counted,
        "first",
        "last",
        "first_session",
        "ever",
        "values_of",
        "any_event",
        "where",
        "instant",
    }
    words |= {field for part in (*CLAUSES.values(), *OUTCOMES.values(), Hypothesis) for field in part.model_fields}

    assert {word for word in words if f"`{word}" not in PAGE} == set()
    assert {name for name in NAMES if f"({name}.yaml)" not in PAGE} == set()
    assert {
        target for target in re.findall(r"\(([^)#:]+)\)", PAGE) if re.fullmatch(r"[\w./-]+\.(yaml|json|md)", target) and not (PAGES / target).exists()
    } == set()


def test_every_block_of_the_page_can_be_read():
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

    assert blocks
    assert all(read_hypothesis_file(block, name="README.md").hypotheses for block in blocks)

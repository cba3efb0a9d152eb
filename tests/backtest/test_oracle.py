"""The oracle itself, on cases small enough to check by hand. Two little logs come with a known truth; the rest asks one definition each."""

import json
from collections import Counter
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from backtest.durations import DAY, HOUR, MINUTE
from backtest.language import Hypothesis
from backtest.matching import Comparison
from tests.backtest.oracle import Oracle, Row
from tests.backtest.oracle_values import as_text, compares, look_up
from tests.backtest.random_logs import FIRST_DAY, KINDS, TYPES, random_case

T0 = FIRST_DAY
T1 = T0 + 30 * DAY
PAID = {"kind": "event", "match": "paid", "horizon": "3d"}


def row(at: int, event: str, unit: str = "u", **properties: Any) -> Row:
    return Row(unit, event, T0 + at, properties, unit)


def claim(*clauses: dict[str, Any], entry: str | None = "signed_up", outcome: dict[str, Any] = PAID, **more: Any) -> Hypothesis:
    return Hypothesis.model_validate({"entry": entry, "clauses": clauses, "outcome": outcome} | more)


def did(match: Any = "a", span: Any = "ever", **more: Any) -> dict[str, Any]:
    return {"kind": "did", "match": match, "span": span} | more


def log(*rows: Row, **more: Any) -> Oracle:
    return Oracle(list(rows), T0, T1, **more)


def changes(oracle: Oracle, hypothesis: Hypothesis, *instants: int) -> list[bool]:
    """Truth at each instant (counted from T0)."""
    return [oracle.holds(hypothesis, "u", T0 + at) for at in instants]


def fires(oracle: Oracle, hypothesis: Hypothesis) -> list[int]:
    return [at - T0 for _, at, _ in oracle.fires(hypothesis)]


def around(at: int) -> tuple[int, int]:
    return at - 1, at


ENTERED = row(0, "signed_up")


# --- logs with a known truth -----------------------------------------------------------------------------------------


def microseconds(iso: str) -> int:
    since = datetime.fromisoformat(iso) - datetime.fromisoformat("1970-01-01T00:00:00Z")
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@cache
def told(name: str) -> tuple[list[Row], dict[str, Any]]:
    data = json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())
    return [Row(unit, event, microseconds(at), {}, unit) for unit, event, at in data["rows"]], data


def toy() -> tuple[Oracle, Hypothesis]:
    end = microseconds("2026-04-01T00:00:00Z")
    return Oracle(told("toy")[0], end - 90 * DAY, end), claim(did("invited", {"first": "7d"}), outcome=PAID | {"horizon": "14d"})


def toy_f() -> tuple[Oracle, Hypothesis]:
    end = microseconds("2026-03-01T00:00:00Z")
    return Oracle(told("toyF")[0], end - 60 * DAY, end), claim(did("signal", {"first": "14d"}), entry="entered", outcome=PAID | {"horizon": "7d"})


def test_the_toy_log_gives_its_totals() -> None:
    oracle, hypothesis = toy()
    found = oracle.score(hypothesis)
    assert found["closed"] == {"design": "L", "tp": 2, "fp": 2, "fn": 1, "tn": 3}
    counts = ("fires_total", "excluded_converted", "pending", "sample_size", "true_positives", "supported", "recall_converters", "recall_hits")
    assert [found[name] for name in counts] == [9, 3, 1, 5, 2, 0, 8, 3]
    assert (found["precision"], found["recall"], found["expected"], found["baseline"], found["lift"]) == (0.4, 0.375, 0, None, None)
    assert found["leads"] == [2 * DAY, 8 * DAY]


def test_each_toy_unit_fires_as_its_label_says() -> None:
    oracle, hypothesis = toy()
    fired = {unit for unit, _, _ in oracle.fires(hypothesis)}
    silent = ("no fire", "not in")
    labels = told("toy")[1]["labels"]
    assert fired == {unit for unit, label in labels.items() if not label["F"].startswith(silent)}


def test_the_age_matched_toy_log_gives_its_lift() -> None:
    oracle, hypothesis = toy_f()
    found = oracle.score(hypothesis)
    assert found["closed"] == {"design": "L", "tp": 1, "fp": 1, "fn": 0, "tn": 19}
    assert (found["sample_size"], found["true_positives"], found["supported"], found["supported_true_positives"]) == (4, 2, 4, 2)
    assert found["expected"] == pytest.approx(6 / 30 + 5 / 28 + 5 / 28 + 3 / 24, abs=1e-12)
    assert found["expected_live7d"] == pytest.approx(0.6821428571428572, abs=1e-12)
    assert found["expected_not_yet_fired"] == pytest.approx(6 / 30 + 4 / 27 + 4 / 27 + 2 / 22, abs=1e-12)
    assert found["lift"] == pytest.approx(2.931937172774869, abs=1e-12)
    assert (found["recall_converters"], found["recall_hits"]) == (10, 2)


# --- clauses ---------------------------------------------------------------------------------------------------------


def test_a_first_span_holds_its_start_and_not_its_end() -> None:
    hypothesis = claim(did(span={"first": "3d"}))
    assert fires(log(ENTERED, row(0, "a")), hypothesis) == [0]
    assert fires(log(ENTERED, row(3 * DAY - 1, "a")), hypothesis) == [3 * DAY - 1]
    assert fires(log(ENTERED, row(3 * DAY, "a")), hypothesis) == []


def test_a_trailing_span_holds_until_its_oldest_match_is_as_old_as_the_span() -> None:
    oracle = log(ENTERED, row(DAY, "a"), row(2 * DAY, "a"))
    hypothesis = claim(did(span={"last": "3d"}, at_least=2))
    assert changes(oracle, hypothesis, *around(2 * DAY), *around(4 * DAY)) == [False, True, True, False]


def test_a_trailing_span_sees_events_before_entry_and_nothing_fires_before_it() -> None:
    oracle = log(row(4 * DAY, "a"), row(5 * DAY, "signed_up"))
    assert fires(oracle, claim(did(span={"last": "3d"}))) == [5 * DAY]


def test_two_matches_at_one_instant_count_twice() -> None:
    assert fires(log(ENTERED, row(DAY, "a"), row(DAY, "a")), claim(did(at_least=2))) == [DAY]


@pytest.mark.parametrize(("gap", "inside"), [(30 * MINUTE, True), (30 * MINUTE + 1, False)])
def test_a_gap_of_exactly_thirty_minutes_does_not_end_a_session(gap: int, inside: bool) -> None:
    oracle = log(ENTERED, row(gap, "b"), row(gap + MINUTE, "a"))
    assert bool(fires(oracle, claim(did(span="first_session")))) is inside


def test_a_session_ends_24_hours_after_entry() -> None:
    chain = [row(step * 30 * MINUTE, "b") for step in range(48)]
    hypothesis = claim(did(span="first_session"))
    assert fires(log(ENTERED, *chain, row(24 * HOUR - 1, "a")), hypothesis) == [24 * HOUR - 1]
    assert fires(log(ENTERED, *chain, row(24 * HOUR, "a")), hypothesis) == []


def test_days_are_utc_dates_and_values_are_texts() -> None:
    days = claim(did(count="days", at_least=2, span={"last": "2d"}))
    assert fires(log(ENTERED, row(5 * DAY - 1, "a"), row(5 * DAY, "a")), days) == [5 * DAY]
    values = claim(did(count={"values_of": "p"}, at_least=2))
    assert fires(log(ENTERED, row(1, "a", p=1), row(2, "a", p="1"), row(3, "a", p=None), row(4, "a", p=1.0), row(5, "a", p=True)), values) == [5]


def test_persons_of_an_account_are_counted_apart() -> None:
    rows = [Row("u", "a", T0 + at, {}, person) for at, person in ((1, "x"), (2, "x"), (3, "y"))]
    assert fires(log(ENTERED, *rows), claim(did(count="persons", at_least=2), unit={"group": "company"})) == [3]


def test_absence_over_a_first_span_is_known_at_its_end() -> None:
    hypothesis = claim({"kind": "did_not", "match": "a", "span": {"first": "3d"}})
    assert fires(log(ENTERED, row(3 * DAY, "a")), hypothesis) == [3 * DAY]
    assert fires(log(ENTERED, row(0, "a")), hypothesis) == []


def test_trailing_absence_needs_the_span_since_entry() -> None:
    oracle = log(row(DAY, "signed_up"), row(DAY, "a"), row(8 * DAY, "a"))
    hypothesis = claim({"kind": "did_not", "match": "a", "span": {"last": "3d"}})
    assert changes(oracle, hypothesis, *around(4 * DAY), *around(8 * DAY), *around(11 * DAY)) == [False, True, True, False, False, True]


def test_absence_in_a_session_is_known_at_half_an_hour_of_silence_or_after_24_hours() -> None:
    hypothesis = claim({"kind": "did_not", "match": "a", "span": "first_session"})
    assert fires(log(ENTERED, row(10 * MINUTE, "b"), row(HOUR, "a")), hypothesis) == [40 * MINUTE]
    chain = [row(step * 30 * MINUTE, "b") for step in range(48)]
    assert fires(log(ENTERED, *chain), hypothesis) == [24 * HOUR]


def test_a_tie_is_no_order() -> None:
    hypothesis = claim({"kind": "sequence", "match": "a", "then": "b", "span": "ever"})
    assert fires(log(ENTERED, row(5, "a"), row(5, "b")), hypothesis) == []
    assert fires(log(ENTERED, row(5, "a"), row(5, "b"), row(6, "b")), hypothesis) == [6]


def test_a_sequence_keeps_its_gap_and_both_ends_in_the_span() -> None:
    near = claim({"kind": "sequence", "match": "a", "then": "b", "within": "1d", "span": "ever"})
    assert fires(log(ENTERED, row(DAY, "a"), row(2 * DAY, "b")), near) == [2 * DAY]
    assert fires(log(ENTERED, row(DAY, "a"), row(2 * DAY + 1, "b")), near) == []
    lately = claim({"kind": "sequence", "match": "a", "then": "b", "span": {"last": "2d"}})
    oracle = log(ENTERED, row(3 * DAY, "a"), row(4 * DAY, "b"))
    assert changes(oracle, lately, *around(4 * DAY), *around(5 * DAY)) == [False, True, True, False]


@pytest.mark.parametrize(("answer", "lonely"), [(0, True), (1, False), (DAY, False), (DAY + 1, True)])
def test_an_answer_counts_after_the_event_and_up_to_the_very_end(answer: int, lonely: bool) -> None:
    oracle = log(ENTERED, row(2 * DAY, "a"), row(2 * DAY + answer, "b"))
    hypothesis = claim({"kind": "without", "match": "a", "without": "b", "within": "1d"})
    assert fires(oracle, hypothesis) == ([3 * DAY] if lonely else [])


def test_a_trend_compares_exactly_and_needs_both_spans_since_entry() -> None:
    before = [row(DAY + step, "a") for step in range(10)]
    now = [row(3 * DAY + step, "a") for step in range(11)]
    hypothesis = claim({"kind": "trend", "match": "a", "over": "2d", "ratio_at_least": 1.1, "at_least_before": 10})
    assert fires(log(ENTERED, *before, *now), hypothesis) == [4 * DAY]  # 11 against 10 is 1.1, though 10 * 1.1 > 11 in floats
    late = [row(DAY + HOUR, "signed_up"), *before, *now]
    assert changes(log(*late), hypothesis, 4 * DAY, 5 * DAY + HOUR) == [False, False]


@pytest.mark.parametrize(("measure", "bound", "at"), [("sum", {"at_least": 1}, 10), ("max", {"at_least": 0.3}, 11), ("latest", {"at_most": 0.2}, 12)])
def test_a_total_is_the_running_value(measure: str, bound: dict[str, float], at: int) -> None:
    tenths = [row(step, "a", x=0.1) for step in range(1, 11)]  # their correctly rounded sum is exactly 1
    if measure == "latest":
        tenths = [row(1, "a", x=0.5), row(1, "a", x=0.1)]  # of tied values the greatest is the latest
    oracle = log(ENTERED, *tenths, row(11, "a", x=0.3), row(12, "a", x=0.2))
    assert fires(oracle, claim({"kind": "total", "match": "a", "property": "x", "measure": measure, "span": {"first": "1d"}} | bound)) == [at]


def test_a_span_without_a_number_has_no_total() -> None:
    hypothesis = claim({"kind": "total", "match": "a", "property": "x", "measure": "sum", "at_most": 5, "span": "ever"})
    assert fires(log(ENTERED, row(1, "a"), row(2, "a", x="3"), row(3, "a", x=True)), hypothesis) == []
    assert fires(log(ENTERED, row(2, "a", x="3"), types={"x": "numeric"}), hypothesis) == [2]


STATE = {"kind": "state", "property": "plan", "op": "equals", "value": "free"}


def test_a_state_that_becomes_known_is_no_fire_and_a_change_is() -> None:
    oracle = log(ENTERED, row(DAY, "b", plan="free"), row(2 * DAY, "b", plan="pro"), row(3 * DAY, "b"), row(4 * DAY, "c", plan="free"))
    assert changes(oracle, claim(STATE), *around(DAY), *around(2 * DAY)) == [False, True, True, False]
    assert fires(oracle, claim(STATE)) == [4 * DAY]


def test_a_state_known_at_entry_fires_there() -> None:
    assert fires(log(row(DAY, "signed_up", plan="free")), claim(STATE)) == [DAY]
    assert fires(log(row(DAY, "b", plan="free"), row(2 * DAY, "signed_up")), claim(STATE)) == [2 * DAY]


def test_a_state_seeded_before_the_window_is_known_all_along() -> None:
    oracle = log(row(-DAY, "b", plan="pro"), row(-DAY, "signed_up"), row(DAY, "b", plan="free"))
    assert fires(oracle, claim(STATE)) == [DAY]
    held = log(row(-DAY, "signed_up", plan="free"), row(DAY, "b", plan="free"))
    assert fires(held, claim(STATE)) == []


def test_another_clause_that_starts_with_a_state_becoming_known_fires() -> None:
    oracle = log(ENTERED, row(DAY, "a", plan="free"))
    assert fires(oracle, claim(STATE, did())) == [DAY]
    assert fires(oracle, claim(STATE, {"kind": "age", "at_least": "12h"})) == []


def test_tied_states_take_the_greatest_value_with_numbers_on_top() -> None:
    oracle = log(ENTERED, row(DAY, "b", plan="pro"), row(DAY, "b", plan=3), row(DAY, "b", plan=20))
    assert fires(oracle, claim(STATE | {"value": 20}, did("b"))) == [DAY]


def test_age_and_cohort() -> None:
    oracle = log(row(DAY, "signed_up"), cohorts={"7": {"u"}})
    assert fires(oracle, claim({"kind": "age", "at_least": "12d"})) == [13 * DAY]
    assert fires(oracle, claim({"kind": "cohort", "cohort": "7"})) == [DAY]
    assert fires(oracle, claim({"kind": "cohort", "cohort": "8"})) == []


# --- fires -----------------------------------------------------------------------------------------------------------


def test_intervals_that_touch_are_one_and_a_cool_down_spaces_fires() -> None:
    at = (2, 4, 9, 13)
    oracle = log(ENTERED, *(row(day * DAY, "a") for day in at))
    assert fires(oracle, claim(did(span={"last": "2d"}))) == [2 * DAY]
    assert fires(oracle, claim(did(span={"last": "2d"}), fires_again_after="1d")) == [2 * DAY, 9 * DAY, 13 * DAY]
    assert [occurrence for _, _, occurrence in oracle.fires(claim(did(span={"last": "2d"}), fires_again_after="7d"))] == [1, 2]
    assert fires(oracle, claim(did(span={"last": "2d"}), fires_again_after="8d")) == [2 * DAY, 13 * DAY]


def test_what_holds_at_the_start_of_scoring_fires_only_anew() -> None:
    oracle = log(row(-5 * DAY, "signed_up"), row(2 * DAY - 1, "a"), row(6 * DAY, "a"))
    assert fires(oracle, claim(did(span={"last": "2d"}))) == [6 * DAY]
    assert fires(log(row(-5 * DAY, "signed_up"), row(2 * DAY, "a")), claim(did(span={"last": "2d"}))) == [2 * DAY]


def test_first_spans_and_ever_ask_only_those_who_enter_from_the_start_of_scoring_on() -> None:
    oracle = log(row(2 * DAY - 1, "signed_up"), row(3 * DAY, "a"), row(2 * DAY, "signed_up", "v"), row(3 * DAY, "a", "v"))
    trailing = did(span={"last": "2d"})
    assert [unit for unit, _, _ in oracle.fires(claim(trailing, did()))] == ["v"]
    assert [unit for unit, _, _ in oracle.fires(claim(trailing, did(span={"first": "5d"})))] == ["v"]
    assert [unit for unit, _, _ in oracle.fires(claim(trailing))] == ["u", "v"]


def test_nothing_at_or_after_the_end_is_visible_and_a_delivery_counts_once() -> None:
    assert fires(log(ENTERED, row(30 * DAY, "a")), claim(did())) == []
    assert fires(log(ENTERED, row(30 * DAY - 1, "a")), claim(did())) == [30 * DAY - 1]
    twice = [Row("u", "a", T0 + DAY, {}, "u", "one")] * 2
    assert fires(log(ENTERED, *twice), claim(did(at_least=2))) == []
    assert fires(log(ENTERED, row(1, "a"), row(1, "a")), claim(did(at_least=2))) == [1]  # without an id nothing is de-duplicated


def test_a_unit_without_entry_is_no_unit() -> None:
    oracle = log(row(DAY, "a"))
    assert oracle.entry(claim(did())) == {}
    assert oracle.entry(claim(did(), entry=None)) == {"u": T0 + DAY}


# --- outcomes and scores ---------------------------------------------------------------------------------------------


def test_entry_and_outcome_are_the_first_ever() -> None:
    oracle = log(row(-9 * DAY, "signed_up"), row(DAY, "signed_up"), row(-8 * DAY, "paid"), row(2 * DAY, "paid"), row(3 * DAY, "b", seats=60))
    assert oracle.entry(claim(did())) == {"u": T0 - 9 * DAY}
    assert oracle.outcome(claim(did())) == {"u": T0 - 8 * DAY}
    reached = {"kind": "property", "property": "seats", "op": "at_least", "value": 50, "horizon": "3d"}
    assert oracle.outcome(claim(did(), outcome=reached)) == {"u": T0 + 3 * DAY}


def test_a_lapse_is_dated_at_the_end_of_the_silence_over_all_history() -> None:
    lapse = {"kind": "lapse", "match": "a", "after": "5d", "horizon": "3d"}
    oracle = log(row(-20 * DAY, "signed_up"), row(-18 * DAY, "a"), row(-13 * DAY, "a"), row(-7 * DAY, "a"))
    assert oracle.outcome(claim(did(), outcome=lapse)) == {"u": T0 - 8 * DAY}
    assert log(ENTERED, row(26 * DAY, "a")).outcome(claim(did(), outcome=lapse)) == {"u": T0 + 5 * DAY}
    assert log(row(25 * DAY, "signed_up")).outcome(claim(did(), outcome=lapse)) == {}


def test_a_fire_is_excluded_pending_or_counted_in_that_order() -> None:
    rows = []
    for unit, fire, paid in (("tie", 5, 5), ("late", 28, 29), ("edge", 27, 29), ("after", 28, 28), ("hit", 5, 8), ("miss", 5, 9)):
        rows += [row(0, "signed_up", unit), row(fire * DAY, "a", unit), row(paid * DAY, "paid", unit)]
    found = log(*rows).score(claim(did()))
    assert [found[name] for name in ("fires_total", "excluded_converted", "pending", "sample_size", "true_positives")] == [6, 2, 1, 3, 2]
    assert (found["recall_converters"], found["recall_hits"]) == (6, 3)
    assert found["leads"] == [2 * DAY, 3 * DAY]


@pytest.mark.parametrize(("units", "supported"), [(19, 0), (20, 20)])
def test_fewer_than_twenty_comparators_leave_the_fire_out_of_lift(units: int, supported: int) -> None:
    rows = [row(DAY, event, f"u{number}") for number in range(units) for event in ("signed_up", "a")]
    found = log(*rows, row(2 * DAY, "paid", "u0")).score(claim(did()))
    assert (found["supported"], found["lift"]) == (supported, 1 if supported else None)  # everybody fires at entry: lift is exactly 1


def test_grid_rows_need_a_sign_of_life_and_one_unit_gives_several() -> None:
    oracle = log(ENTERED, row(3 * DAY, "a"), row(20 * DAY, "b"), row(0, "signed_up", "v"), row(10 * DAY, "paid", "v"))
    found = oracle.score(claim(did(span={"last": "4d"}), outcome=PAID | {"horizon": "6d"}))
    # Instants 4, 10, 16, 22 d. u: in at 4 (fired), 10, 16 (seen 3 d: 13 days ago), 22; v: at 4 (paid at 10 = 4 + 6, in time), not at 10.
    assert found["closed"] == {"design": "G", "tp": 0, "fp": 1, "fn": 1, "tn": 3}


def test_ever_makes_a_grid_of_the_entrants_alone() -> None:
    oracle = log(row(-DAY, "signed_up", "old"), row(DAY, "a", "old"), ENTERED, row(DAY, "a"))
    assert oracle.score(claim(did(), outcome=PAID | {"horizon": "10d"}))["closed"] == {"design": "G", "tp": 0, "fp": 1, "fn": 0, "tn": 1}


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "op", "value", "declared", "holds"),
    [
        (1, "equals", 1.0, None, True),
        (True, "equals", 1, None, False),
        ("1", "equals", 1, None, False),
        ("1", "equals", 1, "numeric", True),
        (1, "equals", "1", "numeric", True),
        ("1e1", "equals", 10, "numeric", True),
        ("TRUE", "equals", True, "boolean", True),
        ("TRUE", "equals", True, None, False),
        ([1], "equals", 1, None, False),
        ({"k": 1}, "not_equals", 1, None, True),
        (None, "equals", "", None, False),
        (None, "not_equals", "x", None, True),
        ("b", "any_of", ["a", "b"], None, True),
        (2, "greater_than", 1, None, True),
        ("2", "greater_than", 1, None, False),
        ("2", "greater_than", 1, "numeric", True),
        ("10", "greater_than", "9", None, False),
        ("10", "greater_than", "9", "numeric", True),
        (None, "less_than", 9, None, False),
        ("2026-01-02", "greater_than", {"instant": "2026-01-01T23:59:59Z"}, None, True),
        ("2026-01-02T01:00:00+02:00", "at_most", {"instant": "2026-01-01T23:00:00Z"}, None, True),
        ("soon", "at_most", {"instant": "2026-01-01T23:00:00Z"}, None, False),
        ("Free Plan", "contains", "PLAN", None, True),
        (["x", 2], "contains", 2.0, None, True),
        (["xy"], "contains", "x", None, False),
        (12, "contains", "1", None, False),
        ("Free", "starts_with", "fr", None, True),
        (0, "is_set", None, None, True),
        (None, "is_set", None, None, False),
        (None, "is_not_set", None, None, True),
    ],
)
def test_values_compare_by_type(found: Any, op: str, value: Any, declared: str | None, holds: bool) -> None:
    comparison = Comparison.model_validate({"property": "p", "op": op} | ({} if value is None else {"value": value}))
    assert compares(found, comparison.op, comparison.value, declared) is holds


def test_paths_descend_into_objects_only() -> None:
    assert look_up({"a": {"b": 1}}, ("a", "b")) == 1
    assert look_up({"a": [1]}, ("a", "b")) is None
    assert look_up({"a.b": 1}, ("a", "b")) is None


def test_values_as_text_are_strings_as_they_are_and_canonical_json() -> None:
    assert [as_text(one) for one in ("é", 1.0, True, {"b": [1.0, None], "a": "x"})] == ["é", "1", "true", '{"a":"x","b":[1,null]}']


# --- the generator ---------------------------------------------------------------------------------------------------


def test_random_cases_cover_the_language_and_a_good_share_fires() -> None:
    seen: Counter[Any] = Counter()
    cases = [random_case(seed) for seed in range(1500)]
    for case in cases:
        seen[case.hypothesis.outcome.kind] += 1
        seen["again"] += case.hypothesis.fires_again_after is not None
        for clause in case.hypothesis.clauses:
            span = getattr(clause, "span", None)
            shape = span if isinstance(span, str) else type(span).__name__
            seen[clause.kind] += 1
            seen[clause.kind, shape] += 1
            seen[clause.kind, type(count).__name__ if not isinstance(count := getattr(clause, "count", ""), str) else str(count)] += 1
            seen[clause.kind, str(getattr(clause, "measure", ""))] += 1
    spans = ("First", "Last", "first_session", "ever")
    wanted: list[Any] = [(kind, span) for kind in ("did", "sequence", "total") for span in spans] + [("did_not", span) for span in spans[:3]]
    wanted += [("did", one) for one in ("events", "days", "persons", "ValuesOf")] + [("total", one) for one in ("sum", "max", "latest")]
    wanted += [*set(KINDS), "event", "property", "lapse", "again"]
    assert {one for one in wanted if seen[one] < 20} == set()
    firing = 0
    for case in cases[:300]:
        firing += bool(Oracle(list(case.log.rows), case.log.start, case.log.end, types=TYPES, cohorts=case.log.cohorts).fires(case.hypothesis))
    assert firing > 90

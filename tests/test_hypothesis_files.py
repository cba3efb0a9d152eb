"""A file of hypotheses is read whole, or refused whole with every fault, its line and the nearest valid choice."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtest.durations import DAY, Duration
from backtest.language import Hypothesis
from backtest.sentence import sentence
from backtest.taxonomy import EventDefinition, Taxonomy
from beton.errors import BadInput, Fault
from beton.hypothesis_files import check_against, read_hypotheses, read_hypothesis_file, write_hypotheses
from tests.backtest.strategies import hypotheses

PAID = "{kind: event, match: paid, horizon: 14d}"
GOOD = f"- clauses: [{{kind: did, match: invited, span: {{first: 7d}}}}]\n  outcome: {PAID}\n"


def faults(content: str | bytes) -> list[Fault]:
    with pytest.raises(BadInput) as refused:
        read_hypotheses(content, name="mine.yaml")
    return list(refused.value.faults)


def only_fault(content: str | bytes) -> Fault:
    (fault,) = faults(content)
    return fault


def with_clause(clause: str) -> str:
    return f"hypotheses:\n- outcome: {PAID}\n  clauses:\n  - {clause}\n"


def test_a_list_and_an_envelope_are_the_same_file():
    envelope = read_hypothesis_file("schema: {properties: {seats: numeric, when: datetime}}\nhypotheses:\n" + GOOD, name="mine.yaml")

    assert list(envelope.hypotheses) == read_hypotheses(GOOD, name="mine.yaml")
    assert envelope.property_types == {"seats": "numeric", "when": "datetime"}


def test_json_is_yaml_with_tabs_and_escaped_pairs():
    data = [{"clauses": [{"kind": "did", "match": "😀 \\ud83d", "span": "ever"}], "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}}]
    (read,) = read_hypotheses(json.dumps(data, indent="\t"), name="mine.json")

    assert read == Hypothesis.model_validate(data[0])


def test_anchors_may_be_used():
    text = f"- clauses: [{{kind: did, match: &who invited, span: &when {{first: 7d}}}}]\n  outcome: &paid {PAID}\n"
    text += "- clauses: [{kind: did_not, match: *who, span: *when}]\n  outcome: *paid\n"
    first, second = read_hypotheses(text, name="mine.yaml")

    assert first.outcome == second.outcome


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(hypotheses(), min_size=1, max_size=3, unique_by=lambda one: one.fingerprint))
def test_what_is_written_reads_back(several):
    several = [one.model_copy(update={"name": None}) for one in several]
    text = write_hypotheses(several, {"1e3": "numeric"})
    file = read_hypothesis_file(text, name="mine.yaml")

    assert list(file.hypotheses) == several
    assert file.property_types == {"1e3": "numeric"}
    assert [line[2:] for line in text.splitlines() if line.startswith("# ")] == [sentence(one) for one in several]


@pytest.mark.parametrize(
    ("clause", "field", "message", "nearest"),
    [
        ("{kind: did, match: a, spn: {first: 7d}}", "spn", "did has no field called 'spn'", "span"),
        ("{kind: did, event: a, span: {first: 7d}}", "event", "did has no field called 'event'", "match"),
        ("{kind: did, match: a}", "span", "is missing", "{first: 7d}"),
        ("{kind: didnt, match: a, span: ever}", "kind", "'didnt' is no kind of clause", "did_not"),
        ("{match: a, then: b, span: ever}", "kind", "is missing; the kinds of clause are", "kind: sequence"),
        ("{kind: did, match: a, span: {first: 7 weeks}}", "span.first", "a length of time is written like 7d", "49d"),
        ("{kind: did, match: a, span: {frist: 7d}}", "span", "a span is written {first: 7d}, {last: 14d}", "{first: 7d}"),
        ("{kind: did, match: a, span: {first: 7d, last: 7d}}", "span", "a span is written", "{first: 7d}"),
        ("{kind: did, match: a, span: {first: 7d, until: 8d}}", "span.until", "a span has no field called 'until'", None),
        ("{kind: did, match: a, span: last 7d}", "span", "a span is written", "{last: 7d}"),
        ("{kind: did, match: a, span: 7d}", "span", "a span is written", "{first: 7d} or {last: 7d}"),
        ("{kind: did, match: a, span: session}", "span", "a span is written", "first_session"),
        ("{kind: did_not, match: a, span: ever}", "span", "never happens is never known", "{first: 14d}"),
        ("{kind: did, match: a, span: ever, count: day}", "count", "a count is written events, days", "days"),
        ("{kind: did, match: a, span: ever, at_least: 0}", "at_least", "is 0; it must be greater than", None),
        ("{kind: did, match: a, span: ever, at_least: many}", "at_least", "'many' is not a whole number", None),
        ("{kind: did, match: 404, span: ever}", "match", "events are written as a name", None),
        ("{kind: did, match: '', span: ever}", "match", "must not be empty", None),
        ("{kind: did, match: {any_event: true, events: a}, span: ever}", "match", "give either events", None),
        ("{kind: did, match: {events: a, were: []}, span: ever}", "match.were", "a match has no field called 'were'", "where"),
        ("{kind: state, property: p, op: equal_to, value: 1}", "op", "is not known here", "equals"),
        ("{kind: did, match: {events: a, where: [{property: p, op: eqals, value: 1}]}, span: ever}", "match.where[0].op", "is not known", "equals"),
        ("{kind: did, match: {events: a, where: [{property: p, op: is, value: {}}]}, span: ever}", "match.where[0].value", "a value is a text", None),
        ("{kind: did, match: {events: a, where: [{property: p, op: in, value: [1, {}]}]}, span: ever}", "match.where[0].value[1]", "a value", None),
        ("{kind: did, match: {events: a, where: [{property: p, op: is, value: {instant: '2026'}}]}, span: ever}", "match.where[0].value.instant",
         "an instant is written like", None),
        ("{kind: state, property: p, op: is_set}", "", "a state compares a known value", None),
        ("{kind: state, property: p, op: is, value: {}}", "value", "a value is a text", None),
        ("{kind: age, at_least: 7}", "at_least", "a length of time", "7d"),
        ("{kind: total, match: a, property: p, measure: mean, at_least: 1, span: ever}", "measure", "'mean' is not known here", None),
        ("{kind: without, match: a, without: b, within: 59s}", "within", "a gap of 59s is refused", "60s"),
        ("{kind: did, match: paid, span: ever}", "match.events", "paid is the outcome itself", "an event that comes before the outcome"),
        ("just words", "", "'just words' is not a set of fields", None),
    ],
)  # fmt: skip
def test_one_mistake_gives_one_fault_with_its_line(clause, field, message, nearest):
    fault = only_fault(with_clause(clause))

    assert fault.field == "hypotheses[0].clauses[0]" + (f".{field}" if field else "")
    assert message in fault.message
    assert fault.nearest == ((nearest,) if nearest else ())
    assert fault.line == 4


@pytest.mark.parametrize(
    ("outcome", "field", "nearest"),
    [
        ("{kind: event, match: b, horizn: 14d}", "outcome.horizn", "horizon"),
        ("{kind: event, match: b, horizon: 14d, goal: convert}", "outcome.goal", "converts"),
        ("{kind: churn, match: b, after: 7d, horizon: 14d}", "outcome.kind", "lapse"),
        ("{kind: lapse, match: b, horizon: 14d}", "outcome.after", ""),
    ],
)
def test_mistakes_in_outcomes_are_told(outcome, field, nearest):
    fault = only_fault(f"- clauses: [{{kind: age, at_least: 7d}}]\n  outcome: {outcome}\n")

    assert (fault.field, fault.nearest, fault.line) == (f"hypotheses[0].{field}", (nearest,) if nearest else (), 2)


@pytest.mark.parametrize(("unit", "nearest"), [("user", "person"), ("company", "{group: company}"), ("{group: ''}", ""), ("{groups: company}", "")])
def test_mistakes_in_units_are_told(unit, nearest):
    assert only_fault(GOOD + f"  unit: {unit}\n").nearest == ((nearest,) if nearest else ())


def test_every_fault_of_the_whole_file_is_listed_in_the_order_of_its_lines():
    text = f"""
- name: one
  clauses:
  - {{kind: did, match: a, span: {{first: 7x}}}}
  - {{kind: sequence, match: a, then: paid, within: 30s, span: ever}}
  outcome: {PAID}
- name: one
  clauses: [{{kind: did, match: invited, span: {{first: 7d}}}}]
  outcome: {{kind: event, match: yes, horizon: 14d}}
- clauses: []
  outcome: {PAID}
  outcome: {PAID}
"""

    assert [(fault.line, fault.field) for fault in faults(text)] == [
        (4, "hypotheses[0].clauses[0].span.first"),
        (5, "hypotheses[0].clauses[1].within"),
        (5, "hypotheses[0].clauses[1].then.events"),
        (9, "hypotheses[1].outcome.match"),
        (10, "hypotheses[2].clauses"),
        (12, "hypotheses[2].outcome"),
    ]


def test_two_hypotheses_of_one_name_or_one_meaning_are_refused_by_name():
    name, meaning = faults(GOOD + "  name: x\n" + GOOD.replace("7d", "8d") + "  name: x\n" + GOOD.replace("7d", "168h"))

    assert (name.field, name.line) == ("hypotheses[1].name", 6)
    assert "'x' is taken by hypotheses[0]" in name.message
    assert (meaning.field, meaning.line) == ("hypotheses[2]", 7)
    assert meaning.message.startswith("says the same as hypotheses[0] ('x'): People who did invited")


@pytest.mark.parametrize(
    ("word", "why"),
    [("yes", "true or false"), ("off", "true or false"), ("010", "different numbers"), ("1:30", "different numbers"), ("1_000", "different numbers"),
     ("0x1F", "different numbers"), (".inf", "different numbers"), ("2026-01-31", "put it in quotes"), ("2026-01-31 09:00:00", "put it in quotes"),
     ("1e999", "too large"), ("9" * 400, "too large"), ("!!python/name:os.system x", "is not read"), ("*nobody", "stands for nothing")],
)  # fmt: skip
def test_what_readers_of_yaml_disagree_about_is_refused_until_it_is_quoted(word, why):
    state = f"{{kind: state, property: p, op: is, value: {word}}}"

    assert why in only_fault(with_clause(state)).message
    (read,) = read_hypotheses(with_clause(state.replace(word, f'"{word}"')), name="mine.yaml")
    assert read.to_json()["clauses"][0]["value"] == word


@pytest.mark.parametrize(
    ("word", "value"),
    [("1e3", 1000), ("+5", 5), (".5", 0.5), ("-0.5", -0.5), ("true", True), ("False", False), ("y", "y"), ("1.2.3", "1.2.3"), ("12h", "12h"),
     ("2026-01-31T09:00:00Z", {"instant": "2026-01-31T09:00:00Z"}), ('"1"', "1"), ("'yes'", "yes")],
)  # fmt: skip
def test_words_that_everybody_reads_alike_need_no_quotes(word, value):
    (read,) = read_hypotheses(with_clause(f"{{kind: state, property: p, op: is, value: {word}}}"), name="mine.yaml")
    dumped = read.to_json()["clauses"][0]["value"]

    assert (type(dumped) is bool, dumped) == (type(value) is bool, value)


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        ("", "the file is empty", None), ("# nothing\n", "the file is empty", None), ("null", "a list of hypotheses", 1),
        (b"- a: \xff", "byte 6 is not UTF-8 text", 1), ("\0", "not YAML", 1), ("a: b: c", "not YAML", 1), ("a:\n\tb: 1", "a tab stands where", 2),
        ("- a: @b", "in quotes", 1), ("a: 'x", "not YAML", 1), ("- 1\n---\n- 2\n", "a file holds one document", 2), ("? [a]\n: 1", "plain text", 1),
        ("[" * 5000, "nested deeper", 1), ("- &a [*a]", "stands for nothing", 1), ("x" * 1_000_001, "at most 1,000,000 are read", None),
        ("just words", "a list of hypotheses", 1), ("[]", "there is no list", 1), ("hypotheses:", "there is no list", 1),
        ("{}", "there is no list", 1),
        (GOOD[2:].replace("\n  ", "\n"), "this is one hypothesis", 1), ("hypotheses: {a: 1}", "there is no list", 1),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_in_plain_words(content, message, line):
    fault = faults(content)[0]

    assert message in fault.message
    assert fault.line == line


def test_aliases_that_unfold_without_end_are_stopped():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]

    assert any("unfold to more than can be read" in fault.message for fault in faults("\n".join(rows)))


def test_misspelt_envelopes_are_told():
    misspelt, types = "hypothesis:\n" + GOOD, "schema: {properties: {seats: number}, types: {}}\nhypotheses:\n" + GOOD

    assert only_fault(misspelt).nearest == ("hypotheses",)
    assert {(fault.field, fault.nearest) for fault in faults(types)} == {
        ("schema.properties.seats", ("numeric",)),
        ("schema.types", ("properties",)),
    }


def test_the_error_says_how_many_faults_and_that_nothing_was_read():
    with pytest.raises(BadInput, match=r"mine.yaml: 2 faults; the first is line 1, hypotheses\[0\].outcome: is missing") as refused:
        read_hypotheses("- clauses: []", name="mine.yaml")

    assert refused.value.fix == "Correct what is listed; nothing was read."
    assert len(refused.value.as_problem()["errors"]) == 2


def test_names_and_windows_are_checked_against_the_project_with_lines():
    file = read_hypothesis_file("hypotheses:\n" + GOOD, name="mine.yaml")
    taxonomy = Taxonomy(
        events=(EventDefinition(name="invite"), EventDefinition(name="paid")), taken_at=datetime(2026, 1, 1, tzinfo=UTC), window_days=90
    )

    with pytest.raises(BadInput) as refused:
        check_against(file, taxonomy, Duration(5 * DAY))

    assert [(fault.line, fault.field, fault.nearest) for fault in refused.value.faults] == [
        (2, "hypotheses[0].clauses[0].span", ("5d",)),
        (2, "hypotheses[0].clauses[0].match.events", ("invite",)),
        (3, "hypotheses[0].outcome.horizon", ("14d",)),
    ]
    check_against(list(file.hypotheses), None, Duration(90 * DAY))


def _wreck(data: Any, draw: st.DataObject) -> None:
    """Put something unexpected in a random place."""
    node, above = data, None
    while isinstance(node, dict | list) and node and draw.draw(st.booleans()):
        above = node, draw.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
        node = node[above[1]]
    strange = draw.draw(st.sampled_from([None, 5, True, "", "x", [], {}, [1], {"first": 1}, {"x": {}}, -1.5, [[]], {"kind": "did"}, {"instant": []}]))
    if above is not None:
        above[0][above[1]] = strange
    elif isinstance(node, dict):
        node[draw.draw(st.sampled_from(["x", "kind", "span", "5", "a.b"]))] = strange


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(hypotheses(), st.data())
def test_whatever_is_wrong_is_refused_and_never_breaks_the_reader(hypothesis, draw):
    data = [json.loads(json.dumps(hypothesis.to_json()))]
    _wreck(data, draw)
    told = _told(yaml.safe_dump(data, allow_unicode=True))

    assert told is None or (told and all(fault.message for fault in told))
    assert not any(word in fault.message for fault in told or () for word in ("Input should", "Field required", "Value error"))


def _told(content: str) -> list[Fault] | None:
    try:
        read_hypotheses(content, name="mine.yaml")
    except BadInput as refused:
        return list(refused.faults)
    return None


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@`?, \n\t01.~yes"), max_size=40))
def test_no_text_breaks_the_reader(text):
    with pytest.raises(BadInput):
        read_hypotheses(text, name="mine.yaml")

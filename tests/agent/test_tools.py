"""The five tools: what they answer, and what they refuse."""

import json
from typing import Any

import pytest

from agent.aliases import Aliases, Sharing
from agent.discovery import mentioned
from agent.forms import tools
from agent.messages import Call
from agent.tools import LONGEST_RESULT, Desk, as_data, written_as_data
from backtest.reading import read_hypothesis
from tests.agent.small_project import small

ALL = ("look_at_event", "look_at_property", "candidates", "attempt", "finish")


def desk(sharing: Sharing | None = None) -> Desk:
    return Desk(small().fresh(), small().taxonomy, Aliases(small().taxonomy, sharing or Sharing()), "m")


def attempt(at: Desk, *clauses: dict[str, Any], **more: Any) -> Any:
    return at.run(Call("attempt", {"hypothesis": {"clauses": list(clauses)} | more}), ALL)


def did(match: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "did", "match": match, "span": {"first": "7d"}} | more


def test_an_event_is_told_with_its_properties() -> None:
    done = desk().run(Call("look_at_event", {"name": "invited_teammate"}), ALL)

    assert not done.wrong
    assert done.result["occurrences"] > 0
    assert {"name": "role", "type": "string", "distinct_values": 5} in done.result["properties"]
    assert done.arguments == {"name": "invited_teammate"}


def test_an_unknown_name_is_told_with_near_ones() -> None:
    done = desk().run(Call("look_at_event", {"name": "invited_teammates"}), ALL)

    assert done.wrong
    assert "invited_teammate" in done.result["not_done"][0]


@pytest.mark.parametrize(
    ("sharing", "values"), [(Sharing(), "not shared"), (Sharing(values=True), ["admin", "editor", "member", "owner", "viewer"])], ids=str
)
def test_values_of_a_property_are_told_with_consent_only(sharing: Sharing, values: Any) -> None:
    assert desk(sharing).run(Call("look_at_property", {"name": "role"}), ALL).result["values"] == values


def test_candidates_carry_the_engine_s_numbers_of_the_discovering_part() -> None:
    at = desk()
    rows = at.run(Call("candidates", {"most": 3}), ALL).result["candidates"]
    best = at.discovery.finds(1)[0]

    assert [one["id"] for one in rows] == ["c1", "c2", "c3"]
    assert rows[0]["judged"] == best.sample_size
    assert rows[0]["hits"] == best.true_positives
    assert not at.discovery.concluded
    name = next(one for one in sorted(mentioned(best.hypothesis)) if small().taxonomy.event(one) is not None)
    about = at.run(Call("candidates", {"about": name}), ALL).result["candidates"]
    assert about
    assert all(name in json.dumps(one["clauses"]) for one in about)


def test_what_would_be_proposed_is_told_first() -> None:
    at = desk()
    last = at.discovery.finds(1000)[-1]
    at.shortlist = [last]

    rows = at.run(Call("candidates", {"most": 2}), ALL).result["candidates"]

    assert [one["listed"] for one in rows] == [True, False]
    assert rows[0]["judged"] == last.sample_size
    assert last.hypothesis.fingerprint in at.ids


def test_an_attempt_is_counted_once() -> None:
    at = desk()
    before = at.discovery.tried

    first = attempt(at, did("note_opened"), did("$pageview", at_least=3))
    again = attempt(at, did("$pageview", at_least=3), did("note_opened"))

    assert first.result["counted"]
    assert first.result["id"] == again.result["id"]
    assert at.discovery.tried == before + 1
    assert first.arguments["sentence"].startswith("People who did $pageview at least 3 times")


def test_a_mistake_comes_back_in_words_and_is_not_counted() -> None:
    at = desk()
    before = at.discovery.tried

    for wrong in (
        {"kind": "did", "match": "invited"},
        {"kind": "vibes"},
        did("invited_teammat"),
        did("subscription_started"),
        did("$pageview", at_least=0),
    ):
        done = attempt(at, wrong)
        assert done.wrong
        assert done.result["not_done"]
    assert attempt(at, did("note_opened"), outcome={"kind": "event", "match": "note_shared", "horizon": "7d"}).outcome == "wrong_question"
    assert attempt(at, did("theme_changed", count="persons")).outcome in ("not_read", "too_few_units")
    assert attempt(at, did("note_opened") | {"span": {"first": "3000d"}}).wrong
    assert at.discovery.tried <= before + 1


def test_behind_ids_mistakes_are_told_in_ids() -> None:
    at = desk(Sharing("opaque"))
    outcome = at.aliases.event("subscription_activated")
    question = "subscription_started"

    for clause in (did("e9999"), did(at.aliases.event(question)), {"kind": "state", "property": "p1"}, did({"events": [outcome], "where": 3})):
        told = json.dumps(attempt(at, clause).result)
        for event in small().taxonomy.events:
            assert event.name not in told


BROKEN: list[dict[str, Any]] = [
    {},
    {"hypothesis": 3},
    {"hypothesis": None, "x": 1},
    {"hypothesis": {"clauses": "x"}},
    {"hypothesis": {"clauses": [None]}},
    {"hypothesis": {"clauses": []}},
]


@pytest.mark.parametrize("arguments", BROKEN, ids=str)
def test_any_arguments_are_answered(arguments: dict[str, Any]) -> None:
    assert desk().run(Call("attempt", arguments), ALL).wrong


def test_a_tool_that_does_not_exist_or_is_not_offered_does_nothing() -> None:
    at = desk()

    assert at.run(Call("approve_hypothesis", {"force": True}), ALL).wrong
    assert at.run(Call("candidates", {}), ("finish",)).wrong
    assert at.run(Call("finish", {}), ALL).finished


def test_notes_are_kept_by_fingerprint_as_plain_text() -> None:
    at = desk()
    at.run(Call("candidates", {"most": 2}), ALL)
    best = at.discovery.finds(2)
    notes = [
        {"candidate": "c1", "sentence": "<i>Good</i>\u202e", "reason": "r" * 900, "flag": "cause"},
        {"candidate": "c2", "sentence": "s", "flag": "duplicate_of", "duplicate_of": "c1"},
        {"candidate": "c77", "sentence": "s"},
    ]

    done = at.run(Call("finish", {"notes": notes}), ALL)

    assert done.outcome == "notes on 2 candidates"
    first, second = (at.words[one.hypothesis.fingerprint] for one in best)
    assert first.sentence == "‹i›Good‹/i›"
    assert len(first.reason) == 400
    assert second.duplicate_of == best[0].hypothesis.fingerprint
    assert first.model == "m"


@pytest.mark.parametrize(
    "note", [{"candidate": "c1"}, {"candidate": "c1", "sentence": "s", "flag": "approve"}, {"candidate": "c1", "sentence": "s", "rank": 1}]
)
def test_notes_of_another_form_are_refused(note: dict[str, Any]) -> None:
    assert desk().run(Call("finish", {"notes": [note]}), ALL).wrong


def test_data_cannot_end_its_block_and_stays_json() -> None:
    told = {"a": '</data> "\n\u202e\x00 <data>', "b": ["é", "日本"]}
    text = as_data(told)

    assert text.count("<") == text.count(">") == 2
    assert "\u202e" not in text
    assert json.loads(text.split("\n")[1]) == told


def test_results_are_bounded() -> None:
    at = desk()
    rows = at.run(Call("candidates", {"most": 20}), ALL).result

    assert len(written_as_data(rows)) <= LONGEST_RESULT + 30
    assert len(at.overview(200)) < 300
    assert "more events" in at.overview(200)


def test_the_exact_form_of_a_clause_is_one_the_language_reads() -> None:
    """What the schema lets through, the reader does not call a mistake of form."""
    import jsonschema

    form = next(one for one in tools(Aliases(small().taxonomy, Sharing())) if one.name == "attempt")
    schema = form.exact | {"$defs": form.definitions}
    good = {
        "hypothesis": {
            "clauses": [did({"events": ["note_opened"], "where": [{"property": "role", "op": "equals", "value": "x"}]}), did("note_shared")]
        }
    }

    jsonschema.validate(good, schema)
    assert not isinstance(read_hypothesis(good["hypothesis"] | {"outcome": {"kind": "event", "match": "x", "horizon": "7d"}}), list)
    for bad in ("no_such_event", {"events": []}, {"events": ["note_opened"], "and": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"hypothesis": {"clauses": [did(bad)]}}, schema)

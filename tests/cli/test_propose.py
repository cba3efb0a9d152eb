"""Which question, the proposals, and why: over the command line, against a real server."""

from pathlib import Path

import pytest

from tests.cli.conftest import END, Beton

AS_OF = END.isoformat()
WINDOW = ("--window-days", 45)


def test_nothing_is_guessed_a_question_is_confirmed_once_and_then_asked(connected: Beton) -> None:
    refused = connected("propose", "--connection", "shop", "--as-of", AS_OF, "--json")
    assert (refused.code, refused.json["code"]) == (2, "question.missing")
    assert refused.json["details"]["questions"][0]["outcome"]["event"] == "paid"
    assert "beton outcomes shop --confirm 1" in refused.json["fix"]
    plain = connected("propose", "--connection", "shop", "--as-of", AS_OF)
    assert plain.code == 2
    assert "what precedes 'paid' within 14 days" in " ".join(plain.out.split())
    assert "beton outcomes shop --confirm 1" in plain.err

    listed = connected("outcomes", "shop", "--json").json
    assert listed["confirmed"] is None
    assert (listed["questions"][0]["entry"]["event"], listed["questions"][0]["outcome"]["event"]) == ("signed_up", "paid")
    assert all(one["code"] and one["sentence"] for one in (*listed["entries"], *listed["outcomes"], *listed["units"]))

    kept = connected("outcomes", "shop", "--confirm", 1, *WINDOW, "--json").json["confirmed"]
    assert (kept["definition"]["entry"], kept["definition"]["outcome"]["match"], kept["window_days"]) == ("signed_up", "paid", 45)

    told = connected("propose", "--connection", "shop", "--as-of", AS_OF, "--json")
    assert told.code == 0, told.err
    first = told.lines[0]
    assert "invited" in first["hypothesis"]
    assert first["backtest"]["confirmed"]["sample_size"] > 0
    assert first["backtest"]["window_days"] == 45
    assert first["redundant_with"] is None
    assert 0 < first["new_recall_given_live"] <= 1
    assert_carries(first["provenance"], 1)


def assert_carries(provenance: dict, place: int) -> None:
    """Everything that a proposal has to carry."""
    assert provenance["place"] == place
    assert provenance["source"] == "search"
    assert len(provenance["taxonomy_digest"]) == 64
    assert (provenance["model"], provenance["prompt_digests"], provenance["turns"]) == (None, {}, [])
    assert provenance["stopped_because"] == "no_model"
    assert provenance["cost"]["calls"] == 0
    assert provenance["tried"] > 10
    assert provenance["question"]["outcome"]["match"] == "paid"
    assert provenance["sentence"].startswith(f"{provenance['tried']:,} candidates tested")
    assert all(one["code"] and one["sentence"] for one in provenance["considered"])


def test_why_it_was_proposed_is_answered_from_the_record(connected: Beton) -> None:
    asked = ("--entry", "signed_up", "--outcome", "paid", "--as-of", AS_OF, "--most", 2, *WINDOW, "--json")
    proposed = connected("propose", "--connection", "shop", *asked).lines
    told = connected("why", proposed[0]["hypothesis_id"], "--json").json

    assert_carries(told["searches"][0], 1)
    assert "The search found it" in told["sentence"]
    assert [(one["counted"], one["version"]) for one in told["looks"]] == [(True, 1)]
    plain = connected("why", proposed[0]["hypothesis_id"])
    assert plain.code == 0
    assert proposed[0]["run_id"] in plain.out


def test_what_was_rejected_does_not_come_back_and_what_is_live_is_not_repeated(connected: Beton) -> None:
    asked = ("--connection", "shop", "--entry", "signed_up", "--outcome", "paid", "--as-of", AS_OF, *WINDOW, "--json")
    first = connected("propose", *asked).lines
    connected("reject", first[0]["hypothesis_id"], "--reason", "nobody can act on it")
    second = connected("propose", *asked)
    summary_or_lines = second.lines
    known = {one.get("hypothesis_id") for one in summary_or_lines}
    assert first[0]["hypothesis_id"] not in known
    left = [one for line in summary_or_lines for one in (line.get("provenance") or line["how"])["considered"] if one["code"] == "rejected"]
    assert any("nobody can act on it" in one["sentence"] for one in left)


def test_reasons_about_the_event_leave_out_everything_about_it(connected: Beton) -> None:
    asked = ("--connection", "shop", "--entry", "signed_up", "--outcome", "paid", "--as-of", AS_OF, *WINDOW, "--json")
    first = connected("propose", *asked).lines[0]
    assert "invited" in first["hypothesis"]
    connected("reject", first["hypothesis_id"], "--reason", "own path: inviting is part of buying here")

    assert not any("invited" in one.get("hypothesis", "") for one in connected("propose", *asked).lines)


def test_an_empty_search_says_so_in_json(beton: Beton, shop: Path) -> None:
    asked = ("--entry", "signed_up", "--outcome", "viewed", "--unit", "person_id", "--as-of", AS_OF, "--window-days", 20, "--json")
    told = beton("propose", "--events", shop / "events.jsonl", *asked)

    assert told.code == 0
    assert told.json["proposals"] == 0
    assert "candidates tested" in told.json["sentence"]
    assert told.json["lacks"]
    assert "Too little data:" in told.err


def test_a_file_carries_the_same_provenance(beton: Beton, shop: Path) -> None:
    asked = ("--entry", "signed_up", "--outcome", "paid", "--horizon-days", 14, "--unit", "person_id", *WINDOW, "--as-of", AS_OF, "--json")
    told = beton("propose", "--events", shop / "events.jsonl", *asked)

    assert_carries(told.lines[0]["provenance"], 1)
    assert told.lines[0]["new_recall_given_live"] is None


def test_a_file_without_a_question_gets_suggestions(beton: Beton, shop: Path) -> None:
    told = beton("propose", "--events", shop / "events.jsonl", "--as-of", AS_OF, "--json")

    assert (told.code, told.json["code"]) == (2, "question.missing")
    assert told.json["fix"] == "Give for example: --entry 'signed_up' --outcome 'paid'"


def test_facts_are_written_listed_and_removed(connected: Beton) -> None:
    fact = connected("facts", "add", "  Invoices are  sent on the first.", "--json").json
    assert fact["text"] == "Invoices are sent on the first."
    assert [one["fact_id"] for one in connected("facts", "list", "--json").lines] == [fact["fact_id"]]
    assert connected("facts", "remove", fact["fact_id"]).code == 0
    assert connected("facts", "list", "--json").lines == []
    assert connected("facts", "add", "x" * 501, "--json").json["code"] == "fact.length"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--confirm", 99), "question.no_such_suggestion"),
        (("--outcome", "payed"), "input.refused"),
        (("--at-least", 5), "input.refused"),
        (("--share-values",), "question.missing"),
    ],
)
def test_a_question_that_cannot_be_kept_is_refused(connected: Beton, arguments: tuple[object, ...], code: str) -> None:
    assert connected("outcomes", "shop", *arguments, "--json").json["code"] == code


def test_a_question_of_ones_own_can_be_narrowed_and_values_shared(connected: Beton) -> None:
    where = ("--outcome", "viewed", "--entry", "signed_up", "--where", "seats=3", "--share-values", "--json")
    kept = connected("outcomes", "shop", *where).json["confirmed"]
    assert kept["definition"]["outcome"]["match"]["where"] == [{"property": "seats", "op": "equals", "value": "3"}]
    assert kept["share_values"] is True
    assert connected("outcomes", "shop", "--no-share-values", "--json").json["confirmed"]["share_values"] is False


def test_a_model_at_an_address_of_this_machine_needs_the_operator(connected: Beton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETON_MODEL_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("BETON_MODEL_NAME", "tiny")
    asked = ("--connection", "shop", "--entry", "signed_up", "--outcome", "paid", "--as-of", AS_OF, *WINDOW, "--json")

    assert connected("propose", *asked).json["code"] == "settings.model_address"
    assert connected("propose", *asked, "--no-model").code == 0


def test_a_model_that_does_not_answer_changes_nothing_but_the_record(connected: Beton, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("--connection", "shop", "--entry", "signed_up", "--outcome", "paid", "--as-of", AS_OF, *WINDOW, "--json")
    alone = connected("propose", *asked).lines
    monkeypatch.setenv("BETON_ALLOW_INSECURE_HOSTS", "true")
    monkeypatch.setenv("BETON_MODEL_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("BETON_MODEL_NAME", "tiny")
    monkeypatch.setenv("BETON_MODEL_KEY", "sk-canaryCANARYcanary")
    together = connected("propose", *asked)

    assert [one["hypothesis_id"] for one in together.lines] == [one["hypothesis_id"] for one in alone]
    provenance = together.lines[0]["provenance"]
    assert provenance["model"]["name"] == "tiny"
    assert provenance["stopped_because"] == "refused_connection"
    assert "canary" not in together.out + together.err

"""Questions, facts, remarks and provenance over HTTP."""

from datetime import UTC, datetime

import pytest

from backtest.taxonomy import EventDefinition, PropertyDefinition, Taxonomy
from beton.store import questions, runs, search_records, taxonomies
from beton.store.records import Connection, RunStatus
from beton.store.store import Store
from tests.web.conftest import FakeJobs
from tests.web.contract import Contract
from tests.web.steps import kept

AT = datetime(2026, 3, 2, tzinfo=UTC)
QUESTION = {"entry": "signed_up", "outcome": {"kind": "event", "match": "paid", "horizon": "14d", "goal": "converts"}}
HOW = {
    "taxonomy_digest": "a" * 64,
    "prompt_digests": {"mine": "b" * 64},
    "model": {"name": "tiny", "host": "localhost"},
    "sharing": "names",
    "turns": [{"tool": "finish", "outcome": "finished"}],
    "considered": [{"code": "repeats", "sentence": "It repeats number 1."}],
    "stopped_because": "finished",
    "cost": {"calls": 3, "money": 0.01},
}


@pytest.fixture
def known(store: Store, connection: Connection) -> Connection:
    """The connection with its taxonomy."""
    events = [("signed_up", 500, 490), ("Signed-Up", 9, 9), ("paid", 90, 90), ("gone", 0, 0)]
    taxonomy = Taxonomy(
        events=tuple(EventDefinition(name=name, volume=volume, units=units) for name, volume, units in events),
        properties=(PropertyDefinition(name="$host", type="string"),),
        taken_at=AT,
        window_days=90,
    )
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, taxonomy.model_dump(mode="json"), {"$host": ["app.example.com", "localhost:3000"]})
    return connection


def test_a_suggestion_is_confirmed_as_it_was_sent(api: Contract, known: Connection):
    told = api.get("connections/shop/question").json()
    assert told["confirmed"] is None
    first = told["questions"][0]
    assert (first["entry"]["event"], first["outcome"]["event"], first["needs"]) == ("signed_up", "paid", None)
    assert first["definition"] == QUESTION

    kept_ = api.ask("PUT", "connections/shop/question", json=first["definition"] | {"leave_out_internal": True, "window_days": 60}).json()
    assert kept_["definition"]["outcome"]["match"] == "paid"
    assert kept_["definition"]["entry"]["where"] == [{"property": "$host", "op": "not_equals", "value": "localhost:3000"}]
    assert (kept_["window_days"], kept_["share_values"]) == (60, False)
    assert kept_["confirmed_by"].startswith("Ada")
    assert api.get("connections/shop/question").json()["confirmed"] == kept_


def test_a_question_about_unknown_names_is_refused_by_its_places(api: Contract, known: Connection):
    wrong = api.ask("PUT", "connections/shop/question", json=QUESTION | {"entry": "signed_upp"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/entry/events")
    assert "signed_up" in wrong.json()["errors"][0]["nearest"][0]
    assert api.ask("PUT", "connections/shop/question", json=QUESTION | {"window_days": 14}).status_code == 422
    assert api.ask("PUT", "connections/other/question", json=QUESTION).status_code == 404


def test_without_a_taxonomy_there_is_nothing_to_suggest(api: Contract, connection: Connection):
    for path in ("question", "remarks"):
        assert api.get(f"connections/shop/{path}").json()["code"] == "taxonomy.missing"


def test_proposals_ask_what_was_confirmed(api: Contract, jobs: FakeJobs, store: Store, known: Connection):
    refused = api.post("proposals", {"connection": "shop"})
    assert (refused.status_code, refused.json()["code"]) == (422, "question.missing")
    assert refused.json()["details"]["questions"][0]["definition"] == QUESTION
    with store.transaction() as tx:
        questions.confirm(tx, known.id, QUESTION, window_days=45, actor="ada")
    assert api.post("proposals", {"connection": "shop"}).status_code == 202
    assert (jobs.asked[0]["question"], jobs.asked[0]["window_days"]) == (QUESTION, 45)
    assert api.post("proposals", {"connection": "shop", "entry": "signed_up"}).status_code == 422


def test_facts_are_written_listed_and_removed(api: Contract, known: Connection):
    fact = api.post("connections/shop/facts", {"text": "Invoices are sent on the first."})
    assert fact.status_code == 201
    assert [one["fact_id"] for one in api.get("connections/shop/facts").json()["data"]] == [fact.json()["fact_id"]]
    assert api.ask("DELETE", f"facts/{fact.json()['fact_id']}").json() == fact.json()
    assert api.ask("DELETE", f"facts/{fact.json()['fact_id']}").status_code == 404
    assert api.get("connections/shop/facts").json()["data"] == []
    assert api.post("connections/shop/facts", {"text": "x" * 501}).status_code == 422


def test_untidy_names_are_told(api: Contract, known: Connection):
    told = api.get("connections/shop/remarks").json()
    assert {one["code"] for one in told["remarks"]} == {"near_duplicate", "dead_event"}
    assert told["signal"] == []


def test_why_something_was_proposed_is_answered_from_the_record(api: Contract, store: Store, connection: Connection):
    row = kept(store, connection)
    assert api.get(f"hypotheses/{row.id}/provenance").json()["searches"] == []
    with store.transaction() as tx:
        run = runs.queue(tx, "propose", connection_id=connection.id)
        runs.begin(tx, run.id)
        line = {"place": 1, "fingerprint": row.fingerprint, "source": "model", "hypothesis_id": row.id, "version": 1, "words": None}
        record = {
            "question": QUESTION,
            "window": {"from": "2026-01-01T00:00:00Z"},
            "tried": 1214,
            "tested": 900,
            "facts": ["A fact."],
            "sentence": "1,214 candidates tested.",
            "signal": [],
            "how": HOW,
            "proposals": [line | {"redundant_with": None, "new_recall_given_live": 0.2}],
        }
        search_records.keep(tx, run.id, connection.id, record)
        _result(tx, row, run.id)
        runs.finish(tx, run.id, RunStatus.DONE)
    told = api.get(f"hypotheses/{row.id}/provenance").json()
    assert told["searches"][0]["tried"] == 1214
    assert told["searches"][0]["model"] == {"name": "tiny", "host": "localhost"}
    assert "A model had the idea" in told["sentence"]
    assert api.get("hypotheses/hyp_a/provenance").status_code == 404


def _result(tx, row, run_id: str) -> None:
    from beton.store import backtests
    from beton.store.records import NewBacktest

    numbers = {"sample_size": 0, "precision": None, "recall": None, "lift_vs_baseline": None, "window_days": 90}
    backtests.record(
        tx,
        [
            NewBacktest(
                hypothesis_id=row.id,
                hypothesis_version=1,
                run_id=run_id,
                as_of=AT,
                window_days=90,
                fingerprint=row.fingerprint,
                result=numbers,
                clears=None,
            )
        ],
    )

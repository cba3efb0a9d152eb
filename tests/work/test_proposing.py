"""Searches that remember: what is live or was rejected, what was edited, what a model may cost, and what is written down."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from agent.messages import Call, Message, Reply, Tool, Used
from agent.search import Question
from backtest import Hypothesis
from backtest.language import Group
from beton.errors import BadInput, SettingsError
from beton.lifecycle import Action, Status
from beton.settings import ModelSettings, Settings
from beton.store import audit, backtests, hypotheses, questions, runs, search_records, taxonomies
from beton.store.records import Connection, NewBacktest, RunStatus
from beton.store.store import Store, open_store
from beton.work import connecting, deciding, observing
from beton.work.asking import posthog_filters, question_json, sampled_taxonomy, suggested_question, suggestions
from beton.work.backtesting import window_of
from beton.work.durable_proposals import queue_if_due, worth_a_search
from beton.work.proposing import Proposed, propose
from beton.work.provenance import why
from beton.work.the_model import chosen_model
from beton.work.workplace import Workplace
from tests.cli.conftest import END, shop_events
from tests.conftest import Clock
from tests.work.workshop import Unlimited

ASKED = {"entry": "signed_up", "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}}
SHAPE = Hypothesis.model_validate(ASKED | {"clauses": [{"kind": "age", "at_least": "1d"}]})
QUESTION = Question(SHAPE.unit, SHAPE.entry, SHAPE.outcome)
DAYS = 45
SCRIPT = Path(__file__).with_name("worker.py")
KEY = base64.b64encode(bytes(range(100, 132))).decode()


class Looking:
    """A model that looks at the same event for ever; two hundred tokens each time."""

    name, host = "looking", "model.example"

    def __init__(self) -> None:
        self.turns = 0

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        self.turns += 1
        return Reply(Call("look_at_event", {"name": "viewed"}), "", Used(100, 100))


@pytest.fixture(scope="module")
def posthog(tmp_path_factory: pytest.TempPathFactory) -> Generator[Any]:
    """A sandbox with the little shop."""
    from beton.sandbox.run import running_sandbox
    from beton.sandbox.settings import LimitSettings

    file = tmp_path_factory.mktemp("shop") / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, shop_events())))
    with running_sandbox(file, limits=LimitSettings(throttling=False, budget_enforced=False)) as running:
        yield running


@pytest.fixture
def place(store: Store, clock: Clock, tmp_path: Path) -> Workplace:
    clock.now = END
    limits = ModelSettings(run_calls=4, day_calls=6, price_in=1000)
    return Workplace(Settings(data_dir=tmp_path, allow_insecure_hosts=True, model=limits), store, clock, ledger=Unlimited())


@pytest.fixture
def shop(place: Workplace, posthog: Any) -> Connection:
    return asyncio.run(ready(place, posthog))


async def ready(place: Workplace, posthog: Any) -> Connection:
    """Connected, with the taxonomy read."""
    key = SecretStr(posthog.api_key)
    made = await connecting.connect(place, name="shop", host=posthog.url, project_id="1", api_key=key, share=1.0, actor="ada")
    await observing.observe(place, made, as_of=END)
    return made


def searched(place: Workplace, shop: Connection, as_of: datetime = END, **more: Any) -> Proposed:
    return asyncio.run(propose(place, shop, QUESTION, window_of(as_of, DAYS), **more))


def about_invitations(found: Proposed) -> list[Any]:
    return [one for one in found.kept if "invited" in one.sentence]


def test_a_run_keeps_its_finds_its_record_and_its_looks(place: Workplace, shop: Connection) -> None:
    found = searched(place, shop)
    with place.store.reading() as tx:
        run, record = runs.get(tx, found.run_id), search_records.of_run(tx, found.run_id)
        looks = [one for row in found.kept for one in search_records.confirmations(tx, row.id)]

    assert run.status is RunStatus.DONE
    assert run.counts["sentence"] == found.record["sentence"]
    assert record is not None
    assert record.content["taxonomy"]["snapshot_digest"]
    assert [one["hypothesis_id"] for one in record.content["proposals"]] == [one.id for one in found.kept]
    assert record.content["signal"][0]["event"] == "invited"
    assert [(one.fingerprint, one.counted) for one in looks] == [(row.fingerprint, True) for row in found.kept]
    assert all(END - timedelta(days=DAYS) < one.confirmed_from < one.confirmed_until == END for one in looks)


def test_what_is_live_is_not_repeated_in_any_words(place: Workplace, shop: Connection) -> None:
    first = about_invitations(searched(place, shop))[0]
    deciding.decide(place, first.id, Action.APPROVE, actor="ada", override_reason="a test")
    again = searched(place, shop)

    assert first.id not in [one.id for one in again.kept]
    assert "live" in {one["code"] for one in again.record["how"]["considered"]}
    for line in again.record["proposals"]:
        assert line["redundant_with"] is None or line["redundant_with"]["hypothesis_id"] == first.id
        assert 0 <= line["new_recall_given_live"] < 1


def test_a_rejected_one_comes_back_when_its_evidence_has_changed(place: Workplace, shop: Connection, clock: Clock) -> None:
    first = about_invitations(searched(place, shop))[0]
    with place.store.transaction() as tx:
        run = runs.queue(tx, "backtest", connection_id=shop.id)
        poor = {"sample_size": 3, "closed": {"lift_low": 0.4, "lift_high": 1.1}, "window_days": DAYS}
        told = NewBacktest(
            hypothesis_id=first.id, hypothesis_version=1, run_id=run.id, as_of=END, window_days=DAYS,
            fingerprint=first.fingerprint, result=poor, clears=None,
        )  # fmt: skip
        clock.advance(timedelta(minutes=1))
    with place.store.transaction() as tx:
        backtests.record(tx, [told])
    deciding.decide(place, first.id, Action.REJECT, actor="ada", reason="too weak")
    back = searched(place, shop)

    assert first.id in [one.id for one in back.kept]
    with place.store.reading() as tx:
        assert hypotheses.get(tx, first.id).status is Status.PROPOSED
        assert ("search", "hypothesis.reopen") in [(one.actor, one.action) for one in audit.entries(tx, object_id=first.id)]


@pytest.mark.parametrize(("days_ago", "counts"), [(40, True), (0, False)])
def test_an_edited_definition_is_confirmed_only_by_what_happened_after_the_edit(
    place: Workplace, shop: Connection, clock: Clock, days_ago: int, counts: bool
) -> None:
    """Somebody who has seen numbers changes another proposal into one that the search would find."""
    found = searched(place, shop, most=2)
    target = about_invitations(found)[0]
    definition = target.definition
    with place.store.transaction() as tx:
        for row in found.kept:
            hypotheses.decide(tx, row.id, Action.REJECT, expected_row_version=row.row_version, actor="ada", reason="to make room")
    clock.now = END - timedelta(days=days_ago)
    with place.store.transaction() as tx:
        other = {**definition, "clauses": [{**definition["clauses"][0], "at_least": 9}]}
        made = Hypothesis.model_validate(other)
        hypotheses.revise(
            tx, target.id, definition=made.to_json(), fingerprint=made.fingerprint, sentence="Other.",
            expected_row_version=hypotheses.get(tx, target.id).row_version, actor="ada",
        )  # fmt: skip
        hypotheses.revise(
            tx, target.id, definition=definition, fingerprint=target.fingerprint, sentence=target.sentence,
            expected_row_version=hypotheses.get(tx, target.id).row_version, actor="ada",
        )  # fmt: skip
    clock.now = END + timedelta(minutes=1)
    again = searched(place, shop)

    assert target.id in [one.id for one in again.kept]
    told = deciding.resource(place, target.id)
    assert told.backtest is not None
    assert told.verdict is not None
    assert ("confirmed" in told.backtest.result) is counts
    look = why(place, target.id)["looks"][-1]
    assert (look["version"], look["counted"]) == (3, counts)
    if not counts:
        assert told.verdict.clears is None
        assert look["withheld"]["code"] == "edited_after_numbers_were_shown"


def test_a_model_is_paid_by_the_run_and_by_the_day(place: Workplace, shop: Connection) -> None:
    alone, told = searched(place, shop), []
    model = Looking()
    first = searched(place, shop, model=model, progress=lambda *step: told.append(step))
    second = searched(place, shop, model=model)
    third = searched(place, shop, model=model)

    assert [one.record["how"]["stopped_because"] for one in (first, second, third)] == ["calls", "calls", "calls"]
    assert [one.record["how"]["cost"]["calls"] for one in (first, second, third)] == [4, 2, 0]
    assert model.turns == 6
    assert {one.id for one in first.kept} == {one.id for one in alone.kept}
    assert any("4 of 4 calls" in step[0] for step in told)
    with place.store.reading() as tx:
        day, tomorrow = (search_records.spent_on(tx, at) for at in (END, END + timedelta(days=1)))
    assert (day.calls, day.tokens, tomorrow.calls) == (6, 1200, 0)
    assert day.money == pytest.approx(0.6)


def test_what_a_model_asked_is_in_the_record(place: Workplace, shop: Connection) -> None:
    with place.store.transaction() as tx:
        questions.add_fact(tx, shop.id, "Teams buy in spring.", actor="ada")
    found = searched(place, shop, model=Looking())
    told = why(place, found.kept[0].id)["searches"][0]

    assert told["model"] == {"name": "looking", "host": "model.example"}
    assert told["facts"] == ["Teams buy in spring."]
    assert [turn["tool"] for turn in told["turns"]] == ["look_at_event"] * 3 + ["look_at_event"]
    assert set(told["prompt_digests"]) >= {"mine", "task"}


def test_a_search_that_is_refused_ends_its_run(place: Workplace, shop: Connection) -> None:
    of_teams = Question(Group(group="team"), SHAPE.entry, SHAPE.outcome)
    with pytest.raises(BadInput):
        asyncio.run(propose(place, shop, of_teams, window_of(END, DAYS)))
    with place.store.reading() as tx:
        (run,) = runs.listing(tx, kind="propose").data
    assert (run.status, run.error and run.error["code"]) == (RunStatus.FAILED, "input.refused")


def test_values_go_to_the_search_and_not_to_the_taxonomy_s_record(place: Workplace, shop: Connection) -> None:
    assert any(one.values for one in sampled_taxonomy(place, shop).properties) == any(
        one.name == "seats" and one.cardinality for one in place.taxonomy(shop).properties
    )
    assert not any(one.values for one in place.taxonomy(shop).properties)


def test_posthog_s_own_filters_keep_internal_traffic_out_of_a_confirmed_question(place: Workplace, shop: Connection, posthog: Any) -> None:
    filters = [
        {"key": "seats", "type": "event", "operator": "is_not", "value": ["5"]},
        {"key": "email", "type": "person", "operator": "not_icontains", "value": "@shop.example"},
    ]
    httpx.post(f"{posthog.url}/sandbox/test-accounts", json=filters).raise_for_status()
    found = suggestions(place, shop, asyncio.run(posthog_filters(place, shop)))
    httpx.post(f"{posthog.url}/sandbox/test-accounts", json=[]).raise_for_status()
    question = suggested_question(found, 1)

    assert [one.code for one in found.internal] == ["posthog_filter", "posthog_filter_unused"]
    assert question_json(question)["entry"] == {"events": ["signed_up"], "where": [{"property": "seats", "op": "not_equals", "value": "5"}]}
    assert question_json(suggested_question(found, 1, leave_out_internal=False))["entry"] == "signed_up"
    asked = asyncio.run(propose(place, shop, question, window_of(END, DAYS), most=1))
    assert asked.found.tried > 10


# --- the schedule ----------------------------------------------------------------------------------------------------


def test_a_search_is_due_once_a_week_and_after_new_names(place: Workplace, shop: Connection, clock: Clock) -> None:
    assert queue_if_due(place, shop, END) is None, "nothing is searched for on a guess"
    with place.store.transaction() as tx:
        questions.confirm(tx, shop.id, question_json(QUESTION), window_days=DAYS, actor="ada")
    first = queue_if_due(place, shop, END)
    assert first is not None
    assert queue_if_due(place, shop, END) is None, "it waits to begin"
    finish(place, first)

    clock.now = END + timedelta(days=1)
    asyncio.run(observing.observe(place, shop))
    assert queue_if_due(place, shop, clock.now) is None
    forget_an_event(place, shop, "viewed")
    second = queue_if_due(place, shop, clock.now)
    assert second not in (None, first)
    finish(place, str(second))
    with place.store.reading() as tx:
        assert runs.get(tx, str(second)).request["because"] == "taxonomy"
        assert runs.get(tx, first).request["because"] == "schedule"

    clock.now += timedelta(days=6)
    assert queue_if_due(place, shop, clock.now) is None
    clock.now += timedelta(days=1)
    assert queue_if_due(place, shop, clock.now) is not None


def test_the_same_day_is_the_same_search(place: Workplace, shop: Connection) -> None:
    with place.store.transaction() as tx:
        questions.confirm(tx, shop.id, question_json(QUESTION), window_days=DAYS, actor="ada")
        first = runs.queue(tx, "propose", connection_id=shop.id, workflow_id=f"propose-{shop.id}-{END.date()}")
        again = runs.queue(tx, "propose", connection_id=shop.id, workflow_id=f"propose-{shop.id}-{END.date()}")
    assert first.id == again.id


def test_a_search_that_was_killed_begins_again_and_keeps_its_finds_once(posthog: Any, clock: Clock, sqlite_url: str, tmp_path: Path) -> None:
    clock.now = datetime.now(UTC)
    told = {"DATABASE_URL": sqlite_url, "SECRET_KEY": KEY, "ALLOW_INSECURE_HOSTS": "true", "DATA_DIR": str(tmp_path)}
    settings = Settings(database_url=sqlite_url, secret_key=SecretStr(KEY), allow_insecure_hosts=True, data_dir=tmp_path)
    place = Workplace(settings, open_store(settings, clock), clock, ledger=Unlimited())
    asyncio.run(ready(place, posthog))
    environment = os.environ | {f"BETON_{name}": value for name, value in told.items()} | {"PYTHONPATH": str(SCRIPT.parents[2])}

    def worker(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stdout=subprocess.PIPE, text=True, env=environment)

    first = worker("PROPOSE", END.isoformat(), str(DAYS), json.dumps(question_json(QUESTION)))
    assert first.stdout is not None
    run_id = first.stdout.readline().strip()
    first.kill()
    first.communicate()
    second = worker("WAIT", run_id)
    second.communicate(timeout=120)
    with place.store.reading() as tx:
        run, record = runs.get(tx, run_id), search_records.of_run(tx, run_id)
        kept = hypotheses.every(tx)
    place.store.close()

    assert (second.returncode, run.status) == (0, RunStatus.DONE)
    assert record is not None
    assert {one["hypothesis_id"] for one in record.content["proposals"]} == {one.id for one in kept}
    assert run.counts["proposed"] == len(kept) > 0


def finish(place: Workplace, run_id: str) -> None:
    with place.store.transaction() as tx:
        runs.begin(tx, run_id)
        runs.finish(tx, run_id, RunStatus.DONE)


def forget_an_event(place: Workplace, shop: Connection, name: str) -> None:
    """As if the project had not known it yesterday."""
    taxonomy = place.taxonomy(shop)
    older = taxonomy.model_copy(update={"events": tuple(one for one in taxonomy.events if one.name != name)})
    assert worth_a_search(taxonomy.changes_since(older))
    with place.store.transaction() as tx:
        taxonomies.save(tx, shop.id, older.model_dump(mode="json"))


# --- the model's address ---------------------------------------------------------------------------------------------


async def resolved(name: str, port: int) -> list[str]:
    return ["10.0.0.7"] if name == "inside.example" else ["93.184.216.34"]


@pytest.mark.parametrize(
    ("url", "insecure", "allowed"),
    [
        ("https://llm.example/v1", False, True),
        ("https://inside.example/v1", False, False),
        ("https://inside.example/v1", True, True),
        ("http://llm.example/v1", False, False),
        ("http://127.0.0.1:9/v1", False, False),
        ("http://localhost:9/v1", False, False),
        ("http://localhost:9/v1", True, True),
        ("http://169.254.169.254/v1", True, False),
        ("ftp://llm.example", True, False),
    ],
)
def test_the_model_s_address_passes_the_guard_of_webhooks(tmp_path: Path, url: str, insecure: bool, allowed: bool) -> None:
    settings = Settings(data_dir=tmp_path, allow_insecure_hosts=insecure, model=ModelSettings(url=url, name="tiny"))
    if allowed:
        assert asyncio.run(chosen_model(settings, resolved)) is not None
        return
    with pytest.raises(SettingsError) as refused:
        asyncio.run(chosen_model(settings, resolved))
    assert refused.value.code == "settings.model_address"


def test_without_a_model_none_is_asked(tmp_path: Path) -> None:
    assert asyncio.run(chosen_model(Settings(data_dir=tmp_path, model=ModelSettings(url="https://llm.example/v1")), resolved)) is None

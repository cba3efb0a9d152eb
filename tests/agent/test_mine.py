"""The loop: whatever a model does, it ends in time, changes nothing it may not, and leaves a whole record."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from agent.aliases import Sharing
from agent.budget import Limits, Spent
from agent.memory import Memory, Remembered
from agent.messages import Call, FailureCode, Message, ModelFailure, Reply, Tool, Used, trimmed
from agent.mine import Mined, mine
from agent.model import WAYS
from agent.prompting import load_prompts
from agent.record import Record
from beton.bench.scripted import BadModel, GoodModel
from tests.agent.small_project import Ticking, budget, small


class Saying:
    """Takes its turns from a list, the last one again and again; an exception is raised."""

    name, host = "saying", "model.example"

    def __init__(self, *turns: Reply | ModelFailure, before: Callable[[], None] = lambda: None) -> None:
        self.turns, self.asked, self.before = list(turns), [], before

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        self.before()
        self.asked.append((list(messages), [one.name for one in tools]))
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if isinstance(turn, ModelFailure):
            raise turn
        return turn


def says(tool: str, tokens: int = 100, **arguments: object) -> Reply:
    return Reply(Call(tool, arguments), "", Used(tokens, tokens))


def fails(code: FailureCode, **more: Any) -> ModelFailure:
    return ModelFailure(code, f"It was {code}.", **more)


def run(model: Any, **more: Any) -> Mined:
    given: dict[str, Any] = {"budget": budget()} | more
    return mine(small().fresh(), small().taxonomy, model=model, **given)


def proposed(mined: Mined) -> list[str]:
    return [one.hypothesis.fingerprint for one in mined.found.proposals if one.source == "search"]


LOOKS, FINISHES = says("look_at_event", name="note_opened"), says("finish", notes=[])


@cache
def alone() -> Mined:
    return run(None)


def whole(mined: Mined) -> bool:
    """The record can be read back, and its turns are as many as its calls."""
    record = Record.model_validate_json(mined.record.model_dump_json())
    return record == mined.record and len(record.turns) == record.cost.calls and record.tried == mined.found.tried


def test_without_a_model_the_search_concludes_alone() -> None:
    mined = alone()

    assert mined.record.stopped_because == "no_model"
    assert mined.record.model is None
    assert mined.record.prompt_digests == {}
    assert not mined.words
    assert proposed(mined)
    assert whole(mined)


@pytest.mark.parametrize("sharing", [Sharing(), Sharing("opaque")], ids=str)
def test_a_good_model_adds_words_and_takes_nothing_away(sharing: Sharing) -> None:
    mined = run(GoodModel(), sharing=sharing)

    assert proposed(mined) == proposed(alone())
    assert mined.record.stopped_because == "finished"
    assert set(proposed(mined)) <= set(mined.words)
    assert mined.record.sharing == sharing.mode
    assert mined.record.prompt_digests == load_prompts().digests
    assert mined.record.taxonomy_digest == small().taxonomy.digest()
    assert {one.tool for one in mined.record.turns} == {"candidates", "look_at_event", "attempt", "finish"}
    attempts = [one for one in mined.record.turns if one.tool == "attempt"]
    assert all({"fingerprint", "sentence", "hypothesis"} <= set(one.arguments) for one in attempts)
    assert whole(mined)


def test_a_bad_model_ends_at_its_limits_and_harms_nothing() -> None:
    mined = run(BadModel(), budget=budget(failures=40, calls=60, queries=100, tokens=10_000_000))

    assert proposed(mined) == proposed(alone())
    assert mined.record.stopped_because in ("calls", "finished")
    assert mined.found.tried > alone().found.tried
    assert whole(mined)


@pytest.mark.parametrize(
    ("limits", "why", "calls"),
    [
        ({"calls": 7}, "calls", 7),
        ({"tokens": 1000, "calls": 99}, "tokens", 5),
        ({"money": 0.00099, "calls": 99, "price_in": 1.0, "price_out": 1.0}, "money", 5),
        ({"queries": 4, "calls": 99}, "queries", 4),
    ],
)
def test_a_loop_that_never_ends_stops_at_the_limit(limits: dict[str, Any], why: str, calls: int) -> None:
    model = Saying(LOOKS)

    mined = run(model, budget=budget(failures=99, **limits))

    assert mined.record.stopped_because == why
    assert len(model.asked) == mined.record.cost.calls == calls
    assert proposed(mined) == proposed(alone())
    assert whole(mined)


def test_time_ends_it_after_one_call_more_at_most() -> None:
    clock = Ticking()

    def passes() -> None:
        clock.now += timedelta(seconds=25)

    model = Saying(LOOKS, before=passes)
    mined = run(model, budget=budget(clock=clock, seconds=60))

    assert mined.record.stopped_because == "seconds"
    assert len(model.asked) == 3
    assert [one.seconds for one in mined.record.turns] == [25, 25, 25]


def test_the_last_call_offers_only_to_finish() -> None:
    model = Saying(LOOKS)
    run(model, budget=budget(calls=3))

    assert [tools for _, tools in model.asked][:2] == [["look_at_event", "look_at_property", "candidates", "attempt"]] * 2
    messages, tools = model.asked[2]
    assert tools == ["finish"]
    assert messages[-1].text.startswith("This is your last turn")


def test_to_finish_is_offered_once_there_is_something_to_speak_of() -> None:
    model = Saying(says("candidates", most=2), FINISHES)
    run(model)

    assert [tools[-1] for _, tools in model.asked] == ["attempt", "finish"]


def test_what_is_left_of_the_day_is_kept_to() -> None:
    model = Saying(LOOKS)
    mined = run(model, budget=budget(left_today=Limits(calls=2)))

    assert len(model.asked) == 2
    assert mined.record.stopped_because == "calls"


def test_with_nothing_left_of_the_day_the_model_is_not_asked() -> None:
    model = Saying(LOOKS)
    mined = run(model, budget=budget(left_today=Limits(calls=0)))

    assert not model.asked
    assert proposed(mined) == proposed(alone())


@pytest.mark.parametrize("code", ["refused_connection", "unauthorised", "rejected"])
def test_what_asking_again_does_not_mend_ends_it_at_once(code: FailureCode) -> None:
    model = Saying(LOOKS, fails(code))
    mined = run(model)

    assert len(model.asked) == 2
    assert mined.record.stopped_because == code
    assert mined.record.stopped_sentence == f"It was {code}."
    assert mined.record.turns[-1].failed == code
    assert mined.record.cost.failures == 1
    assert proposed(mined) == proposed(alone())
    assert whole(mined)


def test_a_busy_provider_is_asked_again_after_the_time_it_states() -> None:
    waited: list[float] = []
    model = Saying(fails("rate_limited", retry_after=7.0), fails("rate_limited"), fails("server_error"), FINISHES)
    mined = run(model, budget=budget(waited=waited))

    assert mined.record.stopped_because == "finished"
    assert waited == [7.0, 2.0, 1.0]
    assert whole(mined)


@pytest.mark.parametrize(("code", "asked"), [("rate_limited", 4), ("server_error", 3), ("timeout", 2)])
def test_asking_again_is_bounded(code: FailureCode, asked: int) -> None:
    model = Saying(fails(code, **({"retry_after": 0.0} if code == "rate_limited" else {})))
    mined = run(model)

    assert len(model.asked) == asked
    assert mined.record.stopped_because == code


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    waited: list[float] = []
    mined = run(Saying(fails("rate_limited", retry_after=3600.0)), budget=budget(waited=waited))

    assert not waited
    assert mined.record.stopped_because == "rate_limited"


def test_a_conversation_that_is_too_long_is_halved_once() -> None:
    model = Saying(LOOKS, LOOKS, LOOKS, fails("too_long"), LOOKS, fails("too_long"))
    mined = run(model)
    lengths = [sum(one.length for one in messages) for messages, _ in model.asked]

    assert mined.record.stopped_because == "too_long"
    assert lengths[4] < 0.8 * lengths[3]
    assert mined.record.cost.failures == 2
    assert whole(mined)


def test_an_answer_of_no_use_is_told_so_and_asked_again() -> None:
    model = Saying(Reply(None, "I think we should \u202etalk"), fails("cut_short"), FINISHES)
    mined = run(model)

    assert mined.record.stopped_because == "finished"
    assert [one.failed for one in mined.record.turns] == ["malformed", "cut_short", None]
    assert mined.record.turns[0].arguments == {"written": "I think we should talk"}
    assert "That could not be used: it called no tool" in model.asked[1][0][-1].text
    assert [one.prompt for one in mined.record.turns] == ["task", "again", "again"]


def test_answers_of_no_use_are_bounded() -> None:
    model = Saying(Reply(None, "no"))
    mined = run(model, budget=budget(failures=4))

    assert len(model.asked) == 4
    assert mined.record.stopped_because == "failures"


def test_adapting_to_a_provider_is_no_failure() -> None:
    mined = run(Saying(*[fails("adapting")] * len(WAYS), FINISHES))

    assert mined.record.stopped_because == "finished"
    assert mined.record.cost.failures == 0
    assert mined.record.cost.calls == len(WAYS) + 1


def test_it_is_shown_while_it_runs() -> None:
    seen: list[tuple[Spent, str]] = []
    run(Saying(LOOKS, fails("rate_limited"), Reply(None, "x"), FINISHES), progress=lambda spent, what: seen.append((spent, what)))

    assert [spent.calls for spent, _ in seen] == [1, 2, 3, 4]
    assert seen[0][1].startswith("The model: look_at_event,")
    assert "4 of 30 calls" in seen[-1][1]


def test_tokens_that_nobody_counted_are_estimated_and_marked() -> None:
    mined = run(Saying(Reply(Call("finish", {}), "x" * 30)))

    assert mined.record.cost.estimated
    assert mined.record.cost.tokens_in > 500
    assert mined.record.cost.tokens_out == 10


def test_what_was_rejected_stays_away_and_is_told() -> None:
    best = small().discovery.finds(1)[0].hypothesis
    memory = Memory(
        remembered=(Remembered(fingerprint=best.fingerprint, hypothesis=best, status="retired", reason="not actionable"),),
        facts=("We sell to schools.",),
    )
    model = Saying(FINISHES)
    mined = run(model, memory=memory)
    task = model.asked[0][0][1].text

    assert best.fingerprint not in proposed(mined)
    assert "not actionable" in task
    assert "We sell to schools." in task
    (told,) = [one for one in mined.record.considered if one.fingerprint == best.fingerprint]
    assert told.code == "retired"


def test_behind_ids_facts_and_reasons_say_no_names() -> None:
    best = small().discovery.finds(1)[0].hypothesis
    memory = Memory(
        remembered=(Remembered(fingerprint="f", hypothesis=best, status="retired", reason="note_opened is what everybody does"),),
        facts=("A note_shared counts for us.",),
    )
    model = Saying(FINISHES)
    run(model, memory=memory, sharing=Sharing("opaque"))
    task = "\n".join(one.text for one in model.asked[0][0])

    assert "counts for us" in task
    assert "note_" not in task


def test_a_small_context_gets_a_short_task() -> None:
    model = Saying(*[LOOKS] * 8, FINISHES)
    run(model, budget=budget(context_tokens=2500))

    for messages, _ in model.asked:
        assert sum(one.length for one in messages) <= 2500 * 3 + 3000
    assert "earlier steps are left out" in model.asked[-1][0][1].text


def test_trimming_keeps_the_task_and_the_last_exchanges() -> None:
    head = [Message("system", "s" * 30), Message("user", "t" * 30)]
    steps = [part for n in range(10) for part in (Message("assistant", call=Call("a", {"n": n})), Message("tool", "r" * 100))]

    kept = trimmed([*head, *steps], 130)

    assert kept[0] == head[0]
    assert kept[1].text.endswith("(7 earlier steps are left out here.)")
    assert kept[2:] == steps[-6:]
    assert trimmed([*head, *steps], 10_000) == [*head, *steps]
    assert trimmed([*head, *steps], 40)[2:] == [steps[-2], Message("tool", "r" * 60 + "\n</data>\n(The rest is cut off here.)")]


def test_a_record_holds_no_more_than_bounded_text() -> None:
    endless = Reply(Call("attempt", {"hypothesis": {"clauses": [{"kind": "x" * 50_000}]}, "y" * 5_000: 1}), "", Used(1, 1))
    mined = run(Saying(endless), budget=budget(failures=3))

    assert len(json.dumps(mined.record.model_dump(mode="json")["turns"])) < 10_000

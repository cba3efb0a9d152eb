"""Any provider through one client: what it may refuse, and what each of its failures becomes."""

import re
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.messages import Call, Message, ModelFailure, Reply, Tool, Used
from agent.mine import mine
from agent.model import MOST_BYTES, OpenAIModel, call_in, json_in, union
from tests.agent.fake_provider import Answer, FakeProvider, calls, completion, dripping, endless, provider, raw, refusal, says, silent, text
from tests.agent.small_project import budget, small

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
LOOK = Tool("look", "Look at it.", NAME, NAME | {"properties": {"name": {"$ref": "#/$defs/N"}}}, {"N": {"enum": ["a"]}})
END = Tool("finish", "End.", {"type": "object", "properties": {}}, {"type": "object", "properties": {}})
TOOLS = (LOOK, END)
HELLO = [Message("system", "Be brief."), Message("user", "Look at a.")]
KEY = "sk-very-secret-0123456789"


@contextmanager
def model(server: FakeProvider, **more: Any) -> Generator[OpenAIModel]:
    options: dict[str, Any] = {"timeout": 5.0} | more
    made = OpenAIModel(server.url, "m1", KEY, **options)
    try:
        yield made
    finally:
        made.close()


def replies(*answers: Answer, turns: int = 1, messages: Sequence[Message] = HELLO, **more: Any) -> tuple[list[Reply | ModelFailure], FakeProvider]:
    got: list[Reply | ModelFailure] = []
    with provider(*answers) as server, model(server, **more) as made:
        for _ in range(turns):
            try:
                got.append(made.turn(messages, TOOLS))
            except ModelFailure as failure:
                got.append(failure)
    return got, server


def failure(*answers: Answer, **more: Any) -> ModelFailure:
    got = replies(*answers, **more)[0][0]
    assert isinstance(got, ModelFailure)
    assert KEY not in f"{got.sentence}{got}{got.text}"
    return got


def test_a_native_call_is_asked_for_and_read() -> None:
    (reply,), server = replies(calls("look", {"name": "a"}))

    assert reply == Reply(Call("look", {"name": "a"}), "", Used(11, 7))
    asked = server.requests[0]
    assert asked["tools"][0]["function"] == {"name": "look", "description": "Look at it.", "parameters": NAME}
    assert "response_format" not in asked
    assert asked["model"] == "m1"


def test_tools_that_are_refused_are_not_asked_for_again() -> None:
    (first, second), server = replies(refusal(400, "tools are not supported"), says("look", name="a"), turns=2)

    assert isinstance(first, ModelFailure)
    assert first.code == "adapting"
    assert second == Reply(Call("look", {"name": "a"}), '{"next": {"tool": "look", "name": "a"}}', Used(11, 7))
    assert "tools" not in server.requests[1]
    assert server.requests[1]["response_format"]["json_schema"]["schema"] == union(TOOLS)


def test_a_text_instead_of_a_call_leads_to_the_schema() -> None:
    (first, second), server = replies(text("Let us look."), says("finish"), turns=2)

    assert isinstance(first, ModelFailure)
    assert first.code == "adapting"
    assert isinstance(second, Reply)
    assert "response_format" in server.requests[1]


def test_a_provider_that_has_called_tools_is_not_given_up_for_one_text() -> None:
    (_, second, third), server = replies(calls("look", {"name": "a"}), text("Hm."), calls("finish", {}), turns=3)

    assert isinstance(second, ModelFailure)
    assert second.code == "malformed"
    assert isinstance(third, Reply)
    assert all("tools" in one for one in server.requests)


def test_a_schema_that_is_refused_leads_to_plain_json() -> None:
    (_, _, third), server = replies(
        refusal(400, "unknown parameter: tools"),
        refusal(400, "response_format is not supported"),
        text('Sure:\n```json\n{"tool": "finish"}\n```'),
        turns=3,
    )

    assert isinstance(third, Reply)
    assert third.call == Call("finish", {})
    assert not {"tools", "response_format"} & set(server.requests[2])


def test_limits_that_a_provider_calls_otherwise_are_called_so() -> None:
    _, server = replies(
        refusal(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        refusal(400, "Unsupported value: 'temperature' does not support 0."),
        calls("finish", {}),
        turns=3,
    )

    assert {"max_tokens", "temperature"} <= set(server.requests[0])
    assert server.requests[2]["max_completion_tokens"] == 1500
    assert not {"max_tokens", "temperature"} & set(server.requests[2])


def test_adapting_has_an_end() -> None:
    got, _ = replies(refusal(400, "max_tokens max_completion_tokens temperature tools response_format are all bad"), turns=12)
    codes = [one.code for one in got if isinstance(one, ModelFailure)]

    assert len(codes) == 12
    assert codes[-3:] == ["rejected"] * 3
    assert codes.count("adapting") <= 5


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(401, f"Incorrect API key provided: {KEY}"), "unauthorised"),
        (refusal(403, "no"), "unauthorised"),
        (refusal(404, "model m1 does not exist"), "rejected"),
        (refusal(429, "slow down"), "rate_limited"),
        (refusal(429, "no money", "insufficient_quota"), "rejected"),
        (refusal(500, "oops"), "server_error"),
        (raw(503, b"<html>busy</html>"), "server_error"),
        (refusal(400, "This model's maximum context length is 8192 tokens"), "too_long"),
        (refusal(400, "request (4031 tokens) exceeds the available context size (2048 tokens)", "exceed_context_size_error"), "too_long"),
        (refusal(413, "prompt is too long"), "too_long"),
        (completion({"tool_calls": [{"function": {"name": "look", "arguments": '{"name": '}}]}, "length"), "cut_short"),
        (calls("look", "{not json"), "malformed"),
        (calls("look", '["a"]'), "malformed"),
        (calls("look", '{"name": "\\ud800"}'), "malformed"),
        (raw(200, b"<html>login</html>"), "malformed"),
        (raw(200, b'{"choices": []}'), "malformed"),
        (raw(307, b"", Location="http://127.0.0.1:1/v1/chat/completions"), "rejected"),
        (raw(200, b"\xff\xfe"), "malformed"),
        (completion({"content": "[" * 90_000}), "adapting"),
    ],
)
def test_each_failure_has_its_code(answer: Answer, code: str) -> None:
    assert failure(answer).code == code


def test_an_answer_that_is_cut_is_told_so_unless_it_was_whole_already() -> None:
    assert failure(text('{"next": {"to', finish="length"), way="schema").code == "cut_short"
    assert isinstance(replies(text('{"tool": "finish"}   ', finish="length"), way="schema")[0][0], Reply)


def test_a_time_to_wait_is_told() -> None:
    assert failure(refusal(429, "slow down", Retry_After="7")).retry_after == 7
    assert failure(refusal(429, "slow down", Retry_After="soon")).retry_after is None
    dated = failure(refusal(503, "later", Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"))
    assert dated.retry_after is None or dated.retry_after > 1_000_000


def test_one_turn_is_one_request_whatever_comes_back() -> None:
    for answer in (refusal(429, "slow"), refusal(500, "oops"), refusal(408, "late"), refusal(409, "conflict")):
        assert len(replies(answer)[1].requests) == 1


def test_a_refused_connection_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = OpenAIModel(f"http://127.0.0.1:{port}/v1", "m1", timeout=5)
    with pytest.raises(ModelFailure) as told:
        made.turn(HELLO, TOOLS)
    made.close()

    assert told.value.code == "refused_connection"
    assert told.value.sentence == "No connection to 127.0.0.1."


def test_a_key_that_no_header_can_hold_is_a_failure_like_others() -> None:
    made = OpenAIModel("http://127.0.0.1:1/v1", "m1", "schlüssel", timeout=5)
    with pytest.raises(ModelFailure) as told:
        made.turn(HELLO, TOOLS)
    made.close()

    assert told.value.code == "rejected"
    assert "schl" not in told.value.sentence


@pytest.mark.parametrize("answer", [silent, dripping])
def test_a_turn_takes_no_longer_than_it_may(answer: Answer) -> None:
    assert failure(answer, timeout=0.2).code == "timeout"


def test_an_endless_response_is_not_kept() -> None:
    told = failure(endless, timeout=20)

    assert told.code == "malformed"
    assert MOST_BYTES < 10_000_000


def test_nothing_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-of-another")
    _, server = replies(calls("finish", {}))

    assert "another" not in str(server.headers)
    assert f"Bearer {KEY}" in str(server.headers)


def test_a_conversation_is_written_in_the_provider_s_form() -> None:
    said = [*HELLO, Message("assistant", call=Call("look", {"name": "a"})), Message("tool", "seen"), Message("user", "Now finish.")]
    _, native = replies(calls("finish", {}), messages=said)
    _, plain = replies(says("finish"), messages=said, way="schema")

    assert [one["role"] for one in native.requests[0]["messages"]] == ["system", "user", "assistant", "tool", "user"]
    called, told = native.requests[0]["messages"][2:4]
    assert called["tool_calls"][0]["id"] == told["tool_call_id"]
    assert [one["role"] for one in plain.requests[0]["messages"]] == ["system", "user", "assistant", "user"]
    assert plain.requests[0]["messages"][2]["content"] == '{"next": {"tool": "look", "name": "a"}}'
    assert plain.requests[0]["messages"][3]["content"] == "seen\n\nNow finish."


def test_calls_are_found_in_what_surrounds_them() -> None:
    assert call_in('<think>{"tool": "x"}</think> {"next": {"tool": "finish", "notes": []}} and more') == Call("finish", {"notes": []})
    assert call_in("no json") is None
    assert call_in('{"next": {"tool": 3}}') is None
    assert call_in('{"next": []}') is None
    assert json_in('{"a": NaN}') == {"a": None}
    assert json_in("{" * 100_000) is None
    assert json_in('{"a": ' * 50_000) is None


def test_a_run_goes_through_all_of_it() -> None:
    """Tools are refused, then busy, then nonsense, then two calls and the end."""
    answers = (
        refusal(400, "tools are not supported"),
        refusal(429, "slow down", Retry_After="1"),
        text("Well."),
        says("candidates", about=None, most=2),
        says("finish", notes=[{"candidate": "c1", "sentence": "They open notes.", "reason": "Notes are the product.", "flag": "cause"}]),
    )
    waited: list[float] = []
    with provider(*answers) as server, model(server) as made:
        mined = mine(small().fresh(), small().taxonomy, model=made, budget=budget(waited=waited))

    assert mined.record.stopped_because == "finished"
    assert [one.failed for one in mined.record.turns] == ["adapting", "rate_limited", "malformed", None, None]
    assert waited == [1.0]
    assert [one.sentence for one in mined.words.values()] == ["They open notes."]
    assert mined.record.model is not None
    assert mined.record.model.host == "127.0.0.1"
    assert KEY not in mined.record.model_dump_json()


@pytest.mark.parametrize(
    ("answer", "why", "calls_made"),
    [(silent, "timeout", 2), (refusal(429, "slow down", Retry_After="0"), "rate_limited", 4), (refusal(401, KEY), "unauthorised", 1)],
)
def test_a_run_whose_provider_fails_still_proposes(answer: Answer, why: str, calls_made: int) -> None:
    with provider(answer) as server, model(server, timeout=0.2) as made:
        mined = mine(small().fresh(), small().taxonomy, model=made, budget=budget())

    assert mined.record.stopped_because == why
    assert mined.record.cost.calls == len(mined.record.turns) == calls_made
    assert mined.found.proposals
    assert KEY not in mined.record.model_dump_json()


def test_the_library_is_known_in_one_file_and_loaded_when_first_asked() -> None:
    agent = Path(__file__).parent.parent.parent / "agent"
    knowing = [one.name for one in agent.glob("*.py") if re.search(r"^\s*(from|import) (openai|httpx2)\b", one.read_text(), re.MULTILINE)]
    loaded = subprocess.run(
        [sys.executable, "-c", "import agent.model, agent.mine, sys; print('openai' in sys.modules)"], capture_output=True, text=True, check=True
    )

    assert knowing == ["model.py"]
    assert loaded.stdout.strip() == "False"

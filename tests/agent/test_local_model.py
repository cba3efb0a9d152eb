"""A real model on this machine, driven as any other: it has 135 million parameters and no sense, so this is about protocol, limits and failures."""

import time
from collections.abc import Generator, Sequence

import pytest

from agent.aliases import Aliases, Sharing
from agent.forms import tools
from agent.messages import Message, ModelFailure, Reply, Tool
from agent.mine import mine
from agent.model import OpenAIModel
from agent.prompting import Prompts, load_prompts, read_prompt
from agent.tools import ARGUMENTS
from tests.agent.local_server import local_server, model_file
from tests.agent.small_project import budget, small

pytestmark = pytest.mark.skipif(model_file() is None, reason="the package with the model file is not installed")

CONTEXT = 1024
SHORT = Prompts(
    {
        name: read_prompt(name, f"---\nvariables: {', '.join(sorted(known.variables))}\n---\n{text}")
        for name, text in {
            "mine": "You look at events. Answer in JSON. {{most}} {{longest}}",
            "task": "{{question}} {{tried}} {{bar}} Events:\n<data>\n{{events}}\n</data>\n{{remembered}} {{facts}}",
            "again": "Wrong: {{fault}} Answer in JSON.",
            "last": "Finish.",
        }.items()
        for known in [load_prompts()[name]]
    }
)
"""The packaged ones take this model most of a minute to read."""


@pytest.fixture(scope="session")
def url() -> Generator[str]:
    with local_server(CONTEXT) as where:
        yield where


@pytest.fixture
def local(url: str) -> Generator[OpenAIModel]:
    made = OpenAIModel(url, "smollm2", timeout=30, answer_tokens=90)
    yield made
    made.close()


def simple() -> tuple[Tool, ...]:
    """The tools but for the long ones, whose answers take a while."""
    return tuple(one for one in tools(Aliases(small().taxonomy, Sharing())) if one.name not in ("attempt", "finish"))


def test_it_learns_that_this_server_calls_no_tools_and_constrains_by_schema_instead(local: OpenAIModel) -> None:
    asked = [Message("system", "Answer in JSON."), Message("user", "Look at the event note_opened.")]
    got: list[Reply] = []
    learned: list[str] = []
    for _ in range(2):
        try:
            got.append(local.turn(asked, simple()))
        except ModelFailure as failure:
            learned.append(failure.code)

    assert local.way == "schema"
    assert learned == ["adapting"]
    assert len(got) == 1
    for reply in got:
        assert reply.call is not None
        assert reply.used.tokens_in
        ARGUMENTS[reply.call.tool].model_validate(reply.call.arguments)


def test_a_schema_keeps_it_to_names_that_exist(local: OpenAIModel) -> None:
    local.way = "schema"
    look = simple()[:1]

    reply = local.turn([Message("user", "Choose an event that is about notes.")], look)

    assert reply.call is not None
    assert reply.call.tool == "look_at_event"
    assert small().taxonomy.event(reply.call.arguments["name"]) is not None


def test_too_long_a_conversation_is_refused_cleanly(local: OpenAIModel) -> None:
    local.way = "schema"
    with pytest.raises(ModelFailure) as told:
        local.turn([Message("user", "word " * 2 * CONTEXT)], simple()[:1])

    assert told.value.code == "too_long"


def test_too_long_an_answer_is_cut_and_said(url: str) -> None:
    made = OpenAIModel(url, "smollm2", timeout=30, answer_tokens=5, way="schema")
    with pytest.raises(ModelFailure) as told:
        made.turn([Message("user", "Look.")], simple())
    made.close()

    assert told.value.code == "cut_short"
    assert told.value.used.tokens_out == 5


def test_too_slow_an_answer_is_not_waited_for(url: str) -> None:
    made = OpenAIModel(url, "smollm2", timeout=0.05, way="plain")
    began = time.monotonic()
    with pytest.raises(ModelFailure) as told:
        made.turn([Message("user", "Tell a long story. " * 100)], simple())
    made.close()

    assert told.value.code == "timeout"
    assert time.monotonic() - began < 3


class Narrow:
    """The same model with fewer tools to choose from: it would attempt all it can, at some length."""

    name, host = "smollm2", "127.0.0.1"

    def __init__(self, inner: OpenAIModel) -> None:
        self.inner = inner

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        return self.inner.turn(messages, [one for one in tools if one.name in ("look_at_event", "finish")])


def test_a_tool_loop_with_it_ends_and_is_recorded(local: OpenAIModel) -> None:
    local.way = "schema"
    alone = mine(small().fresh(), small().taxonomy, model=None, budget=budget())

    given = budget(calls=3, context_tokens=300)
    mined = mine(small().fresh(), small().taxonomy, model=Narrow(local), sharing=Sharing("opaque"), prompts=SHORT, budget=given)

    own = [one.hypothesis.fingerprint for one in mined.found.proposals if one.source == "search"]
    assert own == [one.hypothesis.fingerprint for one in alone.found.proposals]
    assert [one.tool for one in mined.record.turns] == ["look_at_event", "look_at_event", "finish"]
    assert [one.failed for one in mined.record.turns] == [None] * 3
    assert mined.record.stopped_because == "finished"
    assert mined.record.cost.tokens_in > 300
    assert not mined.record.cost.estimated


def test_a_run_whose_context_overflows_shortens_once_and_is_recorded(local: OpenAIModel) -> None:
    local.way = "schema"
    long = tuple(small().taxonomy.events[0].model_copy(update={"name": f"event number {n} of a long list of events"}) for n in range(100))
    taxonomy = small().taxonomy.model_copy(update={"events": (*small().taxonomy.events, *long)})

    mined = mine(small().fresh(), taxonomy, model=Narrow(local), prompts=SHORT, budget=budget(calls=2, context_tokens=30_000))

    assert [one.failed for one in mined.record.turns] == ["too_long", None]
    assert mined.found.proposals

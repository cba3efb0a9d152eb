"""Five hundred instructions as names of events and values of properties, and a model that obeys all it reads."""

from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from agent.aliases import Sharing, plain
from agent.memory import Memory, Remembered
from agent.messages import Message, Reply, Tool
from agent.mine import Mined, mine
from beton.bench.scripted import HostileModel
from tests.agent.injections import injections
from tests.agent.small_project import ROLE_VALUES, Small, budget, renamed, small


class Listening(HostileModel):
    """Keeps everything that was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        self.sent += [one.text for one in messages] + [str(one) for one in tools]
        return super().turn(messages, tools)


@cache
def planted() -> Small:
    """The small project with an instruction for each name, in the order of the names, and the rest as events of one unit each. PostHog's own names,
    which taste knows, stay."""
    every = injections()
    names = sorted(name for name in {one.name for one in small().taxonomy.events} | {*small().discovery.log.names} if not name.startswith("$"))
    events = dict(zip(names, every, strict=False))
    roles = dict(zip(ROLE_VALUES, every[len(names) :], strict=False))
    return renamed(events, roles, tuple(every[len(names) + len(roles) :]))


def told(mined: Mined) -> list[object]:
    """All that a proposal is, without its names."""
    return [(one.shrunken_lift, one.source, one.backtest["q_value"], one.backtest["confirmed"]) for one in mined.found.proposals]


def run(project: Small, model: HostileModel | None, sharing: Sharing) -> Mined:
    return mine(project.fresh(), project.taxonomy, model=model, sharing=sharing, budget=budget(calls=80, failures=80, queries=80, tokens=10_000_000))


def leaked(texts: Sequence[str]) -> Iterator[str]:
    """Instructions of which a telling part occurs in what was sent."""
    everything = "\n".join(texts)
    for one in injections():
        if one in everything or one[:60] in everything or plain(one, 60)[:-1] in everything:
            yield one


def test_there_are_five_hundred() -> None:
    assert len(injections()) == 500
    used = {one.name for one in planted().taxonomy.events} | {value for one in planted().taxonomy.properties for value in one.values}
    assert set(injections()) <= used


def test_behind_ids_no_word_of_a_stranger_is_sent_and_nothing_differs_from_harmless_names() -> None:
    model, harmless = Listening(), Listening()

    mined = run(planted(), model, Sharing("opaque", values=True))
    benign = run(small(), harmless, Sharing("opaque", values=True))

    assert len(told(mined)) >= 3
    assert not [*leaked(model.sent)]
    assert not model.obeyed
    assert told(mined) == told(benign)
    assert told(mined) == told(run(planted(), None, Sharing("opaque")))
    assert [(one.tool, one.outcome, one.failed) for one in mined.record.turns] == [(one.tool, one.outcome, one.failed) for one in benign.record.turns]


@pytest.mark.parametrize("values", [False, True])
def test_obeying_all_of_them_changes_no_proposal(values: bool) -> None:
    model = Listening()

    mined = run(planted(), model, Sharing("names", values=values))

    assert len(model.obeyed) > 20
    assert told(mined) == told(run(planted(), None, Sharing()))
    assert {one.failed for one in mined.record.turns if one.tool is None} == {"wrong"}


def test_names_stay_inside_their_block() -> None:
    model = Listening()

    run(planted(), model, Sharing("names", values=True))

    for text in model.sent:
        if "<data>" not in text or text.startswith("Tool("):
            continue
        parts = text.split("\n")
        assert text.count("<data>") == text.count("</data>") or "<data> and </data>" in text
        assert [one for one in parts if "<data>" in one and one != "<data>"] == [one for one in parts if "Everything between <data>" in one]


def test_values_are_not_sent_unless_somebody_said_so() -> None:
    model = Listening()
    values = [one for one in small().discovery.log.columns[("role",)].values if isinstance(one, str)]

    run(small(), model, Sharing("names", values=False))

    assert values
    assert not [one for one in values if f'"{one}"' in "".join(text for text in model.sent if not text.startswith("You help"))]


def test_what_it_says_is_plain_bounded_text() -> None:
    words = run(planted(), HostileModel(), Sharing("names", values=True)).words

    assert words
    for one in words.values():
        for text in (one.sentence, one.reason):
            assert len(text) <= 800
            assert text.isprintable()
            assert not set(text) & set("<>[]`*|")
            assert "://" not in text


def test_reasons_and_facts_are_data_too() -> None:
    one = small().discovery.finds(1)[0].hypothesis
    every = injections()
    memory = Memory(
        remembered=tuple(Remembered(fingerprint=f"{n}", hypothesis=one, status="retired", reason=text) for n, text in enumerate(every[:10])),
        facts=tuple(every[10:20]),
    )
    model = Listening()

    mined = mine(small().fresh(), small().taxonomy, model=model, memory=memory, budget=budget(calls=40, failures=40))

    assert model.obeyed
    assert told(mined) == told(mine(small().fresh(), small().taxonomy, model=None, memory=memory, budget=budget()))

"""The loop: a model looks, attempts and finishes, within a budget that it does not keep; then the search concludes, with or without it.

Whatever a model does, what is proposed has passed the same gates as what the search found by itself. A model that fails, or never ends, costs what
the budget allows and changes nothing else: its ideas that were counted stay counted, and the record says how it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from agent.aliases import LONGEST_WORDS, Aliases, Sharing, plain, short
from agent.budget import Budget, Purse, Spent
from agent.choosing import chosen
from agent.discovery import Discovery
from agent.forms import tools
from agent.found import Considered, Found
from agent.memory import LeftOut, Memory, leave_out
from agent.messages import CHARACTERS_PER_TOKEN, Message, Model, ModelFailure, Reply, Tool, Used, trimmed
from agent.parts import Candidate
from agent.prompting import Prompts, load_prompts
from agent.record import Cost, ModelNamed, Record, RuledOut, Stopped, Turn, Words
from agent.tools import ARGUMENTS, LONGEST_RESULT, Desk, as_data, written_as_data
from backtest.taxonomy import Taxonomy

Told = Callable[[Spent, str], None]
"""What has been spent so far, and a sentence about what is done and what is left."""

NOTHING, NAMES = Memory(), Sharing()

TRIES: Mapping[str, int] = {"rate_limited": 3, "server_error": 2, "timeout": 1, "too_long": 1}
"""How often a turn that failed so is asked again, in one run. Other failures that are of the provider end it at once."""

MENDABLE = ("malformed", "cut_short")
MAY_COST = (*MENDABLE, "timeout")
"""Failures that a provider may charge for though it does not say how many tokens."""

MOST_REMEMBERED = 20
MOST_CONSIDERED = 50

STOPPED: Mapping[str, str] = {
    "no_model": "No model is configured; the search concluded alone.",
    "finished": "The model finished.",
    "calls": "The limit of calls was reached.",
    "tokens": "The limit of tokens was reached.",
    "money": "The limit of money was reached.",
    "seconds": "The limit of time was reached.",
    "queries": "The limit of questions to the search was reached.",
    "failures": "Too many answers of the model could not be used.",
}


@dataclass(frozen=True)
class Mined:
    """What was found; how; and what the model said, by fingerprint. Words are advice: nothing was decided by them."""

    found: Found
    record: Record
    words: Mapping[str, Words]


def mine(
    discovery: Discovery,
    taxonomy: Taxonomy,
    *,
    model: Model | None,
    budget: Budget,
    memory: Memory = NOTHING,
    sharing: Sharing = NAMES,
    most: int = 10,
    prompts: Prompts | None = None,
    progress: Told = lambda *_: None,
) -> Mined:
    """Let a model take part in a search, then conclude it. `most` proposals of the search, and as many more of the model's ideas at most.

    The discovery must not have been concluded; afterwards it has. Raises PromptRefused for prompts that do not fit; a model never makes it raise.
    """
    every = max(discovery.tried, 1)
    candidates = discovery.finds(every)
    left = leave_out(memory, candidates, discovery.log, discovery.bar)
    if model is None:
        talk, stopped, sentence, used = None, "no_model", STOPPED["no_model"], prompts
    else:
        used = prompts or load_prompts()
        talk = _Talk(discovery, taxonomy, model, memory, sharing, budget, most, used, progress)
        talk.desk.shortlist = _shortlist(discovery, [one for one in candidates if one.hypothesis.fingerprint not in left], most)
        stopped, sentence = talk.held()
        known = {one.hypothesis.fingerprint for one in candidates}
        more = [one for one in discovery.finds(every + discovery.tried) if one.hypothesis.fingerprint not in known]
        left |= leave_out(memory, more, discovery.log, discovery.bar)
        candidates += more
    found = discovery.conclude(most, leave_out=left)
    record = Record(
        taxonomy_digest=taxonomy.digest(),
        prompt_digests=used.digests if talk is not None and used is not None else {},
        model=ModelNamed(name=short(model.name, 100), host=short(model.host, 100)) if model is not None else None,
        sharing=sharing.mode,
        values_shared=sharing.values,
        turns=tuple(talk.turns) if talk is not None else (),
        tried=found.tried,
        considered=_considered(found.considered, left, {one.hypothesis.fingerprint: one.hypothesis.to_json() for one in candidates}),
        stopped_because=stopped,
        stopped_sentence=sentence,
        cost=talk.cost if talk is not None else Cost(),
    )
    return Mined(found, record, dict(talk.desk.words) if talk is not None else {})


def _shortlist(discovery: Discovery, candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """What the search would propose if it concluded now; the confirming part is not looked at."""
    return [] if discovery.parts is None else [one.candidate for one in chosen(candidates, discovery.parts, discovery.bar, most)]


def _considered(ruled_out: tuple[Considered, ...], left: Mapping[str, LeftOut], written: Mapping[str, dict]) -> tuple[RuledOut, ...]:
    """What the search ruled out, and what people had decided already."""
    found = [
        RuledOut(
            fingerprint=one.hypothesis.fingerprint,
            hypothesis=one.hypothesis.to_json(),
            code=one.code,
            sentence=one.sentence,
            numbers={
                "sample_size": one.sample_size,
                "true_positives": one.true_positives,
                "lift": one.lift,
                "lift_low": one.lift_low,
                "q_value": one.q_value,
            },
        )
        for one in ruled_out[:MOST_CONSIDERED]
        if one.hypothesis.fingerprint not in left
    ]
    known = [RuledOut(fingerprint=key, hypothesis=written[key], code=why.code, sentence=why.sentence) for key, why in left.items()]
    return (*found, *known[:MOST_CONSIDERED])


@dataclass
class _Talk:
    """One conversation."""

    discovery: Discovery
    taxonomy: Taxonomy
    model: Model
    memory: Memory
    sharing: Sharing
    budget: Budget
    most: int
    prompts: Prompts
    progress: Told
    turns: list[Turn] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    again: dict[str, int] = field(default_factory=dict)
    estimated: bool = False
    prompt: str = "task"
    last_used: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.purse = Purse(self.budget)
        self.aliases = Aliases(self.taxonomy, self.sharing)
        self.desk = Desk(self.discovery, self.taxonomy, self.aliases, self.model.name)
        self._within(self.budget.context_tokens)
        self.allowed: list[str] = []

    def _within(self, tokens: int) -> None:
        """What is said from now on takes so much room."""
        self.room = tokens
        self.desk.longest = min(LONGEST_RESULT, tokens * CHARACTERS_PER_TOKEN // 4)

    def held(self) -> tuple[Stopped, str]:
        """The whole conversation; why it ended, in a word and in a sentence."""
        while True:
            if (limit := self.purse.empty()) is not None:
                return limit, STOPPED[limit]
            offered = self._offered()
            messages = trimmed([*self._opening(), *self.said], self.room)
            began = self.purse.seconds()
            self.purse.request()
            try:
                reply = self.model.turn(messages, offered)
            except ModelFailure as failure:
                self._paid(failure.used, messages if failure.code in MAY_COST else [], failure.text)
                if (why := self._failed(failure, messages, self.purse.seconds() - began)) is not None:
                    return why, failure.sentence
                continue
            self._paid(reply.used, messages, reply.text)
            if self._done(reply, self.purse.seconds() - began):
                return "finished", STOPPED["finished"]

    def _offered(self) -> tuple[Tool, ...]:
        """The tools, without the one that ends it until there is a candidate to speak of; at the end only that one, once it has been said."""
        every = tools(self.aliases, list(self.desk.shown))
        if not self.purse.last_call():
            self.allowed = [one.name for one in every]
            return every if self.desk.shown else every[:-1]
        if self.prompt != "last":
            self.said.append(Message("user", self.prompts["last"].filled()))
            self.prompt = "last"
        self.allowed = ["finish"]
        return every[-1:]

    def _opening(self) -> list[Message]:
        room = self.room * CHARACTERS_PER_TOKEN
        system = self.prompts["mine"].filled(most=str(2 * self.most), longest=str(LONGEST_WORDS))
        task = self.prompts["task"].filled(
            question=written_as_data(self._question()),
            tried=f"{self.discovery.tried:,}",
            bar=f"{self.discovery.bar.min_lift_low:g}",
            events=self.desk.overview(max(300, (room - len(system)) // 3)),
            remembered="\n".join(self._remembered(room // 12)) or "nothing yet",
            facts="\n".join(self._facts(room // 12)) or "nothing yet",
        )
        return [Message("system", system), Message("user", task)]

    def _question(self) -> dict:
        asked = self.aliases.hidden(self.discovery.question.ask({"kind": "age", "at_least": "1d"}))
        return {key: value for key, value in asked.items() if key != "clauses"}

    def _remembered(self, most_characters: int) -> list[str]:
        told = [one for one in self.memory.remembered if one.status not in ("draft", "proposed")]
        lines = [
            written_as_data({"said": one.status, "clauses": self.aliases.hidden(one.hypothesis)["clauses"], "because": self._shared(one.reason)})
            for one in told[-MOST_REMEMBERED:]
        ]
        return _first(lines[::-1], most_characters)

    def _facts(self, most_characters: int) -> list[str]:
        return _first([written_as_data(self._shared(one)) for one in self.memory.facts], most_characters)

    def _shared(self, text: str | None) -> str:
        return short(self.aliases.without_names(text or ""), 300)

    # --- one turn ----------------------------------------------------------------------------------------------------

    def _paid(self, used: Used, messages: list[Message], answer: str) -> None:
        counted = used.tokens_in is not None and used.tokens_out is not None
        self.estimated |= not counted
        tokens_in = used.tokens_in if used.tokens_in is not None else sum(one.length for one in messages) // CHARACTERS_PER_TOKEN
        tokens_out = used.tokens_out if used.tokens_out is not None else len(answer) // CHARACTERS_PER_TOKEN
        self.last_used = tokens_in, tokens_out
        self.purse.pay(tokens_in, tokens_out)

    def _done(self, reply: Reply, seconds: float) -> bool:
        call = reply.call
        if call is None:
            self._misunderstood("it called no tool", reply.text, seconds, "malformed")
            return False
        if call.tool != "finish":
            self.purse.query()
        done = self.desk.run(call, self.allowed)
        if done.wrong:
            self.purse.fail()
        tool = call.tool if call.tool in ARGUMENTS else None
        self._turn(tool, done.outcome, seconds, arguments=done.arguments, failed="wrong" if done.wrong else None)
        self.said += [Message("assistant", call=call), Message("tool", as_data(done.result))]
        self.prompt = self.prompt if self.prompt == "last" else "result"
        self.progress(self.purse.spent, f"The model: {tool or 'an unknown tool'}, {done.outcome}. {self.purse.sentence}.")
        return done.finished

    def _failed(self, failure: ModelFailure, messages: list[Message], seconds: float) -> Stopped | None:
        """Why the conversation ends, None where the turn is asked again."""
        if failure.code == "adapting":
            self._turn(None, failure.sentence, seconds, failed="adapting")
            return None
        if failure.code in MENDABLE:
            self._misunderstood(failure.sentence, failure.text, seconds, failure.code)
            return None
        self.purse.fail()
        self._turn(None, failure.sentence, seconds, failed=failure.code)
        self.progress(self.purse.spent, f"The model failed: {failure.sentence} {self.purse.sentence}.")
        tried = self.again[failure.code] = self.again.get(failure.code, 0) + 1
        if tried > TRIES.get(failure.code, 0):
            return failure.code
        if failure.code == "too_long":
            self._within(min(self.room, sum(one.length for one in messages) // CHARACTERS_PER_TOKEN) // 2)
            return None
        return None if self.purse.wait(failure.retry_after, tried - 1) else failure.code

    def _misunderstood(self, fault: str, text: str, seconds: float, code: str) -> None:
        """Nothing to run came back; it is told so."""
        self.purse.fail()
        self._turn(None, plain(fault, 200), seconds, arguments={"written": plain(text, 500)}, failed=code)
        self.said += [Message("assistant", short(text, 300)), Message("user", self.prompts["again"].filled(fault=fault))]
        self.prompt = "again"
        self.progress(self.purse.spent, f"The model: an answer of no use. {self.purse.sentence}.")

    def _turn(self, tool: str | None, outcome: str, seconds: float, *, arguments: dict | None = None, failed: str | None = None) -> None:
        tokens_in, tokens_out = self.last_used
        self.turns.append(
            Turn(
                tool=tool,
                arguments=arguments or {},
                outcome=outcome,
                failed=failed,
                prompt=self.prompt,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                seconds=round(seconds, 3),
            )
        )

    @property
    def cost(self) -> Cost:
        return Cost(**asdict(self.purse.spent), estimated=self.estimated)


def _first(lines: list[str], most_characters: int) -> list[str]:
    """The first lines that fit."""
    kept: list[str] = []
    for one in lines:
        most_characters -= len(one)
        if most_characters < 0:
            break
        kept.append(one)
    return kept

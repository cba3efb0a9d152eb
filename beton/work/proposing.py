"""Hypotheses that nobody has written yet: searched for in one read of the project, with a model or without, and kept as proposals with the numbers
they were found by and the record of how that came about."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.budget import Spent
from agent.memory import LIVE, Memory, Remembered, leave_out
from agent.mine import Mined, mine
from agent.search import Discovery, Found, Proposal, Question, conditions, discover
from agent.so_far import Lead
from backtest import EventLog, Hypothesis, Window, plan_reads
from backtest.durations import DAY
from backtest.language import Cohort
from backtest.sentence import sentence
from backtest.taxonomy import Taxonomy
from beton.errors import BadInput, BetonError
from beton.store import runs, search_records, taxonomies
from beton.store.records import Connection, RunStatus
from beton.store.records import Hypothesis as Kept
from beton.work.asking import sampled_taxonomy
from beton.work.backtesting import Progress, read_log
from beton.work.firing import keep_fires, latest_fires
from beton.work.keeping_finds import beside_live, keep_finds
from beton.work.provenance import line, record_of, told
from beton.work.remembering import memory_of
from beton.work.the_model import budget_now, sharing_of
from beton.work.workplace import Workplace, instant

if TYPE_CHECKING:
    from agent.messages import Model

MOST_KNOWN = 200
"""Decided hypotheses that a search is compared with, the newest: each is read along."""


@dataclass(frozen=True)
class Proposed:
    """What was found and kept, in the order of the list; those known from earlier get the new numbers. `record`: how that came about."""

    kept: tuple[Kept, ...]
    found: Found
    events: int
    run_id: str
    record: dict[str, Any] = field(repr=False)


async def propose(
    place: Workplace,
    connection: Connection,
    question: Question,
    window: Window,
    *,
    most: int = 10,
    progress: Progress = lambda *_: None,
    run_id: str | None = None,
    model: Model | None = None,
) -> Proposed:
    """Search the connection's window for behaviour that precedes the outcome; `run_id` names a run that has begun already.

    A `model` may look at the discovering part and attempt ideas of its own, within its budget. What people have rejected stays away unless its
    evidence has changed, and so does what is live.
    """
    with _within_run(place, connection, window, run_id) as run:
        taxonomy = sampled_taxonomy(place, connection)
        singles = conditions(question, taxonomy, window)
        if not singles:
            raise BadInput("No event of this project is used widely enough to search.", fix="Check the taxonomy: beton taxonomy NAME")
        with place.store.reading() as tx:
            memory = _asked_alike(memory_of(tx, connection.id), question)
        log = await _read(place, connection, singles, memory, window, taxonomy, progress)
        tell = lambda done, total, what: progress(f"Trying {what}", done, total)  # noqa: E731
        noticed = lambda found: _tell_leads(place, run, found)  # noqa: E731
        discovery = discover(question, singles, log, bar=place.bar, taxonomy=taxonomy, progress=tell, noticed=noticed)
        mined = _mined(place, connection, discovery, taxonomy, memory, most, model, run, progress)
        return _keep(place, connection, question, window, run, discovery, mined, memory, log)


def _tell_leads(place: Workplace, run_id: str, found: Sequence[Lead]) -> None:
    """Write down for whoever watches what stands out so far. It is gone when the run ends: nothing of it has been confirmed."""
    so_far = [{"sentence": sentence(one.hypothesis), "lift": one.lift} for one in found]
    with place.store.transaction() as tx:
        now = runs.get(tx, run_id).progress
        runs.progress(tx, run_id, done=now["done"], total=now["total"], message=now["message"], counts={"so_far": so_far})


def _keep(
    place: Workplace,
    connection: Connection,
    question: Question,
    window: Window,
    run_id: str,
    discovery: Discovery,
    mined: Mined,
    memory: Memory,
    log: EventLog,
) -> Proposed:
    """Compare the finds with what is live, and write everything down in one transaction."""
    live = [one for one in memory.remembered if one.status in LIVE]
    beside = {one.hypothesis.fingerprint: beside_live(one.hypothesis, live, log) for one in mined.found.proposals}
    late = leave_out(memory, [_AsFound.of(one) for one in mined.found.proposals], log, place.bar)
    fresh = [one for one in mined.found.proposals if one.hypothesis.fingerprint not in late and not beside[one.hypothesis.fingerprint].repeats]
    found = replace(mined.found, proposals=tuple(fresh))
    record = record_of(question, window, discovery, mined, found, place.bar, facts=memory.facts)
    cut = None if discovery.parts is None else instant(discovery.parts.cut)
    with place.store.transaction() as tx:
        kept = keep_finds(tx, place, connection, found, window, run_id, cut)
        snapshot = taxonomies.latest(tx, connection.id)
        record["taxonomy"] = None if snapshot is None else {"snapshot_digest": snapshot.digest, "taken_at": told(snapshot.taken_at)}
        for number, (one, row) in enumerate(zip(found.proposals, kept, strict=True), 1):
            key = one.hypothesis.fingerprint
            record["proposals"].append(line(number, key, one.source, beside[key], mined, hypothesis_id=row.id, version=row.version))
        fired = {place: latest_fires(one.hypothesis, log) for place, one in enumerate(found.proposals)}
        keep_fires(tx, connection, run_id, [row.id for row in kept], fired, last=True)
        search_records.keep(tx, run_id, connection.id, record)
        counts = {"tried": found.tried, "proposed": len(kept), "sentence": record["sentence"], "model": record["how"]["cost"]}
        runs.finish(tx, run_id, RunStatus.DONE, counts=counts | place.reading.to_json())
    return Proposed(tuple(kept), found, len(log.at), run_id, record)


@dataclass(frozen=True)
class _AsFound:
    """A proposal as the discovering part told of it: of very many candidates only the best were compared with what is remembered before."""

    hypothesis: Hypothesis
    sample_size: int
    lift_low: float

    @classmethod
    def of(cls, one: Proposal) -> _AsFound:
        told = one.backtest["discovery"]
        return cls(one.hypothesis, told["sample_size"], told["closed"].get("lift_low") or 0.0)


async def _read(
    place: Workplace,
    connection: Connection,
    singles: list[Hypothesis],
    memory: Memory,
    window: Window,
    taxonomy: Taxonomy,
    progress: Progress,
) -> EventLog:
    """One log for what is tried and for what is known, so that the two can be compared."""
    known = [one.hypothesis for one in memory.remembered if _can_be_read(one, taxonomy)]
    async with place.client(connection) as client:
        (plan,) = plan_reads([*singles, *known], window)
        return await read_log(client, plan, taxonomy, progress)


def _can_be_read(one: Remembered, taxonomy: Taxonomy) -> bool:
    """Members of cohorts are a query of their own, and events that are gone have nothing to read."""
    cohorts = any(isinstance(clause, Cohort) for clause in one.hypothesis.clauses)
    return not cohorts and all(taxonomy.event(name) is not None for name in one.events)


def _asked_alike(memory: Memory, question: Question) -> Memory:
    """Of the decided ones, those about the same units; the newest, so that the reading does not grow for ever."""
    decided = [one for one in memory.remembered if one.status not in ("draft", "proposed") and one.hypothesis.unit == question.unit]
    return memory.model_copy(update={"remembered": tuple(decided[-MOST_KNOWN:])})


def _mined(
    place: Workplace,
    connection: Connection,
    discovery: Discovery,
    taxonomy: Taxonomy,
    memory: Memory,
    most: int,
    model: Model | None,
    run_id: str,
    progress: Progress,
) -> Mined:
    """The search concluded, by a model or alone. What a model has cost is written down as it goes, so that a crash does not forget it."""
    sharing, budget = sharing_of(place, connection.id), budget_now(place, place.clock())
    with place.store.reading() as tx:
        before = search_records.spent_by(tx, run_id)  # a run that a crash has interrupted begins anew, what it has cost stays

    def note(calls: int, tokens: int, money: float) -> None:
        with place.store.transaction() as tx:
            search_records.spend(tx, run_id, calls=before.calls + calls, tokens=before.tokens + tokens, money=before.money + money)

    def tell(spent: Spent, sentence: str) -> None:
        note(spent.calls, spent.tokens, spent.money)
        progress(sentence, spent.calls, budget.limits.calls)

    seen = taxonomy if sharing.values else _without_values(taxonomy)
    mined = mine(discovery, seen, model=model, budget=budget, memory=memory, sharing=sharing, most=most, progress=tell)
    cost = mined.record.cost
    if model is not None:
        note(cost.calls, cost.tokens_in + cost.tokens_out, cost.money)
    return mined


def _without_values(taxonomy: Taxonomy) -> Taxonomy:
    return taxonomy.model_copy(update={"properties": tuple(one.model_copy(update={"values": ()}) for one in taxonomy.properties)})


@contextmanager
def _within_run(place: Workplace, connection: Connection, window: Window, run_id: str | None) -> Generator[str]:
    """The run under which everything is kept. One that is made here also ends here, however that comes about."""
    if run_id is not None:
        yield run_id
        return
    with place.store.transaction() as tx:
        made = runs.queue(tx, "propose", connection_id=connection.id, request={"window_days": (window.end - window.start) / DAY}).id
        runs.begin(tx, made)
    try:
        yield made
    except BetonError as error:
        with place.store.transaction() as tx:
            runs.finish(tx, made, RunStatus.FAILED, error=error.as_problem())
        raise
    finally:
        with place.store.transaction() as tx:
            if not runs.get(tx, made).status.over:
                runs.finish(tx, made, RunStatus.CANCELLED)

"""What is read and what that takes: connections with their health and budget, names, questions, facts and runs, as pages show them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.lint import Remark, lint
from agent.outcomes import Suggestions
from backtest.durations import DAY
from backtest.taxonomy import Taxonomy
from beton.lifecycle import Status
from beton.posthog.ledger import Spent
from beton.posthog.limits import Standing
from beton.store import connections, hypotheses, hypothesis_lists, questions, runs, taxonomies
from beton.store.ledger import RequestLedger
from beton.store.questions import ConfirmedQuestion, Fact
from beton.store.records import Connection, Page, Run, RunStatus, TaxonomySnapshot
from beton.store.store import Transaction
from beton.work.asking import confirm_question, entry_names, question_from, sampled_taxonomy, suggested_question, suggestions
from beton.work.provenance import signal_carriers
from beton.work.workplace import Workplace, limits_for

HOUR = timedelta(hours=1)
UNDER_WAY = (RunStatus.QUEUED, RunStatus.RUNNING)
WORTH_TESTING = (Status.DRAFT, Status.PROPOSED, Status.SNOOZED, Status.APPROVED, Status.PAUSED)


@dataclass(frozen=True)
class Budget:
    """What Beton has used of its share of PostHog's limits."""

    standing: Standing
    read_hour: int
    """Bytes that PostHog read for us within the last hour."""


@dataclass(frozen=True)
class Survey:
    """A connection as it stands in the list."""

    connection: Connection
    budget: Budget
    names_taken_at: datetime | None
    events: int
    question: ConfirmedQuestion | None


@dataclass(frozen=True)
class Overview:
    """All connections, and the last runs."""

    surveys: tuple[Survey, ...]
    runs: Page[Run]
    names: dict[str, str]
    """Connections' names by id."""

    @property
    def under_way(self) -> tuple[Run, ...]:
        """Runs that are not over."""
        return tuple(one for one in self.runs.data if not one.status.over)


@dataclass(frozen=True)
class SurveyClosely:
    """One connection with all that is known of its project."""

    survey: Survey
    taxonomy: Taxonomy | None
    remarks: tuple[Remark, ...]
    signal: Sequence[dict[str, Any]]
    """Which few events carried the signal in the newest search."""
    suggested: Suggestions | None
    facts: tuple[Fact, ...]
    runs: tuple[Run, ...]
    worth_testing: int
    hypotheses: int

    @property
    def connection(self) -> Connection:
        """The connection itself."""
        return self.survey.connection


def overview(place: Workplace, *, limit: int = 10, after: str | None = None) -> Overview:
    """Connections with their health, and runs, newest first."""
    with place.store.reading() as tx:
        every = connections.every(tx)
        told = [(one, taxonomies.latest(tx, one.id), questions.confirmed(tx, one.id)) for one in every]
        found = runs.listing(tx, limit=limit, after=after)
    return Overview(tuple(_survey(place, *one) for one in told), found, {one.id: one.name for one in every})


def look(place: Workplace, name: str) -> SurveyClosely:
    """One connection, known by name or id."""
    with place.store.reading() as tx:
        one = connections.get(tx, name)
        snapshot, question = taxonomies.latest(tx, one.id), questions.confirmed(tx, one.id)
        facts, last = tuple(questions.facts(tx, one.id)), runs.listing(tx, connection_id=one.id, limit=8).data
        worth, kept = len(_to_test(tx, one)), sum(hypothesis_lists.count_by_status(tx, connection_id=one.id).values())
    known = sampled_taxonomy(place, one) if snapshot is not None else None
    return SurveyClosely(
        survey=_survey(place, one, snapshot, question),
        taxonomy=known,
        remarks=lint(known) if known is not None else (),
        signal=signal_carriers(place, one.id),
        suggested=suggestions(place, one) if known is not None else None,
        facts=facts,
        runs=last,
        worth_testing=worth,
        hypotheses=kept,
    )


def asked_in_words(question: ConfirmedQuestion) -> str:
    """What a confirmed question asks, as a sentence in the words of the suggestions."""
    asked = question_from(question.definition)
    who = "each person" if asked.unit == "person" else f"each {question.definition['unit']['group']}"
    begins = f"from {entry_names(asked.entry)} on" if asked.entry else "from the first event on"
    leaving = ", internal traffic left out" if asked.entry and asked.entry.where else ""
    match = getattr(asked.outcome, "match", None)
    towards = " or ".join(match.events) if match is not None else f"{question.definition['outcome'].get('property', 'the outcome')} reaching a value"
    days = asked.outcome.horizon / DAY
    return f"For {who}, {begins}{leaving}: what precedes {towards} within {days:g} days?"


def confirm_suggestion(
    place: Workplace,
    connection: Connection,
    number: int,
    *,
    horizon_days: int,
    window_days: int,
    at_least: float | None,
    leave_out_internal: bool,
    share_values: bool,
    actor: str,
) -> ConfirmedQuestion:
    """Keep the suggestion with this number as the connection's question."""
    found = suggestions(place, connection)
    question = suggested_question(found, number, horizon_days=horizon_days, at_least=at_least, leave_out_internal=leave_out_internal)
    return confirm_question(place, connection, question, window_days=window_days, actor=actor, share_values=share_values)


def to_test(place: Workplace, connection: Connection) -> list[str]:
    """Ids of the hypotheses of a connection that a backtest of all would test."""
    with place.store.reading() as tx:
        return _to_test(tx, connection)


def _to_test(tx: Transaction, connection: Connection) -> list[str]:
    return [one.id for one in hypotheses.every(tx, connection_id=connection.id, statuses=WORTH_TESTING)]


def _survey(place: Workplace, one: Connection, snapshot: TaxonomySnapshot | None, question: ConfirmedQuestion | None) -> Survey:
    events = len(snapshot.content["events"]) if snapshot is not None else 0
    return Survey(one, asyncio.run(_budget(place, one)), None if snapshot is None else snapshot.taken_at, events, question)


async def _budget(place: Workplace, one: Connection) -> Budget:
    """As the book of requests has it; what other processes have learned of PostHog's pressure is theirs."""
    ledger = place.ledger or RequestLedger(place.store, one.id, Spent)
    cloud = one.limits.get("throttled_as") == "cloud" or one.host.endswith(".posthog.com")
    limits = limits_for(cloud, one.share, place.clock, ledger)
    return Budget(await limits.describe("query"), (await ledger.spent("query", place.clock() - HOUR)).read)

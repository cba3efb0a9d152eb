"""A dry run: what a route would have sent in the last weeks, under rules that are kept or only thought of. Nothing is sent or written down.

Played in order of time are the signals of those weeks and, for live hypotheses, the fires of their newest backtests that were not signals yet.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from beton.lifecycle import SENDING
from beton.routing.channels import Channel, channel
from beton.signals import Account, RouteKind, Signal, signal_type
from beton.store import backtests, directing, fires, holding, hypotheses, reach, routes, signals
from beton.store.reach import Entry
from beton.store.records import Hypothesis
from beton.store.route_rules import Cooldown, Owners, Rules
from beton.store.store import Transaction
from beton.work.following import owner_names
from beton.work.telling import signal_message, templated
from beton.work.workplace import Workplace

MOST = 2000
"""Signals and fires that are looked at, the latest ones."""

SHOWN = 50
WEEKS = 4
MOST_WEEKS = 12
NOT_TOLD = "cohort"
"""Why it cannot be told of the past whether it would have gone: who was in a cohort then is kept nowhere."""


@dataclass(frozen=True)
class Candidate:
    """A signal, or a fire of a backtest as the signal that it would have been."""

    signal: Signal
    account: Account | None
    from_backtest: bool


@dataclass(frozen=True)
class Line:
    """One candidate and what would have become of it: `why` it would not have gone, or the owner and the text with which it would."""

    candidate: Candidate
    why: str | None
    owner: str | None = None
    title: str = ""
    text: str = ""


@dataclass(frozen=True)
class Preview:
    """All that were looked at since an instant, and the latest of them."""

    since: datetime
    sent: int
    why: Counter[str]
    lines: tuple[Line, ...]
    turns: Counter[str] = field(default_factory=Counter)
    """Owner → how many would have been theirs, by name."""


def preview(place: Workplace, *, route: str | None = None, rules: Rules | None = None, kind: RouteKind = "webhook", weeks: int = WEEKS) -> Preview:
    """Of a route as it is, or with other rules, or of rules alone."""
    with place.store.reading() as tx:
        kept = None if route is None else routes.get(tx, route)
        tried = rules or (kept.rules if kept else Rules())
        own = channel(kept.kind if kept else kind)
        since = tx.now - timedelta(weeks=max(1, min(weeks, MOST_WEEKS)))
        played = list(_play(tx, tried, _candidates(tx, since)))
        names = owner_names(tx)
        turns = Counter(names.get(one.owner, "somebody who has left") for one in played if one.owner)
        shown = [_worded(place, tx, one, tried, own, names) for one in played[::-1][:SHOWN]]
        return Preview(since, sum(one.why is None for one in played), Counter(one.why for one in played if one.why), tuple(shown), turns)


# --- candidates ------------------------------------------------------------------------------------------------------


def _candidates(tx: Transaction, since: datetime) -> list[Candidate]:
    found = [one for one in _signals(tx, since) if one.unit_id is not None]
    accounts = reach.accounts(tx, [one.id for one in found])
    candidates = [Candidate(one, accounts.get(one.id), from_backtest=False) for one in found]
    there = {(one.hypothesis_id, one.unit_id) for one in found}
    for row in hypotheses.every(tx, statuses=tuple(SENDING)):
        candidates += [Candidate(one, None, from_backtest=True) for one in _fires(tx, row, since) if (row.id, one.unit_id) not in there]
    return sorted(candidates, key=lambda one: (one.signal.fired_at, one.signal.id))[-MOST:]


def _signals(tx: Transaction, since: datetime) -> Iterable[Signal]:
    after, left = None, MOST
    while left > 0:
        page = signals.listing(tx, since=since, limit=200, after=after)
        yield from page.data
        after, left = page.next_after, left - len(page.data)
        if after is None:
            return


def _fires(tx: Transaction, row: Hypothesis, since: datetime) -> list[Signal]:
    tested = backtests.latest(tx, [row.id]).get(row.id)
    if tested is None:
        return []
    kinds = {clause.get("kind") for clause in row.definition.get("clauses", ())}
    made = []
    for number, fire in enumerate(fires.latest(tx, row.id, tested.run_id, limit=fires.MOST)):
        if fire.fired_at >= since and fire.unit_id:
            made.append(
                Signal(
                    id=f"would-be-{row.id}-{number}",
                    workspace_id=tx.workspace_id,
                    connection_id=row.connection_id,
                    hypothesis_id=row.id,
                    hypothesis_version=row.version,
                    type=row.type,
                    signal_type=signal_type(row.type, kinds),
                    unit_kind=fire.unit_kind,
                    unit_id=fire.unit_id,
                    occurrence=1,
                    fired_at=fire.fired_at,
                    detected_at=fire.fired_at,
                    confidence=tested.result.get("precision"),
                    receipts=(),
                )
            )
    return made


# --- playing ---------------------------------------------------------------------------------------------------------


@dataclass
class _Past:
    """What has gone so far in the play, under one cooldown."""

    limit: Cooldown
    units: dict[str, datetime] = field(default_factory=dict)
    accounts: dict[str, datetime] = field(default_factory=dict)
    day: deque[datetime] = field(default_factory=deque)

    def stops(self, one: Candidate, account: str | None) -> str | None:
        at, unit = one.signal.fired_at, str(one.signal.unit_id)
        if unit in self.units and at - self.units[unit] < timedelta(days=self.limit.unit_days):
            return "unit_cooldown"
        met = self.accounts.get(account or "")
        if met is not None and at - met < timedelta(days=self.limit.account_days):
            return "account_cooldown"
        while self.day and at - self.day[0] >= holding.DAY:
            self.day.popleft()
        return "daily_limit" if self.limit.per_day and len(self.day) >= self.limit.per_day else None

    def goes(self, one: Candidate, account: str | None) -> None:
        at = one.signal.fired_at
        self.units[str(one.signal.unit_id)] = at
        if account:
            self.accounts[account] = at
        self.day.append(at)


def _play(tx: Transaction, rules: Rules, candidates: Sequence[Candidate]) -> Iterable[Line]:
    """Each in its turn: lists and snoozes as they are now, the workspace's cooldown, the filter, the route's cooldown, an owner."""
    everywhere, along = _Past(holding.cooldown(tx)), _Past(rules.cooldown)
    names = {one.signal.id: _names(tx, one) for one in candidates}
    every = frozenset[str]().union(*names.values())
    listed, asleep = reach.lists_of(tx, every), reach.snoozed_of(tx, every)
    given: deque[tuple[datetime, str]] = deque()
    for one in candidates:
        account = reach.account_key(tx, one.signal.connection_id, one.account)
        held = next((listed[name] for name in sorted(names[one.signal.id]) if name in listed), None)
        held = held or ("snoozed" if names[one.signal.id] & asleep else None) or everywhere.stops(one, account)
        if held is None and one.signal.held_because == "holdout":
            held = "holdout"
        if held is None:
            everywhere.goes(one, account)
            held = _passed(rules, one) or along.stops(one, account)
        if held is not None:
            yield Line(one, held)
            continue
        along.goes(one, account)
        yield Line(one, None, _turn(rules.owners, one.signal.fired_at, given))


def _passed(rules: Rules, one: Candidate) -> str | None:
    """Why the filter leaves it out; the cohort is looked at last, since it cannot be told."""
    signal, open_ = one.signal, rules.passes.model_copy(update={"cohort": None})
    takes = open_.take(
        hypothesis_id=signal.hypothesis_id,
        type=signal.signal_type,
        unit_kind=signal.unit_kind,
        confidence=signal.confidence,
        segments=frozenset(),
    )
    if not takes:
        return directing.FILTER
    return NOT_TOLD if rules.passes.cohort else None


def _turn(owners: Owners, at: datetime, given: deque[tuple[datetime, str]]) -> str | None:
    if owners.rule == "nobody":
        return None
    while given and at - given[0][0] >= directing.WEEK:
        given.popleft()
    chosen = directing.whose_turn(owners.turns, Counter(member for _, member in given))
    if chosen is not None:
        given.append((at, chosen))
    return chosen


def _names(tx: Transaction, one: Candidate) -> frozenset[str]:
    account = one.account
    entries = [Entry("id", str(one.signal.unit_id))]
    entries += [Entry("id", account.key)] if account and account.key else []
    entries += [Entry("domain", account.domain)] if account and account.domain else []
    return frozenset(reach.reach_key(tx, entry) for entry in entries)


def _worded(place: Workplace, tx: Transaction, line: Line, rules: Rules, own: Channel, names: dict[str, str]) -> Line:
    """With the message that it would have been."""
    if line.why is not None:
        return line
    owner = names.get(line.owner or "")
    signal = line.candidate.signal.model_copy(update={"assigned_id": line.owner})
    message = templated(signal_message(place, tx, signal, "would-be"), rules.template, own)
    return replace(line, owner=owner, title=message.title, text=message.body or message.sentence)

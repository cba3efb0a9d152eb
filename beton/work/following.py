"""Signals as sales see them: who, why, what it rests on, where it went, and what became of it. Pages, API and exports tell the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from beton.lifecycle import SENDING
from beton.roles import Caller
from beton.signals import Delivery, DeliveryStatus, Feedback, Signal
from beton.store import api_keys, audit, backtests, connections, deliveries, following, hypotheses, hypothesis_lists, members, reach, routes, signals
from beton.store import live as read_state
from beton.store.following import GivenFeedback
from beton.store.hypothesis_lists import Said
from beton.store.records import AuditEntry, Backtest, Connection, DeliveryAttempt
from beton.store.store import Transaction
from beton.work.reviewing import meaning_of
from beton.work.workplace import Workplace

Deed = Literal["claim", "release", "take_back", "put_back"]
EXPORTED_AT_ONCE = 500
COLUMNS = (
    "signal_id", "detected_at", "fired_at", "unit_kind", "unit", "hypothesis_id", "claim", "goal", "confidence", "events",
    "owner", "feedback", "feedback_by", "feedback_at", "taken_back_at", "delivered_to",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet, wherever it came from."""


@dataclass(frozen=True)
class Filter:
    """What a list of signals is narrowed by."""

    hypothesis_id: str | None = None
    connection_id: str | None = None
    type: str | None = None
    owner_id: str | None = None
    since: datetime | None = None

    def arguments(self) -> dict[str, Any]:
        """For the store."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Sent:
    """A delivery and the route it takes."""

    delivery: Delivery
    route: str


@dataclass(frozen=True)
class Group:
    """How often an event is among the receipts, and from when to when."""

    event: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Promise:
    """What an approved result said of those who fire: of `judged` fires `hits` had the outcome."""

    id: str
    as_of: datetime
    hits: int | None
    judged: int | None
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    baseline: float | None

    @classmethod
    def of(cls, one: Backtest) -> Promise:
        """The few numbers that are shown of it."""
        told, names = one.result, ("precision", "precision_low", "precision_high", "baseline")
        counts = told.get("counts") or {}
        return cls(one.id, one.as_of, counts.get("true_positives"), told.get("sample_size"), *(told.get(name) for name in names))


_promises: dict[str, Promise] = {}
MOST_PROMISES = 20_000


def _promised(tx: Transaction, backtest_ids: Sequence[str]) -> dict[str, Promise]:
    """By id. Results never change, and reading the whole of one takes longer than showing a signal: what was read once is kept."""
    missing = [one for one in dict.fromkeys(backtest_ids) if one not in _promises]
    if len(_promises) + len(missing) > MOST_PROMISES:
        _promises.clear()
        missing = list(dict.fromkeys(backtest_ids))
    read = {one.id: Promise.of(one) for one in backtests.some(tx, missing).values()}
    _promises.update(read)
    return {one: _promises[one] for one in backtest_ids if one in _promises}


@dataclass(frozen=True)
class Seen:
    """A signal with all that is said of it."""

    signal: Signal
    unit_key: str | None
    """By which the unit is found again; `None` once it has been erased."""
    said: Said
    """The version that fired: its sentence is the one that was approved."""
    names: tuple[str, ...]
    promise: Promise | None
    """The result on which that version was approved."""
    sent: tuple[Sent, ...]
    feedback: GivenFeedback | None
    owner: str | None

    @property
    def grouped(self) -> tuple[Group, ...]:
        """The receipts by event, in the order of their last ones."""
        found: dict[str, list[datetime]] = {}
        for receipt in self.signal.receipts:
            found.setdefault(receipt.event, []).append(receipt.at)
        groups = [Group(event, len(times), min(times), max(times)) for event, times in found.items()]
        return tuple(sorted(groups, key=lambda one: one.last))

    @property
    def kept_promise(self) -> tuple[int, int] | None:
        """Of how many like this (judged fires of the approved backtest) how many had the outcome."""
        if self.promise is None or self.promise.hits is None or not self.promise.judged:
            return None
        return self.promise.hits, self.promise.judged


@dataclass(frozen=True)
class Inbox:
    """Some of the signals, newest first."""

    signals: tuple[Seen, ...]
    next_after: str | None
    connections: tuple[Connection, ...]
    any: bool
    """Whether there is any signal at all."""
    live: int
    """Hypotheses that send signals now."""
    read_until: datetime | None
    """Up to which instant all live hypotheses have been looked for."""


@dataclass(frozen=True)
class SeenClosely:
    """One signal, and everything around it."""

    seen: Seen
    attempts: Mapping[str, Sequence[DeliveryAttempt]]
    earlier: tuple[Seen, ...]
    """Other signals of the same unit, newest first."""
    tally: Mapping[Feedback, int]
    history: tuple[AuditEntry, ...]
    connection: Connection
    account: str | None
    """Its account, by name, domain or key, where that is known."""
    assigned: str | None
    """By name, whose turn it was."""


@dataclass(frozen=True)
class Unit:
    """A person or account with the history of its signals, newest first."""

    signals: tuple[Seen, ...]
    connection: Connection

    @property
    def newest(self) -> Seen:
        """The last one."""
        return self.signals[0]


def inbox(place: Workplace, wanted: Filter, *, limit: int = 50, after: str | None = None) -> Inbox:
    """Signals, the last detected first."""
    with place.store.reading() as tx:
        found = signals.listing(tx, limit=limit, after=after, **wanted.arguments())
        any_at_all = bool(found.data) or bool(signals.listing(tx, limit=1).data)
        live = hypothesis_lists.count_by_status(tx)
        seen = _seen(tx, found.data)
        return Inbox(seen, found.next_after, tuple(connections.every(tx)), any_at_all, sum(live[one] for one in SENDING), read_state.swept_until(tx))


def look(place: Workplace, signal_id: str, *, audited: bool = False) -> SeenClosely:
    """One signal; who did what with it only where the audit log may be read."""
    with place.store.reading() as tx:
        signal = signals.get(tx, signal_id)
        (seen,) = _seen(tx, [signal])
        attempts = {one.delivery.id: deliveries.attempts(tx, one.delivery.id) for one in seen.sent}
        others = [] if seen.unit_key is None else [one for one in signals.of_key(tx, seen.unit_key, limit=20) if one.id != signal_id]
        history = tuple(audit.entries(tx, object_id=signal_id, limit=30)) if audited else ()
        tally = following.tally(tx, signal.hypothesis_id)
        account = reach.accounts(tx, [signal_id]).get(signal_id)
        assigned = owner_names(tx).get(signal.assigned_id) if signal.assigned_id else None
        return SeenClosely(
            seen, attempts, _seen(tx, others), tally, history, connections.get(tx, signal.connection_id), account.label if account else None, assigned
        )


def unit(place: Workplace, unit_key: str) -> Unit:
    """All signals of a unit, known by its keyed hash; `NotFound` for one without any."""
    with place.store.reading() as tx:
        found = signals.of_key(tx, unit_key, limit=100)
        return Unit(_seen(tx, found), connections.get(tx, found[0].connection_id))


def give_feedback(place: Workplace, signal_id: str, verdict: Feedback | None, *, actor: str) -> GivenFeedback | None:
    """What became of it; `None` takes back what was said."""
    with place.store.transaction() as tx:
        return following.say(tx, signal_id, verdict, actor=actor)


def do(place: Workplace, signal_id: str, deed: Deed, *, caller: Caller) -> int:
    """Claim it for oneself, leave it to others again, take it back as a mistake or put it back. How many deliveries that stopped."""
    with place.store.transaction() as tx:
        match deed:
            case "claim" | "release":
                following.claim(tx, signal_id, caller.id if deed == "claim" else None, actor=caller.actor)
                return 0
            case "take_back":
                return following.take_back(tx, signal_id, actor=caller.actor)[1]
            case "put_back":
                following.put_back(tx, signal_id, actor=caller.actor)
                return 0


def seen(place: Workplace, signal_id: str) -> Seen:
    """One signal as it stands in a list."""
    with place.store.reading() as tx:
        return _seen(tx, [signals.get(tx, signal_id)])[0]


def export(place: Workplace, wanted: Filter, *, actor: str) -> Iterator[str]:
    """All of them as CSV (RFC 4180, UTF-8), page by page. Written into the audit log: the file leads out of here.

    Cells that a spreadsheet would take for a formula begin with an apostrophe.
    """
    told = {name: str(value) for name, value in wanted.arguments().items() if value is not None}
    with place.store.transaction() as tx:
        audit.write(tx, actor, "signal.export", "workspace", tx.workspace_id, after=told)
    return _export(place, wanted)


def _export(place: Workplace, wanted: Filter) -> Iterator[str]:
    yield _line(COLUMNS)
    after: str | None = None
    while True:
        found = inbox(place, wanted, limit=EXPORTED_AT_ONCE, after=after)
        yield "".join(_line(_cells(one)) for one in found.signals)
        after = found.next_after
        if after is None:
            return


def _cells(one: Seen) -> list[str]:
    signal, given = one.signal, one.feedback
    told: list[Any] = [
        signal.id, _at(signal.detected_at), _at(signal.fired_at), signal.unit_kind, signal.unit_id, signal.hypothesis_id, one.said.sentence,
        signal.type, signal.confidence, "; ".join(f"{each.event} {_at(each.at)}" for each in signal.receipts), one.owner,
        given and given.verdict, given and given.actor, given and _at(given.at), signal.taken_back_at and _at(signal.taken_back_at),
        "; ".join(each.route for each in one.sent if each.delivery.status is DeliveryStatus.DELIVERED),
    ]  # fmt: skip
    return ["" if value is None else str(value) for value in told]


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells])
    return out.getvalue()


def _at(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _seen(tx: Transaction, found: Sequence[Signal]) -> tuple[Seen, ...]:
    ids = [one.id for one in found]
    said = hypothesis_lists.said(tx, {(one.hypothesis_id, one.hypothesis_version) for one in found})
    promises = _promised(tx, [one.backtest_id for one in said.values() if one.backtest_id])
    names = {key: meaning_of(one.definition, one.fingerprint).names for key, one in said.items()}
    sent, given, called = deliveries.of_signals(tx, ids), following.feedback(tx, ids), {one.id: one.name for one in routes.every(tx)}
    owners = owner_names(tx) if any(one.owner_id for one in found) else {}
    return tuple(
        Seen(
            signal=one,
            unit_key=signals.key_of(tx, one),
            said=said[key],
            names=names[key],
            promise=promises.get(said[key].backtest_id or ""),
            sent=tuple(sorted((Sent(each, called.get(each.route_id, "a removed route")) for each in sent[one.id]), key=lambda each: each.route)),
            feedback=given.get(one.id),
            owner=owner_name(one.owner_id, owners),
        )
        for one in found
        for key in [(one.hypothesis_id, one.hypothesis_version)]
    )


def owner_names(tx: Transaction) -> dict[str, str]:
    """Members and keys by id."""
    return {one.id: one.name for one in members.every(tx)} | {one.id: one.name for one in api_keys.every(tx)}


def owner_name(owner_id: str | None, known: Mapping[str, str]) -> str | None:
    """Whose a signal is, in words. People who claim in Slack have no account here: their name is in the id."""
    if owner_id is None:
        return None
    where, _, who = owner_id.partition(":")
    if where == "slack" and who:
        user_id, _, name = who.partition(":")
        return f"{name or user_id} in Slack"
    return known.get(owner_id, "somebody who has left")


def fired_hypotheses(place: Workplace, also: str = "") -> dict[str, str]:
    """Id and name of hypotheses that have sent signals, to narrow a list by: the best, and the one that is asked for."""
    with place.store.reading() as tx:
        found = hypothesis_lists.names_of_fired(tx, limit=100)
        return found if not also or also in found else {one.id: one.name for one in hypotheses.some(tx, [also])} | found

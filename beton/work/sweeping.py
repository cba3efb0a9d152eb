"""The live sweep: what has happened since the last one, as signals, each exactly once.

    start    an approved hypothesis without a memory: its whole window is read once, units that fired in the backtested part are marked as
             fired, the matches that it needs are remembered
    news     for all others: one read of the events since the cursor, less an overlap for what arrives late
    fires    the remembered matches of every unit that may still fire, through the same evaluator as the backtest
    record   new fires with their receipts, their deliveries and the cursor, in one transaction

Running a sweep twice, or two at once, adds nothing: a signal is known by hypothesis version, unit and occurrence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, starmap
from typing import Any

from backtest import Hypothesis, ReadPlan, Window, plan_reads
from backtest.atoms import ENTRY, LiveFire, Remembered, entries_in, forgets, live_fires, remember
from backtest.durations import HOUR
from backtest.language import Cohort, Unit
from backtest.plan import plan_new_events
from backtest.refusals import matches_of
from backtest.taxonomy import Taxonomy
from beton.errors import Conflict
from beton.lifecycle import Status
from beton.posthog.client import PostHogClient
from beton.posthog.events import Receipt as Seen
from beton.signals import Finding, Receipt, Signal, UnitKind
from beton.store import backtests, hypotheses, live, signals
from beton.store.records import Connection, LiveFired, LiveMatch
from beton.store.records import Hypothesis as Kept
from beton.store.store import Transaction
from beton.work import knowing
from beton.work.backtesting import Progress, read_log, reader_for
from beton.work.workplace import Workplace, instant, microseconds, property_types

OVERLAP = HOUR
"""Events that arrive up to this late are still found by the next sweep."""

SHOWN = 10
"""Receipts written down with a signal: the last ones up to its fire."""


@dataclass
class Swept:
    """What one sweep did. `already`: units that had fired within the backtested window; they are counted, not sent."""

    now: datetime
    signals: list[Signal] = field(default_factory=list)
    started: int = 0
    already: int = 0

    def to_json(self) -> dict[str, Any]:
        """For `--json` and run records."""
        return {"now": self.now.isoformat().replace("+00:00", "Z"), "signals": len(self.signals), "started": self.started, "already": self.already}


@dataclass(frozen=True)
class Live:
    """An approved hypothesis at a sweep: `cursor` is `None` before its first one; `promised` is the precision that was approved."""

    row: Kept
    meaning: Hypothesis
    live_from: int
    cursor: int | None
    seen_until: int
    promised: float | None

    @property
    def scope(self) -> str:
        return scopes_of(self.row)[0]

    @property
    def entry_scope(self) -> str:
        return scopes_of(self.row)[1]

    @property
    def window_start(self) -> int:
        return self.live_from - self.meaning.look_back

    @property
    def unit_kind(self) -> UnitKind:
        return "person" if self.meaning.unit == "person" else "account"


async def sweep(place: Workplace, connection: Connection, progress: Progress = lambda *_: None) -> Swept:
    """Find what is new as of the workplace's clock and write it down."""
    swept = Swept(place.clock())
    now = microseconds(swept.now)
    with place.store.reading() as tx:
        approved = _approved(tx, connection)
    if not approved:
        return swept
    taxonomy = place.taxonomy(connection)
    async with place.client(connection) as client:
        for one in approved:
            if one.cursor is None:
                swept.started += 1
                swept.already += await _start(place, client, one, taxonomy, now, progress)
        running = sorted((one for one in approved if one.cursor is not None), key=lambda one: str(one.meaning.unit))
        for _, batch in groupby(running, key=lambda one: str(one.meaning.unit)):
            await _news(place, client, list(batch), taxonomy, now)
        for unit, batch in groupby(sorted(approved, key=lambda one: str(one.meaning.unit)), key=lambda one: one.meaning.unit):
            swept.signals += await _fire(place, client, unit, list(batch), taxonomy, now)
    return swept


def scopes_of(row: Kept) -> tuple[str, str]:
    """The names under which a hypothesis's matches and entries are remembered."""
    scope = f"{row.id} v{row.version}"
    return scope, f"{scope} {ENTRY}"


def _approved(tx: Transaction, connection: Connection) -> list[Live]:
    rows = [row for row in hypotheses.every(tx, connection_id=connection.id, statuses=(Status.APPROVED,)) if row.live_from]
    found = []
    for row in rows:
        seen = hypotheses.version(tx, row.id, row.version).backtest_id  # what the person approved on, whatever was tested since
        tested = backtests.get(tx, seen) if seen else None
        cursor = live.read_until(tx, connection.id, scopes_of(row)[0])
        approved_at = row.live_since or row.updated_at
        found.append(
            Live(
                row=row,
                meaning=Hypothesis.model_validate(row.definition),
                live_from=microseconds(row.live_from or approved_at),
                cursor=None if cursor is None else microseconds(cursor),
                seen_until=microseconds(tested.as_of if tested else approved_at),
                promised=tested.result.get("precision") if tested else None,
            )
        )
    return found


async def _start(place: Workplace, client: PostHogClient, one: Live, taxonomy: Taxonomy, now: int, progress: Progress) -> int:
    """Read the whole window once and remember; mark who fired before the approved backtest ended. Gives how many these are."""
    (plan,) = plan_reads([one.meaning], Window(one.window_start, now))
    log = await read_log(client, plan, taxonomy, progress)
    entries = entries_in(one.meaning, log)
    kept = remember(one.meaning, log, entries, one.live_from)
    members = {cohort: frozenset(log.units[index] for index in flags.nonzero()[0].tolist()) for cohort, flags in log.cohorts.items()}
    fires = _fires(one, kept, entries, {}, property_types(taxonomy), members, now)
    before = [fire for fire in fires if fire[1] < one.seen_until]
    with place.store.transaction() as tx:
        for scope in (one.scope, one.entry_scope):
            live.forget(tx, one.row.connection_id, scope)
        done = set() if one.meaning.fires_again_after else {unit for unit, _, _ in before}
        _keep(tx, one, (match for match in kept if match.unit not in done), entries)
        live.mark_fired(tx, one.row, one.unit_kind, starmap(LiveFired, before))
        live.advance(tx, one.row.connection_id, one.scope, instant(one.seen_until))
    return len({unit for unit, _, _ in before})


async def _news(place: Workplace, client: PostHogClient, batch: Sequence[Live], taxonomy: Taxonomy, now: int) -> None:
    """One read for all running hypotheses of a unit kind; what it shows replaces what was remembered of the same stretch of time."""
    since = min(one.cursor or now for one in batch) - OVERLAP
    if since >= now:
        return
    (plan,) = plan_new_events([one.meaning for one in batch], Window(since, now))
    log = await reader_for(client, plan, taxonomy).read_new()
    with place.store.transaction() as tx:
        for one in batch:
            start = max(since, one.window_start)  # before it, only what was known then counts
            live.forget(tx, one.row.connection_id, one.scope, since=start)
            known, fired = _entries(tx, one), live.fired(tx, one.row.id, one.row.version)
            fresh = {unit: at for unit, at in entries_in(one.meaning, log).items() if at < known.get(unit, now)}
            done = frozenset() if one.meaning.fires_again_after else fired.keys()
            matches = remember(one.meaning, log, known | fresh, one.live_from, done)
            _keep(tx, one, (match for match in matches if match.at >= start), fresh)
            if forgets(one.meaning):
                live.prune(tx, one.row.connection_id, one.scope, since - one.meaning.look_back)


async def _fire(place: Workplace, client: PostHogClient, unit: Unit, batch: Sequence[Live], taxonomy: Taxonomy, now: int) -> list[Signal]:
    """Evaluate what is remembered; write new fires with their receipts and move the cursors, one transaction per hypothesis."""
    found = []
    for one in batch:
        with place.store.reading() as tx:
            kept, entries, last = _remembered(tx, one), _entries(tx, one), live.fired(tx, one.row.id, one.row.version)
        members = await _members(client, one, taxonomy, now)
        found.append((one, _fires(one, kept, entries, last, property_types(taxonomy), members, now)))
    receipts = await _receipts(client, unit, found, taxonomy, now)
    written: list[Signal] = []
    fired = {fire[0] for _, fires in found for fire in fires}
    known = await knowing.about(place, client, batch[0].row.connection_id, taxonomy, batch[0].unit_kind, fired)
    for one, fires in found:
        findings = [known.told(_finding(one, fire, receipts.get(fire[0], ()))) for fire in fires]
        try:
            with place.store.transaction() as tx:
                written += signals.record(tx, one.row.id, one.row.version, findings) if findings else []
                live.advance(tx, one.row.connection_id, one.scope, instant(now))
        except Conflict:
            continue  # paused or revised since this sweep began: the others go on, and its cursor stays for when it is resumed
    return written


def _fires(
    one: Live,
    kept: Sequence[Remembered],
    entries: Mapping[str, int],
    fired: Mapping[str, tuple[int, int]],
    types: Mapping[str, str],
    members: Mapping[str, frozenset[str]],
    now: int,
) -> list[LiveFire]:
    """Where the past may be forgotten, only fires since the last sweep (less the overlap) can be new, and the memory reaches far enough for them."""
    since = one.live_from if one.cursor is None or not forgets(one.meaning) else max(one.live_from, one.cursor - OVERLAP)
    window = Window(one.window_start, now)
    return live_fires(one.meaning, kept, entries, fired, window=window, live_from=since, types=types, members=members)


async def _members(client: PostHogClient, one: Live, taxonomy: Taxonomy, now: int) -> dict[str, frozenset[str]]:
    """Today's members of the cohorts that a hypothesis names."""
    if not any(isinstance(clause, Cohort) for clause in one.meaning.clauses):
        return {}
    (plan,) = plan_reads([one.meaning], Window(now - HOUR, now))
    return {cohort: frozenset(who) for cohort, who in (await reader_for(client, plan, taxonomy).cohorts()).items()}


# --- memory ----------------------------------------------------------------------------------------------------------


def _keep(tx: Transaction, one: Live, kept: Iterable[Remembered], entries: Mapping[str, int]) -> None:
    matches = (LiveMatch(match.atom, match.unit, match.at, match.value) for match in kept)
    live.remember(tx, one.row.connection_id, one.scope, one.unit_kind, matches)
    live.remember(tx, one.row.connection_id, one.entry_scope, one.unit_kind, (LiveMatch(ENTRY, unit, at) for unit, at in entries.items()))


def _remembered(tx: Transaction, one: Live) -> list[Remembered]:
    return list(starmap(Remembered, live.matches(tx, one.row.connection_id, one.scope)))


def _entries(tx: Transaction, one: Live) -> dict[str, int]:
    """The earliest remembered entry of each unit."""
    entries: dict[str, int] = {}
    for match in live.matches(tx, one.row.connection_id, one.entry_scope):
        entries.setdefault(match.unit_id, match.at)
    return entries


# --- receipts --------------------------------------------------------------------------------------------------------


async def _receipts(
    client: PostHogClient, unit: Unit, found: Sequence[tuple[Live, list[LiveFire]]], taxonomy: Taxonomy, now: int
) -> dict[str, list[Seen]]:
    """The events behind all new fires of a sweep: one query."""
    units = sorted({fire[0] for _, fires in found for fire in fires})
    if not units:
        return {}
    meanings = [one.meaning for one, fires in found if fires]
    matches = [match for meaning in meanings for field_, match in matches_of(meaning) if not field_.startswith("outcome")]
    names = None if any(match.any_event for match in matches) else sorted({name for match in matches for name in match.events})
    plan = ReadPlan(unit, Window(min(one.window_start for one, fires in found if fires), now))
    return await reader_for(client, plan, taxonomy).receipts(units, names)


def _finding(one: Live, fire: LiveFire, seen: Iterable[Seen]) -> Finding:
    unit, at, occurrence = fire
    names = {name for field_, match in matches_of(one.meaning) if not field_.startswith("outcome") for name in match.events}
    shown = [event for event in seen if event.at <= at and (not names or event.name in names)][-SHOWN:]
    receipts = tuple(Receipt(event=event.name, at=instant(event.at), event_id=event.event_id) for event in shown)
    return Finding(unit_kind=one.unit_kind, unit_id=unit, fired_at=instant(at), occurrence=occurrence, confidence=one.promised, receipts=receipts)

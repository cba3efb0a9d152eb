"""The live sweep: what has arrived since the last one, as signals, each exactly once.

    start     a newly approved hypothesis: its whole window is read once (`cold_start`)
    news      for all others: one read of what PostHog has received since the cursor, less an overlap, whatever instant it tells of
    people    who turned out to be one: their memories become one, and a repeated signal is marked (`merging`)
    judge     what is remembered, through the evaluator of the backtest: new fires, and recent ones that no longer hold
    record    fires with their receipts and deliveries, marks, memory and cursor, in one transaction per hypothesis

Running a sweep twice, or two at once, adds nothing: an event is known by its id, a signal by hypothesis version, unit and occurrence. One hypothesis
that cannot be swept does not keep the others. docs/explanation/how-live-works.md says what has to come out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from backtest import Window
from backtest.atoms import remember
from backtest.language import Group, Unit
from backtest.live import LATE, OVERLAP, Judged, Memory, horizon, needs_history
from backtest.plan import plan_new_events
from backtest.taxonomy import Taxonomy
from beton.errors import BetonError, Conflict, PostHogError
from beton.posthog.client import PostHogClient
from beton.posthog.news import News, Source, read_news
from beton.signals import Signal
from beton.store import live, signals
from beton.store.records import Connection
from beton.work import knowing
from beton.work.backtesting import Progress, group_index
from beton.work.cold_start import start
from beton.work.live_state import Live, approved, as_it_stands, judge, load, mark, save, scopes_of, starts_of
from beton.work.members import members_of
from beton.work.merging import Merged, find_merged, fold_signals, note_asked
from beton.work.receipts import finding, receipts_for
from beton.work.workplace import Workplace, instant, microseconds, property_types

__all__ = ["Failed", "Swept", "scopes_of", "sweep"]


@dataclass(frozen=True)
class Failed:
    """A hypothesis that this sweep had to leave out, and why; the next one tries again."""

    hypothesis_id: str
    code: str
    message: str


@dataclass
class Swept:
    """What one sweep did. `already`: units that had fired within the backtested window, counted and not sent; `revised`: marks that changed."""

    now: datetime
    signals: list[Signal] = field(default_factory=list)
    started: int = 0
    already: int = 0
    revised: int = 0
    merged: int = 0
    failed: list[Failed] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For `--json` and run records."""
        told = {"now": self.now.isoformat().replace("+00:00", "Z"), "signals": len(self.signals), "started": self.started, "already": self.already}
        told |= {"revised": self.revised, "merged": self.merged}
        return told | ({"failed": [vars(one) for one in self.failed]} if self.failed else {})


@dataclass(frozen=True)
class Sweep:
    """One sweep on its way."""

    place: Workplace
    client: PostHogClient
    taxonomy: Taxonomy
    now: int
    swept: Swept

    errors: list[BetonError] = field(default_factory=list)

    @property
    def source(self) -> Source:
        """The project as the reader of news needs it."""
        known: dict[Unit, int | None] = {"person": None}
        known |= {Group(group=one.name): one.index for one in self.taxonomy.group_types}
        return Source(self.client, property_types(self.taxonomy), known)

    def leave_out(self, one: Live, error: BetonError) -> None:
        """What cannot be swept now does not keep the others."""
        self.errors.append(error)
        self.swept.failed.append(Failed(one.row.id, error.code, error.message))


async def sweep(place: Workplace, connection: Connection, progress: Progress = lambda *_: None) -> Swept:
    """Find what is new as of the workplace's clock and write it down. Raises `BetonError` when nothing at all could be swept."""
    swept = Swept(place.clock())
    with place.store.reading() as tx:
        lives = approved(tx, connection.id)
    if not lives:
        return swept
    taxonomy = place.taxonomy(connection)
    async with place.client(connection) as client:
        this = Sweep(place, client, taxonomy, microseconds(swept.now), swept)
        lives = await _started(this, lives, progress)
        news = await _news(this, [one for one in lives if (one.cursor or 0) < this.now])
        lives = [one for one in lives if one.row.id in news or (one.cursor or 0) >= this.now]
        merged = await find_merged(place.store, this.source, [one for one in lives if one.row.id in news], list(news.values()), this.now)
        swept.merged = fold_signals(place.store, lives, merged.people)
        await _judge_all(this, lives, news, merged)
        note_asked(place.store, connection.id, merged, this.now)
    if this.errors and not lives:
        raise this.errors[0]
    return swept


async def _started(this: Sweep, lives: Sequence[Live], progress: Progress) -> list[Live]:
    """Those with a memory, new ones started."""
    for one in lives:
        if one.cursor is None:
            this.swept.started += 1
            try:
                this.swept.already += await start(this.place, this.client, one, this.taxonomy, this.now, progress)
            except BetonError as error:
                this.leave_out(one, error)
    with this.place.store.reading() as tx:
        known = {one.row.id for one in lives}
        return [one for one in approved(tx, lives[0].row.connection_id) if one.row.id in known and one.cursor is not None]


async def _news(this: Sweep, running: Sequence[Live]) -> dict[str, News]:
    """By hypothesis what has arrived: one read for all of them; where that is refused, one for each, so that the one that is at fault is left out."""
    if not running:
        return {}
    try:
        news = await _read(this, running)
        return {one.row.id: news for one in running}
    except PostHogError as error:
        if error.later or len(running) == 1:
            raise
    found = {}
    for one in running:
        try:
            found[one.row.id] = await _read(this, [one])
        except BetonError as error:
            this.leave_out(one, error)
    return found


async def _read(this: Sweep, running: Sequence[Live]) -> News:
    since = min(one.cursor or this.now for one in running) - OVERLAP
    plans = plan_new_events([one.meaning for one in running], Window(since - LATE, this.now))
    for plan in plans:
        group_index(this.taxonomy, plan.unit)  # refuses a group type that is no more
    return await read_news(this.source, [replace(plan, arrived=Window(since, this.now), ids=True) for plan in plans])


async def _judge_all(this: Sweep, lives: Sequence[Live], news: Mapping[str, News], merged: Merged) -> None:
    """Every hypothesis: take in, judge, find the receipts, write down; one unit kind after the other."""
    members = await members_of(this.client, this.taxonomy, lives)
    for _, batch in groupby(sorted(lives, key=lambda one: str(one.meaning.unit)), key=lambda one: one.meaning.unit):
        judged = []
        for one in batch:
            try:
                judged.append(_judged(this, one, news.get(one.row.id), merged, members))
            except BetonError as error:
                this.leave_out(one, error)
        await _record(this, judged)


def _judged(this: Sweep, one: Live, news: News | None, merged: Merged, members: Mapping[str, frozenset[str]]) -> tuple[Live, Memory, Judged]:
    with this.place.store.reading() as tx:
        one, memory = as_it_stands(tx, one), load(tx, one)
    if merged.people and one.unit_kind == "person":
        memory.fold(merged.people)
        if merged.log is not None and needs_history(one.meaning):
            memory.keep(remember(one.meaning, merged.log, memory.entries, one.live_from, unsettled=one.judged_from))
    elif merged.people:
        memory.rename_people(merged.people)
    if news is not None and one.meaning.unit in news.logs:
        memory.absorb(news.logs[one.meaning.unit], one.judged_from)
    return one, memory, judge(one, memory, this.now, property_types(this.taxonomy), members)


async def _record(this: Sweep, judged: Sequence[tuple[Live, Memory, Judged]]) -> None:
    """Write new fires with their receipts, marks, memory and cursor, one transaction per hypothesis."""
    fired = {fire[0] for _, _, found in judged for fire in found.new}
    if not judged:
        return
    receipts = await receipts_for(this.client, [(one, memory, found.new) for one, memory, found in judged], this.taxonomy, this.now)
    connection, kind = judged[0][0].row.connection_id, judged[0][0].unit_kind
    known = await knowing.about(this.place, this.client, connection, this.taxonomy, kind, fired)
    for one, memory, found in judged:
        findings = [known.told(finding(one, fire, receipts.get(fire[0], ()))) for fire in found.new]
        memory.add_fires(found.new)
        memory.settle(horizon(this.now))
        try:
            with this.place.store.transaction() as tx:
                this.swept.signals += signals.record(tx, one.row.id, one.row.version, findings) if findings else []
                this.swept.revised += mark(tx, one, found)
                save(tx, one, memory)
                live.advance(tx, connection, one.scope, instant(this.now))
                for scope in starts_of(one.row):
                    live.drop_cursor(tx, connection, scope)
        except Conflict:
            continue  # paused or revised since this sweep began: the others go on, and its cursor stays for when it is resumed

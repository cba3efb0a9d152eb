"""People who turned out to be one: who they are, and what of them was told already.

PostHog may take two people for one after any `$identify`, and shows so within minutes: each such event is asked about in up to `TIMES` sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from backtest import ReadPlan, Window
from backtest.durations import DAY
from backtest.events import EventLog
from backtest.live import LATE, OVERLAP
from backtest.plan import plan_reads
from beton.posthog.news import News, Source, read_people
from beton.store import live, revising
from beton.store.records import LiveMatch
from beton.store.store import Store
from beton.work.live_state import PEOPLE, Live

ASKED = "asked"
TIMES = 3
KEPT = 2 * DAY + LATE
MOST = 1_000
"""People that are asked about in one sweep; the others follow in the next."""


@dataclass(frozen=True)
class Merged:
    """Ids that are no more, to those of today; all that is known of the people of today; and what has been asked about."""

    people: Mapping[str, str] = field(default_factory=dict)
    log: EventLog | None = None
    asked: Sequence[LiveMatch] = ()


async def find_merged(store: Store, source: Source, lives: Sequence[Live], news: Sequence[News], now: int) -> Merged:
    """One query, where something has arrived that may have merged people, and none otherwise."""
    merging = {one for some in news for one in some.merging}
    if not merging:
        return Merged()
    connection = lives[0].row.connection_id
    with store.reading() as tx:
        before = {match.event: int(match.value) for match in live.matches(tx, connection, PEOPLE)}
    after_a_gap = now - min(one.cursor or now for one in lives) > OVERLAP  # a hypothesis was paused while others asked
    open_ones = sorted((before.get(event, 0), person, event) for person, event in merging if after_a_gap or before.get(event, 0) < TIMES)
    people = sorted({person for _, person, _ in open_ones})[:MOST]
    if not people:
        return Merged()
    asked = [LiveMatch(ASKED, person, now, times + 1, event) for times, person, event in open_ones if person in set(people)]
    merged, log = await read_people(source, _plan(lives, now), people)
    return Merged(merged, log, asked)


def _plan(lives: Sequence[Live], now: int) -> ReadPlan:
    """All that hypotheses about people need, of the whole window."""
    window = Window(min(one.window_start for one in lives), now)
    plans = [plan for plan in plan_reads([one.meaning for one in lives], window) if plan.unit == "person"]
    plan = plans[0] if plans else ReadPlan("person", window)
    return replace(plan, firsts={}, lapses={}, cohorts=frozenset(), arrived=Window(0, now), ids=True)


def fold_signals(store: Store, lives: Sequence[Live], merged: Mapping[str, str]) -> int:
    """Signals and fires go over to who these people are today; how many signals were marked as a repetition."""
    if not merged:
        return 0
    connection = lives[0].row.connection_id
    cool_downs = {(one.row.id, one.row.version): one.meaning.fires_again_after for one in lives}
    with store.reading() as tx:
        known = revising.known(tx, connection, merged.keys())
    if not known:
        return 0
    with store.transaction() as tx:
        return sum(revising.fold(tx, connection, old, merged[old], cool_downs) for old in sorted(known))


def note_asked(store: Store, connection_id: str, merged: Merged, now: int) -> None:
    """What has been asked about, and nothing of what lies too far back to come up again."""
    if not merged.asked:
        return
    with store.transaction() as tx:
        known = live.matches(tx, connection_id, PEOPLE)
        again = {match.event for match in merged.asked}
        live.forget(tx, connection_id, PEOPLE, ((one.unit_id, one.atom, one.event) for one in known if one.at < now - KEPT or one.event in again))
        live.remember(tx, connection_id, PEOPLE, "person", merged.asked)

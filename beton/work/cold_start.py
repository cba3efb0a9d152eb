"""The first sweep of an approved hypothesis: its whole window is read once, slice by slice, and what fails in the middle goes on where it stopped.

    before    first-ever entries and states; written down with the instant at which the start began
    window    one slice after the other, each written down with how far the window is read
    marks     who fired within the window that was approved on: these are counted, not sent

News from then on are read from the instant at which the start began, however long it took.
"""

from __future__ import annotations

from dataclasses import replace

from backtest import Window, plan_reads
from backtest.atoms import remember
from backtest.live import entries_in, horizon
from backtest.taxonomy import Taxonomy
from beton.posthog.client import PostHogClient
from beton.store import live
from beton.store.records import LiveFired
from beton.work.backtesting import Progress, reader_for
from beton.work.live_state import Live, judge, load, save, starts_of
from beton.work.members import members_of
from beton.work.workplace import Workplace, instant, microseconds, property_types


async def start(place: Workplace, client: PostHogClient, one: Live, taxonomy: Taxonomy, now: int, progress: Progress) -> int:
    """Read the window and remember; mark who fired before the approved backtest ended, and give how many these are. Afterwards the hypothesis has a
    cursor. What fails keeps what was read."""
    began = await _before(place, client, one, taxonomy, now)
    await _window(place, client, one, taxonomy, (began, now), progress)
    with place.store.reading() as tx:
        memory = load(tx, one)
    members = await members_of(client, taxonomy, [one])
    fires = [fire for fire in judge(one, memory, now, property_types(taxonomy), members).new if fire[1] < one.seen_until]
    memory.add_fires(fires)
    with place.store.transaction() as tx:
        save(tx, one, memory)
        live.mark_fired(tx, one.row, one.unit_kind, [LiveFired(*fire) for fire in fires])
        live.advance(tx, one.row.connection_id, one.scope, instant(began))
    return len({unit for unit, _, _ in fires})


async def _before(place: Workplace, client: PostHogClient, one: Live, taxonomy: Taxonomy, now: int) -> int:
    """What lies before the window; the instant at which the start began, now or in an earlier sweep."""
    connection, (begun, window) = one.row.connection_id, starts_of(one.row)
    with place.store.reading() as tx:
        known = live.read_until(tx, connection, begun)
    if known is not None:
        return microseconds(known)
    (plan,) = plan_reads([one.meaning], Window(one.window_start, now))
    log = await reader_for(client, replace(plan, arrived=Window(0, now), ids=True), taxonomy).read_before()
    with place.store.transaction() as tx:
        for scope in (one.scope, one.entry_scope):
            live.forget(tx, connection, scope)
        memory = load(tx, one)
        memory.enter(entries_in(one.meaning, log))
        memory.keep(remember(one.meaning, log, memory.entries, one.live_from))
        save(tx, one, memory)
        live.drop_cursor(tx, connection, window)
        live.advance(tx, connection, begun, instant(now))
    return now


async def _window(place: Workplace, client: PostHogClient, one: Live, taxonomy: Taxonomy, lasting: tuple[int, int], progress: Progress) -> None:
    """`lasting`: from when the start began until now."""
    began, now = lasting
    connection, (_, window) = one.row.connection_id, starts_of(one.row)
    with place.store.reading() as tx:
        read, entries = live.read_until(tx, connection, window), load(tx, one).entries
    start = one.window_start if read is None else microseconds(read)
    if start >= now:
        return
    (plan,) = plan_reads([one.meaning], Window(start, now))
    reader = reader_for(client, replace(plan, arrived=Window(0, now), ids=True, firsts={}, lapses={}, cohorts=frozenset()), taxonomy)
    pieces = await reader.pieces()
    ends = sorted({piece.end for piece in pieces})
    for number, end in enumerate(ends):
        progress("Reading the window", number, len(ends))
        log = await reader.read_pieces([piece for piece in pieces if piece.end == end])
        with place.store.transaction() as tx:
            memory = load(tx, one, ())
            memory.entries = entries
            memory.keep(remember(one.meaning, log, entries, one.live_from, unsettled=horizon(began)))
            save(tx, one, memory)
            live.advance(tx, connection, window, instant(end))
    progress("Reading the window", len(ends), len(ends))

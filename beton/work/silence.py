"""Has PostHog stopped sending? It switches a destination off that looks ill to it, and tells nobody here.

How long a source may be silent follows from how much it has brought before. When nothing for so long is hardly chance, PostHog itself is asked
whether it has seen such events meanwhile: if so, and if it has sent most of its events before, it does not send them; if not, there was nothing to
send.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from backtest.events import Window
from backtest.silence import log_chance_of_none
from beton.errors import PostHogError
from beton.posthog.counted_since import count_events
from beton.store import connections, inbound, inbound_events
from beton.store.inbound_records import InboundHour, InboundSource
from beton.store.records import Connection
from beton.work.workplace import Workplace, microseconds

SHORTEST = timedelta(minutes=30)
"""No silence is looked into before."""

EVERY = timedelta(minutes=15)
"""How often a silence that goes on is looked into again."""

PAST = timedelta(days=7)
MOST_STRETCHES = 28
HARDLY = math.log(0.01)
"""From here on PostHog is asked."""

CERTAINLY_NOT = math.log(1e-6)
"""From here on a silence is told of even if PostHog cannot be asked."""

LATE = timedelta(minutes=5)
"""PostHog may take so long to send what it has seen."""

FEW = 7.0
"""That so many events were to be sent and none was, is no accident: e^-7 is less than one in a thousand."""

Counted = Callable[[Connection, Sequence[str], datetime, datetime], Awaitable[int]]
"""How many events of some names PostHog has seen between two instants. Raises `PostHogError`."""


async def look_into_silence(place: Workplace, counted: Counted) -> int:
    """Look at every active source of the workspace that has been silent; how many are thought to be cut off."""
    now, troubled = place.clock(), 0
    with place.store.reading() as tx:
        sources = [one for one in inbound.every(tx) if one.status == "active"]
        last = {one.id: inbound_events.last_arrival(tx, one.id) for one in sources}
    for source in sources:
        since = last[source.id] or source.updated_at
        if now - since < SHORTEST:
            problem = None
        elif source.listened_at is not None and now - source.listened_at < EVERY:
            troubled += source.problem is not None
            continue
        else:
            problem = await _problem(place, counted, source, since, now, ever=last[source.id] is not None)
        troubled += problem is not None
        if problem != source.problem or problem is not None or now - since >= SHORTEST:
            with place.store.transaction() as tx:
                inbound.listened(tx, source.id, problem)
    return troubled


async def _problem(place: Workplace, counted: Counted, source: InboundSource, since: datetime, now: datetime, *, ever: bool) -> str | None:
    """What is wrong with a source that has been silent since an instant, if anything is."""
    with place.store.reading() as tx:
        hours = inbound_events.hours(tx, source.id, since=since - PAST)
        names = inbound_events.names(tx, source.id, since=since - PAST)
        connection = connections.get(tx, source.connection_id)
    if not ever or not names:
        return "Nothing has come yet. Send a test event from PostHog's destination." if now - since >= timedelta(days=1) else None
    chance = log_chance_of_none(stretches(hours, since, now))
    if chance > HARDLY:
        return None
    try:
        seen = await counted(connection, names, since + LATE, now - LATE)
        seen_before = await counted(connection, names, hours[0].hour, since) if seen >= FEW and hours else 0
    except PostHogError:
        quiet = "Nothing has come for much longer than usual, and PostHog cannot be asked why."
        return quiet if chance <= CERTAINLY_NOT else None
    # Its destination may filter by more than names: of so many that it has seen, so many came.
    share = min(1.0, sum(one.arrived for one in hours) / max(seen_before, 1))
    if seen * share < FEW:
        return None
    return f"PostHog has seen {seen:,} such events since the last one that came, and has sent none: look whether it has disabled the destination."


def stretches(hours: Sequence[InboundHour], since: datetime, now: datetime) -> list[int]:
    """How many events came in stretches before the silence, each as long as it, the latest first; whole hours are shared out by time."""
    length = now - since
    count = max(1, min(MOST_STRETCHES, PAST // length))
    told = [0.0] * count
    for one in hours:
        end = min(one.hour + timedelta(hours=1), since)
        for place in range(count):
            low, high = since - (place + 1) * length, since - place * length
            shared = (min(high, end) - max(low, one.hour)) / max(end - one.hour, timedelta(seconds=1))
            told[place] += one.arrived * max(shared, 0.0)
    began = min((one.hour for one in hours), default=since)
    known = [round(number) for place, number in enumerate(told) if since - (place + 1) * length >= began - timedelta(hours=1)]
    return known or [round(sum(told))]


async def ask_posthog(place: Workplace, connection: Connection, names: Sequence[str], start: datetime, end: datetime) -> int:
    """How many it has seen."""
    if start >= end:
        return 0
    async with place.client(connection) as client:
        return await count_events(client, names, Window(microseconds(start), microseconds(end)))

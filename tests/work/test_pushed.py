"""From the body that PostHog sends to the signal: the whole way in, with the matcher that is live, and the backtest as the judge."""

import asyncio
import json
from collections.abc import Callable

from backtest import Window
from backtest.durations import DAY
from beton.store import inbound, inbound_events, signals
from beton.store.inbound_records import Taken
from beton.work.arriving import go_through
from beton.work.mapping import DEFAULT, compiled, uuid_of
from beton.work.receiving import receive
from beton.work.workplace import instant, microseconds
from tests.backtest.random_logs import FIRST_DAY
from tests.posthog.served_log import Happened, ServedLog
from tests.work.test_sweeping import INVITES, SHARES, VIEWS, at_hand
from tests.work.workshop import Workshop

APPROVED, END = FIRST_DAY + 12 * DAY, FIRST_DAY + 17 * DAY


def body_of(one: Happened) -> dict[str, object]:
    """As PostHog's webhook destination would send it."""
    groups = {"$groups": {"company": one.company}} if one.company else {}
    event = {
        "uuid": one.row.uuid or f"{one.row.person}-{one.row.at}-{one.row.event}",
        "event": one.row.event,
        "distinct_id": one.row.person,
        "timestamp": instant(one.row.at).isoformat(),
        "properties": one.row.properties | groups,
    }
    return {"event": event, "person": {"id": one.row.person, "properties": {}}}


def test_what_is_pushed_fires_as_the_backtest_does(workshop: Callable[[int], Workshop], log: ServedLog):
    bench, batch = workshop(APPROVED), [VIEWS, INVITES, SHARES]
    rows = bench.approve(batch, Window(FIRST_DAY, APPROVED))
    bench.sweep(APPROVED)
    place, paths = bench.place, compiled(DEFAULT)
    with place.store.transaction() as tx:
        source, _ = inbound.add(tx, name="posthog", connection_id=bench.connection.id, mapping=DEFAULT, secret=None, actor="ada")
        inbound.switch(tx, source.id, "active", actor="ada")
    news = sorted((one for one in log.happened if APPROVED <= one.row.at < END), key=lambda one: one.row.at)
    for start in range(0, len(news), 40):
        some = news[start : start + 40]
        bench.clock.now = instant(some[-1].row.at + 1_000_000)
        with place.store.transaction() as tx:
            taken = []
            for one in some:
                told = body_of(one)
                raw = json.dumps(told)
                whose = (place.store.workspace_id, source.id, bench.connection.id)
                taken.append(Taken(*whose, uuid_of(paths, told, raw.encode()), instant(one.row.at), raw))
            inbound_events.keep(tx, [inbound_events.sealed_row(tx.sealer, one) for one in taken])
        asyncio.run(go_through(place, receive, "worker"))
    with place.store.reading() as tx:
        sent = signals.listing(tx, limit=500).data
        seen = inbound_events.counts(tx, source.id, since=instant(FIRST_DAY))
    expected = at_hand(batch, Window(FIRST_DAY, END), log).fires
    for number, row in enumerate(rows):
        mine = sorted((str(one.unit_id), microseconds(one.fired_at)) for one in sent if one.hypothesis_id == row.id)
        assert mine == sorted((unit, at) for unit, at, *_ in expected.get(number, ()) if at >= APPROVED), row.name
    assert seen["fired"] > 0
    assert seen["arrived"] == seen["failed"] == 0

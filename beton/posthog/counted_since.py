"""How many events of some names PostHog has seen within a stretch of time: one query, a number."""

from __future__ import annotations

from collections.abc import Sequence

from backtest.events import Window
from beton.posthog.client import PostHogClient
from beton.posthog.hogql import Query, between, named


async def count_events(client: PostHogClient, names: Sequence[str], within: Window) -> int:
    """By when they happened. `within` in microseconds."""
    query = Query()
    text = f"SELECT count() FROM events WHERE {between(query, within.start, within.end)} AND {named(query, names)} LIMIT 1"
    result = await client.query(text, query.values, name="events that should have been sent")
    return int(result.rows[0][0]) if result.rows else 0

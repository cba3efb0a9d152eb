"""`beton signals` and `beton deliver`: what was found, and sending it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from beton.cli.opening import choose_connection, opened
from beton.cli.options import AsJson, instant
from beton.cli.printing import print_json, say, write
from beton.cli.sweep import signal_json, signal_table


def signals(
    *,
    hypothesis: Annotated[str | None, Parameter(help="Only those of this hypothesis.")] = None,
    connection: Annotated[str | None, Parameter(help="Only those of this connection.")] = None,
    since: Annotated[str | None, Parameter(help="Only those detected at this instant or later.")] = None,
    limit: Annotated[int, Parameter(help="How many at most, the last detected first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List signals, the last detected first."""
    earliest = instant(since, "--since")
    with opened() as place:
        from beton.store import signals as kept

        chosen = None if connection is None else choose_connection(place, connection).id
        with place.store.reading() as tx:
            found = kept.listing(tx, hypothesis_id=hypothesis, connection_id=chosen, since=earliest, limit=limit)
    if as_json:
        for one in found.data:
            print_json(signal_json(one))
        return
    signal_table(list(found.data))
    if found.next_after:
        say(f"There are more than {limit}; raise --limit.")


def deliver(*, as_json: AsJson = False) -> None:
    """Send all signals that are due, once. What fails is tried again by a later call, or by the worker."""
    with opened() as place:
        import random

        from beton.work.delivering import deliver_signals

        report = asyncio.run(deliver_signals(place, random.SystemRandom()))
    if as_json:
        print_json(asdict(report) | {"attempts": report.attempts})
        return
    write(f"{report.delivered} delivered, {report.failed} to be tried again, {report.dead} given up.")
    for route in report.disabled:
        say(f"The route {route} was switched off: its receiver wants no more deliveries.")

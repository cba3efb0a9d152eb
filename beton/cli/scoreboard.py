"""`beton scoreboard` and `beton prove`: did it hold, and reading what became of signals now."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import InWorkspace, actor, opened
from beton.cli.options import AsJson, AsOf, instant
from beton.cli.printing import print_json, say, share, share_span, table, write
from beton.cli.sweep import PlayedClock
from beton.signals import Feedback

if TYPE_CHECKING:
    from beton.work.scoreboard import Line, Scoreboard
    from beton.work.workplace import Workplace

WORDS = {"kept": "kept", "below": "BELOW", "above": "above", "cannot_tell": "cannot tell yet"}


def scoreboard(*, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Show per hypothesis and per route what was sent, what became of it, what was promised, and what sending adds."""
    with opened(workspace=workspace) as place:
        from beton.work.proof_json import scoreboard_json
        from beton.work.scoreboard import scoreboard as read

        found = read(place)
        if as_json:
            print_json(scoreboard_json(found))
            return
    _show(found)


def prove(*, as_of: AsOf = None, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Read what became of signals from PostHog, and look whether a live hypothesis has drifted. The worker does so every hour."""
    at = instant(as_of)
    with opened(workspace=workspace) if at is None else opened(clock=PlayedClock(at), workspace=workspace) as place:
        told = _prove(place)
    if as_json:
        print_json(told)
        return
    write(f"{told['asked']} signals were asked about, {told['came']} outcomes had come; {len(told['alarms'])} new alarms.")


def holdout(
    hypothesis_id: Annotated[str, Parameter(help="The hypothesis.")],
    held_out: Annotated[float, Parameter(name="SHARE", help="From 0 to 0.2: the share of its accounts that get no signal.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Hold a share of a hypothesis's accounts out at random, to measure what sending adds."""
    with opened() as place:
        from beton.work.proof_json import line_json
        from beton.work.scoreboard import choose_holdout, line

        choose_holdout(place, hypothesis_id, held_out, actor=actor())
        told = line_json(line(place, hypothesis_id))
    if as_json:
        print_json(told)
        return
    needs = told["incremental"]["needs_held_out"]
    write(f"{held_out:.0%} of its accounts are held out from now on." if held_out else "Nobody is held out any more.")
    if needs:
        say(f"A quarter more conversions would show once about {needs:,} held-out accounts have matured.")


def _prove(place: Workplace) -> dict[str, Any]:
    from collections import Counter

    from beton.posthog.ledger import MemoryLedger
    from beton.store import connections
    from beton.work.drifting import watch
    from beton.work.proof_json import alarm_json
    from beton.work.proving import read_outcomes

    if isinstance(place.clock, PlayedClock):
        place = replace(place, ledger=MemoryLedger())  # the book of requests is of real time
    with place.store.reading() as tx:
        every = connections.every(tx)
    counts: Counter[str] = Counter({"began": 0, "asked": 0, "came": 0, "lost": 0})
    for connection in every:
        counts.update(asyncio.run(read_outcomes(place, connection)).to_json())
    return dict(counts) | {"alarms": [alarm_json(one) for one in watch(place)]}


def _show(found: Scoreboard) -> None:
    counted = ("signals", "sent", "held", "accepted", "not a fit", "too early", "matured", "converted")
    columns = ("hypothesis", *counted, "realised", "promised", "holds", "adds")
    table(columns, [_row(one) for one in found.lines], right=counted)
    for one in found.lines:
        if one.alarm is not None:
            say(f"{one.hypothesis.id} ALARM: {one.alarm.sentence}")
        for broken in one.broken:
            say(f"{one.hypothesis.id} BROKEN: {broken.sentence}")
        if one.incremental.why and one.incremental.share:
            say(f"{one.hypothesis.id} holdout: {one.incremental.why}")
    if found.routes:
        rows = [
            (one.route.name, one.delivered, one.realised.matured, one.realised.converted, _share(one.realised), share(one.promised))
            for one in found.routes
        ]
        table(("route", "delivered", "matured", "converted", "realised", "promised"), rows, right=("delivered", "matured", "converted"))


def _row(one: Line) -> tuple[Any, ...]:
    promise, adds = one.promise, one.incremental
    promised = "–" if promise is None else share(promise.precision) + share_span(promise.low, promise.high)
    seen = adds.interval
    added = "–" if adds.difference is None or seen is None else f"{adds.difference:+.1%} [{seen.low:+.1%}, {seen.high:+.1%}]"
    counts = (one.signals, one.sent, sum(one.held.values()), one.accepted, one.said[Feedback.NOT_A_FIT])
    judged = (one.realised.too_early, one.realised.matured, one.realised.converted)
    return (one.hypothesis.name, *counts, *judged, _share(one.realised), promised, WORDS[one.verdict], added)


def _share(one: Any) -> str:
    seen = one.interval
    return share(one.precision) + (share_span(seen.low, seen.high) if seen else "")

"""`beton sweep`: look for new fires now, as of an instant, or through a stretch of past time as it would have gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import choose_connection, opened
from beton.cli.options import FLAG, AsJson, AsOf, instant
from beton.cli.printing import print_json, say, table, write
from beton.cli.progress import Progress, showing
from beton.errors import BadInput

if TYPE_CHECKING:
    from beton.signals import Signal
    from beton.store.records import Connection
    from beton.work.sweeping import Swept
    from beton.work.workplace import Workplace


class PlayedClock:
    """Time that is told. From its first reading on it goes on by itself, so that whoever waits for a budget does not wait for ever."""

    def __init__(self, at: datetime, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._stopwatch = stopwatch
        self.set(at)

    def set(self, at: datetime) -> None:
        """The next reading gives exactly this instant."""
        self._at, self._since = at, None

    def __call__(self) -> datetime:
        read = self._stopwatch()
        self._since = read if self._since is None else self._since
        return self._at + timedelta(seconds=read - self._since)


SUMMARY = ("hypothesis_id", "unit_kind", "unit", "fired_at", "occurrence", "detected_at")
"""Of each signal, in the last line of a replay; the lines of the sweeps have it whole."""


def sweep(
    name: Annotated[str | None, Parameter(help="The connection; all of them unless given.")] = None,
    /,
    *,
    as_of: AsOf = None,
    play: Annotated[bool, FLAG, Parameter(name="--replay", help="Sweep through past time: --from, --until and --every say which.")] = False,
    since: Annotated[str | None, Parameter(name="--from", help="Of a replay: the instant of the first sweep.")] = None,
    until: Annotated[str | None, Parameter(name="--until", help="Of a replay: no sweep is later than this.")] = None,
    every: Annotated[str, Parameter(name="--every", help="Of a replay: the time from one sweep to the next, such as 5m.")] = "5m",
    as_json: AsJson = False,
) -> None:
    """Find what approved hypotheses have to say since the last sweep, and write it down as signals."""
    if play:
        start, end = instant(since, "--from"), instant(until, "--until")
        if start is None or end is None or end < start or as_of is not None:
            raise BadInput("A replay needs --from and a later --until, and no --as-of.")
        _replay(name, start, end, step_of(every), as_json=as_json)
        return
    if since is not None or until is not None:
        raise BadInput("--from and --until belong to a replay.", fix="Add --replay, or use --as-of.")
    at = instant(as_of)
    with opened() if at is None else opened(clock=PlayedClock(at)) as place:
        for connection in _connections(place, name):
            with showing() as tell:
                swept = _sweep(place, connection, tell)
            _tell(connection, swept, as_json=as_json)


def step_of(text: str) -> timedelta:
    """A length of time such as `5m`. Raises BadInput."""
    from backtest.durations import Duration

    try:
        return timedelta(microseconds=int(Duration.parse(text)))
    except ValueError as error:
        raise BadInput(f"--every {text}: {error}.") from error


def _connections(place: Workplace, name: str | None) -> list[Connection]:
    from beton.store import connections

    if name is not None:
        return [place.connection(name)]
    with place.store.reading() as tx:
        return connections.every(tx)


def _sweep(place: Workplace, connection: Connection, tell: Progress) -> Swept:
    """One sweep. Requests sent in played time are kept out of the book of real ones."""
    from beton.posthog.ledger import MemoryLedger
    from beton.work.sweeping import sweep as sweep_connection

    if isinstance(place.clock, PlayedClock) and place.ledger is None:
        place = replace(place, ledger=MemoryLedger())
    return asyncio.run(sweep_connection(place, connection, tell))


def _replay(name: str | None, start: datetime, end: datetime, step: timedelta, *, as_json: bool) -> None:
    from beton.posthog.ledger import MemoryLedger

    clock, found, total = PlayedClock(start), [], (end - start) // step + 1
    with opened(clock=clock) as opened_place, showing() as tell:
        place = replace(opened_place, ledger=MemoryLedger())
        connection = choose_connection(place, name)
        for number in range(total):
            clock.set(start + number * step)
            swept = _sweep(place, connection, tell)
            found += swept.signals
            tell("Sweeping", number + 1, total)
            if as_json or swept.signals or swept.started:
                _tell(connection, swept, as_json=as_json)
    if not as_json:
        signal_table(found, title=f"{len(found)} signals of {total:,} sweeps")
        return
    summary = {"connection": connection.name, "sweeps": total, "from": _iso(start), "until": _iso(end)}
    shown = [{name: told[name] for name in SUMMARY} for told in map(signal_json, found)]
    print_json(summary | {"signals": shown, "requests": place.reading.to_json()})


def _tell(connection: Connection, swept: Swept, *, as_json: bool) -> None:
    if as_json:
        print_json({"connection": connection.name} | swept.to_json() | {"found": [signal_json(one) for one in swept.signals]})
        return
    write(f"{connection.name} at {_iso(swept.now)}: {len(swept.signals)} new signals.")
    if swept.started:
        say(f"{swept.started} hypotheses were started; {swept.already} of their units had fired before and are not sent.")


def signal_json(one: Signal) -> dict[str, Any]:
    """A signal as JSON: `unit` is null once it has been erased."""
    return {
        "signal_id": one.id,
        "hypothesis_id": one.hypothesis_id,
        "hypothesis_version": one.hypothesis_version,
        "type": one.type,
        "unit_kind": one.unit_kind,
        "unit": one.unit_id,
        "fired_at": _iso(one.fired_at),
        "occurrence": one.occurrence,
        "detected_at": _iso(one.detected_at),
        "confidence": one.confidence,
        "receipts": [{"event": seen.event, "at": _iso(seen.at), "event_id": seen.event_id} for seen in one.receipts],
    }


def signal_table(found: list[Signal], *, title: str = "") -> None:
    """Signals for people."""
    rows = [(_iso(one.fired_at), one.unit_id or "(erased)", one.occurrence, one.type, one.hypothesis_id, _iso(one.detected_at)) for one in found]
    table(("fired", "unit", "occurrence", "type", "hypothesis", "detected"), rows, title=title, right=("occurrence",))


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")

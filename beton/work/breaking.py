"""Names of live hypotheses that broke: looked for whenever a taxonomy is read, and by a survey several times a day."""

from __future__ import annotations

from collections.abc import Collection

from backtest import Hypothesis
from backtest.breakage import Use, broken, uses
from backtest.silence import silent
from backtest.taxonomy import Taxonomy
from beton.lifecycle import Status
from beton.posthog.pulse import STRETCHES, read_pulse
from beton.store import alarms, hypotheses
from beton.store.alarms import BrokenName
from beton.store.records import Connection
from beton.store.store import Transaction
from beton.work.workplace import Workplace, microseconds

LIVING = (Status.APPROVED, Status.PAUSED)


async def quiet_names(place: Workplace, connection: Connection) -> set[Use] | None:
    """Names of live hypotheses that have stopped coming: one query. `None` where nothing is live, so that nothing was asked."""
    with place.store.reading() as tx:
        living = _living(tx, connection)
    names = sorted({use for _, meaning in living for use in uses(meaning)})
    if not names:
        return None
    async with place.client(connection) as client:
        told = await read_pulse(client, names, microseconds(place.clock()))
    looks = len(names) * len(STRETCHES)
    return {use for use, beats in told.items() if any(silent(beat.last, beat.before, looks) for beat in beats)}


def note(
    tx: Transaction, connection: Connection, then: Taxonomy | None, now: Taxonomy, quiet: Collection[Use] | None
) -> list[tuple[str, list[BrokenName]]]:
    """Write down what broke between two snapshots, and what is whole again. New ones by hypothesis. Without `quiet` silence is left as it was."""
    found = []
    for row, meaning in _living(tx, connection):
        breaks = broken(meaning, then, now, quiet or ())
        lasting = {(one.kind, one.event or None, one.property or None) for one in breaks}
        over = [
            one.id
            for one in alarms.broken_names(tx, hypothesis_id=row.id)
            if (one.kind, one.event, one.property) not in lasting and (one.hypothesis_version != row.version or _is_over(one, now, quiet))
        ]
        alarms.end_breaks(tx, over)
        new = alarms.note_breaks(tx, row, breaks)
        if new:
            found.append((row.id, new))
    return found


def _is_over(one: BrokenName, now: Taxonomy, quiet: Collection[Use] | None) -> bool:
    """A type that changed is broken until it has changed back, since the next snapshot is compared with this one."""
    if one.kind == "property_retyped":
        return now.property_type(one.property or "") == one.was
    if one.kind == "event_silent" or (one.kind == "property_gone" and now.property(one.property or "") is not None):
        return quiet is not None
    return True


def _living(tx: Transaction, connection: Connection) -> list[tuple[hypotheses.Hypothesis, Hypothesis]]:
    rows = hypotheses.every(tx, connection_id=connection.id, statuses=LIVING)
    return [(row, Hypothesis.model_validate(row.definition)) for row in rows]

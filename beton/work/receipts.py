"""The events to show for a fire: from memory where that knows their names, else from PostHog."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence

from backtest import ReadPlan, Window
from backtest.atoms import atoms
from backtest.live import LiveFire, Memory
from backtest.refusals import matches_of
from backtest.taxonomy import Taxonomy
from beton.posthog.client import PostHogClient
from beton.posthog.events import Receipt as Seen
from beton.signals import Finding, Receipt
from beton.work.backtesting import reader_for
from beton.work.live_state import Live
from beton.work.workplace import instant

SHOWN = 10
"""Receipts written down with a signal: the last ones up to its fire."""

Found = tuple[Live, Memory, list[LiveFire]]


def remembered_receipts(memory: Memory, units: Collection[str]) -> dict[str, list[Seen]]:
    """Events of some units, oldest first: those that memory can name."""
    names = {key: atom.match.events[0] for key, atom in atoms(memory.meaning).items() if len(atom.match.events) == 1}
    found: dict[str, set[Seen]] = {}
    for (unit, atom, event), match in memory.kept.items():
        if unit in units and atom in names and event:
            found.setdefault(unit, set()).add(Seen(names[atom], match.at, str(uuid.UUID(bytes=event))))
    return {unit: sorted(seen, key=lambda one: (one.at, one.name, one.event_id)) for unit, seen in found.items()}


def names_all(one: Live) -> bool:
    """Whether memory can name every event that makes the hypothesis fire."""
    return all(len(atom.match.events) == 1 for atom in atoms(one.meaning).values())


async def receipts_for(client: PostHogClient, found: Sequence[Found], taxonomy: Taxonomy, now: int) -> dict[str, list[Seen]]:
    """The events behind the new fires of hypotheses of one unit kind: one query, none where memory knows them."""
    told: dict[str, list[Seen]] = {}
    for _, memory, fires in found:
        for unit, seen in remembered_receipts(memory, {fire[0] for fire in fires}).items():
            told[unit] = sorted({*told.get(unit, ()), *seen}, key=lambda event: (event.at, event.name, event.event_id))
    open_ones = [(one, fires) for one, _, fires in found if fires and not names_all(one)]
    if not open_ones:
        return told
    matches = [match for one, _ in open_ones for field, match in matches_of(one.meaning) if not field.startswith("outcome")]
    names = None if any(match.any_event for match in matches) else sorted({name for match in matches for name in match.events})
    plan = ReadPlan(open_ones[0][0].meaning.unit, Window(min(one.window_start for one, _ in open_ones), now))
    units = sorted({fire[0] for _, fires in open_ones for fire in fires})
    asked = await reader_for(client, plan, taxonomy).receipts(units, names)
    return told | {
        unit: sorted({*told.get(unit, ()), *seen}, key=lambda event: (event.at, event.name, event.event_id)) for unit, seen in asked.items()
    }


def finding(one: Live, fire: LiveFire, seen: Iterable[Seen]) -> Finding:
    """A fire as it is written down, with the last events before it."""
    unit, at, occurrence = fire
    names = {name for field, match in matches_of(one.meaning) if not field.startswith("outcome") for name in match.events}
    shown = [event for event in seen if event.at <= at and (not names or event.name in names)][-SHOWN:]
    receipts = tuple(Receipt(event=event.name, at=instant(event.at), event_id=event.event_id) for event in shown)
    return Finding(unit_kind=one.unit_kind, unit_id=unit, fired_at=instant(at), occurrence=occurrence, confidence=one.promised, receipts=receipts)

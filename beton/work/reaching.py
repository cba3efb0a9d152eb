"""Whom signals reach, as people set it: suppression lists from pasted text or CSV, snoozes, and how often the same may come up."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from beton.errors import BadInput, Conflict, Fault
from beton.signals import SuppressionList
from beton.store import holding, reach, signals, workspaces
from beton.store.reach import Entry, Snoozed, Stopped, Suppressed
from beton.store.records import Page
from beton.store.route_rules import Cooldown
from beton.work.companies import entry
from beton.work.workplace import Workplace

MOST_LINES = 50_000
LONGEST = 300
HEADINGS = frozenset(
    {
        "account", "account id", "account name", "company", "company domain", "company name", "contact", "customer", "domain", "domain name",
        "e-mail", "email", "email address", "group", "id", "name", "organization", "person", "person id", "record id", "url", "user", "user id",
        "website", "website url",
    }
)  # fmt: skip
"""First cells of a file's first line that say what stands below."""

Whom = Literal["unit", "account"]


@dataclass(frozen=True)
class Reach:
    """What holds signals back in a workspace."""

    stopped: Stopped | None
    cooldown: Cooldown
    counts: dict[str, int]
    """Lines of each suppression list."""
    snoozes: tuple[Snoozed, ...]


def standing(place: Workplace) -> Reach:
    """What holds signals back now."""
    with place.store.reading() as tx:
        return Reach(reach.stopped(tx), holding.cooldown(tx), reach.suppressed_counts(tx), tuple(reach.snoozes(tx)))


def entries_in(text: str) -> list[Entry]:
    """What pasted lines or a CSV file name: of each line all e-mail addresses and domains, or its first cell as an id of PostHog's."""
    found: dict[Entry, None] = {}
    for number, cells in enumerate(_rows(text)):
        if number >= MOST_LINES:
            raise BadInput(f"A list may have {MOST_LINES:,} lines at a time.", [Fault("entries", "has more")], fix="Bring the rest in another file.")
        if number == 0 and cells[0].lower() in HEADINGS:
            continue
        named = [one for one in map(entry, cells) if one is not None]
        telling = [one for one in named if one.named != "id"]
        found.update(dict.fromkeys(telling or named[:1]))
    too_long = next((one for one in found if len(one.value) > LONGEST), None)
    if too_long is not None:
        raise BadInput("A line of the list is too long.", [Fault("entries", f"begins with {too_long.value[:40]!r}")])
    return list(found)


def _rows(text: str) -> Iterator[list[str]]:
    """Lines with their cells, blank ones left out. A comma, a semicolon or a tab parts them, whichever the first line has."""
    plain = text.removeprefix("\ufeff").replace("\x00", "")
    first = plain.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    for row in csv.reader(io.StringIO(plain), delimiter=delimiter):
        cells = [cell.strip() for cell in row if cell.strip()]
        if cells:
            yield cells


def suppress(place: Workplace, name: SuppressionList, text: str, *, actor: str) -> tuple[int, int]:
    """Put all that a text names on a list: how many it names, and how many of them are new there."""
    try:
        found = entries_in(text)
    except csv.Error as error:
        raise BadInput("This is neither lines nor CSV.", [Fault("entries", str(error))]) from None
    if not found:
        raise BadInput("The text names nobody.", [Fault("entries", "has no line with a domain, an e-mail address or an id")])
    with place.store.transaction() as tx:
        return len(found), reach.suppress(tx, name, found, actor=actor)


def suppressed(place: Workplace, *, name: SuppressionList | None = None, limit: int = 50, after: str | None = None) -> Page[Suppressed]:
    """Lines of the lists, newest first."""
    with place.store.reading() as tx:
        return reach.suppressed(tx, name=name, limit=limit, after=after)


def unsuppress(place: Workplace, suppression_id: str, *, actor: str) -> Suppressed:
    """Take a line off its list."""
    with place.store.transaction() as tx:
        return reach.unsuppress(tx, suppression_id, actor=actor)


def clear(place: Workplace, name: SuppressionList, *, actor: str) -> int:
    """Empty a list; how many lines it had."""
    with place.store.transaction() as tx:
        return reach.clear(tx, name, actor=actor)


def snooze(place: Workplace, who: str, until: datetime, *, actor: str, reason: str | None = None) -> Snoozed:
    """Send nothing about whom a line names, until then."""
    named = entry(who)
    if named is None or len(named.value) > LONGEST:
        raise BadInput("This names nobody.", [Fault("who", "is empty or too long")], fix="Give a domain, an e-mail address or an id of PostHog's.")
    return _snooze(place, [named], until, actor=actor, reason=reason)[0]


def snooze_signal(place: Workplace, signal_id: str, whom: Whom, until: datetime, *, actor: str, reason: str | None = None) -> list[Snoozed]:
    """Send nothing about the unit of a signal, or about its whole account, until then."""
    with place.store.reading() as tx:
        signal = signals.get(tx, signal_id)
        account = reach.accounts(tx, [signal_id]).get(signal_id)
    if signal.unit_id is None:
        raise Conflict("The unit of this signal has been erased.", code="conflict.unit_erased", fix="Nothing: no signal comes of it.")
    named = [Entry("id", signal.unit_id)]
    if whom == "account" and signal.unit_kind == "person":
        if account is None:
            raise Conflict("The account of this signal is not known.", fix="Snooze its unit.")
        named = [Entry("id", account.key)] if account.key else []
        named += [Entry("domain", account.domain)] if account.domain else []
    return _snooze(place, named, until, actor=actor, reason=reason)


def _snooze(place: Workplace, named: Sequence[Entry], until: datetime, *, actor: str, reason: str | None) -> list[Snoozed]:
    if until <= place.clock():
        raise BadInput("A snooze ends in the future.", [Fault("until", "is past")])
    with place.store.transaction() as tx:
        return [reach.snooze(tx, one, until, actor=actor, reason=reason) for one in named]


def wake(place: Workplace, snooze_id: str, *, actor: str) -> Snoozed:
    """End a snooze."""
    with place.store.transaction() as tx:
        return reach.wake(tx, snooze_id, actor=actor)


def choose_cooldown(place: Workplace, wanted: Cooldown, *, actor: str) -> Cooldown:
    """Set how often the same may come up again in the whole workspace."""
    with place.store.transaction() as tx:
        workspaces.choose(tx, holding.COOLDOWN, wanted.model_dump() if wanted.asks else None, actor=actor)
    return wanted

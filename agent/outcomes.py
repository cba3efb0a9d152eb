"""Which question should be asked of a project? Suggestions from its taxonomy alone, each with its reasons, for a person to confirm.

Names say what an event may mean, in several languages; volumes say whether it can be that. An entry happens about once per unit and to many; an
outcome is rarer than the entry, happens seldom to the same unit, and to enough units to be tested. Nothing here is ever used without a person's
consent: a wrong outcome makes every number that follows true and useless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.internal_traffic import internal_traffic
from agent.markers import Means, as_entry, as_outcome
from agent.suggestions import SuggestedQuestion, Suggestion, Suggestions
from agent.vocabulary import met, tokens
from backtest.language import Goal, Group
from backtest.taxonomy import EventDefinition, Taxonomy

__all__ = ["SuggestedQuestion", "Suggestion", "Suggestions", "suggest"]

MOST = 8

FEWEST_UNITS = 30
"""Outcomes of fewer units in the window cannot be tested (numbers section 9)."""

ONCE = 1.25
"""Occurrences per unit up to which something counts as happening once: deliveries are repeated, and a person may belong to two accounts."""

RARER = 0.9
"""An outcome is reached by less than this share of those who enter."""

AS_OFTEN = 0.01
"""Volumes that differ by no more than this share are those of the same moments."""


def suggest(taxonomy: Taxonomy, filters: Sequence[Mapping[str, Any]] = ()) -> Suggestions:
    """Units, entries, outcomes and internal traffic that the taxonomy suggests; `filters` are PostHog's own against test accounts, if known."""
    reading = _Reading(taxonomy)
    units = _units(taxonomy)
    entries = reading.entries(accounts=units[0].unit != "person")
    outcomes = reading.outcomes(entries[0] if entries else None)
    internal = internal_traffic(taxonomy, filters)
    questions = tuple(_whole(units, entries, one) for one in outcomes)
    return Suggestions(units, tuple(entries[:MOST]), tuple(outcomes[:MOST]), internal, questions[:MOST])


def _whole(units: Sequence[Suggestion], entries: Sequence[Suggestion], outcome: Suggestion) -> SuggestedQuestion:
    """Who churns began as a subscriber, where that can be seen; everybody else with the likeliest entry."""
    fitting = [one for one in entries if one.event != outcome.event]
    begun = [one for one in fitting if one.code == "first_subscription"] if outcome.goal is Goal.churns else []
    return SuggestedQuestion(units[0], (begun or fitting or [None])[0], outcome)


# --- entries and outcomes --------------------------------------------------------------------------------------------


@dataclass
class _Reading:
    taxonomy: Taxonomy
    events: list[EventDefinition] = field(init=False)
    spellings: dict[str, list[str]] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    """By name, those of its other spellings included."""

    def __post_init__(self) -> None:
        """One event for each meaning of a name: of several spellings the most frequent."""
        usable = [one for one in self.taxonomy.events if one.volume and one.units and not one.internal and not one.hidden]
        by: dict[tuple[str, ...], list[EventDefinition]] = {}
        for one in sorted(usable, key=lambda one: (-one.volume, one.name)):
            by.setdefault(tokens(one.name) or (one.name,), []).append(one)
        self.events = [alike[0] for alike in by.values()]
        self.units = {alike[0].name: sum(one.units for one in alike) for alike in by.values()}
        self.spellings = {alike[0].name: [one.name for one in alike[1:]] for alike in by.values() if alike[1:]}

    def entries(self, *, accounts: bool) -> list[Suggestion]:
        """Candidates for the beginning of a unit's time, best first."""
        told = self.taxonomy.event("$groupidentify" if accounts else "$identify")
        widest = max(self.units.values(), default=0)
        found = []
        for one in self.events:
            means = as_entry(one.name, accounts=accounts) or _by_shape(one, widest)
            if means is None:
                continue
            score = means.score * _seldom(one, ONCE)
            said = [means.words, _often(one)]
            if told and abs(one.volume - told.volume) <= AS_OFTEN * told.volume:
                score += 0.15
                said.append(f"as often as {told.name}, with which PostHog hears of each {'account' if accounts else 'person'}")
            found.append(Suggestion("entry", means.code, self._said(one, said), score * (0.4 + 0.6 * self.units[one.name] / widest), event=one.name))
        return sorted(found, key=lambda one: (-one.score, one.event or ""))

    def outcomes(self, entry: Suggestion | None) -> list[Suggestion]:
        """Candidates for what is to be predicted, best first."""
        began = self.taxonomy.event(entry.event) if entry and entry.event else None
        found = []
        for one in self.events:
            if one is began or (means := as_outcome(one.name)) is None:
                continue
            score = means.score * _reached(one, began)
            said = [means.words, _often(one), *self._doubts(one, began)]
            found.append(self._outcome(one, means, score * _seldom(one, 1.5), said))
            found += [self._milestone(one, name, score) for name in one.properties if self._counts(name)]
        return sorted(found, key=lambda one: (-one.score, one.event or "", one.property or ""))

    def _outcome(self, one: EventDefinition, means: Means, score: float, said: list[str]) -> Suggestion:
        if twin := next((other.name for other in self.events if other is not one and (other.volume, other.units) == (one.volume, one.units)), None):
            said.append(f"as often as {twin!r}, which may be the same told twice")
        if means.goal is Goal.expands and (narrows := [name for name in one.properties if met(name, "subscription")]):
            said.append(f"it carries {narrows[0]!r}: where only one of its values matters, say which")
        return Suggestion("outcome", means.code, self._said(one, said), score, event=one.name, goal=means.goal)

    def _milestone(self, one: EventDefinition, name: str, score: float) -> Suggestion:
        """A running count is reached once, however often the event happens."""
        sentence = f"{name!r} counts up on {one.name!r}, so that reaching a number of them is an outcome of its own; say which number."
        return Suggestion("outcome", "milestone", sentence, 0.95 * score, property=name, goal=Goal.custom)

    def _counts(self, name: str) -> bool:
        return bool(met(name, "running")) and self.taxonomy.property_type(name) == "numeric"

    def _said(self, one: EventDefinition, reasons: Iterable[str]) -> str:
        more = [f"also spelled {', '.join(map(repr, self.spellings[one.name]))}"] if one.name in self.spellings else []
        return f"{one.name!r}: {'; '.join([*reasons, *more])}."

    def _doubts(self, one: EventDefinition, began: EventDefinition | None) -> list[str]:
        doubts = []
        if began and one.units >= RARER * began.units:
            doubts.append(f"as many have it as have {began.name!r}, so it tells nobody apart")
        if one.units < FEWEST_UNITS:
            doubts.append(f"fewer than {FEWEST_UNITS} have it, too few to test anything")
        return doubts


def _often(one: EventDefinition) -> str:
    return f"{one.units:,} did it, {one.volume / one.units:.1f} times each"


def _by_shape(one: EventDefinition, widest: int) -> Means | None:
    """A name that says nothing known, of an event that happens once to many."""
    named = any(met(one.name, concept) for concept in ("step", "end", "buy", "money", "grow", "done"))
    if named or one.volume > ONCE * one.units or one.units < 0.3 * widest:
        return None
    return Means("once_per_unit", 0.25, "its name says nothing, but it happens once to many")


def _seldom(one: EventDefinition, times: float) -> float:
    """1 for what happens at most so many times per unit, less the more often it does."""
    return 1 / (1 + max(0.0, one.volume / one.units - times) * 2)


def _reached(one: EventDefinition, began: EventDefinition | None) -> float:
    """How much the number of units speaks for an outcome."""
    share = 0.2 if began and one.units >= RARER * began.units else 1.0
    return share * (0.5 if one.units < FEWEST_UNITS else 1.0)


# --- units -----------------------------------------------------------------------------------------------------------


def _units(taxonomy: Taxonomy) -> tuple[Suggestion, ...]:
    """Accounts before persons where the project has accounts and its events belong to them."""
    person = Suggestion("unit", "person", "Persons: every event has one.", 0.5, unit="person")
    carried = [one for one in taxonomy.events if one.properties and not one.internal and one.volume]
    found = [person]
    for group in taxonomy.group_types:
        keys = {"$groups", f"$group_{group.index}"}
        share = sum(bool(keys & set(one.properties)) for one in carried) / len(carried) if carried else 1.0
        word = met(group.name, "account")
        score = (1.0 if word else 0.7) * share
        why = f"{share:.0%} of the events belong to one" if carried else "the project has them"
        sentence = f"Accounts of type {group.name!r}: {why}" + (", and the name says a customer." if word else ".")
        found.append(Suggestion("unit", "group_type", sentence, score, unit=Group(group=group.name)))
    return tuple(sorted(found, key=lambda one: -one.score))

"""Which names of a hypothesis its project uses no more, or uses differently.

A live hypothesis whose event was renamed says nothing, which looks like calm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from backtest.language import Did, Hypothesis, PropertyOutcome, State, Total, ValuesOf
from backtest.refusals import matches_of
from backtest.taxonomy import Taxonomy

Kind = Literal["event_gone", "event_silent", "property_gone", "property_retyped", "group_type_gone"]

ALIKE = 0.8
"""An event that is new and carries this share of the properties of one that is gone (of both together) may be the same under another name."""

NEAR = 0.7
"""How alike two names must look (`difflib`'s ratio) for one to be offered in place of the other."""


@dataclass(frozen=True, order=True)
class Use:
    """An event that a hypothesis looks at, or a property (its top level) of such an event; `event` is empty for a property of whatever event."""

    event: str
    property: str = ""


@dataclass(frozen=True)
class Break:
    """One name that broke; `instead` is what it may be called now."""

    kind: Kind
    event: str = ""
    property: str = ""
    was: str = ""
    became: str = ""
    instead: str = ""


def uses(hypothesis: Hypothesis) -> tuple[Use, ...]:
    """What must go on being sent for the hypothesis to mean what it meant."""
    return tuple(sorted(set(_uses(hypothesis))))


def _uses(hypothesis: Hypothesis) -> Iterator[Use]:
    for _, match in matches_of(hypothesis):
        if not isinstance(hypothesis.outcome, PropertyOutcome) or match != hypothesis.outcome.match:
            yield from (Use(name) for name in match.events)
        for comparison in match.where:
            yield from (Use(name, comparison.property[0]) for name in match.events or ("",))
    for clause in hypothesis.clauses:
        if isinstance(clause, State):
            yield Use("", clause.property[0])
        if isinstance(clause, Total):
            yield from (Use(name, clause.property[0]) for name in clause.match.events or ("",))
        if isinstance(clause, Did) and isinstance(clause.count, ValuesOf):
            yield from (Use(name, clause.count.values_of[0]) for name in clause.match.events or ("",))


def broken(hypothesis: Hypothesis, then: Taxonomy | None, now: Taxonomy, quiet: Collection[Use] = ()) -> list[Break]:
    """What of it broke between two snapshots (`then` may be missing), and what of it has fallen `quiet`."""
    found: list[Break] = []
    for use in uses(hypothesis):
        if not use.property:
            found += _event(use, then, now, quiet)
        elif not any(one.event == use.event and not one.property for one in found):  # of a lost event the properties are lost too
            found += _property(use, then, now, quiet)
    if hypothesis.unit != "person" and now.group_types and now.group_type(hypothesis.unit.group) is None:
        found.append(Break("group_type_gone", was=hypothesis.unit.group, instead=_or(one.name for one in now.group_types)))
    return found


def _event(use: Use, then: Taxonomy | None, now: Taxonomy, quiet: Collection[Use]) -> list[Break]:
    if now.event(use.event) is None:
        return [Break("event_gone", use.event, instead=_other_event(use.event, then, now))]
    if use in quiet:
        return [Break("event_silent", use.event, instead=_other_event(use.event, then, now))]
    return []


def _property(use: Use, then: Taxonomy | None, now: Taxonomy, quiet: Collection[Use]) -> list[Break]:
    known = now.property(use.property)
    if known is None or use in quiet:
        return [Break("property_gone", use.event, use.property, instead=_other_property(use, then, now))]
    was = then.property_type(use.property) if then is not None else "unknown"
    if "unknown" in (was, known.type) or was == known.type:
        return []
    return [Break("property_retyped", use.event, use.property, was, known.type)]


def _other_event(name: str, then: Taxonomy | None, now: Taxonomy) -> str:
    """A name that was not there before: the only one that carries the same properties, else one that looks alike."""
    if then is None:
        return ""
    new = [one for one in now.events if one.volume and ((former := then.event(one.name)) is None or not former.volume)]
    lost = then.event(name)
    carried = {one for one in lost.properties if not one.startswith("$")} if lost is not None else set()
    alike = [one.name for one in new if carried and _overlap(carried, {each for each in one.properties if not each.startswith("$")}) >= ALIKE]
    return alike[0] if len(alike) == 1 else _close(name, [one.name for one in new])


def _other_property(use: Use, then: Taxonomy | None, now: Taxonomy) -> str:
    """A property that was not there before: the only new one of the same event, else one that looks alike."""
    if then is None:
        return ""
    new = [one.name for one in now.properties if one.kind == "event" and then.property(one.name) is None]
    with_it = [one for one in new if now.carries(use.event, one)]
    return with_it[0] if len(with_it) == 1 else _close(use.property, new)


def _close(name: str, new: list[str]) -> str:
    folded = {_fold(one): one for one in new}
    close = get_close_matches(_fold(name), folded, n=1, cutoff=NEAR)
    return folded[close[0]] if close else ""


def _overlap(some: set[str], others: set[str]) -> float:
    return len(some & others) / len(some | others)


def _fold(name: str) -> str:
    return name.casefold().replace("-", " ").replace("_", " ").replace(".", " ").lstrip("$")


def _or(names: Iterator[str]) -> str:
    return " or ".join(names)

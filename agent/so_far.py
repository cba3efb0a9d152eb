"""What a search has come upon while it goes on: strong single conditions, of which nothing is confirmed yet and many will not be proposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.screen import Screen
from backtest import Hypothesis
from backtest.language import Clause, Did, DidNot, Trend
from backtest.score import score

MOST = 5
LOOKED_AT = 40
"""Conditions of which labels are looked at: many of the strongest are steps on the outcome's own path."""


@dataclass(frozen=True)
class Lead:
    """A condition that stands out on the discovering part. `lift` is that of the closed table, with nothing taken off for the search."""

    hypothesis: Hypothesis
    lift: float


Noticed = Callable[[Sequence[Lead]], None]


def leads(screen: Screen) -> list[Lead]:
    """The strongest conditions that are of some use, each about other events. Values of properties are not told of: most leads are never proposed,
    and what is not proposed leaves no value behind."""
    found: list[Lead] = []
    told: set[frozenset[str]] = set()
    for one in sorted(screen.entries, key=lambda one: one.log_p)[:LOOKED_AT]:
        about = frozenset(name for clause in one.clauses for name in getattr(getattr(clause, "match", None), "events", ()))
        lift = one.closed.lift
        if len(found) == MOST or about in told or lift is None or lift <= 1 or not all(map(_of_events, one.clauses)):
            continue
        told.add(about)
        if not score(one.hypothesis, one.table.part.log).labels:
            found.append(Lead(one.hypothesis, lift))
    return found


def _of_events(clause: Clause) -> bool:
    """It asks for events and for no value that they carry."""
    return isinstance(clause, Did | DidNot | Trend) and not clause.match.where

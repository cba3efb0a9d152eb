"""What earlier runs proposed and what people said to it, and the rule by which an idea may come back.

The rule, exactly. Of what is remembered, only hypotheses of the same units and the same outcome matter. A candidate is left out when

* it is live, or the same idea as a live one (Jaccard of the fired units at least 0.8, or 95 % of its units among those of the live one);
* it is snoozed, or the same idea (Jaccard at least 0.8) as a snoozed one;
* it was rejected or retired, or is the same idea (Jaccard at least 0.8) as one that was, and the evidence has not changed. Evidence changes when,
  on the discovering part, the lower limit of its closed lift now lies above the upper limit of then, or when at least twice as many fires are
  judged and the answer to "does the lower limit reach the bar's?" is another one. What was rejected without numbers has no evidence to change;
* it names the one event of a hypothesis that was rejected as `own path`, `trivial` or `not ours`. No evidence changes that; reopening it does.

Fires do not depend on outcomes, so comparing them looks at nothing that confirms. The reason of a rejection is a person's text. It carries a code
when it begins with one, alone or before a colon: "own path: opening the checkout is buying".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from backtest import EventLog, Hypothesis
from backtest.events import first_key, outcome_key
from backtest.fires import fires_of, held
from backtest.intervals import Codes
from backtest.language import Clause, Unit
from backtest.measures import Truth
from backtest.redundancy import MERGE_AT_CONTAINMENT, MERGE_AT_JACCARD, Overlap
from backtest.refusals import matches_of
from backtest.truth import truth
from backtest.verdict import Bar

Status = Literal["draft", "proposed", "snoozed", "approved", "paused", "rejected", "retired"]
LIVE: frozenset[str] = frozenset({"approved", "paused"})
ENDED: frozenset[str] = frozenset({"rejected", "retired"})

ABOUT_THE_EVENT = ("own path", "trivial", "not ours")
"""Codes of reasons that concern the event, not its numbers: the event is a step of the outcome itself; everybody does it or it says nothing new; it
is made by our own people, tests or machines."""


MOST_COMPARED = 250
"""Candidates, the first ones given, whose units are compared; further ones are left out by name and event only. The list is made of the best."""


class Value(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(Value):
    """What the discovering part told when a person decided. `fires` are the judged ones, lift is the closed one with its 95 % interval."""

    fires: int
    lift_low: float | None = None
    lift_high: float | None = None

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Evidence:
        """From published numbers; those of one that was never searched for are of the whole window."""
        told = published.get("discovery") or published
        closed = told.get("closed") or {}
        return cls(fires=told["sample_size"], lift_low=closed.get("lift_low"), lift_high=closed.get("lift_high"))

    def changed(self, fires: int, lift_low: float, asked: float) -> bool:
        """Whether `fires` and `lift_low` of now say something else, where the bar asks for a lower limit of `asked`."""
        if self.lift_high is not None and lift_low > self.lift_high:
            return True
        reached = self.lift_low is not None and self.lift_low >= asked
        return fires >= 2 * self.fires and (lift_low >= asked) != reached


class Remembered(Value):
    """A hypothesis of an earlier run, what became of it, and why."""

    fingerprint: str
    hypothesis: Hypothesis
    status: Status
    reason: str | None = None
    evidence: Evidence | None = None
    id: str | None = None
    """What people know it by."""

    @property
    def code(self) -> str | None:
        """The code that the reason begins with."""
        said = (self.reason or "").partition(":")[0].strip().casefold().replace("_", " ").replace("-", " ")
        return said if said in ABOUT_THE_EVENT else None

    @cached_property
    def events(self) -> frozenset[str]:
        """The events that its clauses name."""
        return events_of(self.hypothesis)


class Memory(Value):
    """Everything that is remembered about one connection. `facts` are people's sentences about their business."""

    remembered: tuple[Remembered, ...] = ()
    facts: tuple[str, ...] = ()

    def of(self, fingerprint: str) -> Remembered | None:
        """What is remembered of this very hypothesis."""
        return next((one for one in self.remembered if one.fingerprint == fingerprint), None)


class Found(Protocol):
    """What the rule looks at: a candidate of the search, as the discovering part counts it."""

    @property
    def hypothesis(self) -> Hypothesis: ...
    @property
    def sample_size(self) -> int: ...
    @property
    def lift_low(self) -> float: ...


@dataclass(frozen=True)
class LeftOut:
    """Why a candidate is not shown. `code`: live | snoozed | rejected | retired | about_the_event."""

    fingerprint: str
    because_of: Remembered
    code: str
    sentence: str


def leave_out(memory: Memory, candidates: Iterable[Found], log: EventLog, bar: Bar | None = None) -> dict[str, LeftOut]:
    """Fingerprint → why, of the candidates that the rule leaves out. `log` is the whole one; what it was not read for is compared by name only."""
    asks, same = bar or Bar(), Sameness(log)
    found: dict[str, LeftOut] = {}
    decided = [one for one in memory.remembered if one.status not in ("draft", "proposed")]
    alike: dict[tuple[Unit, str], list[Remembered]] = {}
    for place, one in enumerate(candidates):
        question = one.hypothesis.unit, outcome_key(one.hypothesis)
        if question not in alike:
            alike[question] = [known for known in decided if asks_alike(one.hypothesis, known.hypothesis)]
        fingerprint = one.hypothesis.fingerprint
        for known in alike[question]:
            if (why := _why(fingerprint, one, known, same if place < MOST_COMPARED else None, asks)) is not None:
                found[fingerprint] = why
                break
    return found


def events_of(hypothesis: Hypothesis) -> frozenset[str]:
    """The events that a hypothesis's clauses name."""
    return frozenset(name for where, match in matches_of(hypothesis) if where.startswith("clauses") for name in match.events)


def _why(fingerprint: str, one: Found, known: Remembered, same: Sameness | None, bar: Bar) -> LeftOut | None:
    mine, told = one.hypothesis, _told(known)
    if known.status == "rejected" and known.code is not None and len(known.events) == 1 and known.events <= events_of(mine):
        (event,) = known.events
        return LeftOut(fingerprint, known, "about_the_event", f"It is about {event!r}, which was rejected as {known.code}: {told}.")
    itself = fingerprint == known.fingerprint
    overlap = None if itself or same is None else same.overlap(mine, known.hypothesis)
    near = itself or (overlap is not None and (overlap.jaccard or 0) >= MERGE_AT_JACCARD)
    if known.status in LIVE:
        within = overlap is not None and (overlap.first_contained or 0) >= MERGE_AT_CONTAINMENT
        return LeftOut(fingerprint, known, "live", f"It repeats what is live: {told}.") if near or within else None
    if not near:
        return None
    if known.status == "snoozed":
        return LeftOut(fingerprint, known, "snoozed", f"It repeats what was put off: {told}.")
    if known.evidence is not None and known.evidence.changed(one.sample_size, one.lift_low, bar.min_lift_low):
        return None
    return LeftOut(fingerprint, known, known.status, f"It repeats what was {known.status}, and the evidence has not changed: {told}.")


def _told(known: Remembered) -> str:
    name = known.id or known.fingerprint[:12]
    return f"{name} ({known.reason})" if known.reason else name


def asks_alike(first: Hypothesis, second: Hypothesis) -> bool:
    """Same units, same outcome; the horizon and the entry may differ."""
    return first.unit == second.unit and outcome_key(first) == outcome_key(second)


@dataclass
class Sameness:
    """Whom hypotheses fire for in a log, each looked at once."""

    log: EventLog
    known: dict[int, tuple[Hypothesis, Codes | None]] = field(default_factory=dict)
    """By identity, with the hypothesis itself so that none other takes its place: to compute fingerprints would take longer than to look."""

    truths: dict[tuple[str, str], Truth] = field(default_factory=dict)
    """Of clauses, by entry: combinations share them."""

    def fired(self, hypothesis: Hypothesis) -> Codes | None:
        """Units that fire, ascending; `None` where the log was not read for this hypothesis."""
        key = id(hypothesis)
        if key not in self.known:
            self.known[key] = hypothesis, self._fired(hypothesis) if readable(hypothesis, self.log) else None
        return self.known[key][1]

    def overlap(self, first: Hypothesis, second: Hypothesis) -> Overlap | None:
        """`None` where it cannot be told."""
        one, other = self.fired(first), self.fired(second)
        if one is None or other is None:
            return None
        return Overlap(len(one), len(other), len(np.intersect1d(one, other, assume_unique=True)))

    def _fired(self, hypothesis: Hypothesis) -> Codes:
        where = held(hypothesis, self.log, lambda clause: self._truth(hypothesis, clause))
        return fires_of(where, hypothesis, self.log).firsts().unit

    def _truth(self, hypothesis: Hypothesis, clause: Clause) -> Truth:
        key = first_key(hypothesis.entry), clause.model_dump_json()
        if key not in self.truths:
            self.truths[key] = truth(clause, self.log, self.log.entry(hypothesis))
        return self.truths[key]


def readable(hypothesis: Hypothesis, log: EventLog) -> bool:
    """Whether a log holds what the hypothesis looks at: its entry, its events, the properties that it compares and the cohorts it names."""
    if first_key(hypothesis.entry) not in log.firsts or not events_of(hypothesis) <= set(log.names):
        return False
    paths = {one.property for where, match in matches_of(hypothesis) if where.startswith("clauses") for one in match.where}
    paths |= {path for clause in hypothesis.clauses if (path := getattr(clause, "property", None)) is not None}
    paths |= {path for clause in hypothesis.clauses if (path := getattr(getattr(clause, "count", None), "values_of", None)) is not None}
    cohorts = {name for clause in hypothesis.clauses if (name := getattr(clause, "cohort", None)) is not None}
    persons = any(getattr(clause, "count", None) == "persons" for clause in hypothesis.clauses)
    return paths <= log.columns.keys() and cohorts <= log.cohorts.keys() and (not persons or log.persons is not None)


def repeated(hypothesis: Hypothesis, live: Sequence[Remembered], same: Sameness) -> Remembered | None:
    """The live hypothesis that this one repeats, if any."""
    for known in live:
        overlap = same.overlap(hypothesis, known.hypothesis) if asks_alike(hypothesis, known.hypothesis) else None
        if overlap is not None and ((overlap.jaccard or 0) >= MERGE_AT_JACCARD or (overlap.first_contained or 0) >= MERGE_AT_CONTAINMENT):
            return known
    return None

"""What may be meant, told to a person who decides: one thing at a time, or a whole question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.search import Question
from backtest import Hypothesis
from backtest.language import Goal, Group, Unit
from backtest.matching import Comparison, EventMatch

HORIZON_DAYS = 14

Role = Literal["entry", "outcome", "unit", "internal"]


@dataclass(frozen=True)
class Suggestion:
    """One thing that may be meant. `code` is stable, `sentence` says why; `score` only ranks suggestions of the same role.

    `event` or `property` names it; `goal` is that of an outcome. A property outcome asks for `at_least`, which a person has to name.
    `where` are comparisons that the event has to meet, for internal traffic those that leave it out.
    """

    role: Role
    code: str
    sentence: str
    score: float
    event: str | None = None
    property: str | None = None
    unit: Unit | None = None
    goal: Goal | None = None
    where: tuple[Comparison, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For command line and API."""
        unit = self.unit.model_dump() if isinstance(self.unit, Group) else self.unit
        told = {"role": self.role, "code": self.code, "sentence": self.sentence, "event": self.event, "property": self.property, "unit": unit}
        return told | {"goal": self.goal.value if self.goal else None, "where": [one.model_dump() for one in self.where]}


@dataclass(frozen=True)
class SuggestedQuestion:
    """A whole question: whose behaviour, from when on, towards what. `needs` says what a person has to add before it can be asked."""

    unit: Suggestion
    entry: Suggestion | None
    outcome: Suggestion
    horizon_days: int = HORIZON_DAYS

    @property
    def needs(self) -> str | None:
        """A property outcome needs the number that counts as reached."""
        return f"the value that {self.outcome.property} has to reach" if self.outcome.property else None

    def question(self, *, horizon_days: int | None = None, at_least: float | None = None, leave_out: Sequence[Comparison] = ()) -> Question:
        """The question in the language. `leave_out` are comparisons that the entry event has to meet. Raises ValueError where a value is lacking."""
        outcome: dict[str, Any] = {"horizon": f"{horizon_days or self.horizon_days}d", "goal": (self.outcome.goal or Goal.custom).value}
        if self.outcome.property is None:
            outcome |= {"kind": "event", "match": {"events": [self.outcome.event], "where": list(self.outcome.where)}}
        elif at_least is None:
            raise ValueError(f"say which value counts as reached: {self.needs}")
        else:
            outcome |= {"kind": "property", "property": self.outcome.property, "op": "at_least", "value": at_least}
        entry = None if self.entry is None else EventMatch(events=(self.entry.event or "",), where=tuple(leave_out))
        asked = {"unit": self.unit.unit, "entry": entry, "outcome": outcome, "clauses": [{"kind": "age", "at_least": "1d"}]}
        shape = Hypothesis.model_validate(asked)
        return Question(shape.unit, shape.entry, shape.outcome)

    @property
    def sentence(self) -> str:
        """What would be asked, in words."""
        who = f"each {self.unit.unit.group}" if isinstance(self.unit.unit, Group) else "each person"
        begins = f"from {self.entry.event!r} on" if self.entry else "from the first event on"
        towards = f"{self.outcome.property!r} reaching a value" if self.outcome.property else repr(self.outcome.event)
        goal = self.outcome.goal.value if self.outcome.goal else "custom"
        return f"For {who}, {begins}: what precedes {towards} within {self.horizon_days} days ({goal})?"

    def to_json(self) -> dict[str, Any]:
        """For command line and API."""
        parts = {"unit": self.unit.to_json(), "entry": self.entry.to_json() if self.entry else None, "outcome": self.outcome.to_json()}
        return {"sentence": self.sentence, **parts, "horizon_days": self.horizon_days, "needs": self.needs, "definition": self._definition()}

    def _definition(self) -> dict[str, Any] | None:
        """Unit, entry and outcome as a hypothesis file writes them; None where a value is lacking."""
        if self.needs:
            return None
        told = self.question().ask({"kind": "age", "at_least": "1d"}).to_json()
        return {key: value for key, value in told.items() if key in ("unit", "entry", "outcome")}


@dataclass(frozen=True)
class Suggestions:
    """Each list best first. `questions` are numbered from 1 for people."""

    units: tuple[Suggestion, ...]
    entries: tuple[Suggestion, ...]
    outcomes: tuple[Suggestion, ...]
    internal: tuple[Suggestion, ...]
    questions: tuple[SuggestedQuestion, ...]

    def to_json(self) -> dict[str, Any]:
        """For command line and API."""
        lists = {name: [one.to_json() for one in getattr(self, name)] for name in ("units", "entries", "outcomes", "internal")}
        return {"questions": [{"number": number} | one.to_json() for number, one in enumerate(self.questions, 1)], **lists}

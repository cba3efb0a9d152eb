"""What a route takes, how often, whose it is, and what it says: the values, and the plain questions to them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from beton.signals import SignalType, UnitKind, Value

MOST_DAYS = 365
MOST_HOURS = 24 * 30


class Passes(Value):
    """Which signals a route takes; what is left open takes all."""

    hypotheses: tuple[str, ...] = ()
    """By id."""
    types: tuple[SignalType, ...] = ()
    unit_kinds: tuple[UnitKind, ...] = ()
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    """A signal without a confidence does not pass where one is asked for."""
    cohort: str | None = Field(default=None, pattern=r"^[0-9]{1,12}$")
    """The number of a cohort of PostHog: those who were in it when they fired. Accounts are in none."""

    def take(self, *, hypothesis_id: str, type: SignalType, unit_kind: UnitKind, confidence: float | None, segments: frozenset[str]) -> bool:
        """Whether a signal is for this route."""
        return (
            (not self.hypotheses or hypothesis_id in self.hypotheses)
            and (not self.types or type in self.types)
            and (not self.unit_kinds or unit_kind in self.unit_kinds)
            and (self.min_confidence is None or (confidence is not None and confidence >= self.min_confidence))
            and (self.cohort is None or self.cohort in segments)
        )


class Cooldown(Value):
    """How often the same may come up again; 0 and `None` set no limit."""

    unit_days: float = Field(default=0, ge=0, le=MOST_DAYS)
    """Days after a signal about a unit in which there is no other about it, of whatever hypothesis."""
    account_days: float = Field(default=0, ge=0, le=MOST_DAYS)
    """The same for all units of an account."""
    per_day: int | None = Field(default=None, ge=1, le=100_000)
    """Most signals in 24 hours."""

    @property
    def asks(self) -> bool:
        """Whether it limits anything."""
        return bool(self.unit_days or self.account_days or self.per_day)


class Turn(Value):
    """A member whose turn comes, up to so many signals in seven days."""

    member: str
    per_week: int = Field(default=50, ge=1, le=10_000)


class Owners(Value):
    """Whose a signal is to begin with. `crm_owner`: whom the CRM's property in PostHog names, if a member has that e-mail address; else by turns."""

    rule: Literal["nobody", "crm_owner", "round_robin"] = "nobody"
    turns: tuple[Turn, ...] = Field(default=(), max_length=200)
    escalate_after_hours: float | None = Field(default=None, gt=0, le=MOST_HOURS)
    """Hours without a claim after which it becomes somebody else's."""
    escalate_to: str | None = None
    """A member's id."""

    @model_validator(mode="after")
    def _whole(self) -> Owners:
        if self.rule == "round_robin" and not self.turns:
            raise ValueError("round robin needs members")
        if len({one.member for one in self.turns}) != len(self.turns):
            raise ValueError("a member has one turn")
        if (self.escalate_after_hours is None) is not (self.escalate_to is None):
            raise ValueError("an escalation needs both hours and a member")
        if self.escalate_to is not None and self.rule == "nobody":
            raise ValueError("what is nobody's cannot be escalated")
        return self


class Rules(Value):
    """All that a person has set of a route besides its destination."""

    passes: Passes = Passes()
    cooldown: Cooldown = Cooldown()
    owners: Owners = Owners()
    template: str | None = Field(default=None, max_length=4000)
    """The text of its messages; `None` for the channel's own."""

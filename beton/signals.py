"""What Beton found and whom it told: the value types of signals and deliveries.

A signal says "this hypothesis fired for this unit at this instant", with receipts that let a person check it in PostHog. A notice says that a
hypothesis changed its status. A delivery is one of either on its way along one route. These types know no table; the store returns them, routing
sends them, pages show them. None of them has room for an event's properties.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

UnitKind = Literal["person", "account"]
RouteKind = Literal["webhook", "slack", "email", "hubspot", "attio", "posthog_annotation", "posthog_cohort"]
SignalType = Literal["pql", "expansion", "churn_risk", "trial", "spike", "custom"]
SuppressionList = Literal["customers", "open_opportunities", "internal", "competitors"]
Cooling = Literal["unit_cooldown", "account_cooldown", "daily_limit"]
HeldBecause = SuppressionList | Literal["snoozed", "holdout"] | Cooling
"""Why a signal was written down and not sent: its unit, account or domain is on that list, or is snoozed; it came too soon after another of the
same unit or account; the day's number was reached; or it was left out at random, to measure what sending adds."""

ROUTE_KINDS: tuple[str, ...] = get_args(RouteKind)
SIGNAL_TYPES: tuple[str, ...] = get_args(SignalType)
LISTS: tuple[str, ...] = get_args(SuppressionList)
HELD_BECAUSE: tuple[str, ...] = (*LISTS, "snoozed", "holdout", *get_args(Cooling))


_BY_GOAL: dict[str, SignalType] = {"converts": "pql", "expands": "expansion", "churns": "churn_risk"}


def signal_type(goal: str, clause_kinds: Collection[str] = ()) -> SignalType:
    """What sales calls it: from the outcome's goal (`converts`, `expands`, …) and the kinds of the hypothesis's clauses.

    A conversion that is told by the unit's age is a trial about to convert; a trend towards no particular goal is a spike.
    """
    if goal == "converts" and "age" in clause_kinds:
        return "trial"
    if goal in _BY_GOAL:
        return _BY_GOAL[goal]
    return "spike" if "trend" in clause_kinds else "custom"


class Value(BaseModel):
    """A frozen value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeliveryStatus(StrEnum):
    """How far a delivery got."""

    PENDING = "pending"  # to be sent at `next_attempt_at`
    DELIVERED = "delivered"  # the receiver said 2xx
    FAILED = "failed"  # the last attempt failed; will be tried again at `next_attempt_at`
    DEAD = "dead"  # given up; only a person can revive it
    PAUSED = "paused"  # its hypothesis is paused or retired
    IN_DOUBT = "in_doubt"  # sent perhaps: the worker died before it could write down the answer


class Feedback(StrEnum):
    """What became of a signal, as the one who followed it up says."""

    WORKED = "worked"
    NOT_A_FIT = "not_a_fit"
    CUSTOMER = "customer"  # had bought before anybody called


class Receipt(Value):
    """One event that made the hypothesis fire: enough to find it in PostHog, nothing of what it carried."""

    event: str
    at: AwareDatetime
    event_id: str | None = None


class Account(Value):
    """The company that a unit belongs to, as far as it is known: a group of PostHog's, or the registrable domain of an e-mail address."""

    key: str | None = None
    """The group's key."""
    name: str | None = None
    domain: str | None = None

    @property
    def label(self) -> str | None:
        """What people call it."""
        return self.name or self.domain or self.key


class Finding(Value):
    """A fire that a sweep wants recorded; the store turns those that are new into signals."""

    unit_kind: UnitKind
    unit_id: str = Field(min_length=1)
    fired_at: AwareDatetime
    occurrence: int = Field(default=1, ge=1)
    """1 for a unit's first fire of this hypothesis version, counting up only where the hypothesis allows a cool-down."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """The precision promised by the backtest at approval; `None` when it could not be told."""
    receipts: tuple[Receipt, ...] = ()
    account: Account | None = None
    email: str | None = Field(default=None, repr=False)
    """To compare with suppression lists and to tell the account by; written down nowhere."""
    crm_owner: str | None = Field(default=None, repr=False)
    """The e-mail address of whom the CRM names as owner; written down nowhere."""
    segments: frozenset[str] = frozenset()
    """Those cohorts of PostHog, of the ones that routes ask for, that the unit is in."""


class Signal(Value):
    """A recorded fire. `unit_id` is `None` once the unit has been erased."""

    id: str
    workspace_id: str
    connection_id: str
    hypothesis_id: str
    hypothesis_version: int
    type: str
    """The kind of outcome that the hypothesis predicts: converts, expands, churns, returns, custom."""
    unit_kind: UnitKind
    unit_id: str | None
    occurrence: int
    fired_at: datetime
    detected_at: datetime
    confidence: float | None
    receipts: tuple[Receipt, ...]
    owner_id: str | None = None
    """The member or key that has claimed it."""
    taken_back_at: datetime | None = None
    """Since when it counts as a mistake: what had not left by then does not leave."""
    held_because: HeldBecause | None = None
    """Why it was written down without being sent; `None` where it went along its routes."""
    signal_type: SignalType = "custom"
    """What sales calls it."""
    assigned_id: str | None = None
    """The member whose turn it was; whoever claims it becomes its owner."""
    assigned_at: datetime | None = None
    passed_over: dict[str, str] | None = None
    """Route id → why it did not go along: "filter", or what of the route's own cooldown."""
    revised_at: datetime | None = None
    """Since when what arrived later speaks against it: by all that is known now, the hypothesis does not hold where it fired."""
    merged_into: str | None = None
    """The earlier signal of what turned out to be the same person."""


class Notice(Value):
    """A change of a hypothesis's status, as it was when it was made."""

    id: str
    hypothesis_id: str
    hypothesis_version: int
    row_version: int
    """The hypothesis's, after the change: whoever gets notices out of order can tell which is later."""
    sentence: str
    was: str
    became: str
    action: str
    actor: str
    reason: str | None
    at: datetime


class Delivery(Value):
    """One signal, or one notice, along one route."""

    id: str
    signal_id: str | None
    notice_id: str | None = None
    route_id: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    message_id: str
    """Content-derived and stable over retries and restores: a receiver that keeps it sees every signal once."""
    created_at: datetime
    delivered_at: datetime | None
    attempts_before: int = 0
    """Attempts of earlier rounds: what a person sends again gets all its attempts anew."""
    step: int = 0
    """0 for the message itself, 1 for the one that says that nobody has claimed it."""


class Claim(Value):
    """A delivery leased to one worker, with all it needs to send it."""

    delivery: Delivery
    about: Signal | Notice
    lease: str
    """Shown again when the attempt is written down: a worker that overslept its lease cannot overwrite its successor."""
    leased_until: datetime


class AttemptOutcome(Value):
    """What one attempt to deliver came to."""

    status: DeliveryStatus
    status_code: int | None = None
    latency_ms: int | None = None
    response_head: str | None = None
    error: str | None = None
    next_attempt_at: AwareDatetime | None = None
    counts: bool = True
    """Whether it says something of the destination: nothing was sent where the unit had been erased."""

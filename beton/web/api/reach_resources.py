"""What the API sends and takes in of whom signals reach: the stop, cooldowns, suppression lists, snoozes, accounts, dry runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from beton.signals import RouteKind, SignalType, SuppressionList, UnitKind
from beton.store.reach import Snoozed, Stopped, Suppressed
from beton.web.api.bodies import Body, Instant, Line
from beton.web.api.resources import Listing, Sent
from beton.web.api.rule_resources import CooldownRead, RulesBody
from beton.work.knowing import Telling
from beton.work.previewing import Line as Played
from beton.work.previewing import Preview
from beton.work.reaching import Reach

Reason = Annotated[str, Field(min_length=1, max_length=500)]


class StoppedRead(Sent):
    """All sending is stopped."""

    at: datetime
    actor: str
    reason: str | None

    @classmethod
    def of(cls, one: Stopped | None) -> StoppedRead | None:
        return None if one is None else cls(**one.model_dump())


class SendingRead(Sent):
    """Whether anything is sent at all, and how often the same may come up."""

    stopped: StoppedRead | None
    cooldown: CooldownRead

    @classmethod
    def of(cls, one: Reach) -> SendingRead:
        return cls(stopped=StoppedRead.of(one.stopped), cooldown=CooldownRead(**one.cooldown.model_dump()))


class SendingStarted(Sent):
    """How many deliveries that had waited were given up."""

    dropped: int


class SuppressionRead(Sent):
    """A line of a suppression list."""

    suppression_id: str
    list: SuppressionList
    named: Literal["id", "domain", "email"]
    label: str
    actor: str
    created_at: datetime

    @classmethod
    def of(cls, one: Suppressed) -> SuppressionRead:
        return cls(suppression_id=one.id, **one.model_dump(exclude={"id"}))


class SuppressionPage(Listing):
    data: list[SuppressionRead]


class SuppressionsAdded(Sent):
    """How many were named, and how many of them were not on the list before."""

    named: int
    added: int


class SuppressionsCleared(Sent):
    """How many lines the list had."""

    removed: int


class SnoozeRead(Sent):
    """A unit, account or company about which nothing is sent until then."""

    snooze_id: str
    named: Literal["id", "domain", "email"]
    label: str
    until: datetime
    reason: str | None
    actor: str
    created_at: datetime

    @classmethod
    def of(cls, one: Snoozed) -> SnoozeRead:
        return cls(snooze_id=one.id, **one.model_dump(exclude={"id"}))


class SnoozePage(Listing):
    data: list[SnoozeRead]


class AccountsRead(Sent):
    """Which properties of the project tell accounts and owners; null is found by usual names, empty is not asked for."""

    email: str | None
    group_type: str | None
    name: str | None
    domain: str | None
    owner: str | None

    @classmethod
    def of(cls, one: Telling) -> AccountsRead:
        return cls(**one.model_dump())


class DryRunLine(Sent):
    """A signal or fire of those weeks, and what would have become of it."""

    signal_id: str | None = Field(description="Null for a fire of a backtest.")
    hypothesis_id: str
    unit_kind: UnitKind
    unit: str | None = Field(description="Null without the permission to read signals.")
    signal_type: SignalType
    confidence: float | None
    fired_at: datetime
    why_not: str | None = Field(description="Why it would not have gone; null where it would have.")
    owner: str | None
    text: str | None = Field(description="What would have been said; null where nothing would, or without the permission to read signals.")

    @classmethod
    def of(cls, one: Played, *, units: bool) -> DryRunLine:
        signal = one.candidate.signal
        return cls(
            signal_id=None if one.candidate.from_backtest else signal.id,
            hypothesis_id=signal.hypothesis_id,
            unit_kind=signal.unit_kind,
            unit=signal.unit_id if units else None,
            signal_type=signal.signal_type,
            confidence=signal.confidence,
            fired_at=signal.fired_at,
            why_not=one.why,
            owner=one.owner,
            text=one.text if units and one.why is None else None,
        )


class DryRunRead(Sent):
    """What would have been sent since an instant, without sending it."""

    since: datetime
    would_send: int
    why_not: dict[str, int] = Field(description="Reasons and how often each.")
    owners: dict[str, int] = Field(description="Names and how many would have been theirs.")
    latest: list[DryRunLine]

    @classmethod
    def of(cls, one: Preview, *, units: bool) -> DryRunRead:
        return cls(
            since=one.since,
            would_send=one.sent,
            why_not=dict(one.why),
            owners=dict(one.turns),
            latest=[DryRunLine.of(each, units=units) for each in one.lines],
        )


class StopBody(Body):
    """Why all sending is stopped."""

    reason: Reason | None = None


class StartBody(Body):
    """What becomes of what has waited."""

    drop: bool = Field(default=False, description="Give it up instead of sending it now.")


class SuppressBody(Body):
    """Who is to get no signals."""

    list: SuppressionList
    entries: list[Line] = Field(min_length=1, max_length=5000, description="Domains, e-mail addresses, or ids of persons and groups in PostHog.")


class ClearBody(Body):
    """A list that is to be emptied."""

    list: SuppressionList


class SnoozeBody(Body):
    """About whom nothing is to be sent, until when."""

    who: Line = Field(description="A domain, an e-mail address, or an id of a person or group in PostHog.")
    until: Instant
    reason: Reason | None = None


class SnoozeSignalBody(Body):
    """Nothing more about the unit of a signal, or its account, until when."""

    whom: Literal["unit", "account"] = "unit"
    until: Instant
    reason: Reason | None = None


class AccountsBody(Body):
    """Which properties tell accounts and owners; null: found by usual names. Empty: not asked for."""

    email: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="A property of persons with their e-mail address.")
    group_type: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="The group type that is the account.")
    name: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="A property of the group with its name.")
    domain: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="A property of the group with its domain or website.")
    owner: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="A property of the group, or the person, with the e-mail address of its owner in the CRM."
    )


class DryRunBody(Body):
    """What is to be played: a route as it is, a route with other rules, or rules alone."""

    route: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(default=None, description="Name or id.")
    rules: RulesBody | None = None
    kind: RouteKind = Field(default="webhook", description="For the medium of its texts, where no route is named.")
    weeks: int = Field(default=4, ge=1, le=12)


class ResolveBody(Body):
    """Whether a message in doubt arrived; if not, it is sent again."""

    arrived: bool


class DestinationBody(Body):
    """Settings of a route's destination; what is left out stays as it is."""

    settings: dict[str, Any]


SENT_OF_REACH: tuple[type[BaseModel], ...] = (
    StoppedRead, SendingRead, SendingStarted, SuppressionRead, SuppressionPage, SuppressionsAdded, SuppressionsCleared, SnoozeRead, SnoozePage,
    AccountsRead, DryRunLine, DryRunRead,
)  # fmt: skip
TAKEN_OF_REACH: tuple[type[BaseModel], ...] = (
    StopBody, StartBody, SuppressBody, ClearBody, SnoozeBody, SnoozeSignalBody, AccountsBody, DryRunBody, ResolveBody, DestinationBody,
)  # fmt: skip

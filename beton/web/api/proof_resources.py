"""What the API sends of the scoreboard, of alarms and of holdouts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from beton.web.api.resources import Sent


class RealisedRead(Sent):
    """What became of signals. A signal counts once its horizon is over: until then it is too early, also where its outcome has come already."""

    too_early: int = Field(description="The horizon is not over.")
    had_converted: int = Field(description="The outcome came at or before the fire: counted nowhere, as in a backtest.")
    matured: int = Field(description="The horizon is over: these are judged.")
    converted: int = Field(description="Of the matured, those that the outcome followed within the horizon.")
    precision: float | None = Field(description="converted / matured; null before anything has matured.")
    precision_low: float | None = Field(description="Lower end of the 95 % interval (Wilson), right for one look.")
    precision_high: float | None
    precision_at_any_look_low: float | None = Field(description="Lower end of the 95 % confidence sequence, which holds at all looks at once.")
    precision_at_any_look_high: float | None


class PromiseRead(Sent):
    """The precision on which it was approved; of what a search has found, that of later data."""

    precision: float
    precision_low: float | None
    precision_high: float | None
    sample_size: int | None = Field(description="Fires that it rests on.")


class IncrementalRead(Sent):
    """What sending adds, from accounts held out at random."""

    share_held_out: float
    routed: int = Field(description="Accounts of the present draw that were not held out.")
    held_out: int
    matured_routed: int
    matured_held_out: int
    converted_routed: int
    converted_held_out: int
    difference: float | None = Field(description="Share converting when routed less share when held out.")
    difference_low: float | None = Field(description="Lower end of its 95 % confidence sequence, which holds at all looks at once.")
    difference_high: float | None
    extra_conversions: float | None = Field(description="difference times matured_routed.")
    verdict: Literal["adds", "takes", "cannot_tell"]
    reason: str | None = Field(description="Why it cannot be told; null where it can.")
    needs_routed: int | None = Field(description="Matured accounts of each arm for a quarter more to show with a power of 80 %, looked at every day.")
    needs_held_out: int | None
    needs_held_out_looked_at_once: int | None = Field(description="The same for one look at the end.")


class AlarmRead(Sent):
    """A live hypothesis that is surely below its promise."""

    alarm_id: str
    hypothesis_id: str
    hypothesis_version: int
    raised_at: datetime
    last_fired_at: datetime = Field(description="The last fire that it rests on.")
    basis: Literal["holdout", "all"] = Field(description="Judged on the accounts that are held out, or on all signals.")
    floor: float = Field(description="What it was not to fall below: the lower end of the promised interval, or the bar's precision.")
    fires: int
    hits: int
    evidence: float = Field(description="Natural logarithm of the e-value; 3.0 is an alarm where one hypothesis is watched.")
    action: Literal["alarm", "pause", "ask"] = Field(description="What the workspace had chosen to do.")
    answer: Literal["kept", "paused", "retired"] | None
    answered_at: datetime | None
    answered_by: str | None
    comment: str | None
    sentence: str


class AlarmPage(Sent):
    """All of them, the latest first."""

    data: list[AlarmRead]


class BrokenNameRead(Sent):
    """A name of a hypothesis that its project uses no more, or uses differently."""

    kind: Literal["event_gone", "event_silent", "property_gone", "property_retyped", "group_type_gone"]
    event: str | None
    property: str | None
    was: str | None
    became: str | None
    instead: str | None = Field(description="What it may be called now.")
    noticed_at: datetime
    sentence: str


class ScoreRead(Sent):
    """One hypothesis in its present version: what it has sent, what was said of it, what became of it, and what it had promised."""

    hypothesis_id: str
    hypothesis: str
    name: str
    version: int
    status: str
    signals: int
    sent: int = Field(description="Signals that at least one receiver has taken.")
    held: int = Field(description="Signals that were written down without being sent.")
    held_because: dict[str, int]
    accepted: int = Field(description="Signals of which somebody said that they worked, or that somebody has claimed and said nothing of.")
    worked: int
    not_a_fit: int
    customer: int
    lost: int = Field(description="Signals whose unit was erased before it could be told what became of it, or turned out to be another's.")
    realised: RealisedRead
    promised: PromiseRead | None = Field(description="Null where it was approved without numbers.")
    verdict: Literal["kept", "below", "above", "cannot_tell"] = Field(description="Realised against promised, at any look.")
    incremental: IncrementalRead
    alarm: AlarmRead | None = Field(description="One that nobody has answered.")
    broken: list[BrokenNameRead]


class RouteScoreRead(Sent):
    """One route: signals that its receiver has taken, of all versions."""

    route_id: str
    name: str
    kind: str
    delivered: int
    realised: RealisedRead
    promised_precision: float | None = Field(description="Mean promise over its matured signals.")


class ScoreboardRead(Sent):
    """All that is or was live."""

    hypotheses: list[ScoreRead]
    total: RealisedRead
    routes: list[RouteScoreRead] = Field(description="Empty where the caller may not read routes.")


class DriftActionRead(Sent):
    """What is done about a live hypothesis that is surely below its promise."""

    action: Literal["alarm", "pause", "ask"]


SENT_OF_PROOF: tuple[type[BaseModel], ...] = (
    RealisedRead, PromiseRead, IncrementalRead, AlarmRead, AlarmPage, BrokenNameRead, ScoreRead, RouteScoreRead, ScoreboardRead, DriftActionRead,
)  # fmt: skip

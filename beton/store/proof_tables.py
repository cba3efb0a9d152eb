"""Tables of what became of signals: outcomes, the draw of who is held out, alarms of drift, names that broke. See `tables` for what holds of all.

Of an outcome there is its instant and nothing else; units stand there as keyed hashes or not at all.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from beton.store.columns import Owned, Row, belongs_to, maybe_moment, moment, one_of

BECAME = ("open", "before", "converted", "not", "lost")
BREAKS = ("event_gone", "event_silent", "property_gone", "property_retyped", "group_type_gone")
ACTIONS = ("alarm", "pause", "ask")
ANSWERS = ("kept", "paused", "retired")


class SignalOutcomeRow(Owned, Row, table=True):
    """What became of a signal. Its id is the signal's. `known_until`: up to which instant PostHog was asked for its outcome."""

    __tablename__ = "signal_outcome"
    __table_args__ = (
        sa.Index(None, "connection_id", "asking", "known_until"),
        sa.Index(None, "hypothesis_id", "hypothesis_version", "became"),
        sa.Index(None, "hypothesis_id", "detected_at"),
        one_of("became", *BECAME),
    )
    id: str = Field(primary_key=True, foreign_key="signal.id")
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection", index=False)
    hypothesis_id: str = belongs_to("hypothesis", index=False)
    hypothesis_version: int
    fired_at: datetime = moment()
    detected_at: datetime = moment()
    matures_at: datetime = moment()
    outcome_at: datetime | None = maybe_moment()
    known_until: datetime | None = maybe_moment()
    became: str = "open"
    asking: bool = True


class HoldoutRow(Owned, Row, table=True):
    """How many of a hypothesis's units are held out. Another share is another draw: the arms of two draws are not added up."""

    __tablename__ = "holdout"
    __table_args__ = (sa.CheckConstraint("share >= 0 AND share <= 0.2", name="share_is_small"),)
    hypothesis_id: str = belongs_to("hypothesis", key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    share: float
    draw: int
    since: datetime = moment()
    actor: str


class HoldoutUnitRow(Owned, Row, table=True):
    """An account (or a unit without one) at its first fire of a version that could have been sent: drawn once, and for good."""

    __tablename__ = "holdout_unit"
    __table_args__ = (sa.Index(None, "hypothesis_id", "hypothesis_version", "draw"),)
    hypothesis_id: str = belongs_to("hypothesis", key=True)
    hypothesis_version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    drawn_key: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    signal_id: str = belongs_to("signal")
    draw: int
    held: bool
    drawn_at: datetime = moment()


class DriftAlarmRow(Owned, Row, table=True):
    """A live hypothesis that is surely below its promise, what was done, and what a person has answered."""

    __tablename__ = "drift_alarm"
    __table_args__ = (
        sa.Index(None, "hypothesis_id", "hypothesis_version", "raised_at"),
        sa.Index(None, "workspace_id", "answered_at"),
        one_of("basis", "holdout", "all"),
        one_of("action", *ACTIONS),
        one_of("answer", *ANSWERS),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    hypothesis_id: str = belongs_to("hypothesis", index=False)
    hypothesis_version: int
    raised_at: datetime = moment()
    last_fired_at: datetime = moment()
    basis: str
    floor: float
    fires: int
    hits: int
    log_e: float
    action: str
    answer: str | None = None
    answered_at: datetime | None = maybe_moment()
    answered_by: str | None = None
    comment: str | None = None


class BrokenNameRow(Owned, Row, table=True):
    """A name of a live hypothesis that its project uses no more, or uses differently; `ended_at` once that is over."""

    __tablename__ = "broken_name"
    __table_args__ = (
        sa.Index(None, "hypothesis_id", "ended_at"),
        sa.Index(None, "workspace_id", "ended_at"),
        one_of("kind", *BREAKS),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    hypothesis_id: str = belongs_to("hypothesis", index=False)
    hypothesis_version: int
    kind: str
    event: str | None = None
    property: str | None = None
    was: str | None = None
    became: str | None = None
    instead: str | None = None
    noticed_at: datetime = moment()
    ended_at: datetime | None = maybe_moment()

"""Tables of the ways out: routes, what waits to go along them, and every attempt. See `tables` for what holds of all of them."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from beton.signals import ROUTE_KINDS, DeliveryStatus
from beton.store.columns import Owned, Row, belongs_to, document, maybe_moment, moment, one_of


class RouteRow(Owned, Row, table=True):
    __tablename__ = "route"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"), one_of("kind", *ROUTE_KINDS))
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    name: str
    kind: str
    destination_sealed: str
    address: str
    enabled: bool = True
    notices: bool = False
    problem: str | None = None
    rules: dict[str, Any] = document()
    failing_since: datetime | None = maybe_moment()
    failures: int = 0
    resting_until: datetime | None = maybe_moment()
    created_at: datetime = moment()
    updated_at: datetime = moment()


class NoticeRow(Owned, Row, table=True):
    """A change of a hypothesis's status as it will be told: written with the change, and never changed."""

    __tablename__ = "notice"
    __table_args__ = (sa.UniqueConstraint("hypothesis_id", "row_version"),)
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace")
    hypothesis_id: str = belongs_to("hypothesis", index=False)
    hypothesis_version: int
    row_version: int
    sentence: str
    was: str
    became: str
    action: str
    actor: str
    reason: str | None = None
    at: datetime = moment()


class DeliveryRow(Owned, Row, table=True):
    __tablename__ = "delivery"
    __table_args__ = (
        sa.UniqueConstraint("signal_id", "route_id", "step"),
        sa.UniqueConstraint("notice_id", "route_id"),
        sa.CheckConstraint("(signal_id IS NULL) <> (notice_id IS NULL)", name="about_one_thing"),
        sa.Index(None, "status", "next_attempt_at"),
        sa.Index(None, "workspace_id", "created_at", "id"),
        sa.Index(None, "workspace_id", "route_id", "created_at", "id"),
        sa.Index(None, "workspace_id", "status", "created_at", "id"),
        sa.Index(None, "route_id", "status"),
        one_of("status", *DeliveryStatus),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    signal_id: str | None = Field(default=None, foreign_key="signal.id")
    notice_id: str | None = Field(default=None, foreign_key="notice.id")
    route_id: str = belongs_to("route", index=False)
    status: str = str(DeliveryStatus.PENDING)
    attempts: int = 0
    next_attempt_at: datetime | None = maybe_moment()
    last_error: str | None = None
    message_id: str = Field(unique=True)
    lease: str | None = None
    leased_until: datetime | None = maybe_moment()
    created_at: datetime = moment()
    delivered_at: datetime | None = maybe_moment()
    attempts_before: int = 0
    step: int = 0


class DeliveryAttemptRow(Owned, Row, table=True):
    __tablename__ = "delivery_attempt"
    id: int | None = Field(default=None, primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    delivery_id: str = belongs_to("delivery")
    at: datetime = moment()
    status: str
    status_code: int | None = None
    latency_ms: int | None = None
    response_head: str | None = None
    error: str | None = None
